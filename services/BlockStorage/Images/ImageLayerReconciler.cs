using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.BlockStorage.Devices;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Reconciliation;

namespace Nephos.BlockStorage.Images;

/// <summary>Gives up the layers of images that are gone.</summary>
internal sealed class ImageLayerReconciler(ImageLayers layers, TimeProvider time, ReconcilerRegistry registry, ILogger<ImageLayerReconciler> logger)
    : Reconciler("block-storage/image-layers", Period, time, registry, logger)
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var removed = await layers.RemoveUnneededAsync(cancellationToken);
        return new ReconcileResult(removed, removed, 0);
    }
}

/// <summary>Makes each image a layer as soon as it is active, so that the first volume of it takes no longer than the next.</summary>
internal sealed partial class ImagePreparation(
    IImages images, IBlockDevices devices, ImageLayers layers, BlockStorageOptions options, TimeProvider time, ILogger<ImagePreparation> logger)
    : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.PrepareImages) return;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await foreach (var imageId in images.WatchActiveAsync(stoppingToken)) await PrepareAsync(imageId, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is FaultException or Grpc.Core.RpcException or HttpRequestException)
            {
                // The image service is not there yet, or went away.
                LogWatchEnded(e.Message);
            }
            await Task.Delay(Pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task PrepareAsync(string imageId, CancellationToken cancellationToken)
    {
        try
        {
            var device = (await devices.ListAsync(cancellationToken)).Where(device => !device.Failed).MaxBy(device => device.FreeBytes);
            if (device is { FreeBytes: > 0 }) await layers.EnsureAsync(imageId, device.Id, cancellationToken);
        }
        catch (FaultException fault)
        {
            // Not every image is a disk; a volume of it says what is wrong.
            LogNotPrepared(imageId, fault.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "The watch of images ended: {Reason}")]
    private partial void LogWatchEnded(string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Image {ImageId} is not prepared for volumes: {Reason}")]
    private partial void LogNotPrepared(string imageId, string reason);
}

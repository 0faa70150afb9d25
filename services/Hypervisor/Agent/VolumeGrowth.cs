using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hypervisor.Instances;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Hypervisor.Agent;

/// <summary>Follows the sizes and limits of the volumes that are attached on this node: the head's export grows, then the machine is told.</summary>
/// <remarks>What is told once more changes nothing, so a lost event is made good by the next watch, which begins with all attachments.</remarks>
internal sealed partial class VolumeGrowth(
    Wire.Attachments.AttachmentsClient attachments, IVolumeHeads heads, IHypervisor hypervisor, ServiceCalls calls, NephosOptions node, TimeProvider time,
    ILogger<VolumeGrowth> logger)
    : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is FaultException or RpcException)
            {
                LogWatchEnded(e.Message);
            }
            await Task.Delay(Pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        using var events = attachments.WatchAttachments(
            new Wire.WatchAttachmentsRequest { Node = node.NodeName }, await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        while (await events.ResponseStream.MoveNext(cancellationToken))
        {
            if (events.ResponseStream.Current is { HasDeleted: true, Deleted: var gone } && Guid.TryParse(gone, out var goneId)) await CloseAsync(goneId, cancellationToken);
            if (events.ResponseStream.Current.Changed is not { } changed || !Guid.TryParse(changed.Attachment.Id, out var attachmentId)) continue;
            try
            {
                await FollowAsync(attachmentId, changed, cancellationToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e, changed.Attachment.VolumeId, changed.VolumeSizeBytes);
            }
        }
    }

    // Whose attachment has ended is let in no more, also where others keep the head open.
    private async Task CloseAsync(Guid attachmentId, CancellationToken cancellationToken)
    {
        try
        {
            await heads.CloseAsync(attachmentId, cancellationToken);
        }
        catch (VolumeHeadException e)
        {
            LogNotClosed(e, attachmentId);
        }
    }

    private async Task FollowAsync(Guid attachmentId, Wire.AttachmentChanged changed, CancellationToken cancellationToken)
    {
        var head = heads.List().FirstOrDefault(head => head.AttachmentId == attachmentId && !head.Fenced);
        // One that is not open yet is opened with the size and the limits of that moment.
        if (head is null) return;
        heads.SetLimits(attachmentId, VolumeLimits.From(changed.Qos));
        if (!Guid.TryParse(changed.Attachment.InstanceId, out var instanceId)) return;
        if (head.SizeBytes < changed.VolumeSizeBytes)
        {
            await heads.ResizeAsync(attachmentId, changed.VolumeSizeBytes, cancellationToken);
            LogGrown(head.VolumeId, head.SizeBytes, changed.VolumeSizeBytes);
        }
        await hypervisor.GrowVolumeAsync(instanceId, attachmentId, changed.VolumeSizeBytes, cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Volume {VolumeId} grew from {OldBytes} to {NewBytes} bytes while it is attached")]
    private partial void LogGrown(Guid volumeId, long oldBytes, long newBytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The machine was not told that volume {VolumeId} has {SizeBytes} bytes now; it will see it when it is started anew")]
    private partial void LogFailed(Exception exception, string volumeId, long sizeBytes);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Attachment {AttachmentId} has ended, and its head can not be closed")]
    private partial void LogNotClosed(Exception exception, Guid attachmentId);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The watch of attachments ended: {Reason}")]
    private partial void LogWatchEnded(string reason);
}

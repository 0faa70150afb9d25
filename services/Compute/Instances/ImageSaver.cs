using Microsoft.Extensions.Logging;
using Nephos.Compute.Actions;
using Nephos.Compute.Seams;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>The steps by which an image of an instance is saved; each may run twice.</summary>
internal sealed partial class ImageSaver(
    IStateStore store, IVolumeApi volumes, IImageApi images, ActionLog actions, TimeProvider time, ILogger<ImageSaver> logger)
{
    /// <summary>Has block storage make the image and fill it.</summary>
    public async Task BeginAsync(string instanceId, ImageSave save, CancellationToken cancellationToken)
    {
        await volumes.UploadToImageAsync(save.VolumeId, save.ImageId, save.Name, save.Properties, cancellationToken);
        await ChangeAsync(instanceId, save, (_, now) => Task.FromResult(now with { ImageSave = save with { Begun = true } }), cancellationToken);
    }

    /// <summary>Forgets the wish; what was asked with it has ended.</summary>
    /// <param name="error">Why there is no image; null: there is.</param>
    public Task EndAsync(string instanceId, ImageSave save, string? error, CancellationToken cancellationToken) =>
        ChangeAsync(instanceId, save, async (transaction, now) =>
        {
            await actions.FinishAsync(transaction, now.OpenActions, error, nodeName: null, time.GetUtcNow(), cancellationToken);
            return now with { ImageSave = null, OpenActions = [], UpdatedAt = time.GetUtcNow() };
        }, cancellationToken);

    /// <summary>Deletes what is too old of a series of images.</summary>
    public async Task RotateAsync(string projectId, string instanceId, ImageRotation rotation, CancellationToken cancellationToken)
    {
        var series = (await images.ListImagesOfAsync(projectId, cancellationToken))
            .Where(image => image.Properties.GetValueOrDefault("instance_uuid") == instanceId
                && image.Properties.GetValueOrDefault("image_type") == SnapshotImage.Backup
                && image.Properties.GetValueOrDefault("backup_type") == rotation.Type)
            .OrderByDescending(image => image.CreatedAt);
        foreach (var old in series.Skip(rotation.Kept).ToList())
        {
            try
            {
                await images.DropImageAsync(old.Id, cancellationToken);
            }
            catch (FaultException fault) when (PassState.IsPermanent(fault))
            {
                // Its owner protected it, which does not keep the others.
                LogKept(old.Id, instanceId, fault.Message);
            }
        }
    }

    private Task ChangeAsync(
        string instanceId, ImageSave save, Func<StateTransaction, Instance, Task<Instance>> change, CancellationToken cancellationToken) =>
        store.TransactAsync(async transaction =>
        {
            if (await transaction.GetAsync(Instance.Table, instanceId, cancellationToken) is { DeletedAt: null } now && now.ImageSave?.ImageId == save.ImageId)
            {
                transaction.Put(Instance.Table, await change(transaction, now));
            }
        }, cancellationToken);

    [LoggerMessage(LogLevel.Warning, "Image {ImageId} of instance {InstanceId} is kept beyond its rotation: {Reason}")]
    private partial void LogKept(string imageId, string instanceId, string reason);
}

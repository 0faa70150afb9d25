using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Nephos.Compute.Instances;
using Nephos.Compute.Seams;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Services.Tests.Compute;

/// <summary>Volumes and attachments in memory. A volume is usable when it is looked at for the second time, as a slow one would be.</summary>
internal sealed class FakeVolumes(Interference interference, FakeImages images) : IVolumeApi
{
    private readonly ConcurrentDictionary<string, string> _keys = new();
    private readonly Channel<string> _changes = Channel.CreateUnbounded<string>();

    public ConcurrentDictionary<string, VolumeRef> Volumes { get; } = new();

    public ConcurrentDictionary<string, AttachmentRef> Attachments { get; } = new();

    /// <summary>By image.</summary>
    public ConcurrentDictionary<string, (string VolumeId, string Name, IReadOnlyDictionary<string, string> Properties)> Uploaded { get; } = new();

    /// <summary>False: new volumes stay in the making until <see cref="Finish"/>.</summary>
    public bool Quick { get; set; } = true;

    /// <summary>False: images of volumes get no content until <see cref="EndUpload"/>.</summary>
    public bool UploadsQuickly { get; set; } = true;

    /// <summary>The image has its content, or never gets any.</summary>
    public void EndUpload(string imageId, bool succeeds)
    {
        images.SetStatus(imageId, succeeds ? "active" : null);
        Finish(Uploaded[imageId].VolumeId);
    }

    public string AddVolume(string projectId, bool bootable = false, VolumeState state = VolumeState.Available)
    {
        var id = Ids.NewUuid();
        Volumes[id] = new VolumeRef(id, projectId, state, "", 1L << 30, bootable, Multiattach: false, Hidden: false, null, null, new Dictionary<string, string>());
        return id;
    }

    public void Finish(string volumeId, VolumeState state = VolumeState.Available)
    {
        Volumes[volumeId] = Volumes[volumeId] with { State = state };
        _changes.Writer.TryWrite(Volumes[volumeId].OwnerInstanceId ?? "");
    }

    public Task<VolumeRef> GetVolumeAsync(OperationContext operation, string volumeId, CancellationToken cancellationToken) =>
        Volumes.TryGetValue(volumeId, out var volume) && operation.CanSee(volume.ProjectId) ? Task.FromResult(volume) : throw Faults.NotFound("Volume", volumeId);

    public Task<SnapshotRef> GetSnapshotAsync(OperationContext operation, string snapshotId, CancellationToken cancellationToken) => throw Faults.NotFound("Snapshot", snapshotId);

    public Task<VolumeRef?> FindVolumeAsync(string volumeId, CancellationToken cancellationToken)
    {
        interference.Before("volume.find");
        return Task.FromResult(Volumes.GetValueOrDefault(volumeId));
    }

    public Task<VolumeRef> CreateVolumeAsync(VolumeWish wish, CancellationToken cancellationToken)
    {
        interference.Before("volume.create");
        var id = _keys.GetOrAdd($"volume {wish.IdempotencyKey}", _ => Ids.NewUuid());
        var volume = Volumes.GetOrAdd(id, _ => new VolumeRef(
            id, wish.ProjectId, Quick ? VolumeState.Available : VolumeState.Working, "", wish.SizeBytes, Bootable: true, Multiattach: false, wish.Hidden,
            wish.Hidden ? wish.InstanceId : null, wish.Source == DiskSource.Image ? wish.SourceId : null, new Dictionary<string, string>()));
        interference.After("volume.create");
        return Task.FromResult(volume);
    }

    public Task DeleteVolumeAsync(string volumeId, CancellationToken cancellationToken)
    {
        interference.Before("volume.delete");
        foreach (var attachment in Attachments.Values.Where(item => item.VolumeId == volumeId))
        {
            Attachments.TryRemove(attachment.Id, out _);
        }
        Volumes.TryRemove(volumeId, out _);
        interference.After("volume.delete");
        return Task.CompletedTask;
    }

    public Task ExtendVolumeAsync(string volumeId, long sizeBytes, CancellationToken cancellationToken)
    {
        interference.Before("volume.extend");
        Volumes[volumeId] = Volumes[volumeId] with { SizeBytes = sizeBytes };
        return Task.CompletedTask;
    }

    public Task<AttachmentRef> AttachAsync(
        string volumeId, string instanceId, string node, string device, string idempotencyKey, CancellationToken cancellationToken)
    {
        interference.Before("attachment.create");
        if (!Volumes.TryGetValue(volumeId, out var volume))
        {
            throw Faults.NotFound("Volume", volumeId);
        }
        var id = _keys.GetOrAdd($"attachment {idempotencyKey}", _ => Ids.NewUuid());
        if (!Attachments.TryGetValue(id, out var attachment))
        {
            if (volume.State != VolumeState.Available)
            {
                throw Faults.Conflict($"Volume {volumeId} is not available.");
            }
            Attachments[id] = attachment = new AttachmentRef(id, volumeId, instanceId, node, $"token of {id}");
            Volumes[volumeId] = volume with { State = VolumeState.InUse };
        }
        interference.After("attachment.create");
        return Task.FromResult(attachment);
    }

    public Task<AttachmentRef> HoldAsync(string volumeId, string instanceId, string device, string idempotencyKey, CancellationToken cancellationToken) =>
        AttachAsync(volumeId, instanceId, node: "", device, idempotencyKey, cancellationToken);

    public Task MoveAttachmentAsync(string attachmentId, string node, CancellationToken cancellationToken)
    {
        interference.Before("attachment.move");
        Attachments[attachmentId] = Attachments[attachmentId] with { Node = node };
        return Task.CompletedTask;
    }

    public Task MarkDetachingAsync(string attachmentId, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task DetachAsync(string attachmentId, CancellationToken cancellationToken)
    {
        interference.Before("attachment.delete");
        if (Attachments.TryRemove(attachmentId, out var attachment) && Volumes.TryGetValue(attachment.VolumeId, out var volume))
        {
            Volumes[volume.Id] = volume with { State = VolumeState.Available };
        }
        interference.After("attachment.delete");
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<AttachmentRef>> ListAttachmentsOfAsync(string instanceId, CancellationToken cancellationToken)
    {
        interference.Before("attachment.list");
        return Task.FromResult<IReadOnlyList<AttachmentRef>>([.. Attachments.Values.Where(item => item.InstanceId == instanceId)]);
    }

    public Task<IReadOnlyList<VolumeRef>> ListOwnedAsync(string instanceId, CancellationToken cancellationToken)
    {
        interference.Before("volume.list");
        return Task.FromResult<IReadOnlyList<VolumeRef>>([.. Volumes.Values.Where(volume => volume.OwnerInstanceId == instanceId)]);
    }

    public Task UploadToImageAsync(
        string volumeId, string imageId, string imageName, IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken)
    {
        interference.Before("volume.upload");
        Uploaded[imageId] = (volumeId, imageName, properties);
        images.AddMade(imageId, imageName, Volumes[volumeId].ProjectId, properties, UploadsQuickly ? "active" : "queued");
        if (!UploadsQuickly)
        {
            Volumes[volumeId] = Volumes[volumeId] with { State = VolumeState.Working };
        }
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<string> WatchInstancesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var instance in _changes.Reader.ReadAllAsync(cancellationToken))
        {
            yield return instance;
        }
    }
}

/// <summary>Images in memory.</summary>
internal sealed class FakeImages : IImageApi
{
    public ConcurrentDictionary<string, ImageRef> Images { get; } = new();

    public ConcurrentBag<string> Dropped { get; } = [];

    public string Add(string name = "cirros", long virtualSizeBytes = 64L << 20, long minRamMib = 0, long minDiskGib = 0, string status = "active")
    {
        var id = Ids.NewUuid();
        Images[id] = new ImageRef(
            id, name, status, "owner", "public", 17_000_000, virtualSizeBytes, minDiskGib, minRamMib, default, default, new Dictionary<string, string>());
        return id;
    }

    /// <summary>One that was made of a volume; each is a second younger than the one before.</summary>
    public void AddMade(string id, string name, string owner, IReadOnlyDictionary<string, string> properties, string status) =>
        Images[id] = new ImageRef(id, name, status, owner, "private", 0, 0, 0, 0, default(DateTimeOffset).AddSeconds(Images.Count), default, properties);

    /// <param name="status">Null: the image is gone.</param>
    public void SetStatus(string id, string? status)
    {
        if (status is null)
        {
            Images.TryRemove(id, out _);
        }
        else
        {
            Images[id] = Images[id] with { Status = status };
        }
    }

    public Task<string?> FindStatusAsync(string imageId, CancellationToken cancellationToken) =>
        Task.FromResult(Images.GetValueOrDefault(imageId)?.Status);

    public Task<IReadOnlyList<ImageRef>> ListImagesOfAsync(string projectId, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ImageRef>>([.. Images.Values.Where(image => image.Owner == projectId)]);

    public Task<ImageRef> GetImageAsync(OperationContext operation, string imageId, CancellationToken cancellationToken) =>
        Images.TryGetValue(imageId, out var image) ? Task.FromResult(image) : throw Faults.NotFound("Image", imageId);

    public Task<IReadOnlyList<ImageRef>> ListImagesAsync(OperationContext operation, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ImageRef>>([.. Images.Values]);

    public Task DeleteImageAsync(OperationContext operation, string imageId, CancellationToken cancellationToken) =>
        Images.TryRemove(imageId, out _) ? Task.CompletedTask : throw Faults.NotFound("Image", imageId);

    public Task ReplacePropertiesAsync(
        OperationContext operation, string imageId, IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken)
    {
        Images[imageId] = Images[imageId] with { Properties = properties };
        return Task.CompletedTask;
    }

    public Task DropImageAsync(string imageId, CancellationToken cancellationToken)
    {
        Dropped.Add(imageId);
        Images.TryRemove(imageId, out _);
        return Task.CompletedTask;
    }
}

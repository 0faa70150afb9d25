using System.Runtime.CompilerServices;
using Nephos.Compute.Instances;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Compute.Seams;

/// <summary>Block storage, by its gRPC clients.</summary>
internal sealed class GrpcVolumeApi(
    Wire.Volumes.VolumesClient volumes,
    Wire.Snapshots.SnapshotsClient snapshots,
    Wire.Attachments.AttachmentsClient attachments,
    ServiceCalls calls) : IVolumeApi
{
    private const int PageItems = 1000;

    public async Task<VolumeRef> GetVolumeAsync(OperationContext operation, string volumeId, CancellationToken cancellationToken) =>
        Ids.IsUuid(volumeId)
            ? ToRef(await volumes.GetVolumeAsync(new Wire.GetVolumeRequest { VolumeId = volumeId }, await calls.WithUserRightsAsync(operation, cancellationToken)))
            : throw Faults.NotFound("Volume", volumeId);

    public async Task<SnapshotRef> GetSnapshotAsync(OperationContext operation, string snapshotId, CancellationToken cancellationToken)
    {
        var snapshot = await snapshots.GetSnapshotAsync(
            new Wire.GetSnapshotRequest { SnapshotId = snapshotId }, await calls.WithUserRightsAsync(operation, cancellationToken));
        return new SnapshotRef(snapshot.Id, snapshot.VolumeId, snapshot.SizeBytes, snapshot.Status == Wire.SnapshotStatus.Available);
    }

    public async Task<VolumeRef?> FindVolumeAsync(string volumeId, CancellationToken cancellationToken)
    {
        try
        {
            return ToRef(await volumes.GetVolumeAsync(new Wire.GetVolumeRequest { VolumeId = volumeId }, await calls.AsServiceAsync(cancellationToken)));
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
        {
            return null;
        }
    }

    public async Task<VolumeRef> CreateVolumeAsync(VolumeWish wish, CancellationToken cancellationToken)
    {
        var request = new Wire.CreateVolumeRequest
        {
            Name = wish.Name.Length <= 255 ? wish.Name : wish.Name[..255],
            SizeBytes = wish.SizeBytes,
            VolumeType = wish.VolumeType ?? "",
            Hidden = wish.Hidden,
            OwnerInstanceId = wish.Hidden ? wish.InstanceId : "",
            ProjectId = wish.ProjectId,
            UserId = wish.UserId,
            IdempotencyKey = wish.IdempotencyKey,
        };
        switch (wish.Source)
        {
            case DiskSource.Image:
                request.ImageId = wish.SourceId;
                break;
            case DiskSource.Snapshot:
                request.SnapshotId = wish.SourceId;
                break;
            case DiskSource.Volume:
                request.VolumeId = wish.SourceId;
                break;
        }
        return ToRef(await volumes.CreateVolumeAsync(request, await calls.AsServiceAsync(cancellationToken)));
    }

    public Task DeleteVolumeAsync(string volumeId, CancellationToken cancellationToken) => Gone.IsFineAsync(async () =>
        await volumes.DeleteVolumeAsync(new Wire.DeleteVolumeRequest { VolumeId = volumeId }, await calls.AsServiceAsync(cancellationToken)));

    public async Task ExtendVolumeAsync(string volumeId, long sizeBytes, CancellationToken cancellationToken) =>
        await volumes.ExtendVolumeAsync(
            new Wire.ExtendVolumeRequest { VolumeId = volumeId, SizeBytes = sizeBytes, Online = true }, await calls.AsServiceAsync(cancellationToken));

    public async Task<AttachmentRef> AttachAsync(
        string volumeId, string instanceId, string node, string device, string idempotencyKey, CancellationToken cancellationToken)
    {
        var answer = await attachments.CreateAttachmentAsync(new Wire.CreateAttachmentRequest
        {
            VolumeId = volumeId, InstanceId = instanceId, Node = node, Device = device, IdempotencyKey = idempotencyKey,
        }, await calls.AsServiceAsync(cancellationToken));
        return ToRef(answer.Attachment) with { Token = answer.Token };
    }

    public async Task<AttachmentRef> HoldAsync(string volumeId, string instanceId, string device, string idempotencyKey, CancellationToken cancellationToken)
    {
        var attachment = await AttachAsync(volumeId, instanceId, node: "", device, idempotencyKey, cancellationToken);
        await attachments.CompleteAttachmentAsync(
            new Wire.CompleteAttachmentRequest { AttachmentId = attachment.Id }, await calls.AsServiceAsync(cancellationToken));
        return attachment;
    }

    public async Task MoveAttachmentAsync(string attachmentId, string node, CancellationToken cancellationToken) =>
        await attachments.UpdateAttachmentAsync(
            new Wire.UpdateAttachmentRequest { AttachmentId = attachmentId, Node = node }, await calls.AsServiceAsync(cancellationToken));

    public Task MarkDetachingAsync(string attachmentId, CancellationToken cancellationToken) => Gone.IsFineAsync(async () =>
        await attachments.UpdateAttachmentAsync(
            new Wire.UpdateAttachmentRequest { AttachmentId = attachmentId, Detaching = true }, await calls.AsServiceAsync(cancellationToken)));

    public Task DetachAsync(string attachmentId, CancellationToken cancellationToken) => Gone.IsFineAsync(async () =>
        await attachments.DeleteAttachmentAsync(
            new Wire.DeleteAttachmentRequest { AttachmentId = attachmentId }, await calls.AsServiceAsync(cancellationToken)));

    public async Task<IReadOnlyList<AttachmentRef>> ListAttachmentsOfAsync(string instanceId, CancellationToken cancellationToken)
    {
        var answer = await attachments.ListAttachmentsAsync(
            new Wire.ListAttachmentsRequest { InstanceId = instanceId, AllProjects = true, PageSize = PageItems }, await calls.AsServiceAsync(cancellationToken));
        return [.. answer.Attachments.Select(ToRef)];
    }

    public async Task<IReadOnlyList<VolumeRef>> ListOwnedAsync(string instanceId, CancellationToken cancellationToken)
    {
        var filter = new Wire.VolumeFilter { AllProjects = true, IncludeHidden = true, OwnerInstanceId = instanceId };
        var answer = await volumes.ListVolumesAsync(
            new Wire.ListVolumesRequest { Filter = filter, PageSize = PageItems }, await calls.AsServiceAsync(cancellationToken));
        return [.. answer.Volumes.Select(ToRef).Where(volume => volume.Hidden && volume.OwnerInstanceId == instanceId)];
    }

    public async Task UploadToImageAsync(
        string volumeId, string imageId, string imageName, IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken)
    {
        // The root disk is hidden from its user, so this service asks.
        await volumes.UploadVolumeToImageAsync(new Wire.UploadVolumeToImageRequest
        {
            VolumeId = volumeId, ImageId = imageId, ImageName = imageName, DiskFormat = "qcow2", ContainerFormat = "bare", Visibility = "private", Force = true,
            Properties = { properties.ToDictionary() },
        }, await calls.AsServiceAsync(cancellationToken));
    }

    public async IAsyncEnumerable<string> WatchInstancesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var events = volumes.WatchVolumes(
            new Wire.WatchVolumesRequest { Filter = new Wire.VolumeFilter { AllProjects = true, IncludeHidden = true } },
            await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        while (await events.ResponseStream.MoveNext(cancellationToken))
        {
            if (events.ResponseStream.Current.Changed is not { } volume)
            {
                continue;
            }
            if (volume.OwnerInstanceId.Length > 0)
            {
                yield return volume.OwnerInstanceId;
            }
            foreach (var attachment in volume.Attachments.Where(item => item.InstanceId.Length > 0 && item.InstanceId != volume.OwnerInstanceId))
            {
                yield return attachment.InstanceId;
            }
        }
    }

    private static AttachmentRef ToRef(Wire.Attachment attachment) =>
        new(attachment.Id, attachment.VolumeId, attachment.InstanceId, attachment.Node, "");

    private static VolumeRef ToRef(Wire.Volume volume) => new(
        volume.Id,
        volume.ProjectId,
        volume.Status switch
        {
            Wire.VolumeStatus.Available => VolumeState.Available,
            // Its content is there; an attachment of somebody else is refused where one is made.
            Wire.VolumeStatus.Attaching or Wire.VolumeStatus.InUse or Wire.VolumeStatus.Detaching => VolumeState.InUse,
            Wire.VolumeStatus.Error => VolumeState.Error,
            Wire.VolumeStatus.Deleting => VolumeState.Deleting,
            _ => VolumeState.Working,
        },
        volume.StatusReason,
        volume.SizeBytes,
        volume.Bootable,
        volume.Multiattach,
        volume.Hidden,
        volume.OwnerInstanceId.Length > 0 ? volume.OwnerInstanceId : null,
        volume.SourceImageId.Length > 0 ? volume.SourceImageId : null,
        volume.ImageMetadata);
}

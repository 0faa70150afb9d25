using Nephos.Compute.Instances;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Seams;

internal enum VolumeState { Working, Available, InUse, Error, Deleting }

internal sealed record VolumeRef(
    string Id, string ProjectId, VolumeState State, string StateReason, long SizeBytes, bool Bootable, bool Multiattach, bool Hidden, string? OwnerInstanceId,
    string? ImageId, IReadOnlyDictionary<string, string> ImageProperties);

internal sealed record SnapshotRef(string Id, string VolumeId, long SizeBytes, bool Available);

/// <param name="Token">Opens the attachment on the node; a secret.</param>
internal sealed record AttachmentRef(string Id, string VolumeId, string InstanceId, string Node, string Token);

/// <summary>A volume to be made for an instance. The same key answers the same volume.</summary>
internal sealed record VolumeWish(
    string ProjectId,
    string UserId,
    string Name,
    DiskSource Source,
    string? SourceId,
    long SizeBytes,
    string? VolumeType,
    bool Hidden,
    string InstanceId,
    string IdempotencyKey);

/// <summary>What this service needs of block storage. Every call may be repeated.</summary>
/// <remarks>Calls with an operation are made on behalf of its user, the others by this service itself.</remarks>
internal interface IVolumeApi
{
    /// <exception cref="FaultException">NotFound.</exception>
    Task<VolumeRef> GetVolumeAsync(OperationContext operation, string volumeId, CancellationToken cancellationToken);

    /// <exception cref="FaultException">NotFound.</exception>
    Task<SnapshotRef> GetSnapshotAsync(OperationContext operation, string snapshotId, CancellationToken cancellationToken);

    /// <summary>Null when it is gone.</summary>
    Task<VolumeRef?> FindVolumeAsync(string volumeId, CancellationToken cancellationToken);

    Task<VolumeRef> CreateVolumeAsync(VolumeWish wish, CancellationToken cancellationToken);

    /// <summary>Deletes a volume, detaching whatever is attached; one that is gone is no error.</summary>
    Task DeleteVolumeAsync(string volumeId, CancellationToken cancellationToken);

    Task ExtendVolumeAsync(string volumeId, long sizeBytes, CancellationToken cancellationToken);

    /// <summary>Takes the volume for an instance on a node.</summary>
    /// <exception cref="FaultException">Conflict: somebody else has it.</exception>
    Task<AttachmentRef> AttachAsync(string volumeId, string instanceId, string node, string device, string idempotencyKey, CancellationToken cancellationToken);

    /// <summary>Takes the volume for an instance that is on no node; users see it in use.</summary>
    /// <exception cref="FaultException">Conflict: somebody else has it.</exception>
    Task<AttachmentRef> HoldAsync(string volumeId, string instanceId, string device, string idempotencyKey, CancellationToken cancellationToken);

    Task MoveAttachmentAsync(string attachmentId, string node, CancellationToken cancellationToken);

    /// <summary>Shows users that the volume is about to be free; an attachment that is gone is no error.</summary>
    Task MarkDetachingAsync(string attachmentId, CancellationToken cancellationToken);

    /// <summary>Ends an attachment: nobody writes by it any more. One that is gone is no error.</summary>
    Task DetachAsync(string attachmentId, CancellationToken cancellationToken);

    Task<IReadOnlyList<AttachmentRef>> ListAttachmentsOfAsync(string instanceId, CancellationToken cancellationToken);

    /// <summary>Hidden volumes that an instance owns.</summary>
    Task<IReadOnlyList<VolumeRef>> ListOwnedAsync(string instanceId, CancellationToken cancellationToken);

    /// <summary>Makes an image of the content of a volume, owned by the volume's project. The same image id again is the same
    /// upload. The volume is <see cref="VolumeState.Working"/> until the image has its content.</summary>
    Task UploadToImageAsync(
        string volumeId, string imageId, string imageName, IReadOnlyDictionary<string, string> properties, CancellationToken cancellationToken);

    /// <summary>Instances one of whose volumes changed, for as long as the caller listens.</summary>
    IAsyncEnumerable<string> WatchInstancesAsync(CancellationToken cancellationToken);
}

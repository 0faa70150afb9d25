using Google.Protobuf.WellKnownTypes;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.VolumeTypes;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Volumes;

/// <summary>Records as gRPC shows them.</summary>
internal static class VolumeMapping
{
    public static Wire.Volume ToWire(this VolumeView view)
    {
        var volume = view.Volume;
        var wire = new Wire.Volume
        {
            Id = volume.Id,
            ProjectId = volume.ProjectId,
            UserId = volume.UserId,
            Name = volume.Name,
            Description = volume.Description ?? "",
            SizeBytes = volume.SizeBytes,
            Status = ToWire(view.Status),
            StatusReason = view.Reason,
            VolumeType = view.VolumeTypeName,
            AvailabilityZone = volume.AvailabilityZone,
            Bootable = volume.Bootable,
            ReadOnly = volume.ReadOnly,
            Multiattach = volume.Multiattach,
            GroupId = volume.GroupId ?? "",
            Encrypted = volume.KeyId is not null,
            SourceImageId = volume.SourceImageId ?? "",
            SourceSnapshotId = volume.SourceSnapshotId ?? "",
            SourceVolumeId = volume.SourceVolumeId ?? "",
            Hidden = volume.Hidden,
            OwnerInstanceId = volume.OwnerInstanceId ?? "",
            CreatedAt = volume.CreatedAt.ToTimestamp(),
            UpdatedAt = volume.UpdatedAt?.ToTimestamp(),
            Generation = volume.Generation,
        };
        foreach (var (key, value) in volume.Metadata) wire.Metadata[key] = value;
        foreach (var (key, value) in volume.ImageMetadata) wire.ImageMetadata[key] = value;
        wire.Attachments.AddRange(view.Attachments.Select(attachment => attachment.ToWire(view.Now)));
        return wire;
    }

    public static Wire.VolumeStatus ToWire(VolumeStatus status) => status switch
    {
        VolumeStatus.Creating => Wire.VolumeStatus.Creating,
        VolumeStatus.Available => Wire.VolumeStatus.Available,
        VolumeStatus.Attaching => Wire.VolumeStatus.Attaching,
        VolumeStatus.InUse => Wire.VolumeStatus.InUse,
        VolumeStatus.Detaching => Wire.VolumeStatus.Detaching,
        VolumeStatus.Extending => Wire.VolumeStatus.Extending,
        VolumeStatus.Uploading => Wire.VolumeStatus.Uploading,
        VolumeStatus.Reverting => Wire.VolumeStatus.Reverting,
        VolumeStatus.Deleting => Wire.VolumeStatus.Deleting,
        VolumeStatus.Error => Wire.VolumeStatus.Error,
        VolumeStatus.Maintenance => Wire.VolumeStatus.Maintenance,
        VolumeStatus.BackingUp => Wire.VolumeStatus.BackingUp,
        VolumeStatus.RestoringBackup => Wire.VolumeStatus.RestoringBackup,
        VolumeStatus.AwaitingTransfer => Wire.VolumeStatus.AwaitingTransfer,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "Not a status."),
    };

    public static VolumeStatus? FromWire(Wire.VolumeStatus status) =>
        status == Wire.VolumeStatus.Unspecified ? null : System.Enum.GetValues<VolumeStatus>().First(own => ToWire(own) == status);

    public static Wire.Attachment ToWire(this Attachment attachment, DateTimeOffset now) => new()
    {
        Id = attachment.Id,
        VolumeId = attachment.VolumeId,
        InstanceId = attachment.InstanceId ?? "",
        Node = attachment.Node ?? "",
        Status = attachment.IsDetaching(now) ? Wire.AttachmentStatus.Detaching
            : attachment.OpenedAt is not null ? Wire.AttachmentStatus.Attached
            : attachment.Node is not null ? Wire.AttachmentStatus.Attaching
            : Wire.AttachmentStatus.Reserved,
        ReadOnly = attachment.ReadOnly,
        Device = attachment.Device ?? "",
        CreatedAt = attachment.CreatedAt.ToTimestamp(),
        OpenedAt = attachment.OpenedAt?.ToTimestamp(),
        Epoch = attachment.Epoch,
        ProjectId = attachment.ProjectId,
    };

    public static Wire.Snapshot ToWire(this Snapshot snapshot)
    {
        var wire = new Wire.Snapshot
        {
            Id = snapshot.Id,
            ProjectId = snapshot.ProjectId,
            UserId = snapshot.UserId,
            VolumeId = snapshot.VolumeId,
            Name = snapshot.Name,
            Description = snapshot.Description ?? "",
            SizeBytes = snapshot.SizeBytes,
            Status = ToWire(snapshot.Status),
            StatusReason = snapshot.Failure ?? "",
            CreatedAt = snapshot.CreatedAt.ToTimestamp(),
            UpdatedAt = snapshot.UpdatedAt?.ToTimestamp(),
            Generation = snapshot.Generation,
        };
        foreach (var (key, value) in snapshot.Metadata) wire.Metadata[key] = value;
        return wire;
    }

    private static Wire.SnapshotStatus ToWire(SnapshotStatus status) => status switch
    {
        SnapshotStatus.Creating => Wire.SnapshotStatus.Creating,
        SnapshotStatus.Available => Wire.SnapshotStatus.Available,
        SnapshotStatus.Deleting => Wire.SnapshotStatus.Deleting,
        SnapshotStatus.Error => Wire.SnapshotStatus.Error,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "Not a status."),
    };

    public static SnapshotStatus? FromWire(Wire.SnapshotStatus status) =>
        status == Wire.SnapshotStatus.Unspecified ? null : System.Enum.GetValues<SnapshotStatus>().First(own => ToWire(own) == status);

    public static Wire.VolumeType ToWire(this VolumeType type, bool isDefault)
    {
        var wire = new Wire.VolumeType
        {
            Id = type.Id,
            Name = type.Name,
            Description = type.Description ?? "",
            IsPublic = type.IsPublic,
            IsDefault = isDefault,
            CreatedAt = type.CreatedAt.ToTimestamp(),
            QosSpecsId = type.QosSpecsId ?? "",
        };
        foreach (var (key, value) in type.ExtraSpecs) wire.ExtraSpecs[key] = value;
        return wire;
    }
}

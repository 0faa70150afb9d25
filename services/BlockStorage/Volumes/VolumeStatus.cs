using Nephos.BlockStorage.Attachments;

namespace Nephos.BlockStorage.Volumes;

/// <summary>What the API shows; never stored. The names in lower case, with dashes, are Cinder's.</summary>
internal enum VolumeStatus
{
    Creating,
    Available,
    Attaching,
    InUse,
    Detaching,
    Extending,
    Uploading,
    Reverting,
    Deleting,
    Error,
    Maintenance,
    BackingUp,
    RestoringBackup,
    AwaitingTransfer,
}

/// <summary>A volume with its attachments, as one moment shows them.</summary>
internal sealed record VolumeView(Volume Volume, IReadOnlyList<Attachment> Attachments, string VolumeTypeName, DateTimeOffset Now)
{
    public VolumeStatus Status => Derive(Volume, Attachments, Now);

    /// <summary>Why it is in error, or what it waits for; empty when there is nothing to say.</summary>
    public string Reason => Volume.Failure ?? Status switch
    {
        VolumeStatus.Creating when Volume.SourceImageId is { } image => $"Waiting for the content of image {image}.",
        VolumeStatus.Creating => "Waiting for a storage device.",
        VolumeStatus.Attaching when Attachments.Count == 0 => "Reserved.",
        VolumeStatus.Attaching => $"Waiting for node {Attachments[0].Node ?? "(none yet)"} to open attachment {Attachments[0].Id}.",
        VolumeStatus.Detaching => "Waiting for the end of an attachment.",
        VolumeStatus.Extending or VolumeStatus.Reverting or VolumeStatus.Deleting => "Waiting for the storage device.",
        VolumeStatus.RestoringBackup => $"Waiting for the content of backup {Volume.RestoreFrom}.",
        VolumeStatus.BackingUp => $"Backup {Volume.BackingUp} is being made.",
        VolumeStatus.AwaitingTransfer => $"Transfer {Volume.TransferId} was offered.",
        VolumeStatus.Uploading => $"Image {Volume.Upload!.ImageId} is being filled.",
        _ => "",
    };

    private static VolumeStatus Derive(Volume volume, IReadOnlyList<Attachment> attachments, DateTimeOffset now)
    {
        if (volume.Deleting) return VolumeStatus.Deleting;
        if (volume.AdminStatus is { } shown) return VolumeStatusNames.FromCinder(shown) ?? VolumeStatus.Error;
        if (volume.Failure is not null) return VolumeStatus.Error;
        if (volume.RestoreFrom is not null) return VolumeStatus.RestoringBackup;
        if (!volume.Provisioned) return VolumeStatus.Creating;
        if (volume.RevertTo is not null) return VolumeStatus.Reverting;
        if (volume.ProvisionedBytes < volume.SizeBytes) return VolumeStatus.Extending;
        if (volume.Upload is not null) return VolumeStatus.Uploading;
        if (volume.BackingUp is not null) return VolumeStatus.BackingUp;
        if (volume.TransferId is not null) return VolumeStatus.AwaitingTransfer;
        if (attachments.Count > 0 && attachments.All(attachment => attachment.IsDetaching(now))) return VolumeStatus.Detaching;
        if (attachments.Any(attachment => attachment.OpenedAt is not null)) return VolumeStatus.InUse;
        if (attachments.Count > 0 || volume.ReservedUntil > now) return VolumeStatus.Attaching;
        return VolumeStatus.Available;
    }
}

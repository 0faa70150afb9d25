using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Volumes;

/// <summary>What a volume is, what is wanted of it, and how far that is done. What the API calls its status is derived from it.</summary>
internal sealed record Volume
{
    public const long GibBytes = 1L << 30;

    public static readonly TableSchema<Volume> Table = new TableSchema<Volume>("block-storage/volumes", volume => volume.Id, BlockStorageJson.Default.Volume)
        .Index("project", volume => volume.ProjectId)
        .Index("key", volume => volume.KeyId)
        .Unique("idempotency", volume => volume.IdempotencyKey is { } key ? $"{volume.ProjectId}/{key}" : null);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }
    public required string UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public required long SizeBytes { get; init; }
    public required string VolumeTypeId { get; init; }
    public required string AvailabilityZone { get; init; }
    public bool Bootable { get; init; }

    /// <summary>Several instances may have it at once.</summary>
    public bool Multiattach { get; init; }

    /// <summary>Null until somebody has set it; then the REST API shows it in the metadata.</summary>
    public bool? ReadOnlyFlag { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public IReadOnlyDictionary<string, string> ImageMetadata { get; init; } = new Dictionary<string, string>();
    public string? SourceImageId { get; init; }
    public string? SourceSnapshotId { get; init; }
    public string? SourceVolumeId { get; init; }

    /// <summary>Owned by an instance: in no list of users, in no quota.</summary>
    public bool Hidden { get; init; }
    public string? OwnerInstanceId { get; init; }
    public string? IdempotencyKey { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }
    public long Generation { get; init; }

    /// <summary>The configuration record of the replica group: its member and its epoch, changed only by compare and set.</summary>
    public string? DeviceId { get; init; }
    public long Epoch { get; init; }

    /// <summary>The epoch the device is known to have sealed; below <see cref="Epoch"/> the seal is still to be done or a head does it.</summary>
    public long SealedEpoch { get; init; }

    /// <summary>The content is on the device.</summary>
    public bool Provisioned { get; init; }

    /// <summary>The size on the device; the wanted one is <see cref="SizeBytes"/>.</summary>
    public long ProvisionedBytes { get; init; }

    /// <summary>The snapshot whose content is wanted back.</summary>
    public string? RevertTo { get; init; }

    /// <summary>The image that the content is wanted in.</summary>
    public VolumeUpload? Upload { get; init; }

    /// <summary>The backup that is being made of it.</summary>
    public string? BackingUp { get; init; }

    /// <summary>The backup whose content is wanted in it.</summary>
    public string? RestoreFrom { get; init; }

    /// <summary>The offer to another project that it is part of.</summary>
    public string? TransferId { get; init; }

    /// <summary>The group that it is a member of.</summary>
    public string? GroupId { get; init; }

    /// <summary>The key that its blocks are encrypted with on devices; null when they are not.</summary>
    public string? KeyId { get; init; }

    public bool Deleting { get; init; }

    /// <summary>About to be attached by somebody, until then.</summary>
    public DateTimeOffset? ReservedUntil { get; init; }

    /// <summary>What an administrator wants shown instead of what the facts say.</summary>
    public string? AdminStatus { get; init; }

    /// <summary>Why the volume can never become what was wanted.</summary>
    public string? Failure { get; init; }

    public bool ReadOnly => ReadOnlyFlag == true;

    public long SizeGib => (SizeBytes + GibBytes - 1) / GibBytes;

    /// <summary>Whether there is something left to do on a device.</summary>
    public bool IsPending => Deleting || (Failure is null && (!Provisioned || ProvisionedBytes < SizeBytes || RevertTo is not null || RestoreFrom is not null || Upload is not null));

    public Volume Changed(DateTimeOffset now) => this with { UpdatedAt = now, Generation = Generation + 1 };
}

/// <param name="DiskFormat">raw or qcow2.</param>
/// <param name="AskedAt">The image is made right after; one that is still missing later never will be.</param>
/// <param name="ImageMade">It was made: when it is missing, somebody has deleted it.</param>
internal sealed record VolumeUpload(
    string ImageId, string ImageName, string DiskFormat, string ContainerFormat, DateTimeOffset AskedAt = default, bool ImageMade = false);

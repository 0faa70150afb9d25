using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Backups;

/// <summary>A copy of a volume in the object store: what is wanted, and how far that is done.</summary>
internal sealed record Backup
{
    public static readonly TableSchema<Backup> Table = new TableSchema<Backup>("block-storage/backups", backup => backup.Id, BlockStorageJson.Default.Backup)
        .Index("volume", backup => backup.VolumeId)
        .Index("key", backup => backup.KeyId)
        .Unique("idempotency", backup => backup.IdempotencyKey is { } key ? $"{backup.ProjectId}/{key}" : null);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }
    public required string UserId { get; init; }
    public required string VolumeId { get; init; }
    public string? SnapshotId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public required string AvailabilityZone { get; init; }

    /// <summary>As the user named it.</summary>
    public required string Container { get; init; }

    /// <summary>Where the chunks are; backups in the same bucket share them.</summary>
    public required string Bucket { get; init; }
    public required long SizeBytes { get; init; }

    /// <summary>What a volume needs beside its content to be as it was.</summary>
    public required BackupSource Source { get; init; }

    /// <summary>The key of the volume: the content is as it was on the devices.</summary>
    public string? KeyId { get; init; }

    /// <summary>The backup since which the changes are read; null when everything is.</summary>
    public string? ParentId { get; init; }
    public bool Incremental { get; init; }
    public required DateTimeOffset DataAt { get; init; }
    public string? IdempotencyKey { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }
    public long Generation { get; init; }

    /// <summary>The device of the volume when it was backed up.</summary>
    public string? DeviceId { get; init; }

    /// <summary>The device still has the frozen content under the id of this backup: the next one compares with it, and a restore begins with it.</summary>
    public bool LocalSnapshot { get; init; }

    /// <summary>Everything is in the object store.</summary>
    public bool Done { get; init; }
    public long ChunkCount { get; init; }
    public long AddedBytes { get; init; }
    public bool Deleting { get; init; }
    public string? Failure { get; init; }

    /// <summary>What an administrator wants shown instead of what the facts say: available or error.</summary>
    public string? AdminStatus { get; init; }

    public long SizeGib => (SizeBytes + Volumes.Volume.GibBytes - 1) / Volumes.Volume.GibBytes;

    public bool IsPending => Deleting || (!Done && Failure is null);

    public Backup Changed(DateTimeOffset now) => this with { UpdatedAt = now, Generation = Generation + 1 };
}

/// <summary>What is remembered of the volume.</summary>
internal sealed record BackupSource(
    string Name, string? Description, bool Bootable, string VolumeTypeId, IReadOnlyDictionary<string, string> Metadata,
    IReadOnlyDictionary<string, string> ImageMetadata);

internal enum BackupStatus
{
    Creating,
    Available,
    Restoring,
    Deleting,
    Error,
}

/// <summary>A backup with what is being restored from it, as one moment shows them.</summary>
internal sealed record BackupView(Backup Backup, bool Restoring)
{
    public BackupStatus Status =>
        Backup.Deleting ? BackupStatus.Deleting
        : Backup.AdminStatus is { } shown ? shown == "error" ? BackupStatus.Error : BackupStatus.Available
        : Backup.Failure is not null ? BackupStatus.Error
        : !Backup.Done ? BackupStatus.Creating
        : Restoring ? BackupStatus.Restoring
        : BackupStatus.Available;

    /// <summary>As the block storage REST API spells it.</summary>
    public string StatusName => Status.ToString().ToLowerInvariant();

    public string Reason => Backup.Failure ?? Status switch
    {
        BackupStatus.Creating => $"The content of volume {Backup.VolumeId} is being read.",
        BackupStatus.Restoring => "A volume is being restored from it.",
        _ => "",
    };
}

/// <summary>A bucket in which something may have become garbage.</summary>
internal sealed record BackupBucket(string Name, DateTimeOffset DirtyAt)
{
    public static readonly TableSchema<BackupBucket> Table =
        new("block-storage/backup-buckets", bucket => bucket.Name, BlockStorageJson.Default.BackupBucket);
}

using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Snapshots;

/// <summary>The content of a volume at one moment.</summary>
internal sealed record Snapshot
{
    public static readonly TableSchema<Snapshot> Table =
        new TableSchema<Snapshot>("block-storage/snapshots", snapshot => snapshot.Id, BlockStorageJson.Default.Snapshot)
            .Index("volume", snapshot => snapshot.VolumeId)
            .Unique("idempotency", snapshot => snapshot.IdempotencyKey is { } key ? $"{snapshot.ProjectId}/{key}" : null);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }
    public required string UserId { get; init; }
    public required string VolumeId { get; init; }
    public required string DeviceId { get; init; }

    /// <summary>The type of the volume at that time, by which it is counted.</summary>
    public string VolumeTypeId { get; init; } = "";

    /// <summary>The snapshot of a group that it is a part of.</summary>
    public string? GroupSnapshotId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public required long SizeBytes { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public string? IdempotencyKey { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }
    public long Generation { get; init; }

    /// <summary>It is on the device.</summary>
    public bool Taken { get; init; }
    public bool Deleting { get; init; }
    public string? Failure { get; init; }

    /// <summary>What an administrator wants shown instead of what the facts say; one of <see cref="AdminStatuses"/>.</summary>
    public string? AdminStatus { get; init; }

    /// <summary>As whoever makes the snapshot on its behalf reports it.</summary>
    public string? Progress { get; init; }

    public static readonly IReadOnlySet<string> AdminStatuses =
        new HashSet<string> { "available", "creating", "deleting", "error", "error_deleting" };

    /// <summary>As the block storage REST API spells it.</summary>
    public string StatusName => Deleting || AdminStatus is null ? Status.ToString().ToLowerInvariant() : AdminStatus;

    public long SizeGib => (SizeBytes + Volumes.Volume.GibBytes - 1) / Volumes.Volume.GibBytes;

    public bool IsPending => Deleting || (!Taken && Failure is null);

    public SnapshotStatus Status =>
        Deleting ? SnapshotStatus.Deleting : Failure is not null ? SnapshotStatus.Error : Taken ? SnapshotStatus.Available : SnapshotStatus.Creating;

    public Snapshot Changed(DateTimeOffset now) => this with { UpdatedAt = now, Generation = Generation + 1 };
}

internal enum SnapshotStatus
{
    Creating,
    Available,
    Deleting,
    Error,
}

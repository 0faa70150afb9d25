using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Groups;

/// <summary>A kind of group that the operator offers.</summary>
internal sealed record GroupType
{
    public static readonly TableSchema<GroupType> Table = new TableSchema<GroupType>("block-storage/group-types", type => type.Id, BlockStorageJson.Default.GroupType)
        .Unique("name", type => type.Name);

    public required string Id { get; init; }
    public required string Name { get; init; }
    public string? Description { get; init; }
    public bool IsPublic { get; init; } = true;
    public IReadOnlyDictionary<string, string> Specs { get; init; } = new Dictionary<string, string>();
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>Volumes that are frozen together.</summary>
internal sealed record VolumeGroup
{
    public static readonly TableSchema<VolumeGroup> Table = new("block-storage/groups", group => group.Id, BlockStorageJson.Default.VolumeGroup);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }
    public required string UserId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public required string GroupTypeId { get; init; }

    /// <summary>Of these types are its volumes.</summary>
    public required IReadOnlyList<string> VolumeTypeIds { get; init; }
    public required string AvailabilityZone { get; init; }
    public string? SourceGroupId { get; init; }
    public string? SourceSnapshotId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? UpdatedAt { get; init; }
    public long Generation { get; init; }

    /// <summary>Goes when its last volume is gone.</summary>
    public bool Deleting { get; init; }

    /// <summary>What an administrator wants shown instead of what the facts say.</summary>
    public string? AdminStatus { get; init; }

    public VolumeGroup Changed(DateTimeOffset now) => this with { UpdatedAt = now, Generation = Generation + 1 };

    /// <summary>What an administrator may have shown.</summary>
    public static readonly IReadOnlySet<string> AdminStatuses =
        new HashSet<string> { "available", "creating", "deleting", "error", "error_deleting", "in-use", "updating" };
}

/// <summary>A group with its volumes, as one moment shows them.</summary>
internal sealed record GroupView(VolumeGroup Group, IReadOnlyList<Volumes.Volume> Members)
{
    /// <summary>As the block storage REST API spells it.</summary>
    public string Status =>
        Group.Deleting ? "deleting"
        : Group.AdminStatus
        ?? (Members.Any(volume => volume.Failure is not null && !volume.Provisioned) ? "error"
        : Members.Any(volume => !volume.Provisioned) && (Group.SourceGroupId ?? Group.SourceSnapshotId) is not null ? "creating"
        : "available");
}

/// <summary>The content of all volumes of a group at one moment: a snapshot of each.</summary>
internal sealed record GroupSnapshot
{
    public static readonly TableSchema<GroupSnapshot> Table =
        new TableSchema<GroupSnapshot>("block-storage/group-snapshots", snapshot => snapshot.Id, BlockStorageJson.Default.GroupSnapshot)
            .Index("group", snapshot => snapshot.GroupId);

    public required string Id { get; init; }
    public required string ProjectId { get; init; }
    public required string UserId { get; init; }
    public required string GroupId { get; init; }
    public required string GroupTypeId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public long Generation { get; init; }

    /// <summary>All of its snapshots were frozen.</summary>
    public bool Taken { get; init; }

    /// <summary>Goes when its last snapshot is gone.</summary>
    public bool Deleting { get; init; }
    public string? Failure { get; init; }
    public string? AdminStatus { get; init; }

    public bool IsPending => Deleting || (!Taken && Failure is null);

    /// <summary>As the block storage REST API spells it.</summary>
    public string Status => Deleting ? "deleting" : AdminStatus ?? (Failure is not null ? "error" : Taken ? "available" : "creating");
}

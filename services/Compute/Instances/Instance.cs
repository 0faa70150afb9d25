using Nephos.Compute.Flavors;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Nodes;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

internal enum DesiredState { Running, Stopped, Paused, Suspended, Shelved, Deleted }

internal enum RebootKind { Soft, Hard }

/// <summary>What an instance should be. Written by calls of users, and by the reconciler where a wish has been fulfilled.</summary>
/// <remarks>Invariants: <see cref="Epoch"/> grows with each placement; <see cref="Claim"/> is counted in the usage of its node, and so is
/// that of <see cref="Resize"/>; quota is held until <see cref="DeletedAt"/> is set.</remarks>
internal sealed record Instance
{
    public required string Id { get; init; }

    public required string ProjectId { get; init; }

    public required string UserId { get; init; }

    public required string Name { get; init; }

    public string? Description { get; init; }

    public required string HostName { get; init; }

    public required Flavor Flavor { get; init; }

    /// <summary>Null when booted from a volume.</summary>
    public string? ImageId { get; init; }

    /// <summary>Properties that matter for the machine and for images made of it, as the image had them.</summary>
    public IReadOnlyDictionary<string, string> ImageProperties { get; init; } = new Dictionary<string, string>();

    public InstanceKey? Key { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<string> Tags { get; init; } = [];

    public IReadOnlyList<GroupRef> SecurityGroups { get; init; } = [];

    public IReadOnlyList<Nic> Nics { get; init; } = [];

    public IReadOnlyList<Disk> Disks { get; init; } = [];

    /// <summary>Base64.</summary>
    public string? UserData { get; init; }

    public IReadOnlyList<InjectedFile> Files { get; init; } = [];

    public bool ConfigDrive { get; init; }

    /// <summary>As asked for; null: any.</summary>
    public string? AvailabilityZone { get; init; }

    public bool AutoDiskConfig { get; init; }

    public string AccessIpv4 { get; init; } = "";

    public string AccessIpv6 { get; init; } = "";

    public bool Locked { get; init; }

    public string? LockedReason { get; init; }

    public DesiredState Desired { get; init; } = DesiredState.Running;

    /// <summary>Raised by each change of what is wanted.</summary>
    public long Generation { get; init; } = 1;

    /// <summary>Raised when a process has to be started anew: create, start, resume, rebuild.</summary>
    public long PowerGeneration { get; init; } = 1;

    public long RebootNonce { get; init; }

    public RebootKind RebootKind { get; init; }

    /// <summary>Raised by each rebuild; the root disk belongs to one number.</summary>
    public long RootNonce { get; init; }

    /// <summary><see cref="PowerGeneration"/> of a rebuild that is under way; 0: none is.</summary>
    public long RootPowerGeneration { get; init; }

    /// <summary>What was wanted before <see cref="Desired"/>: where a transition that nobody has observed yet comes from.</summary>
    public DesiredState Previous { get; init; } = DesiredState.Running;

    /// <summary>Raised by each placement: who has an older one must not write any more.</summary>
    public long Epoch { get; init; }

    /// <summary>Null: not placed.</summary>
    public Claim? Claim { get; init; }

    public Resize? Resize { get; init; }

    /// <summary>The disk that the instance boots from instead of its own; null: it is not rescued.</summary>
    public Disk? RescueDisk { get; init; }

    /// <summary><see cref="PowerGeneration"/> of the end of the last rescue.</summary>
    public long UnrescuePowerGeneration { get; init; }

    /// <summary>The image that is made of the root disk when it is shelved, and deleted when it runs again; null: none.</summary>
    public string? ShelvedImageId { get; init; }

    /// <summary>The image that is being made of the root disk; null: none.</summary>
    public ImageSave? ImageSave { get; init; }

    /// <summary>The group it was created in; null: none.</summary>
    public string? GroupId { get; init; }

    public IReadOnlyList<string> PlacementNotes { get; init; } = [];

    /// <summary>A permanent error; only deleting, rebuilding or a hard reboot leave it.</summary>
    public Fault? Fault { get; init; }

    public required string ReservationId { get; init; }

    public int LaunchIndex { get; init; }

    /// <summary>Led by the project; only the first instance of a request has it.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>Keys of actions whose end was not seen yet, oldest first.</summary>
    public IReadOnlyList<string> OpenActions { get; init; } = [];

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>When a placed instance has to run at the latest.</summary>
    public DateTimeOffset Deadline { get; init; }

    /// <summary>First seen running.</summary>
    public DateTimeOffset? LaunchedAt { get; init; }

    public DateTimeOffset? DeleteRequestedAt { get; init; }

    /// <summary>Gone for the user: quota and capacity are free, the name is.</summary>
    public DateTimeOffset? DeletedAt { get; init; }

    public static readonly TableSchema<Instance> Table =
        new TableSchema<Instance>("compute/instances", instance => instance.Id, ComputeJson.Default.Instance)
            .Unique("idempotency", instance => instance.DeletedAt is null ? instance.IdempotencyKey : null)
            .Index("reservation", instance => instance.DeletedAt is null ? instance.ReservationId : null)
            .Index(GroupIndex, instance => instance.DeletedAt is null ? instance.GroupId : null);

    public const string GroupIndex = "group";

    /// <summary>The disks, and the one of a rescue.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IEnumerable<Disk> AllDisks => RescueDisk is null ? Disks : [.. Disks, RescueDisk];

    /// <summary>This record with something else wanted.</summary>
    public Instance Changed(DateTimeOffset now) => this with { Generation = Generation + 1, UpdatedAt = now };

    /// <summary>This record with another size or place. On the same node the guest is asked to end and starts again; another node gets a
    /// new epoch.</summary>
    public Instance MovedTo(Claim claim) => claim.NodeId == Claim?.NodeId
        ? this with { Claim = claim, RebootNonce = RebootNonce + 1, RebootKind = RebootKind.Soft }
        : this with { Claim = claim, Epoch = Epoch + 1, PowerGeneration = PowerGeneration + 1 };

    /// <summary>This record with another state wanted.</summary>
    public Instance Wanting(DesiredState desired, DateTimeOffset now) => Changed(now) with { Desired = desired, Previous = Desired };
}

internal sealed record InstanceKey(string Name, KeypairType Type, string PublicKey);

internal sealed record GroupRef(string Id, string Name);

/// <summary>A wish for a network interface.</summary>
/// <param name="Id">A UUID of ours; names the port that is made for it.</param>
/// <param name="PortId">The port of the user; null: one is made.</param>
/// <param name="NetworkId">Of the port, or where it is made.</param>
internal sealed record Nic(string Id, string? PortId, string NetworkId, string? FixedIp, string? Tag);

internal enum DiskSource { Volume, Snapshot, Image, Blank }

/// <summary>A wish for a disk.</summary>
/// <param name="Id">A UUID of ours; names the volume that is made for it.</param>
/// <param name="SourceId">The volume, snapshot or image; null for a blank disk.</param>
/// <param name="Hidden">Lives as long as the instance and belongs to nobody else.</param>
/// <param name="BootIndex">0 is the root disk; negative: not bootable.</param>
/// <param name="SizeGib">0: as large as the source.</param>
internal sealed record Disk(
    string Id,
    DiskSource Source,
    string? SourceId,
    bool Hidden,
    int BootIndex,
    long SizeGib,
    bool DeleteOnTermination,
    string? Device,
    string? VolumeType,
    string? Tag,
    DateTimeOffset CreatedAt)
{
    public bool IsRoot => BootIndex == 0;
}

internal sealed record InjectedFile(string Path, string ContentsBase64);

internal enum ResizeStep { Resizing, Reverting }

/// <summary>A resize that waits to be confirmed, or that is taken back.</summary>
/// <param name="OldFlavor">While resizing what it was before; while reverting what it will not become.</param>
/// <param name="OldClaim">Of the old flavor; held until the resize is confirmed, or taken back altogether.</param>
/// <param name="Migration">Number of the move it is; 0: of before moves were numbered.</param>
internal sealed record Resize(
    ResizeStep Step, Flavor OldFlavor, Claim? OldClaim, DesiredState OldDesired, DateTimeOffset StartedAt, long Migration = 0);

internal sealed record Fault(int Code, string Message, string Details, DateTimeOffset At);

namespace Nephos.Compute.Instances;

/// <summary>What somebody asks for when creating instances; nothing of it is checked yet.</summary>
internal sealed record InstanceWish
{
    public required string Name { get; init; }

    public string? Description { get; init; }

    public string? HostName { get; init; }

    public required string FlavorId { get; init; }

    public string? ImageId { get; init; }

    public IReadOnlyList<NicWish> Nics { get; init; } = [];

    /// <summary>Without nics: none at all, instead of the project's only network.</summary>
    public bool NoNetwork { get; init; }

    /// <summary>Without nics and usable networks: one that the network service makes, instead of none at all.</summary>
    public bool AutoNetwork { get; init; }

    public IReadOnlyList<DiskWish> Disks { get; init; } = [];

    /// <summary>Base64.</summary>
    public string? UserData { get; init; }

    public IReadOnlyList<InjectedFile> Files { get; init; } = [];

    public bool ConfigDrive { get; init; }

    public string? KeyName { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Names or ids; empty: the default group.</summary>
    public IReadOnlyList<string> SecurityGroups { get; init; } = [];

    public Groups.PlaceHints? Hints { get; init; }

    /// <summary>"zone" or, for administrators, "zone:host".</summary>
    public string? AvailabilityZone { get; init; }

    public int MinCount { get; init; } = 1;

    public int MaxCount { get; init; } = 1;

    public string AccessIpv4 { get; init; } = "";

    public string AccessIpv6 { get; init; } = "";

    public bool AutoDiskConfig { get; init; }

    public string? IdempotencyKey { get; init; }
}

internal sealed record NicWish(string? PortId, string? NetworkId, string? FixedIp, string? Tag);

/// <param name="Local">Lives as long as the instance; else it is a volume of the project.</param>
/// <param name="BootIndex">0 is the root disk; null or negative: not bootable.</param>
internal sealed record DiskWish(
    DiskSource Source,
    string? SourceId,
    bool Local,
    int? BootIndex,
    long? SizeGib,
    bool DeleteOnTermination,
    string? Device,
    string? VolumeType,
    string? Tag,
    bool Swap);

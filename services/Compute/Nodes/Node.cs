using Nephos.Kernel.State;

namespace Nephos.Compute.Nodes;

/// <summary>A node that instances run on, as its agent introduced it.</summary>
internal sealed record Node
{
    /// <summary>Chosen by the agent, stable over restarts.</summary>
    public required string Id { get; init; }

    public required string HostName { get; init; }

    /// <summary>For clients that know hypervisors by a number only.</summary>
    public long Number { get; init; }

    /// <summary>For clients that know them by a UUID.</summary>
    public required string Uuid { get; init; }

    public int Vcpus { get; init; }

    public long MemoryMib { get; init; }

    public long DiskGib { get; init; }

    public string HypervisorType { get; init; } = "";

    public int HypervisorVersion { get; init; }

    public string AgentVersion { get; init; } = "";

    public string CpuArchitecture { get; init; } = "";

    public string CpuModel { get; init; } = "";

    public string HostIp { get; init; } = "";

    /// <summary>Proven features and why: <c>acceleration</c>, <c>network</c>.</summary>
    public IReadOnlyDictionary<string, string> Traits { get; init; } = new Dictionary<string, string>();

    public string AvailabilityZone { get; init; } = "";

    public bool Enabled { get; init; } = true;

    public string DisabledReason { get; init; } = "";

    /// <summary>When the machine was started; null: an agent of an earlier version did not say.</summary>
    public DateTimeOffset? BootedAt { get; init; }

    public DateTimeOffset FirstSeenAt { get; init; }

    public DateTimeOffset ConnectedAt { get; init; }

    public static readonly TableSchema<Node> Table = new("compute/nodes", node => node.Id, ComputeJson.Default.Node);
}

/// <summary>What is promised of a node; written in the commit that places or releases an instance.</summary>
internal sealed record NodeUsage(string NodeId, int Vcpus, long MemoryMib, long DiskGib, int Instances)
{
    public static readonly TableSchema<NodeUsage> Table = new("compute/node-usage", usage => usage.NodeId, ComputeJson.Default.NodeUsage);

    public NodeUsage Plus(Claim claim) => this with
    {
        Vcpus = Vcpus + claim.Vcpus,
        MemoryMib = MemoryMib + claim.MemoryMib,
        DiskGib = DiskGib + claim.DiskGib,
        Instances = Instances + 1,
    };

    public NodeUsage Minus(Claim claim) => this with
    {
        Vcpus = Vcpus - claim.Vcpus,
        MemoryMib = MemoryMib - claim.MemoryMib,
        DiskGib = DiskGib - claim.DiskGib,
        Instances = Instances - 1,
    };
}

/// <summary>There as long as the node keeps its lease; it vanishes with the lease of the store that it hangs on.</summary>
internal sealed record NodeLease(string NodeId, string SessionId, DateTimeOffset Since)
{
    public static readonly TableSchema<NodeLease> Table = new("compute/node-leases", lease => lease.NodeId, ComputeJson.Default.NodeLease);
}

/// <summary>The part of a node that an instance has.</summary>
internal sealed record Claim(string NodeId, int Vcpus, long MemoryMib, long DiskGib);

using System.ComponentModel.DataAnnotations;

namespace Nephos.Networking;

/// <summary>Options of the Network service, section <c>Network</c>.</summary>
public sealed record NetworkingOptions
{
    /// <summary>The physical networks that flat networks may be made on.</summary>
    public IList<string> PhysicalNetworks { get; init; } = [];

    /// <summary>MTU of the network between the nodes, bytes. Overlay networks have 50 less.</summary>
    [Range(1330, 9216)]
    public int UnderlayMtuBytes { get; init; } = 1500;

    /// <summary>The VXLAN network identifiers to choose from.</summary>
    [Range(1, 16777215)]
    public int VniMin { get; init; } = 1001;

    [Range(1, 16777215)]
    public int VniMax { get; init; } = 16777215;

    /// <summary>The first half of MAC addresses that the service chooses.</summary>
    [RegularExpression("^[0-9a-f][02468ace](:[0-9a-f]{2}){2}$")]
    public string MacPrefix { get; init; } = "fa:16:3e";

    /// <summary>A node that was not heard of for so long counts as dead, and its routers go elsewhere.</summary>
    [Range(typeof(TimeSpan), "00:00:05", "01:00:00")]
    public TimeSpan NodeDownAfter { get; init; } = TimeSpan.FromSeconds(75);

    /// <summary>Changes within so long share one snapshot to a node.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:01")]
    public TimeSpan SnapshotDelay { get; init; } = TimeSpan.FromMilliseconds(10);

    /// <summary>How much a project may have unless its quota says otherwise; -1 is no limit.</summary>
    public NetworkQuotaOptions Quota { get; init; } = new();

    /// <summary>The physical networks, with the defaults when none are configured.</summary>
    public IReadOnlyList<string> EffectivePhysicalNetworks => PhysicalNetworks.Count > 0 ? [.. PhysicalNetworks] : ["public", "provider"];
}

public sealed record NetworkQuotaOptions
{
    [Range(-1, int.MaxValue)]
    public int Network { get; init; } = 100;

    [Range(-1, int.MaxValue)]
    public int Subnet { get; init; } = 100;

    [Range(-1, int.MaxValue)]
    public int Port { get; init; } = 2000;

    [Range(-1, int.MaxValue)]
    public int Router { get; init; } = 50;

    [Range(-1, int.MaxValue)]
    public int FloatingIp { get; init; } = 100;

    [Range(-1, int.MaxValue)]
    public int SecurityGroup { get; init; } = 100;

    [Range(-1, int.MaxValue)]
    public int SecurityGroupRule { get; init; } = 1000;

    [Range(-1, int.MaxValue)]
    public int SubnetPool { get; init; } = -1;
}

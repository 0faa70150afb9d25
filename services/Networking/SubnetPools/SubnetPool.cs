using System.Text.Json.Serialization;
using Nephos.Networking.Addressing;
using Nephos.Networking.Sharing;

namespace Nephos.Networking.SubnetPools;

/// <summary>Prefixes that subnets are cut from without overlap.</summary>
internal sealed record SubnetPool : SharedResource
{
    /// <summary>Disjoint, in order, of one IP version; at least one.</summary>
    public required IReadOnlyList<Cidr> Prefixes { get; init; }

    public required int DefaultPrefixLength { get; init; }

    public required int MinPrefixLength { get; init; }

    public required int MaxPrefixLength { get; init; }

    public bool IsDefault { get; init; }

    /// <summary>Null: in none.</summary>
    public string? AddressScopeId { get; init; }

    /// <summary>What one project may take: IPv4 addresses, or IPv6 networks of length 64. Null for no bound.</summary>
    public long? DefaultQuota { get; init; }

    [JsonIgnore]
    public int IpVersion => Prefixes[0].Version;
}

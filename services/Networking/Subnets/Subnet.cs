using System.Text.Json.Serialization;
using Nephos.Networking.Addressing;

namespace Nephos.Networking.Subnets;

[JsonConverter(typeof(JsonStringEnumConverter<Ipv6Mode>))]
internal enum Ipv6Mode
{
    Slaac = 1,
    Dhcpv6Stateful = 2,
    Dhcpv6Stateless = 3,
}

internal sealed record Route(Cidr Destination, IpAddress Nexthop);

/// <summary>The addresses of a network.</summary>
internal sealed record Subnet : Resource
{
    public required string NetworkId { get; init; }

    public required Cidr Cidr { get; init; }

    public IpAddress? GatewayIp { get; init; }

    /// <summary>Disjoint, inside the CIDR, in the order given; where addresses are chosen from.</summary>
    public required IReadOnlyList<AddressRange> AllocationPools { get; init; }

    public IReadOnlyList<IpAddress> DnsNameservers { get; init; } = [];

    public IReadOnlyList<Route> HostRoutes { get; init; } = [];

    public bool EnableDhcp { get; init; } = true;

    public Ipv6Mode? RaMode { get; init; }

    public Ipv6Mode? AddressMode { get; init; }

    public string? SubnetPoolId { get; init; }

    /// <summary>Device owners whose ports may have addresses here; empty for all.</summary>
    public IReadOnlyList<string> ServiceTypes { get; init; } = [];

    [JsonIgnore]
    public int IpVersion => Cidr.Version;

    /// <summary>Hosts make their address of their MAC address and the prefix: it is not chosen here.</summary>
    [JsonIgnore]
    public bool HasAutoAddresses =>
        AddressMode is Ipv6Mode.Slaac or Ipv6Mode.Dhcpv6Stateless || RaMode is Ipv6Mode.Slaac or Ipv6Mode.Dhcpv6Stateless;

    public bool Serves(string deviceOwner) => ServiceTypes.Count == 0 || ServiceTypes.Contains(deviceOwner);
}

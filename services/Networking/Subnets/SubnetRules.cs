using Nephos.Kernel.Errors;
using Nephos.Networking.Addressing;

namespace Nephos.Networking.Subnets;

/// <summary>What a subnet may look like, whatever else exists.</summary>
internal static class SubnetRules
{
    public const int MaxDnsNameservers = 5;
    public const int MaxHostRoutes = 20;
    public const int MaxAllocationPools = 64;
    public const int MaxServiceTypes = 16;

    private static readonly Cidr LinkLocal = Cidr.Parse("fe80::/10");
    private static readonly Cidr[] Unusable = [Cidr.Parse("224.0.0.0/4"), Cidr.Parse("ff00::/8"), Cidr.Parse("127.0.0.0/8"), Cidr.Parse("::1/128")];

    /// <summary>The pools of a subnet that names none: every host address but the gateway's.</summary>
    public static IReadOnlyList<AddressRange> DefaultPools(Cidr cidr, IpAddress? gateway) => [.. cidr.Hosts.Without(gateway)];

    /// <exception cref="FaultException">Names the rule that is broken.</exception>
    public static void Check(Subnet subnet)
    {
        CheckCidr(subnet.Cidr);
        CheckModes(subnet);
        CheckGateway(subnet);
        CheckPools(subnet);
        CheckNameservers(subnet);
        CheckRoutes(subnet);
        if (subnet.ServiceTypes.Count > MaxServiceTypes)
        {
            throw Faults.Invalid("service_types", $"must be at most {MaxServiceTypes}");
        }
    }

    private static void CheckCidr(Cidr cidr)
    {
        if (cidr.PrefixLength == 0)
        {
            throw NetworkFaults.Input("0 is not allowed as CIDR prefix length.");
        }

        if (Unusable.Any(cidr.Overlaps))
        {
            throw NetworkFaults.Input($"Multicast and loopback addresses cannot be a subnet: {cidr}.");
        }
    }

    private static void CheckModes(Subnet subnet)
    {
        if (subnet.RaMode is null && subnet.AddressMode is null)
        {
            return;
        }

        if (subnet.IpVersion == 4)
        {
            throw NetworkFaults.Input("ipv6_ra_mode and ipv6_address_mode are not valid when ip_version is 4.");
        }

        if (!subnet.EnableDhcp)
        {
            throw NetworkFaults.Input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.");
        }

        if (subnet.RaMode is { } ra && subnet.AddressMode is { } mode && ra != mode)
        {
            throw NetworkFaults.Input(
                $"ipv6_ra_mode set to '{ra.ToName()}' with ipv6_address_mode set to '{mode.ToName()}' is not valid. " +
                "If both attributes are set, they must be the same value.");
        }

        if (subnet.HasAutoAddresses && subnet.Cidr.PrefixLength != 64)
        {
            throw NetworkFaults.Input(
                $"Invalid CIDR {subnet.Cidr} for IPv6 address mode. Addresses are made from MAC addresses (EUI-64), which requires the prefix to be /64.");
        }
    }

    private static void CheckGateway(Subnet subnet)
    {
        if (subnet.GatewayIp is not { } gateway)
        {
            return;
        }

        if (gateway.Version != subnet.IpVersion)
        {
            throw NetworkFaults.Input($"gateway_ip '{gateway}' does not match the ip_version '{subnet.IpVersion}'");
        }

        if (!subnet.Cidr.Hosts.Contains(gateway) && !LinkLocal.Contains(gateway))
        {
            throw NetworkFaults.Input($"Gateway {gateway} is not valid on subnet {subnet.Cidr}");
        }
    }

    private static void CheckPools(Subnet subnet)
    {
        if (subnet.AllocationPools.Count > MaxAllocationPools)
        {
            throw Faults.Invalid("allocation_pools", $"must be at most {MaxAllocationPools}");
        }

        for (var i = 0; i < subnet.AllocationPools.Count; i++)
        {
            var pool = subnet.AllocationPools[i];
            if (pool.Start.Version != subnet.IpVersion || pool.End.Version != subnet.IpVersion || pool.End < pool.Start)
            {
                throw NetworkFaults.BadPool(pool.ToString());
            }

            if (!subnet.Cidr.Hosts.Contains(pool.Start) || !subnet.Cidr.Hosts.Contains(pool.End))
            {
                throw NetworkFaults.PoolOutOfBounds(pool, subnet.Cidr);
            }

            for (var j = 0; j < i; j++)
            {
                if (pool.Overlaps(subnet.AllocationPools[j]))
                {
                    throw NetworkFaults.PoolsOverlap(subnet.AllocationPools[j], pool, subnet.Cidr);
                }
            }

            if (subnet.GatewayIp is { } gateway && pool.Contains(gateway))
            {
                throw NetworkFaults.GatewayInPool(gateway, pool);
            }
        }
    }

    private static void CheckNameservers(Subnet subnet)
    {
        if (subnet.DnsNameservers.Count > MaxDnsNameservers)
        {
            throw Faults.Invalid("dns_nameservers", $"must be at most {MaxDnsNameservers}");
        }

        if (subnet.DnsNameservers.Distinct().Count() != subnet.DnsNameservers.Count)
        {
            throw Faults.Invalid("dns_nameservers", "must not name a server twice");
        }

        if (subnet.DnsNameservers.Any(server => server.Version != subnet.IpVersion))
        {
            throw NetworkFaults.Input($"dns_nameservers do not match the ip_version '{subnet.IpVersion}'");
        }
    }

    private static void CheckRoutes(Subnet subnet)
    {
        if (subnet.HostRoutes.Count > MaxHostRoutes)
        {
            throw Faults.Invalid("host_routes", $"must be at most {MaxHostRoutes}");
        }

        if (subnet.HostRoutes.Any(route => route.Destination.Version != subnet.IpVersion || route.Nexthop.Version != subnet.IpVersion))
        {
            throw NetworkFaults.Input($"host_routes do not match the ip_version '{subnet.IpVersion}'");
        }
    }

    /// <summary>As clients spell it.</summary>
    public static string ToName(this Ipv6Mode mode) => mode switch
    {
        Ipv6Mode.Slaac => "slaac",
        Ipv6Mode.Dhcpv6Stateful => "dhcpv6-stateful",
        Ipv6Mode.Dhcpv6Stateless => "dhcpv6-stateless",
        _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "Not a mode."),
    };

    public static Ipv6Mode? ParseMode(string field, string? text) => text switch
    {
        null => null,
        "slaac" => Ipv6Mode.Slaac,
        "dhcpv6-stateful" => Ipv6Mode.Dhcpv6Stateful,
        "dhcpv6-stateless" => Ipv6Mode.Dhcpv6Stateless,
        _ => throw Faults.Invalid(field, $"'{Checks.Shown(text)}' is not in ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac']"),
    };
}

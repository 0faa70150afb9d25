using System.Net;

namespace Nephos.Hypervisor.Network.Ipv6;

/// <summary>What the guest of one port is told about IPv6: a function of the port, its subnets and their routers.</summary>
/// <param name="Mac">Of the guest.</param>
/// <param name="Router">Whose default route it shall use; null: nobody's, and the node speaks in its own name.</param>
/// <param name="Managed">Addresses are given by DHCPv6.</param>
/// <param name="OtherByDhcp">The rest is told by DHCPv6.</param>
/// <param name="Addresses">That DHCPv6 gives.</param>
/// <param name="AnswersDhcp">Whether DHCPv6 is answered at all.</param>
internal sealed record Ipv6Lease(
    Mac Mac, Mac? Router, int Mtu, bool Managed, bool OtherByDhcp, IReadOnlyList<AdvertisedPrefix> Prefixes, IReadOnlyList<IPAddress> Addresses,
    bool AnswersDhcp, IReadOnlyList<IPAddress> DnsServers, string DnsDomain)
{
    private const int DnsServersMax = 8;

    /// <summary>Whether routers are advertised to the guest.</summary>
    public bool Advertises => Prefixes.Count > 0;

    /// <summary>Null when nothing is told: no IPv6 address in a subnet with DHCP switched on and one of the modes.</summary>
    public static Ipv6Lease? Create(PortSpec port, NodeState state)
    {
        if (!state.Networks.TryGetValue(port.NetworkId, out var network))
        {
            return null;
        }

        var served = port.FixedIps.Where(ip => !ip.Address.IsIpv4())
            .Select(ip => (ip.Address, Subnet: state.Subnets.GetValueOrDefault(ip.SubnetId)))
            .Where(item => item.Subnet is { EnableDhcp: true } and ({ RaMode: not null } or { AddressMode: not null }))
            .Select(item => (item.Address, Subnet: item.Subnet!)).ToList();
        if (served.Count == 0)
        {
            return null;
        }

        var advertised = served.Where(item => item.Subnet.RaMode is not null).Select(item => item.Subnet).DistinctBy(subnet => subnet.Id).ToList();
        return new Ipv6Lease(
            port.Mac,
            advertised.Select(subnet => RouterOf(subnet, state)).FirstOrDefault(router => router is not null),
            network.Mtu,
            Managed: advertised.Exists(subnet => subnet.RaMode == Ipv6Mode.DhcpStateful),
            OtherByDhcp: advertised.Exists(subnet => subnet.RaMode is Ipv6Mode.DhcpStateful or Ipv6Mode.DhcpStateless),
            [.. advertised.Select(subnet => new AdvertisedPrefix(subnet.Cidr, subnet.RaMode != Ipv6Mode.DhcpStateful))],
            [.. served.Where(item => item.Subnet.AddressMode == Ipv6Mode.DhcpStateful).Select(item => item.Address)],
            AnswersDhcp: served.Exists(item => item.Subnet.AddressMode is Ipv6Mode.DhcpStateful or Ipv6Mode.DhcpStateless),
            [.. served.SelectMany(item => item.Subnet.DnsNameservers).Where(server => !server.IsIpv4()).Distinct().Take(DnsServersMax)],
            network.DnsDomain.TrimEnd('.'));
    }

    /// <summary>Who has the gateway's address: a router of this node, or of another.</summary>
    private static Mac? RouterOf(SubnetSpec subnet, NodeState state)
    {
        if (subnet.GatewayIp is not { } gateway)
        {
            return null;
        }

        var here = state.Routers.Where(router => router.AdminStateUp).SelectMany(router => router.Interfaces)
            .FirstOrDefault(leg => leg.NetworkId == subnet.NetworkId && leg.FixedIps.Any(ip => ip.Address.Equals(gateway)));
        return here?.Mac
            ?? state.RemotePorts.FirstOrDefault(port => port.Router && port.NetworkId == subnet.NetworkId && port.Addresses.Contains(gateway))?.Mac;
    }
}

/// <param name="Autonomous">Guests make their addresses of it themselves.</param>
internal readonly record struct AdvertisedPrefix(IPNetwork Prefix, bool Autonomous);

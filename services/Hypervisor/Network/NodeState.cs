using System.Net;

namespace Nephos.Hypervisor.Network;

/// <summary>What a node must wire: parsed and checked, so whatever is in here can be made.</summary>
/// <param name="Rejected">Items of the message that could not be read, with why; they are reported as failed and not wired.</param>
internal sealed record NodeState(
    ulong Revision,
    IReadOnlyDictionary<Guid, NetworkSpec> Networks,
    IReadOnlyDictionary<Guid, SubnetSpec> Subnets,
    IReadOnlyList<PortSpec> Ports,
    IReadOnlyDictionary<Guid, SecurityGroupSpec> SecurityGroups,
    IReadOnlyList<GroupMembersSpec> GroupMembers,
    IReadOnlyList<RouterSpec> Routers,
    IReadOnlyList<RemotePortSpec> RemotePorts,
    NodeStateRejects Rejected)
{
    public static readonly NodeState Empty = new(0, new Dictionary<Guid, NetworkSpec>(), new Dictionary<Guid, SubnetSpec>(), [],
        new Dictionary<Guid, SecurityGroupSpec>(), [], [], [], new NodeStateRejects([], [], []));
}

internal sealed record NodeStateRejects(
    IReadOnlyList<ItemStatus> Ports, IReadOnlyList<ItemStatus> Routers, IReadOnlyList<ItemStatus> Networks);

internal enum NetworkKind
{
    Flat,
    Vxlan,
}

/// <param name="Vni">1 to 16777215; 0 for a flat network.</param>
/// <param name="PhysicalNetwork">Empty unless flat.</param>
/// <param name="Mtu">Bytes.</param>
internal sealed record NetworkSpec(
    Guid Id, NetworkKind Kind, uint Vni, string PhysicalNetwork, int Mtu, IReadOnlyList<IPAddress> RemoteVteps, string DnsDomain,
    bool External);

internal sealed record SubnetSpec(
    Guid Id, Guid NetworkId, IPNetwork Cidr, IPAddress? GatewayIp, IReadOnlyList<IPAddress> DnsNameservers,
    IReadOnlyList<RouteSpec> HostRoutes, bool EnableDhcp, Guid? AddressScopeId)
{
    /// <summary>What guests are told in router advertisements; null: they get none. IPv6 only, as the next.</summary>
    public Ipv6Mode? RaMode { get; init; }

    /// <summary>Where guests get their addresses; null: not here.</summary>
    public Ipv6Mode? AddressMode { get; init; }
}

internal enum Ipv6Mode
{
    /// <summary>Guests make their addresses of the prefix.</summary>
    Slaac,

    /// <summary>Everything is given by DHCPv6.</summary>
    DhcpStateful,

    /// <summary>Guests make their addresses, and ask DHCPv6 for the rest.</summary>
    DhcpStateless,
}

internal readonly record struct RouteSpec(IPNetwork Destination, IPAddress NextHop);

internal readonly record struct FixedIp(Guid SubnetId, IPAddress Address);

internal readonly record struct AddressPair(IPNetwork Addresses, Mac Mac);

/// <param name="AllowedPairs">Besides the fixed addresses, which are always allowed with the port's own MAC.</param>
internal sealed record PortSpec(
    Guid Id, Guid NetworkId, Mac Mac, IReadOnlyList<FixedIp> FixedIps, Guid? DeviceId, ulong Epoch, bool AdminStateUp, bool PortSecurity,
    IReadOnlyList<Guid> SecurityGroupIds, IReadOnlyList<AddressPair> AllowedPairs, string DnsName,
    IReadOnlyList<KeyValuePair<string, string>> ExtraDhcpOptions)
{
    /// <summary>Null: nothing binds its traffic.</summary>
    public QosSpec? Qos { get; init; }
}

/// <param name="EgressKbps">From the guest, kilobits per second; 0: as fast as it can.</param>
/// <param name="EgressBurstKbits">What may go at once; 0: four fifths of what goes in a second.</param>
/// <param name="Dscp">Written into what the guest sends, 0 to 63; null: as the guest has it.</param>
internal sealed record QosSpec(uint EgressKbps, uint EgressBurstKbits, uint IngressKbps, uint IngressBurstKbits, byte? Dscp);

internal sealed record SecurityGroupSpec(Guid Id, IReadOnlyList<RuleSpec> Rules, bool Stateless);

/// <param name="Ingress">To the guest; false: from the guest.</param>
/// <param name="IpVersion">4 or 6.</param>
/// <param name="Protocol">IP protocol number; null: every one.</param>
/// <param name="Min">First port, or ICMP type; null: any.</param>
/// <param name="Max">Last port, or ICMP code; null: any.</param>
/// <param name="RemoteCidr">The other side; null: any address or <paramref name="RemoteGroupId"/>.</param>
internal sealed record RuleSpec(bool Ingress, int IpVersion, byte? Protocol, ushort? Min, ushort? Max, IPNetwork? RemoteCidr, Guid? RemoteGroupId);

internal sealed record GroupMembersSpec(Guid GroupId, Guid NetworkId, IReadOnlyList<IPNetwork> Addresses);

internal sealed record RouterSpec(
    Guid Id, ulong Epoch, bool AdminStateUp, IReadOnlyList<RouterLegSpec> Interfaces, RouterLegSpec? Gateway, bool EnableSnat,
    IReadOnlyList<FloatingIpSpec> FloatingIps, IReadOnlyList<PortForwardingSpec> PortForwardings, IReadOnlyList<RouteSpec> Routes)
{
    /// <summary>Every floating address that the router answers for.</summary>
    public IEnumerable<IPAddress> FloatingAddresses =>
        FloatingIps.Select(ip => ip.Floating).Concat(PortForwardings.Select(forwarding => forwarding.Floating)).Distinct();
}

internal sealed record RouterLegSpec(Guid PortId, Guid NetworkId, Mac Mac, IReadOnlyList<FixedIp> FixedIps)
{
    /// <summary>Null: everything passes.</summary>
    public FirewallSpec? Firewall { get; init; }
}

/// <param name="Ingress">For what goes to the network behind the interface, in order.</param>
/// <param name="Egress">For what comes from there.</param>
internal sealed record FirewallSpec(IReadOnlyList<FirewallRuleSpec> Ingress, IReadOnlyList<FirewallRuleSpec> Egress);

internal enum FirewallVerdict
{
    Allow,
    Deny,
    Reject,
}

/// <param name="Protocol">Null: every one.</param>
/// <param name="SourcePorts">Only with a protocol that has ports; null: any.</param>
internal sealed record FirewallRuleSpec(
    FirewallVerdict Verdict, int IpVersion, byte? Protocol, IPNetwork? Source, IPNetwork? Destination,
    (ushort Min, ushort Max)? SourcePorts, (ushort Min, ushort Max)? DestinationPorts);

/// <summary>One port number of a floating address leads to one of a guest.</summary>
/// <param name="Protocol">One with ports.</param>
internal sealed record PortForwardingSpec(
    Guid FloatingIpId, IPAddress Floating, byte Protocol, ushort ExternalPort, IPAddress Fixed, ushort InternalPort);

internal sealed record FloatingIpSpec(Guid Id, IPAddress Floating, Guid PortId, IPAddress Fixed);

/// <param name="Router">True: a gateway that may move; found by flooding, not pinned to a node.</param>
internal sealed record RemotePortSpec(
    Guid PortId, Guid NetworkId, Mac Mac, IReadOnlyList<IPAddress> Addresses, IPAddress Vtep, bool Router);

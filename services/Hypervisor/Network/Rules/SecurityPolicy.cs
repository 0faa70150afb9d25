using System.Net;

namespace Nephos.Hypervisor.Network.Rules;

/// <summary>The security rules of a node as a function: may this packet begin a connection? Says the same as the packet rules
/// that <see cref="FilterRules"/> writes; used to find connections that a change of rules has outlawed.</summary>
internal sealed class SecurityPolicy
{
    private readonly Dictionary<(Guid Network, IPAddress Address), PortSpec> _ports = [];
    private readonly IReadOnlyDictionary<Guid, SecurityGroupSpec> _groups;
    private readonly Dictionary<(Guid Group, Guid Network), IReadOnlyList<IPNetwork>> _members;

    public SecurityPolicy(NodeState state)
    {
        _groups = state.SecurityGroups;
        _members = state.GroupMembers.ToDictionary(members => (members.GroupId, members.NetworkId), members => members.Addresses);
        foreach (var port in state.Ports)
        {
            foreach (var fixedIp in port.FixedIps)
            {
                _ports[(port.NetworkId, fixedIp.Address)] = port;
            }

            foreach (var pair in port.AllowedPairs.Where(pair => pair.Addresses.IsHost()))
            {
                _ports.TryAdd((port.NetworkId, pair.Addresses.BaseAddress), port);
            }
        }
    }

    public PortSpec? FindPort(Guid networkId, IPAddress address) => _ports.GetValueOrDefault((networkId, address));

    /// <summary>Whether a first packet may pass between its two ends, as far as they are ports of this node.</summary>
    public bool Permits(Guid networkId, in Flow flow) =>
        PermitsSide(networkId, FindPort(networkId, flow.Source), flow, ingress: false)
        && PermitsSide(networkId, FindPort(networkId, flow.Destination), flow, ingress: true);

    private bool PermitsSide(Guid networkId, PortSpec? port, in Flow flow, bool ingress)
    {
        if (port is null || !port.PortSecurity)
        {
            return true;
        }

        if (!ingress && flow.Destination.Equals(GuestServices.MetadataAddress))
        {
            return true;
        }

        var other = ingress ? flow.Source : flow.Destination;
        foreach (var groupId in port.SecurityGroupIds)
        {
            if (!_groups.TryGetValue(groupId, out var group))
            {
                continue;
            }

            foreach (var rule in group.Rules)
            {
                if (rule.Ingress == ingress && Matches(rule, networkId, other, flow))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private bool Matches(RuleSpec rule, Guid networkId, IPAddress other, in Flow flow)
    {
        if (rule.IpVersion == 4 != other.IsIpv4() || (rule.Protocol is { } protocol && protocol != flow.Protocol))
        {
            return false;
        }

        if (rule.Protocol is not null && !MatchesPorts(rule, flow))
        {
            return false;
        }

        return rule switch
        {
            { RemoteGroupId: { } group } => _members.TryGetValue((group, networkId), out var members) && members.Any(m => m.Contains(other)),
            { RemoteCidr: { } cidr } => cidr.Contains(other),
            _ => true,
        };
    }

    private static bool MatchesPorts(RuleSpec rule, in Flow flow) => IpProtocol.IsIcmp(flow.Protocol)
        ? (rule.Min is null || rule.Min == flow.DestinationPort >> 8) && (rule.Max is null || rule.Max == (flow.DestinationPort & 0xFF))
        : !IpProtocol.HasPorts(flow.Protocol)
            || ((rule.Min ?? 0) <= flow.DestinationPort && flow.DestinationPort <= (rule.Max ?? rule.Min ?? ushort.MaxValue));
}

/// <summary>The first packet of a connection.</summary>
/// <param name="DestinationPort">Of ICMP: type in the high byte, code in the low one.</param>
internal readonly record struct Flow(IPAddress Source, IPAddress Destination, byte Protocol, ushort SourcePort, ushort DestinationPort);

internal static class IpProtocol
{
    public const byte Icmp = 1;
    public const byte Tcp = 6;
    public const byte Udp = 17;
    public const byte Dccp = 33;
    public const byte IcmpV6 = 58;
    public const byte Sctp = 132;
    public const byte UdpLite = 136;

    public static bool IsIcmp(byte protocol) => protocol is Icmp or IcmpV6;

    public static bool HasPorts(byte protocol) => protocol is Tcp or Udp or Dccp or Sctp or UdpLite;

    /// <summary>The word that nftables has for a protocol with ports.</summary>
    public static string Word(byte protocol) => protocol switch
    {
        Tcp => "tcp",
        Udp => "udp",
        Dccp => "dccp",
        Sctp => "sctp",
        UdpLite => "udplite",
        _ => throw new ArgumentOutOfRangeException(nameof(protocol), protocol, "has no ports"),
    };
}

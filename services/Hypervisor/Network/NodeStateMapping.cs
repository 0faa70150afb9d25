using System.Net;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Hypervisor.Network;

/// <summary>Wire to domain. An item that cannot be read is left out and reported as failed; the others are wired.</summary>
internal static class NodeStateMapping
{
    private const int MtuMin = 576;
    private const int MtuMax = 65521;
    private const int TextMax = 255;
    private const uint VniMax = (1 << 24) - 1;

    public static NodeState ToDomain(this Wire.NodeNetworkState state)
    {
        var (badPorts, badRouters, badNetworks) = (new List<ItemStatus>(), new List<ItemStatus>(), new List<ItemStatus>());
        var networks = Read(state.Networks, network => network.Id, _ => 0, badNetworks, ReadNetwork).DistinctBy(network => network.Id).ToDictionary(network => network.Id);
        // A subnet belongs to its network, a group to its ports: what is wrong with them is reported there.
        var subnets = Read(state.Subnets, subnet => subnet.NetworkId, _ => 0, badNetworks, ReadSubnet).DistinctBy(subnet => subnet.Id).ToDictionary(subnet => subnet.Id);
        var groups = state.SecurityGroups.Select(ReadGroup).DistinctBy(group => group.Id).ToDictionary(group => group.Id);
        return new NodeState(
            state.Revision,
            networks,
            subnets,
            // Of a port that is named twice the highest epoch counts.
            [.. Read(state.Ports, port => port.Id, port => port.Epoch, badPorts, ReadPort).GroupBy(port => port.Id).Select(same => same.MaxBy(port => port.Epoch)!)],
            groups,
            [.. state.GroupMembers.Select(ReadMembers).DistinctBy(members => (members.GroupId, members.NetworkId))],
            [.. Read(state.Routers, router => router.Id, router => router.Epoch, badRouters, ReadRouter).GroupBy(router => router.Id)
                .Select(same => same.MaxBy(router => router.Epoch)!)],
            [.. Read(state.RemotePorts, port => port.NetworkId, _ => 0, badNetworks, ReadRemotePort)],
            new NodeStateRejects(badPorts, badRouters, badNetworks));
    }

    public static Wire.ReportNodeNetworkRequest ToWire(this NetworkReport report, string nodeId)
    {
        var request = new Wire.ReportNodeNetworkRequest { NodeId = nodeId, AppliedRevision = report.Revision };
        request.Ports.AddRange(report.Ports.Select(ToWire));
        request.Routers.AddRange(report.Routers.Select(ToWire));
        request.FloatingIps.AddRange(report.FloatingIps.Select(ToWire));
        request.Networks.AddRange(report.Networks.Select(ToWire));
        return request;
    }

    private static Wire.NodeItemStatus ToWire(ItemStatus status) => new()
    {
        Id = status.Id.ToString(),
        Epoch = status.Epoch,
        State = status.State switch
        {
            ItemState.Active => Wire.NodeItemState.Active,
            ItemState.Down => Wire.NodeItemState.Down,
            ItemState.Failed => Wire.NodeItemState.Failed,
            _ => throw new ArgumentOutOfRangeException(nameof(status), status.State, "unknown state"),
        },
        Error = status.Error,
    };

    private static IEnumerable<TTo> Read<TFrom, TTo>(
        IEnumerable<TFrom> items, Func<TFrom, string> id, Func<TFrom, ulong> epoch, List<ItemStatus> rejected, Func<TFrom, TTo> read)
        where TTo : class
    {
        var result = new List<TTo>();
        foreach (var item in items)
        {
            try
            {
                result.Add(read(item));
            }
            catch (Exception error) when (error is FormatException or ArgumentException or OverflowException)
            {
                // Without a readable id there is nothing that could be reported on.
                if (Guid.TryParseExact(id(item), "D", out var guid))
                {
                    rejected.Add(new ItemStatus(guid, epoch(item), ItemState.Failed, error.Message));
                }
            }
        }

        return result;
    }

    private static NetworkSpec ReadNetwork(Wire.NodeNetwork network)
    {
        var kind = network.Kind switch
        {
            Wire.NodeNetworkKind.Flat => NetworkKind.Flat,
            Wire.NodeNetworkKind.Vxlan => NetworkKind.Vxlan,
            _ => throw new FormatException($"kind {network.Kind} of network {network.Id} is not known to this node"),
        };
        if (kind == NetworkKind.Vxlan && network.Vni is 0 or > VniMax)
        {
            throw new FormatException($"vni {network.Vni} of network {network.Id} is not between 1 and {VniMax}");
        }

        if (kind == NetworkKind.Flat && network.PhysicalNetwork.Length is 0 or > 64)
        {
            throw new FormatException($"physical network of network {network.Id} must have 1 to 64 characters");
        }

        if (network.Mtu is < MtuMin or > MtuMax)
        {
            throw new FormatException($"mtu {network.Mtu} of network {network.Id} is not between {MtuMin} and {MtuMax}");
        }

        return new NetworkSpec(ParseId(network.Id), kind, kind == NetworkKind.Vxlan ? network.Vni : 0, network.PhysicalNetwork, (int)network.Mtu,
            [.. network.RemoteVteps.Select(ParseAddress)], Bounded(network.DnsDomain), network.External);
    }

    private static SubnetSpec ReadSubnet(Wire.NodeSubnet subnet) => new(
        ParseId(subnet.Id), ParseId(subnet.NetworkId), ParseNetwork(subnet.Cidr),
        subnet.GatewayIp.Length == 0 ? null : ParseAddress(subnet.GatewayIp),
        [.. subnet.DnsNameservers.Select(ParseAddress)], [.. subnet.HostRoutes.Select(ReadRoute)], subnet.EnableDhcp,
        subnet.AddressScopeId.Length == 0 ? null : ParseId(subnet.AddressScopeId))
    {
        RaMode = ReadMode(subnet.Ipv6RaMode), AddressMode = ReadMode(subnet.Ipv6AddressMode),
    };

    private static Ipv6Mode? ReadMode(string mode) => mode switch
    {
        "" => null,
        "slaac" => Ipv6Mode.Slaac,
        "dhcpv6-stateful" => Ipv6Mode.DhcpStateful,
        "dhcpv6-stateless" => Ipv6Mode.DhcpStateless,
        _ => throw new FormatException($"'{mode}' is no mode of IPv6 that is known to this node"),
    };

    private static RouteSpec ReadRoute(Wire.NodeRoute route) => new(ParseNetwork(route.Destination), ParseAddress(route.Nexthop));

    private static FixedIp ReadFixedIp(Wire.NodeFixedIp fixedIp) => new(ParseId(fixedIp.SubnetId), ParseAddress(fixedIp.Address));

    private static PortSpec ReadPort(Wire.NodePort port)
    {
        var mac = Mac.Parse(port.MacAddress);
        return new PortSpec(
            ParseId(port.Id), ParseId(port.NetworkId), mac, [.. port.FixedIps.Select(ReadFixedIp)],
            Guid.TryParse(port.DeviceId, out var device) ? device : null, port.Epoch, port.AdminStateUp, port.PortSecurityEnabled,
            [.. port.SecurityGroupIds.Select(ParseId)],
            [.. port.AllowedAddressPairs.Select(pair => new AddressPair(ParseRange(pair.IpAddress), pair.MacAddress.Length == 0 ? mac : Mac.Parse(pair.MacAddress)))],
            Bounded(port.DnsName),
            [.. port.ExtraDhcpOptions.Where(option => option.IpVersion != 6).Select(option => KeyValuePair.Create(option.Name, option.Value))])
        {
            Qos = port.Qos is { } qos ? ReadQos(qos) : null,
        };
    }

    private static QosSpec ReadQos(Wire.NodeQos qos) => new(
        qos.EgressKbps, qos.EgressBurstKbits, qos.IngressKbps, qos.IngressBurstKbits,
        qos.HasDscp ? qos.Dscp < 64 ? (byte)qos.Dscp : throw new FormatException($"dscp {qos.Dscp} is not below 64") : null);

    private static SecurityGroupSpec ReadGroup(Wire.NodeSecurityGroup group) => new(
        ParseId(group.Id),
        // A rule that cannot be read allows nothing.
        [.. Read(group.Rules, rule => rule.Id, _ => 0, [], ReadRule)],
        group.Stateless);

    private static RuleSpec ReadRule(Wire.NodeSecurityGroupRule rule)
    {
        if (rule.IpVersion is not (4 or 6) || rule.Direction is not (Wire.NodeRuleDirection.Ingress or Wire.NodeRuleDirection.Egress)
            || (rule.HasProtocol && rule.Protocol > byte.MaxValue))
        {
            throw new FormatException($"rule {rule.Id} has no known direction, IP version or protocol");
        }

        var cidr = rule.RemoteCidr.Length == 0 ? (IPNetwork?)null : ParseRange(rule.RemoteCidr);
        if (cidr is { } range && range.IsIpv4() != (rule.IpVersion == 4))
        {
            throw new FormatException($"remote {cidr} of rule {rule.Id} is not of IP version {rule.IpVersion}");
        }

        return new RuleSpec(
            rule.Direction == Wire.NodeRuleDirection.Ingress, (int)rule.IpVersion, rule.HasProtocol ? (byte)rule.Protocol : null,
            rule.HasPortRangeMin ? checked((ushort)rule.PortRangeMin) : null, rule.HasPortRangeMax ? checked((ushort)rule.PortRangeMax) : null,
            cidr, rule.RemoteGroupId.Length == 0 ? null : ParseId(rule.RemoteGroupId));
    }

    private static GroupMembersSpec ReadMembers(Wire.NodeGroupMembers members) => new(
        ParseId(members.SecurityGroupId), ParseId(members.NetworkId), [.. members.Addresses.Select(ParseRange)]);

    private static RouterSpec ReadRouter(Wire.NodeRouter router) => new(
        ParseId(router.Id), router.Epoch, router.AdminStateUp,
        [.. router.Interfaces.Select(leg => new RouterLegSpec(ParseId(leg.PortId), ParseId(leg.NetworkId), Mac.Parse(leg.MacAddress), [.. leg.FixedIps.Select(ReadFixedIp)])
        {
            Firewall = leg.Firewall is { } firewall
                ? new FirewallSpec([.. firewall.Ingress.Select(ReadFirewallRule)], [.. firewall.Egress.Select(ReadFirewallRule)])
                : null,
        })],
        router.Gateway is { } gateway
            ? new RouterLegSpec(ParseId(gateway.PortId), ParseId(gateway.NetworkId), Mac.Parse(gateway.MacAddress), [.. gateway.FixedIps.Select(ReadFixedIp)])
            : null,
        router.Gateway?.EnableSnat ?? false,
        [.. router.FloatingIps.Select(ip => new FloatingIpSpec(ParseId(ip.Id), ParseIpv4(ip.FloatingAddress), ParseId(ip.PortId), ParseIpv4(ip.FixedAddress)))],
        [.. router.PortForwardings.Select(ReadForwarding)], [.. router.Routes.Select(ReadRoute)]);

    private static FirewallRuleSpec ReadFirewallRule(Wire.NodeFirewallRule rule)
    {
        var protocol = rule.HasProtocol ? checked((byte)rule.Protocol) : (byte?)null;
        (ushort, ushort)? Ports(uint min, uint max) => (min, max) == (0, 0) ? null
            : protocol is { } number && Rules.IpProtocol.HasPorts(number) && min <= max ? (checked((ushort)min), checked((ushort)max))
            : throw new FormatException($"ports {min} to {max} of a firewall rule are no range of a protocol with ports");
        return new FirewallRuleSpec(
            rule.Action switch
            {
                Wire.NodeFirewallAction.Allow => FirewallVerdict.Allow,
                Wire.NodeFirewallAction.Deny => FirewallVerdict.Deny,
                Wire.NodeFirewallAction.Reject => FirewallVerdict.Reject,
                _ => throw new FormatException($"action {rule.Action} of a firewall rule is not known to this node"),
            },
            rule.IpVersion is 4 or 6 ? (int)rule.IpVersion : throw new FormatException($"IP version {rule.IpVersion} of a firewall rule is not 4 or 6"),
            protocol,
            rule.Source.Length == 0 ? null : ParseRange(rule.Source), rule.Destination.Length == 0 ? null : ParseRange(rule.Destination),
            Ports(rule.SourcePortMin, rule.SourcePortMax), Ports(rule.DestinationPortMin, rule.DestinationPortMax));
    }

    private static PortForwardingSpec ReadForwarding(Wire.NodePortForwarding forwarding) => new(
        ParseId(forwarding.FloatingIpId), ParseIpv4(forwarding.FloatingAddress),
        forwarding.Protocol <= byte.MaxValue && Rules.IpProtocol.HasPorts((byte)forwarding.Protocol)
            ? (byte)forwarding.Protocol
            : throw new FormatException($"protocol {forwarding.Protocol} of a port forwarding of {forwarding.FloatingIpId} has no ports"),
        checked((ushort)forwarding.ExternalPort), ParseIpv4(forwarding.FixedAddress), checked((ushort)forwarding.InternalPort));

    private static RemotePortSpec ReadRemotePort(Wire.NodeRemotePort port) => new(
        ParseId(port.PortId), ParseId(port.NetworkId), Mac.Parse(port.MacAddress), [.. port.Addresses.Select(ParseAddress)],
        ParseIpv4(port.VtepAddress), port.Router);

    private static Guid ParseId(string text) => Guid.TryParseExact(text, "D", out var id) ? id : throw new FormatException($"'{text}' is not an id");

    private static IPAddress ParseAddress(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is not an IP address");

    private static IPNetwork ParseNetwork(string text) =>
        IPNetwork.TryParse(text, out var network) ? network : throw new FormatException($"'{text}' is not a range of addresses");

    private static IPAddress ParseIpv4(string text) =>
        IPAddress.TryParse(text, out var address) && address.IsIpv4() ? address : throw new FormatException($"'{text}' is not an IPv4 address");

    /// <summary>An address, or a range whose bits outside of the prefix are ignored.</summary>
    private static IPNetwork ParseRange(string text)
    {
        if (IPAddress.TryParse(text, out var address))
        {
            return address.AsHost();
        }

        var slash = text.IndexOf('/');
        return slash > 0 && IPAddress.TryParse(text.AsSpan(0, slash), out var start) && int.TryParse(text.AsSpan(slash + 1), out var length)
            && length >= 0 && length <= (start.IsIpv4() ? 32 : 128)
            ? start.FirstOf(length)
            : throw new FormatException($"'{text}' is neither an address nor a range of addresses");
    }

    private static string Bounded(string text) =>
        text.Length <= TextMax && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_') ? text : throw new FormatException($"'{text}' is not a host or domain name");
}

using Nephos.Networking.Addressing;
using Nephos.Networking.Firewalls;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Nodes;

/// <summary>Makes the whole desired state of one node out of a view. The same view gives the same message.</summary>
internal sealed class NodeStateBuilder
{
    private readonly NetworkView _view;
    private readonly string _node;
    private readonly NodePortWires _wires;
    private readonly List<Port> _ports;
    private readonly List<Router> _routers;
    private readonly SortedDictionary<string, Network> _networks = new(StringComparer.Ordinal);

    private NodeStateBuilder(NetworkView view, string node, NodePortWires wires)
    {
        _view = view;
        _node = node;
        _wires = wires;

        // A port whose network is not in the view yet comes with the next one.
        _ports = [.. InOrder(view.PortsOfHost(node).Where(port => !DeviceOwners.IsReserved(port.DeviceOwner) && view.Networks.ContainsKey(port.NetworkId)))];
        _routers = [.. view.RouterPlacements.Values.Where(placement => placement.Node == node)
            .Select(placement => view.Routers.GetValueOrDefault(placement.RouterId)).OfType<Router>()];
        foreach (var networkId in _ports.Select(port => port.NetworkId).Concat(_routers.SelectMany(NetworksOf)))
        {
            if (view.Networks.GetValueOrDefault(networkId) is { } network)
            {
                _networks[networkId] = network;
            }
        }
    }

    /// <param name="view">What there is.</param>
    /// <param name="node">The name of the node.</param>
    /// <param name="wires">Messages made for an earlier view, to be used again.</param>
    public static Wire.NodeNetworkState Build(NetworkView view, string node, NodePortWires wires) =>
        new NodeStateBuilder(view, node, wires).Build();

    private Wire.NodeNetworkState Build() => new()
    {
        Revision = (ulong)_view.Revision,
        Networks = { _networks.Values.Select(ToWire) },
        Subnets = { _networks.Keys.SelectMany(id => InOrder(_view.SubnetsOf(id))).Select(ToWire) },
        Ports = { _wires.Of(_ports, _view) },
        SecurityGroups = { Groups().Select(ToWire) },
        GroupMembers = { Members() },
        Routers = { _routers.Select(ToWire) },
        RemotePorts = { RemotePorts() },
    };

    private static IEnumerable<T> InOrder<T>(IEnumerable<T> resources)
        where T : Resource => resources.OrderBy(resource => resource.Id, StringComparer.Ordinal);

    private IEnumerable<string> NetworksOf(Router router) => InterfacesOf(router).Select(port => port.NetworkId)
        .Concat(router.Gateway is { } gateway ? [gateway.NetworkId] : []);

    private IEnumerable<Port> InterfacesOf(Router router) =>
        InOrder(_view.PortsOfDevice(router.Id).Where(port => port.DeviceOwner == DeviceOwners.RouterInterface));

    /// <summary>Where a port is: its host, or the node of its router.</summary>
    private string NodeOf(Port port) => port.BelongsToRouter
        ? _view.RouterPlacements.GetValueOrDefault(port.DeviceId)?.Node ?? ""
        : port.HostName;

    private Wire.NodeNetwork ToWire(Network network)
    {
        var wire = new Wire.NodeNetwork
        {
            Id = network.Id,
            Kind = network.Kind == NetworkKind.Flat ? Wire.NodeNetworkKind.Flat : Wire.NodeNetworkKind.Vxlan,
            Vni = (uint)(network.SegmentationId ?? 0),
            PhysicalNetwork = network.PhysicalNetwork ?? "",
            Mtu = (uint)network.MtuBytes,
            DnsDomain = network.DnsDomain,
            External = network.External,
        };
        if (network.Kind == NetworkKind.Vxlan)
        {
            wire.RemoteVteps.Add(_view.PortsOn(network.Id).Select(NodeOf).Distinct().Where(node => node != _node)
                .Select(VtepOf).Where(vtep => vtep.Length > 0).Distinct().Order(StringComparer.Ordinal));
        }

        return wire;
    }

    private string VtepOf(string node) => _view.Nodes.GetValueOrDefault(node)?.VtepAddress ?? "";

    private Wire.NodeSubnet ToWire(Subnet subnet) => new()
    {
        Id = subnet.Id,
        NetworkId = subnet.NetworkId,
        Cidr = subnet.Cidr.ToString(),
        GatewayIp = subnet.GatewayIp?.ToString() ?? "",
        DnsNameservers = { subnet.DnsNameservers.Select(address => address.ToString()) },
        HostRoutes = { subnet.HostRoutes.Select(ToWire) },
        EnableDhcp = subnet.EnableDhcp,
        AddressScopeId = _view.AddressScopeOf(subnet) ?? "",
        Ipv6RaMode = subnet.RaMode?.ToName() ?? "",
        Ipv6AddressMode = subnet.AddressMode?.ToName() ?? "",
    };

    private static Wire.NodeRoute ToWire(Route route) => new() { Destination = route.Destination.ToString(), Nexthop = route.Nexthop.ToString() };

    internal static Wire.NodeFixedIp ToWire(FixedIp ip) => new() { SubnetId = ip.SubnetId, Address = ip.Address.ToString() };

    internal static string Text(Cidr cidr) => cidr.PrefixLength == cidr.First.Bits ? cidr.First.ToString() : cidr.ToString();

    private IEnumerable<SecurityGroup> Groups() => InOrder(_ports.SelectMany(port => port.SecurityGroupIds).Distinct()
        .Select(id => _view.SecurityGroups.GetValueOrDefault(id)).OfType<SecurityGroup>());

    private Wire.NodeSecurityGroup ToWire(SecurityGroup group) => new()
    {
        Id = group.Id,
        Rules = { group.Rules.SelectMany(Expand) },
        Stateless = !group.Stateful,
    };

    // Nodes know no address groups: to them such a rule is one for each address.
    private IEnumerable<Wire.NodeSecurityGroupRule> Expand(SecurityGroupRule rule)
    {
        if (rule.RemoteAddressGroupId is not { } id)
        {
            return [ToWire(rule, rule.RemoteCidr)];
        }

        return _view.AddressGroups.GetValueOrDefault(id)?.Addresses.Where(address => address.Version == rule.IpVersion)
            .Select(address => ToWire(rule, address)) ?? [];
    }

    private static Wire.NodeSecurityGroupRule ToWire(SecurityGroupRule rule, Cidr? remote)
    {
        var wire = new Wire.NodeSecurityGroupRule
        {
            Id = rule.Id,
            Direction = rule.Direction == RuleDirection.Ingress ? Wire.NodeRuleDirection.Ingress : Wire.NodeRuleDirection.Egress,
            IpVersion = (uint)rule.IpVersion,
            RemoteCidr = remote?.ToString() ?? "",
            RemoteGroupId = rule.RemoteGroupId ?? "",
        };
        if (IpProtocols.NumberOf(rule.Protocol, rule.IpVersion) is { } protocol)
        {
            wire.Protocol = (uint)protocol;
        }

        if (rule.PortRangeMin is { } min)
        {
            wire.PortRangeMin = (uint)min;
        }

        if (rule.PortRangeMax is { } max)
        {
            wire.PortRangeMax = (uint)max;
        }

        return wire;
    }

    // Members of a remote group are met on their own network, and through a router on the networks it connects theirs with.
    private IEnumerable<Wire.NodeGroupMembers> Members()
    {
        var named = Groups().SelectMany(group => group.Rules).Select(rule => rule.RemoteGroupId).OfType<string>()
            .Distinct().Order(StringComparer.Ordinal).ToList();
        if (named.Count == 0)
        {
            yield break;
        }

        var networks = _ports.Select(port => port.NetworkId).Distinct().Order(StringComparer.Ordinal)
            .Select(id => (Id: id, Reachable: ReachableFrom(id))).ToList();
        foreach (var group in named)
        {
            foreach (var network in networks)
            {
                var addresses = _view.PortsWith(group).Where(port => network.Reachable.Contains(port.NetworkId))
                    .SelectMany(port => port.FixedIps.Select(ip => ip.Address.ToString()).Concat(port.AllowedAddressPairs.Select(pair => Text(pair.Address))))
                    .Distinct().Order(StringComparer.Ordinal).ToList();
                if (addresses.Count > 0)
                {
                    yield return new Wire.NodeGroupMembers { SecurityGroupId = group, NetworkId = network.Id, Addresses = { addresses } };
                }
            }
        }
    }

    private HashSet<string> ReachableFrom(string networkId)
    {
        var routers = _view.PortsOn(networkId).Where(port => port.DeviceOwner == DeviceOwners.RouterInterface).Select(port => port.DeviceId).Distinct();
        return [networkId, .. routers.SelectMany(router => _view.PortsOfDevice(router))
            .Where(port => port.DeviceOwner == DeviceOwners.RouterInterface).Select(port => port.NetworkId)];
    }

    private Wire.NodeRouter ToWire(Router router)
    {
        var wire = new Wire.NodeRouter
        {
            Id = router.Id,
            ProjectId = router.ProjectId,
            AdminStateUp = router.AdminStateUp,
            Epoch = (ulong)_view.RouterPlacements[router.Id].Epoch,
            Interfaces =
            {
                InterfacesOf(router).Where(port => _networks.ContainsKey(port.NetworkId)).Select(port => new Wire.NodeRouterInterface
                {
                    PortId = port.Id,
                    NetworkId = port.NetworkId,
                    MacAddress = port.MacAddress,
                    FixedIps = { port.FixedIps.Select(ToWire) },
                    Firewall = FirewallNodes.Of(_view, port),
                }),
            },
            FloatingIps =
            {
                InOrder(_view.FloatingIpsOfRouter(router.Id)).Where(ip => ip.Target is not null).Select(ip => new Wire.NodeFloatingIp
                {
                    Id = ip.Id,
                    FloatingAddress = ip.Address.ToString(),
                    PortId = ip.Target!.PortId,
                    FixedAddress = ip.Target.FixedAddress.ToString(),
                }),
            },
            Routes = { router.Routes.Select(ToWire) },
            PortForwardings = { InOrder(_view.FloatingIpsOfRouter(router.Id)).SelectMany(ip => ip.PortForwardings, (ip, forwarding) => ToWire(ip, forwarding)) },
        };
        if (router.Gateway is { } gateway && _view.Ports.GetValueOrDefault(gateway.PortId) is { } outside && _networks.ContainsKey(gateway.NetworkId))
        {
            wire.Gateway = new Wire.NodeRouterGateway
            {
                PortId = outside.Id,
                NetworkId = outside.NetworkId,
                MacAddress = outside.MacAddress,
                FixedIps = { outside.FixedIps.Select(ToWire) },
                EnableSnat = gateway.EnableSnat,
            };
        }

        return wire;
    }

    private static Wire.NodePortForwarding ToWire(FloatingIp ip, PortForwarding forwarding) => new()
    {
        FloatingIpId = ip.Id,
        FloatingAddress = ip.Address.ToString(),
        Protocol = (uint)IpProtocols.NumberOf(forwarding.Protocol, 4)!.Value,
        ExternalPort = (uint)forwarding.ExternalPort,
        FixedAddress = forwarding.FixedAddress.ToString(),
        InternalPort = (uint)forwarding.InternalPort,
    };

    private IEnumerable<Wire.NodeRemotePort> RemotePorts() => _networks.Values.Where(network => network.Kind == NetworkKind.Vxlan)
        .SelectMany(network => InOrder(_view.PortsOn(network.Id)))
        .Select(port => (Port: port, Node: NodeOf(port)))
        .Where(pair => pair.Node.Length > 0 && pair.Node != _node && VtepOf(pair.Node).Length > 0)
        .Select(pair => new Wire.NodeRemotePort
        {
            PortId = pair.Port.Id,
            NetworkId = pair.Port.NetworkId,
            MacAddress = pair.Port.MacAddress,
            Addresses = { pair.Port.FixedIps.Select(ip => ip.Address.ToString()) },
            VtepAddress = VtepOf(pair.Node),
            Epoch = (ulong)(pair.Port.BelongsToRouter ? _view.RouterPlacements[pair.Port.DeviceId].Epoch : pair.Port.BindingEpoch),
            Router = pair.Port.BelongsToRouter,
        });
}

using System.Net;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network.Plans;

/// <summary>What this node knows by its configuration.</summary>
/// <param name="Vtep">Underlay address of tunnels; null: no tunnels.</param>
/// <param name="Uplinks">Physical network to a bridge of the host that carries it; an empty name gives the network a leg on the host.</param>
internal sealed record NodeNetworkSettings(DataPlaneNames Names, IPAddress? Vtep, IReadOnlyDictionary<string, string> Uplinks);

/// <summary>The leg of a physical network on the host, which holds the gateway addresses of its subnets.</summary>
/// <param name="Routes">One per address that somebody on the network has. The subnet as a whole is not routed to the leg: the host may have
/// business elsewhere with the others of its addresses.</param>
internal sealed record LegPlan(
    Guid NetworkId, string PhysicalNetwork, PeerPlan Link, IReadOnlyList<AddressPlan> Addresses, IReadOnlyList<RoutePlan> Routes,
    IReadOnlyList<IPNetwork> Networks);

/// <summary>The whole desired state of a node, worked out: a pure function of the snapshot and the node's settings.</summary>
/// <param name="Filter">The packet rules of the data plane's namespace.</param>
/// <param name="Problems">Items that cannot be made, with why.</param>
internal sealed record DataPlanePlan(
    NodeState State,
    NamespacePlan DataPlane,
    IReadOnlyList<RouterPlan> Routers,
    IReadOnlyList<LegPlan> Legs,
    IReadOnlyList<FilterPort> Ports,
    IReadOnlyList<FilterNetwork> Networks,
    NftRuleset Filter,
    IReadOnlyDictionary<Guid, string> Problems)
{
    /// <param name="numbers">Has a number for each network and port of the state.</param>
    public static DataPlanePlan Create(NodeState state, NodeNetworkSettings settings, NodeNumbers numbers) =>
        new Builder(state, settings, numbers).Build();

    private sealed class Builder(NodeState state, NodeNetworkSettings settings, NodeNumbers numbers)
    {
        private readonly DataPlaneNames _names = settings.Names;
        private readonly Mac _bridgeMac = Mac.Derive(settings.Names.Prefix + "/bridge");
        private readonly List<LinkPlan> _links = [];
        private readonly List<RoutePlan> _routes = [];
        private readonly List<NeighbourPlan> _neighbours = [];
        private readonly List<TunnelEntryPlan> _tunnelEntries = [];
        private readonly List<LegPlan> _legs = [];
        private readonly List<FilterNetwork> _networks = [];
        private readonly Dictionary<Guid, string> _problems = [];

        public DataPlanePlan Build()
        {
            foreach (var network in state.Networks.Values.OrderBy(network => network.Id))
            {
                AddNetwork(network);
            }

            var ports = state.Ports.Where(HasNetwork).OrderBy(port => port.Id).Select(AddPort).ToList();
            AddRemotePorts();
            var routers = state.Routers.Where(router => router.AdminStateUp).OrderBy(router => router.Id)
                .Select(router => RouterPlan.Create(router, state, _names)).ToList();
            foreach (var router in routers)
            {
                // A leg is made where its bridge is.
                _links.AddRange(router.Legs.Where(leg => _links.Exists(link => link.Name == leg.Master)));
            }

            var plan = new NamespacePlan(
                _names.DataPlaneNamespace,
                [
                    ("net/ipv4/ip_forward", "0"),
                    ("net/ipv4/conf/all/rp_filter", "0"),
                    ("net/ipv4/conf/default/rp_filter", "0"),
                    ("net/ipv6/conf/all/disable_ipv6", "1"),
                    ("net/ipv6/conf/default/disable_ipv6", "1"),
                    ("net/bridge/bridge-nf-call-iptables", "1"),
                    ("net/bridge/bridge-nf-call-ip6tables", "1"),
                    // A connection whose entry was deleted must not be picked up again in its middle.
                    ("net/netfilter/nf_conntrack_tcp_loose", "0"),
                ],
                _links,
                [new AddressPlan("lo", GuestServices.MetadataAddress, 32)],
                _routes, _neighbours, _tunnelEntries, Rules: "");
            return new DataPlanePlan(state, plan, routers, _legs, ports, _networks, new FilterRules(state, _networks, ports, _bridgeMac).Compile(), _problems);
        }

        private void AddNetwork(NetworkSpec network)
        {
            var bridge = DataPlaneNames.Bridge(network.Id);
            var zone = numbers.Zone(network.Id);
            _networks.Add(new FilterNetwork(network.Id, bridge, zone));
            _links.Add(new BridgePlan(bridge, DataPlaneNames.Alias("network", network.Id, zone), network.Mtu, _bridgeMac));
            // Answers of the metadata service leave by the bridge they belong to; the metric keeps the routes apart.
            _routes.Add(new RoutePlan(bridge, IPNetwork.Parse("0.0.0.0/0"), null, zone));
            if (network.Kind == NetworkKind.Flat)
            {
                AddPhysical(network, bridge);
            }
            else if (settings.Vtep is { } vtep)
            {
                AddTunnel(network, bridge, vtep);
            }
            else if (network.RemoteVteps.Count > 0)
            {
                _problems[network.Id] = "the network is on other nodes too, and this node has no tunnel address";
            }
        }

        private void AddTunnel(NetworkSpec network, string bridge, IPAddress vtep)
        {
            var tunnel = DataPlaneNames.Tunnel(network.Id);
            _links.Add(new TunnelPlan(tunnel, DataPlaneNames.Alias("tunnel", network.Id, network.Vni), network.Mtu, bridge, network.Vni, vtep));
            _tunnelEntries.AddRange(network.RemoteVteps.Where(remote => !remote.Equals(vtep)).Distinct()
                .Select(remote => new TunnelEntryPlan(tunnel, default, remote)));
        }

        private void AddPhysical(NetworkSpec network, string bridge)
        {
            if (!settings.Uplinks.TryGetValue(network.PhysicalNetwork, out var uplink))
            {
                _problems[network.Id] = $"this node has no physical network '{network.PhysicalNetwork}'";
                return;
            }

            var hostEnd = new PeerPlan(_names.LegName(network.PhysicalNetwork), _names.LegAlias(network.PhysicalNetwork), network.Mtu,
                Master: uplink, Mac.Derive($"{_names.Prefix}/{network.PhysicalNetwork}"));
            _links.Add(new VethPlan(DataPlaneNames.Device("l", network.Id), DataPlaneNames.Alias("leg", network.Id, 0), network.Mtu, bridge, "",
                hostEnd.Name, hostEnd.Alias, hostEnd.Mac));
            var subnets = state.Subnets.Values.Where(subnet => subnet.NetworkId == network.Id && subnet.Cidr.IsIpv4()).OrderBy(subnet => subnet.Id).ToList();
            var gateways = uplink.Length > 0 ? [] : subnets.Select(subnet => subnet.GatewayIp).OfType<IPAddress>().Distinct().ToList();
            var routes = gateways.Count == 0 ? [] : AddressesOn(network.Id).Where(address => address.IsIpv4()).Except(gateways)
                .Where(address => subnets.Exists(subnet => subnet.Cidr.Contains(address)))
                .Select(address => new RoutePlan(hostEnd.Name, address.AsHost(), null, 0));
            _legs.Add(new LegPlan(network.Id, network.PhysicalNetwork, hostEnd, [.. gateways.Select(address => new AddressPlan(hostEnd.Name, address, 32))],
                [.. routes], [.. subnets.Select(subnet => subnet.Cidr)]));
        }

        /// <summary>What guests and routers have on a network.</summary>
        private IEnumerable<IPAddress> AddressesOn(Guid networkId)
        {
            var ports = state.Ports.Where(port => port.NetworkId == networkId).SelectMany(port => port.FixedIps.Select(ip => ip.Address)
                .Concat(port.AllowedPairs.Where(pair => pair.Addresses.IsHost()).Select(pair => pair.Addresses.BaseAddress)));
            var routers = state.Routers.Where(router => router.AdminStateUp).SelectMany(router => router.Interfaces.Append(router.Gateway).OfType<RouterLegSpec>()
                .Where(leg => leg.NetworkId == networkId).SelectMany(leg => leg.FixedIps).Select(ip => ip.Address)
                .Concat(router.Gateway?.NetworkId == networkId ? router.FloatingAddresses : []));
            return ports.Concat(routers).Distinct();
        }

        private bool HasNetwork(PortSpec port)
        {
            if (state.Networks.ContainsKey(port.NetworkId))
            {
                return true;
            }

            _problems[port.Id] = $"network {port.NetworkId} is not in the snapshot";
            return false;
        }

        private FilterPort AddPort(PortSpec port)
        {
            var (tap, bridge) = (DataPlaneNames.Tap(port.Id), DataPlaneNames.Bridge(port.NetworkId));
            _links.Add(new TapPlan(tap, DataPlaneNames.Alias("port", port.Id, port.Epoch), state.Networks[port.NetworkId].Mtu, port.AdminStateUp, bridge));
            // Known at once, so that the metadata service needs no question to answer.
            _neighbours.AddRange(port.FixedIps.Where(ip => ip.Address.IsIpv4()).Select(ip => new NeighbourPlan(bridge, ip.Address, port.Mac)));
            var served = port.FixedIps.Any(ip => ip.Address.IsIpv4() && state.Subnets.TryGetValue(ip.SubnetId, out var subnet) && subnet.EnableDhcp);
            return new FilterPort(port, tap, numbers.Port(port.Id), served);
        }

        private void AddRemotePorts()
        {
            foreach (var port in state.RemotePorts.Where(port => !port.Router && settings.Vtep is not null))
            {
                if (!state.Networks.TryGetValue(port.NetworkId, out var network) || network.Kind != NetworkKind.Vxlan)
                {
                    continue;
                }

                _tunnelEntries.Add(new TunnelEntryPlan(DataPlaneNames.Tunnel(port.NetworkId), port.Mac, port.Vtep));
                _neighbours.AddRange(port.Addresses.Where(address => address.IsIpv4())
                    .Select(address => new NeighbourPlan(DataPlaneNames.Bridge(port.NetworkId), address, port.Mac)));
            }
        }
    }
}

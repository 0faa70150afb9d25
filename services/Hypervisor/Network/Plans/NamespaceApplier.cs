using System.Net;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;

namespace Nephos.Hypervisor.Network.Plans;

/// <summary>Makes the devices of one namespace as planned: lists what is there, changes what differs. Devices that are not in the plan are
/// left alone, with all that is on them.</summary>
/// <param name="openPeer">Opens the namespace of a veth's other end by its name.</param>
/// <param name="underlay">Where tunnels are made before they are moved here: their outer packets stay there.</param>
internal sealed class NamespaceApplier(
    NetworkNamespace own, RouteNetlink netlink, Func<string, NetworkNamespace> openPeer, RouteNetlink underlay)
{
    private readonly Dictionary<string, string> _failures = [];
    private readonly Dictionary<string, Link> _links = [];

    /// <summary>Names of devices that could not be made, with why.</summary>
    public IReadOnlyDictionary<string, string> Failures => _failures;

    /// <summary>Devices that were made by this object.</summary>
    public List<string> Created { get; } = [];

    /// <summary>Every device of the namespace, after <see cref="Apply"/>.</summary>
    public IReadOnlyDictionary<string, Link> Links => _links;

    public void Apply(NamespacePlan plan)
    {
        foreach (var link in netlink.Links())
        {
            _links[link.Name] = link;
        }

        if (_links.TryGetValue("lo", out var loopback) && !loopback.Up)
        {
            netlink.SetUp(loopback.Index, up: true);
        }

        // Bridges first: the others are their ports.
        foreach (var link in plan.Links.OrderBy(link => link is BridgePlan ? 0 : 1))
        {
            Try(link.Name, () => Ensure(link));
        }

        ApplyAddresses(plan);
        ApplyRoutes(plan);
        ApplyNeighbours(plan);
        ApplyTunnelEntries(plan);
    }

    private void Ensure(LinkPlan plan)
    {
        if (_links.TryGetValue(plan.Name, out var link) && !IsSameDevice(plan, link))
        {
            netlink.DeleteLink(link.Index);
            link = null;
        }

        if (link is null)
        {
            Create(plan);
            Created.Add(plan.Name);
            link = netlink.FindLink(plan.Name) ?? throw new InvalidOperationException($"device {plan.Name} is not there after it was made");
        }

        _links[plan.Name] = link;
        if (link.Alias != plan.Alias)
        {
            netlink.SetAlias(link.Index, plan.Alias);
        }

        if (link.Mtu != plan.Mtu)
        {
            netlink.SetMtu(link.Index, plan.Mtu);
        }

        var mac = plan switch
        {
            BridgePlan bridge => bridge.Mac,
            PeerPlan peer => peer.Mac,
            _ => link.Mac,
        };
        if (link.Mac != mac)
        {
            netlink.SetMac(link.Index, mac);
        }

        var master = plan.Master.Length == 0 ? 0 : _links.TryGetValue(plan.Master, out var bridgeLink)
            ? bridgeLink.Index
            : throw new InvalidOperationException($"bridge {plan.Master} is not there");
        if (link.Master != master)
        {
            netlink.SetMaster(link.Index, master);
            if (plan is TunnelPlan)
            {
                netlink.SetTunnelPort(link.Index);
            }
        }

        if (link.Up != plan.Up)
        {
            netlink.SetUp(link.Index, plan.Up);
        }
    }

    private static bool IsSameDevice(LinkPlan plan, Link link) => plan switch
    {
        BridgePlan => link.Kind == "bridge",
        TapPlan => link.Kind == "tun",
        // What cannot be changed later is in the alias.
        TunnelPlan => link.Kind == "vxlan" && link.Alias == plan.Alias,
        VethPlan or PeerPlan => link.Kind == "veth",
        _ => throw new ArgumentOutOfRangeException(nameof(plan), plan, "unknown kind of device"),
    };

    private void Create(LinkPlan plan)
    {
        switch (plan)
        {
            case BridgePlan bridge:
                netlink.CreateBridge(bridge.Name, bridge.Mac, bridge.Alias);
                break;
            case TapPlan tap:
                own.Run(() => Tap.CreatePersistent(tap.Name));
                break;
            case TunnelPlan tunnel:
                underlay.CreateVxlan(tunnel.Name, tunnel.Vni, tunnel.Local, tunnel.Alias);
                underlay.Move(underlay.FindLink(tunnel.Name)!.Index, own.Descriptor);
                break;
            case VethPlan veth:
                using (var peer = openPeer(veth.PeerNamespace))
                {
                    netlink.CreateVeth(veth.Name, veth.Alias, veth.PeerName, veth.PeerAlias, veth.PeerMac, peer.Descriptor);
                }

                break;
            case PeerPlan:
                throw new InvalidOperationException($"device {plan.Name} is missing: its other end was not made");
            default:
                throw new ArgumentOutOfRangeException(nameof(plan), plan, "unknown kind of device");
        }
    }

    private void ApplyAddresses(NamespacePlan plan)
    {
        var present = netlink.Addresses().ToHashSet();
        var wanted = plan.Addresses.Where(address => _links.ContainsKey(address.Link))
            .ToDictionary(address => new InterfaceAddress(_links[address.Link].Index, address.Address, address.PrefixLength), address => address.Link);
        var indexes = PlannedIndexes(plan);
        var unwanted = present.Where(address => indexes.Contains(address.Index) && !wanted.ContainsKey(address) && !address.Address.IsIPv6LinkLocal).ToList();
        unwanted.ForEach(netlink.DeleteAddress);
        if (unwanted.Count > 0)
        {
            // With the first address of a subnet the kernel removes the others of that subnet.
            present = [.. netlink.Addresses()];
        }

        foreach (var (address, link) in wanted.Where(address => !present.Contains(address.Key)))
        {
            Try(link, () => netlink.AddAddress(address));
        }
    }

    private void ApplyRoutes(NamespacePlan plan)
    {
        var indexes = PlannedIndexes(plan);
        var present = netlink.Routes().Where(route => indexes.Contains(route.Index)).Select(Normalize).ToHashSet();
        var wanted = plan.Routes.Where(route => _links.ContainsKey(route.Link) && !_failures.ContainsKey(route.Link))
            .ToDictionary(route => Normalize(new Route(route.Destination, route.Gateway, _links[route.Link].Index, route.Metric)), route => route.Link);
        foreach (var route in present.Where(route => !wanted.ContainsKey(route)))
        {
            netlink.DeleteRoute(route);
        }

        foreach (var (route, link) in wanted.Where(route => !present.Contains(route.Key)))
        {
            Try(link, () => netlink.ReplaceRoute(route));
        }
    }

    /// <summary>The kernel's default metric of IPv6 is 1024, that of IPv4 is 0; here both are 0.</summary>
    private static Route Normalize(Route route) => route is { Metric: 1024, Gateway.AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6 }
        ? route with { Metric = 0 }
        : route;

    private void ApplyNeighbours(NamespacePlan plan)
    {
        var indexes = PlannedIndexes(plan);
        var present = netlink.Neighbours().Where(entry => indexes.Contains(entry.Index)).ToHashSet();
        // An address that two ports claim goes to the last one, as it would on the wire.
        var wanted = plan.Neighbours.Where(entry => _links.ContainsKey(entry.Link))
            .GroupBy(entry => (entry.Link, entry.Address))
            .ToDictionary(same => new Neighbour(_links[same.Key.Link].Index, same.Key.Address, same.Last().Mac), same => same.Key.Link);
        var wantedKeys = wanted.Keys.Select(entry => (entry.Index, entry.Address)).ToHashSet();
        foreach (var entry in present.Where(entry => !wantedKeys.Contains((entry.Index, entry.Address))))
        {
            netlink.DeleteNeighbour(entry);
        }

        foreach (var (entry, link) in wanted.Where(entry => !present.Contains(entry.Key)))
        {
            Try(link, () => netlink.ReplaceNeighbour(entry));
        }
    }

    private void ApplyTunnelEntries(NamespacePlan plan)
    {
        var tunnels = plan.Links.OfType<TunnelPlan>().Where(tunnel => _links.ContainsKey(tunnel.Name)).ToDictionary(tunnel => _links[tunnel.Name].Index);
        if (tunnels.Count == 0)
        {
            return;
        }

        var (presentTunnels, presentBridges) = netlink.ForwardingEntries();
        var wanted = plan.TunnelEntries.Where(entry => _links.ContainsKey(entry.Link))
            .Select(entry => new TunnelEntry(_links[entry.Link].Index, entry.Mac, entry.Vtep)).ToHashSet();
        var wantedBridges = wanted.Where(entry => entry.Mac.Value != 0).Select(entry => new BridgeEntry(entry.Index, entry.Mac)).ToHashSet();
        foreach (var entry in presentTunnels.Where(entry => tunnels.ContainsKey(entry.Index) && !wanted.Contains(entry)))
        {
            netlink.DeleteTunnelEntry(entry);
        }

        foreach (var entry in presentBridges.Where(entry => tunnels.TryGetValue(entry.PortIndex, out _) && !wantedBridges.Contains(entry) && IsRemote(entry)))
        {
            netlink.DeleteBridgeEntry(entry);
        }

        foreach (var entry in wanted.Except(presentTunnels))
        {
            Try(tunnels[entry.Index].Name, () => netlink.AddTunnelEntry(entry));
        }

        foreach (var entry in wantedBridges.Except(presentBridges))
        {
            Try(tunnels[entry.PortIndex].Name, () => netlink.AddBridgeEntry(entry));
        }
    }

    /// <summary>A device's own MAC is a static entry too, and stays.</summary>
    private bool IsRemote(BridgeEntry entry) => !_links.Values.Any(link => link.Index == entry.PortIndex && link.Mac == entry.Mac);

    private HashSet<int> PlannedIndexes(NamespacePlan plan) =>
        [.. plan.Links.Where(link => _links.ContainsKey(link.Name)).Select(link => _links[link.Name].Index)];

    private void Try(string link, Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is NetlinkException or System.ComponentModel.Win32Exception or InvalidOperationException or IOException)
        {
            _failures.TryAdd(link, error.Message);
        }
    }
}

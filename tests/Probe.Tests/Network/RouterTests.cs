using System.Net;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Xunit;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class RouterTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(600);

    [NetworkFact]
    public async Task A_router_joins_two_subnets_and_its_static_routes_lead_on()
    {
        await using var node = new NodeFixture();
        var open = node.State.AddGroup(node.State.Ingress(null));
        var (left, right) = (node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1"),
            node.State.AddSubnet(node.State.AddNetwork(), "10.1.0.0/24", "10.1.0.1"));
        var (first, second) = (node.State.AddPort(left, "10.0.0.11", open), node.State.AddPort(right, "10.1.0.11", open));
        var router = node.State.AddRouter((left, "10.0.0.1"), (right, "10.1.0.1"));
        await node.ApplyAsync();
        var (one, two) = (node.Boot(first, "10.0.0.1"), node.Boot(second, "10.1.0.1"));
        two.Serve(80);

        Assert.True(one.Ping("10.1.0.11"));
        using var conversation = one.Connect("10.1.0.11", 80);
        Assert.Equal("10.0.0.11", conversation?.SeenAs);

        // The second guest is itself a way to somewhere.
        second.AllowedAddressPairs.Add(new Nephos.Protos.Network.V1.NodeAddressPair { IpAddress = "10.77.0.0/24" });
        two.SetAddress("10.77.0.1/32");
        router.Routes.Add(new Nephos.Protos.Network.V1.NodeRoute { Destination = "10.77.0.0/24", Nexthop = "10.1.0.11" });
        await node.ApplyAsync();
        Assert.True(one.Ping("10.77.0.1"));

        router.Interfaces.RemoveAt(1);
        router.Routes.Clear();
        await node.ApplyAsync();
        Assert.False(one.Ping("10.1.0.11", Short));
    }

    [NetworkFact]
    public async Task Guests_leave_by_the_routers_address_and_are_not_reached_by_their_own()
    {
        await using var node = new NodeFixture();
        var (_, inside, port, _) = Edge(node);
        await node.ApplyAsync();
        var guest = node.Boot(port, "10.0.0.1");
        guest.Serve(80);
        using var server = Guest.Serve(node.Host, 8000);

        Assert.True(guest.Ping("203.0.113.1"));
        using var conversation = guest.Connect("203.0.113.1", 8000);
        Assert.Equal("203.0.113.40", conversation?.SeenAs);

        // Somebody outside who knows the inside and the router's address.
        RouteOnHost(node, inside.Cidr, "203.0.113.40");
        Assert.Null(Conversation.Open(node.Host, "10.0.0.11", 80, Short));
    }

    [NetworkFact]
    public async Task Without_translation_the_inside_is_routed()
    {
        await using var node = new NodeFixture();
        var (router, inside, port, _) = Edge(node);
        router.Gateway.EnableSnat = false;
        await node.ApplyAsync();
        var guest = node.Boot(port, "10.0.0.1");
        RouteOnHost(node, inside.Cidr, "203.0.113.40");
        using var server = Guest.Serve(node.Host, 8000);

        using var conversation = guest.Connect("203.0.113.1", 8000);
        Assert.Equal("10.0.0.11", conversation?.SeenAs);
    }

    [NetworkFact]
    public async Task A_floating_address_reaches_its_guest_from_the_host_and_from_its_neighbours()
    {
        await using var node = new NodeFixture();
        var (router, inside, port, open) = Edge(node);
        var neighbour = node.State.AddPort(inside, "10.0.0.12", open);
        var floating = node.State.AddFloatingIp(router, "203.0.113.50", port);
        var report = await node.ApplyAsync();
        Assert.Equal(Guid.Parse(floating.Id), report.FloatingIps.Single().Id);
        var (guest, other) = (node.Boot(port, "10.0.0.1"), node.Boot(neighbour, "10.0.0.1"));
        guest.Serve(80);
        using var server = Guest.Serve(node.Host, 8000);

        Assert.True(Guest.Ping(node.Host, "203.0.113.50"));
        using var fromHost = Conversation.Open(node.Host, "203.0.113.50", 80);
        Assert.Equal("203.0.113.1", fromHost?.SeenAs);
        using (var outwards = guest.Connect("203.0.113.1", 8000))
        {
            Assert.Equal("203.0.113.50", outwards?.SeenAs);
        }

        // Hairpin: through the router and back, so the guest sees the router and not its neighbour.
        using (var hairpin = other.Connect("203.0.113.50", 80))
        {
            Assert.Equal("203.0.113.40", hairpin?.SeenAs);
        }

        router.FloatingIps.Clear();
        await node.ApplyAsync();
        Assert.False(fromHost!.Echoes("after the floating address was taken away"));
        Assert.False(Guest.Ping(node.Host, "203.0.113.50", Short));
    }

    [NetworkFact]
    public async Task Port_numbers_of_a_floating_address_reach_different_guests()
    {
        await using var node = new NodeFixture();
        var (router, inside, port, open) = Edge(node);
        var second = node.State.AddPort(inside, "10.0.0.12", open);
        var ip = Guid.NewGuid();
        Nephos.Protos.Network.V1.NodePortForwarding Forward(uint external, string address, uint inner) => new()
        {
            FloatingIpId = ip.ToString(), FloatingAddress = "203.0.113.50", Protocol = 6, ExternalPort = external, FixedAddress = address, InternalPort = inner,
        };
        router.PortForwardings.Add(Forward(2201, "10.0.0.11", 22));
        router.PortForwardings.Add(Forward(2202, "10.0.0.12", 23));
        var report = await node.ApplyAsync();
        Assert.Equal(ip, report.FloatingIps.Single().Id);
        node.Boot(port, "10.0.0.1").Serve(22);
        var other = node.Boot(second, "10.0.0.1");
        other.Serve(23);

        using var first = Conversation.Open(node.Host, "203.0.113.50", 2201);
        Assert.NotNull(first);
        using (var there = Conversation.Open(node.Host, "203.0.113.50", 2202))
        {
            Assert.NotNull(there);
        }

        Assert.Null(Conversation.Open(node.Host, "203.0.113.50", 22, Short));
        using (var hairpin = other.Connect("203.0.113.50", 2201))
        {
            Assert.Equal("203.0.113.40", hairpin?.SeenAs);
        }

        router.PortForwardings.RemoveAt(0);
        await node.ApplyAsync();
        Assert.False(first!.Echoes("after the port forwarding was taken away"));
        Assert.Null(Conversation.Open(node.Host, "203.0.113.50", 2201, Short));
        using var still = Conversation.Open(node.Host, "203.0.113.50", 2202);
        Assert.NotNull(still);
    }

    [NetworkFact]
    public async Task Packets_stay_untranslated_inside_an_address_scope_and_do_not_cross_its_border()
    {
        await using var node = new NodeFixture();
        var (router, inside, port, open) = Edge(node);
        var outside = node.State.Wire.Subnets.Single(subnet => subnet.Id == router.Gateway.FixedIps[0].SubnetId);
        var other = node.State.AddSubnet(node.State.AddNetwork(), "10.1.0.0/24", "10.1.0.1");
        router.Interfaces.Add(new Nephos.Protos.Network.V1.NodeRouterInterface
        {
            PortId = Guid.NewGuid().ToString(), NetworkId = other.NetworkId, MacAddress = "fa:16:3e:99:00:01",
            FixedIps = { new Nephos.Protos.Network.V1.NodeFixedIp { SubnetId = other.Id, Address = "10.1.0.1" } },
        });
        var foreign = node.State.AddPort(other, "10.1.0.11", open);
        await node.ApplyAsync();
        var (guest, stranger) = (node.Boot(port, "10.0.0.1"), node.Boot(foreign, "10.1.0.1"));
        guest.Serve(80);
        using var server = Guest.Serve(node.Host, 8000);
        Assert.True(guest.Ping("10.1.0.11"));

        outside.AddressScopeId = inside.AddressScopeId = Guid.NewGuid().ToString();
        await node.ApplyAsync();
        Assert.False(guest.Ping("10.1.0.11", Short));
        RouteOnHost(node, inside.Cidr, "203.0.113.40");
        using (var conversation = guest.Connect("203.0.113.1", 8000))
        {
            Assert.Equal("10.0.0.11", conversation?.SeenAs);
        }

        using (var fromOutside = Conversation.Open(node.Host, "10.0.0.11", 80))
        {
            Assert.NotNull(fromOutside);
        }

        using var translated = stranger.Connect("203.0.113.1", 8000);
        Assert.Equal("203.0.113.40", translated?.SeenAs);
    }

    [NetworkFact]
    public async Task A_floating_address_that_moves_to_another_guest_is_found_there()
    {
        await using var node = new NodeFixture();
        var (router, inside, port, open) = Edge(node);
        var second = node.State.AddPort(inside, "10.0.0.12", open);
        var floating = node.State.AddFloatingIp(router, "203.0.113.50", port);
        await node.ApplyAsync();
        node.Boot(port, "10.0.0.1").Serve(80);
        node.Boot(second, "10.0.0.1").Serve(81);
        using var before = Conversation.Open(node.Host, "203.0.113.50", 80);
        Assert.NotNull(before);

        (floating.PortId, floating.FixedAddress) = (second.Id, "10.0.0.12");
        await node.ApplyAsync();
        Assert.Null(Conversation.Open(node.Host, "203.0.113.50", 80, Short));
        using var after = Conversation.Open(node.Host, "203.0.113.50", 81);
        Assert.NotNull(after);
    }

    [NetworkFact]
    public async Task A_floating_address_that_moves_to_another_router_is_found_there_at_once()
    {
        await using var node = new NodeFixture();
        var (router, _, port, open) = Edge(node);
        var outside = node.State.Wire.Subnets.Single(subnet => subnet.Cidr == "203.0.113.0/24");
        var otherInside = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var otherPort = node.State.AddPort(otherInside, "10.0.0.11", open);
        var otherRouter = node.State.AddRouter((otherInside, "10.0.0.1"));
        node.State.SetGateway(otherRouter, outside, "203.0.113.41");
        node.State.AddFloatingIp(router, "203.0.113.50", port);
        await node.ApplyAsync();
        node.Boot(port, "10.0.0.1").Serve(80);
        node.Boot(otherPort, "10.0.0.1").Serve(81);
        using (var before = Conversation.Open(node.Host, "203.0.113.50", 80))
        {
            Assert.NotNull(before);
        }

        router.FloatingIps.Clear();
        node.State.AddFloatingIp(otherRouter, "203.0.113.50", otherPort);
        await node.ApplyAsync();
        // The host still knows the old router's MAC unless the new one has announced itself.
        using var after = Conversation.Open(node.Host, "203.0.113.50", 81);
        Assert.NotNull(after);
    }

    [NetworkFact]
    public async Task Guests_get_out_through_the_host()
    {
        await using var node = new NodeFixture();
        var (_, _, port, _) = Edge(node);
        using var world = node.Own(new OutsideWorld(node));
        await node.ApplyAsync();
        var guest = node.Boot(port, "10.0.0.1");
        using var server = Guest.Serve(world.Namespace, 8000);

        using var conversation = guest.Connect("198.51.100.2", 8000);
        Assert.Equal("198.51.100.1", conversation?.SeenAs);
        // The host has not become a router for the world.
        Assert.Equal("0", node.Host.Run(() => File.ReadAllText("/proc/sys/net/ipv4/ip_forward")).Trim());
        Assert.Equal("1", node.Host.Run(() => File.ReadAllText("/proc/sys/net/ipv4/conf/up0/forwarding")).Trim());
        await node.Driver.RemoveAllAsync(CancellationToken.None);
        Assert.Equal("0", node.Host.Run(() => File.ReadAllText("/proc/sys/net/ipv4/conf/up0/forwarding")).Trim());
    }

    [NetworkFact]
    public async Task The_host_keeps_its_own_way_to_addresses_of_the_subnet_that_nobody_here_has()
    {
        await using var node = new NodeFixture();
        Edge(node);
        using var world = node.Own(new OutsideWorld(node));
        world.AddAddress("203.0.113.80");
        world.AddAddress("203.0.113.81");
        world.RouteFromHost(node, "203.0.113.81/32");
        await node.ApplyAsync();

        Assert.True(Guest.Ping(node.Host, "203.0.113.80"));
        Assert.True(Guest.Ping(node.Host, "203.0.113.81"));
        Assert.True(Guest.Ping(node.Host, "203.0.113.40"));
    }

    [NetworkFact]
    public async Task A_subnet_that_the_host_already_has_gets_no_address_on_the_host()
    {
        await using var node = new NodeFixture();
        using var world = node.Own(new OutsideWorld(node));
        var network = node.State.AddNetwork("public");
        var port = node.State.AddPort(node.State.AddSubnet(network, "198.51.100.0/24", "198.51.100.254"), "198.51.100.200", node.State.AddGroup());

        var report = await node.Driver.ApplyAsync(node.State.Build(), CancellationToken.None);
        var status = report.Networks.Single();
        Assert.Equal(ItemState.Failed, status.State);
        Assert.Contains("its gateway 198.51.100.254 belongs to route 198.51.100.0/24 of the host", status.Error, StringComparison.Ordinal);
        // Its ports are wired all the same.
        Assert.Equal((Guid.Parse(port.Id), ItemState.Active), (report.Ports.Single().Id, report.Ports.Single().State));
        using var links = node.Host.Run(() => new RouteNetlink());
        Assert.DoesNotContain(links.Addresses(), address => address.Address.ToString() == "198.51.100.254");
    }

    [NetworkFact]
    public async Task A_floating_address_that_the_host_needs_itself_is_left_to_it()
    {
        await using var node = new NodeFixture();
        var (router, _, port, _) = Edge(node);
        using var world = node.Own(new OutsideWorld(node));
        world.AddAddress("203.0.113.50");
        world.RouteFromHost(node, "203.0.113.50/32");
        node.State.AddFloatingIp(router, "203.0.113.50", port);

        var report = await node.Driver.ApplyAsync(node.State.Build(), CancellationToken.None);
        Assert.Contains("cannot reach 203.0.113.50", report.Networks.Single(status => status.State == ItemState.Failed).Error, StringComparison.Ordinal);
        Assert.True(Guest.Ping(node.Host, "203.0.113.50"));
        Assert.True(Guest.Ping(node.Host, "203.0.113.40"));
        using var links = node.Host.Run(() => new RouteNetlink());
        Assert.Equal(links.FindLink("up0")!.Index, links.Routes(all: true).Single(route => route.Destination.ToString() == "203.0.113.50/32").Index);
    }

    /// <summary>An outside network with the host's leg, a router to an inside network, and a port there that lets everything in.</summary>
    private static (Nephos.Protos.Network.V1.NodeRouter Router, Nephos.Protos.Network.V1.NodeSubnet Inside, Nephos.Protos.Network.V1.NodePort Port,
        Nephos.Protos.Network.V1.NodeSecurityGroup Open) Edge(NodeFixture node)
    {
        var outside = node.State.AddSubnet(node.State.AddNetwork("public"), "203.0.113.0/24", "203.0.113.1");
        var inside = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var open = node.State.AddGroup(node.State.Ingress(null));
        var port = node.State.AddPort(inside, "10.0.0.11", open);
        var router = node.State.AddRouter((inside, "10.0.0.1"));
        node.State.SetGateway(router, outside, "203.0.113.40");
        return (router, inside, port, open);
    }

    private static void RouteOnHost(NodeFixture node, string destination, string gateway) => node.Host.Run(() =>
    {
        using var links = new RouteNetlink();
        var leg = links.FindLink(node.Names.LegName("public"))!;
        links.ReplaceRoute(new Route(IPNetwork.Parse(destination), IPAddress.Parse(gateway), leg.Index, 0));
    });

    /// <summary>198.51.100.2 behind the host's default route.</summary>
    private sealed class OutsideWorld : IDisposable
    {
        public OutsideWorld(NodeFixture node)
        {
            Namespace = NetworkNamespace.OpenOrCreate(node.NameOf("world"), out _);
            node.Host.Run(() =>
            {
                using var links = new RouteNetlink();
                links.CreateVeth("up0", "test", "eth0", "test", Mac.Derive("world"), Namespace.Descriptor);
                SetUp(links, "up0", "198.51.100.1");
                links.ReplaceRoute(new Route(IPNetwork.Parse("0.0.0.0/0"), IPAddress.Parse("198.51.100.2"), links.FindLink("up0")!.Index, 0));
            });
            Namespace.Run(() =>
            {
                using var links = new RouteNetlink();
                SetUp(links, "eth0", "198.51.100.2");
            });
        }

        public NetworkNamespace Namespace { get; }

        public void Dispose()
        {
            Namespace.Dispose();
            if (NetworkNamespace.Exists(Namespace.Name))
            {
                NetworkNamespace.Delete(Namespace.Name);
            }
        }

        public void RouteFromHost(NodeFixture node, string destination) => node.Host.Run(() =>
        {
            using var links = new RouteNetlink();
            links.ReplaceRoute(new Route(IPNetwork.Parse(destination), IPAddress.Parse("198.51.100.2"), links.FindLink("up0")!.Index, 0));
        });

        public void AddAddress(string address) => Namespace.Run(() =>
        {
            using var links = new RouteNetlink();
            links.AddAddress(new InterfaceAddress(links.FindLink("eth0")!.Index, IPAddress.Parse(address), 32));
        });

        private static void SetUp(RouteNetlink links, string name, string address)
        {
            var index = links.FindLink(name)!.Index;
            links.AddAddress(new InterfaceAddress(index, IPAddress.Parse(address), 24));
            links.SetUp(index, up: true);
        }
    }
}

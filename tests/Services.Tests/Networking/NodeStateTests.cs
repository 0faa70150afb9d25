using Nephos.Networking;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.State;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.Networking;

public sealed class NodeStateTests : NetworkWorld
{
    [Fact]
    public async Task A_node_is_told_of_its_ports_with_their_networks_subnets_and_groups()
    {
        await ArriveAsync("node-1");
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24", request => request with { DnsNameservers = [Ip("9.9.9.9")] });
        var port = await BoundAsync(network, "node-1", 1);
        await BoundAsync(network, "node-2", 1);
        await PortAsync(Alice, network);

        var state = await StateOfAsync("node-1");

        Assert.Equal(port.Id, Assert.Single(state.Ports).Id);
        Assert.Equal((network.Id, Wire.NodeNetworkKind.Vxlan, 1450u), Assert.Single(state.Networks) is var one ? (one.Id, one.Kind, one.Mtu) : default);
        Assert.Equal((subnet.Id, "10.0.0.1", "9.9.9.9"), Assert.Single(state.Subnets) is var two ? (two.Id, two.GatewayIp, two.DnsNameservers[0]) : default);
        Assert.Equal(port.SecurityGroupIds, state.SecurityGroups.Select(group => group.Id));
    }

    [Fact]
    public async Task The_members_of_a_remote_group_are_those_that_can_be_met()
    {
        await ArriveAsync("node-1");
        var (inside, _, _, router) = await RoutedAsync();
        var neighbour = await NetworkAsync(Alice);
        var neighbourSubnet = await SubnetAsync(Alice, neighbour, "10.1.0.0/24");
        var island = await NetworkAsync(Alice);
        await SubnetAsync(Alice, island, "10.2.0.0/24");
        var here = await BoundAsync(inside, "node-1", 1);
        var there = await PortAsync(Alice, neighbour);
        await PortAsync(Alice, island);

        string[] Addresses(Wire.NodeNetworkState state) => [.. Assert.Single(state.GroupMembers, one => one.NetworkId == inside.Id).Addresses];
        var before = Addresses(await StateOfAsync("node-1"));
        await Routers.AddInterfaceAsync(Alice, router.Id, neighbourSubnet.Id, null, None);
        var after = Addresses(await StateOfAsync("node-1"));

        Assert.Equal([here.FixedIps[0].Address.ToString()], before);
        Assert.Equal(new[] { here, there }.Select(port => port.FixedIps[0].Address.ToString()).Order(), after.Order());
    }

    [Fact]
    public async Task A_router_is_placed_on_a_node_that_has_the_physical_network_and_lives()
    {
        await ArriveAsync("node-0", physical: []);
        await ArriveAsync("node-1");
        var (inside, _, outside, router) = await RoutedAsync();
        var port = await PortAsync(Alice, inside);
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None);

        var pass = await Placer.RunPassAsync(None);
        var state = await StateOfAsync("node-1");

        Assert.Equal((1, 0), (pass.Changed, pass.Backlog));
        var told = Assert.Single(state.Routers);
        Assert.Equal((router.Id, 1ul, true), (told.Id, told.Epoch, told.Gateway.EnableSnat));
        Assert.Equal((ip.Address.ToString(), port.FixedIps[0].Address.ToString()), (told.FloatingIps[0].FloatingAddress, told.FloatingIps[0].FixedAddress));
        Assert.Equal("10.0.0.1", told.Interfaces[0].FixedIps[0].Address);
        Assert.Equal(new[] { inside.Id, outside.Id }.Order(), state.Networks.Select(network => network.Id));
        Assert.Empty(state.Ports);
        Assert.Equal(0, (await Placer.RunPassAsync(None)).Changed);
    }

    [Fact]
    public async Task The_routers_of_a_dead_node_go_to_another_with_a_higher_epoch()
    {
        await ArriveAsync("node-1");
        await RoutedAsync();
        await Placer.RunPassAsync(None);
        Time.Advance(TimeSpan.FromSeconds(100));

        var alone = await Placer.RunPassAsync(None);
        await ArriveAsync("node-2");
        await Placer.RunPassAsync(None);

        Assert.Equal(0, alone.Changed);
        Assert.Empty((await StateOfAsync("node-1")).Routers);
        Assert.Equal(2ul, Assert.Single((await StateOfAsync("node-2")).Routers).Epoch);
    }

    [Fact]
    public async Task Without_a_fitting_node_a_router_waits_in_the_backlog()
    {
        await ArriveAsync("node-0", physical: []);
        await RoutedAsync();

        Assert.Equal(1, (await Placer.RunPassAsync(None)).Backlog);
    }

    [Fact]
    public async Task Nodes_with_tunnels_learn_where_the_others_ports_are()
    {
        await ArriveAsync("node-1", vtep: "192.0.2.1");
        await ArriveAsync("node-2", vtep: "192.0.2.2");
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24");
        await BoundAsync(network, "node-1", 1);
        var far = await BoundAsync(network, "node-2", 7);
        var router = await Routers.CreateAsync(Alice, new NewRouter(), None);
        await Routers.AddInterfaceAsync(Alice, router.Id, subnet.Id, null, None);
        await Placer.RunPassAsync(None);
        var home = (await Store.ViewAsync(None)).RouterPlacements[router.Id].Node;

        var one = await StateOfAsync("node-1");
        var two = await StateOfAsync("node-2");

        Assert.Equal(["192.0.2.2"], one.Networks[0].RemoteVteps);
        var remote = Assert.Single(one.RemotePorts, port => port.PortId == far.Id);
        Assert.Equal(("192.0.2.2", 7ul, false), (remote.VtepAddress, remote.Epoch, remote.Router));
        Assert.Single((home == "node-1" ? two : one).RemotePorts, port => port.Router);
    }

    [Fact]
    public async Task A_port_is_active_when_its_node_says_so_for_the_present_binding()
    {
        var network = await NetworkAsync(Alice);
        var port = await BoundAsync(network, "node-1", 1);
        async Task<string> StatusAsync() => (await Store.ViewAsync(None)) is var view ? view.StatusOf(view.Ports[port.Id]) : "";

        Assert.Equal("DOWN", await StatusAsync());
        await Nodes.ReportAsync("node-1", [new NodeItem(port.Id, 1, WiredState.Active, "")], "", None);
        Assert.Equal("ACTIVE", await StatusAsync());
        await Ports.BindAsync(Service, port.Id, "node-2", 2, null, null, None);
        Assert.Equal("DOWN", await StatusAsync());
        await Nodes.ReportAsync("node-1", [new NodeItem(port.Id, 1, WiredState.Active, "")], "", None);
        Assert.Equal("DOWN", await StatusAsync());
        await Nodes.ReportAsync("node-2", [new NodeItem(port.Id, 2, WiredState.Failed, "no tap")], "", None);
        Assert.Equal("ERROR", await StatusAsync());
    }

    [Fact]
    public async Task What_a_node_no_longer_reports_is_gone_from_it()
    {
        var network = await NetworkAsync(Alice);
        var port = await BoundAsync(network, "node-1", 1);
        await Nodes.ReportAsync("node-1", [new NodeItem(port.Id, 1, WiredState.Active, "")], "", None);

        await Nodes.ReportAsync("node-1", [], "", None);

        var view = await Store.ViewAsync(None);
        Assert.Equal("DOWN", view.StatusOf(view.Ports[port.Id]));
    }

    [Fact]
    public async Task A_report_of_things_that_are_gone_leaves_nothing()
    {
        await Nodes.ReportAsync("node-1", [new NodeItem(Guid.NewGuid().ToString(), 1, WiredState.Active, ""), new NodeItem("junk", 1, WiredState.Active, "")], "", None);

        Assert.Empty((await Store.ViewAsync(None)).Wired);
    }

    [Fact]
    public async Task A_floating_ip_is_active_when_the_node_of_its_router_says_so()
    {
        await ArriveAsync("node-1");
        var (inside, _, outside, _) = await RoutedAsync();
        var port = await PortAsync(Alice, inside);
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None);
        await Placer.RunPassAsync(None);

        await Nodes.ReportAsync("node-1", [new NodeItem(ip.Id, 1, WiredState.Active, "")], "", None);
        var active = await Store.ViewAsync(None);
        await FloatingIps.UpdateAsync(Alice, ip.Id, new FloatingIpChanges { PortId = new(true, null) }, None);
        var free = await Store.ViewAsync(None);

        Assert.Equal("ACTIVE", active.StatusOf(active.FloatingIps[ip.Id]));
        Assert.Equal("DOWN", free.StatusOf(free.FloatingIps[ip.Id]));
    }

    [Fact]
    public async Task A_node_that_cannot_wire_gets_no_routers()
    {
        await ArriveAsync("node-1");
        await RoutedAsync();

        await Nodes.ReportAsync("node-1", [], "no rights", None);

        Assert.Equal(1, (await Placer.RunPassAsync(None)).Backlog);
    }

    [Fact]
    public async Task The_same_view_gives_the_same_state_and_other_changes_do_not_change_it()
    {
        await ArriveAsync("node-1");
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");
        await BoundAsync(network, "node-1", 1);
        var before = await StateOfAsync("node-1");

        await NetworkAsync(Bob);
        await Groups.CreateAsync(Alice, new NewSecurityGroup { Name = "unused" }, None);

        var after = await StateOfAsync("node-1");
        Assert.True(after.Revision > before.Revision);
        after.Revision = before.Revision;
        Assert.Equal(before, after);
    }

    [Fact]
    public async Task A_thousand_ports_are_told_in_one_message_far_below_its_bound()
    {
        var network = await Networks.CreateAsync(Admin, new NewNetwork { Shared = true }, None);
        await SubnetAsync(Admin, network, "10.0.0.0/20");
        for (var i = 0; i < 1000; i += Checks.MaxPerRequest)
        {
            await Ports.CreateAsync(Admin, Enumerable.Range(i, Math.Min(Checks.MaxPerRequest, 1000 - i))
                .Select(n => new NewPort { NetworkId = network.Id, HostName = "node-1", DeviceId = $"d{n}", DeviceOwner = "compute:nova" }).ToList(), None);
        }

        var state = await StateOfAsync("node-1");

        Assert.Equal(1000, state.Ports.Count);
        Assert.Equal(1000, Assert.Single(state.GroupMembers).Addresses.Count);
        Assert.InRange(state.CalculateSize(), 1, 1024 * 1024);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("a:b")]
    public async Task A_node_has_a_plain_name(string name) =>
        await Assert.ThrowsAsync<Kernel.Errors.FaultException>(() => Nodes.ArriveAsync(name, "", [], None));

    private Task<NetworkNode> ArriveAsync(string name, string vtep = "", string[]? physical = null) =>
        Nodes.ArriveAsync(name, vtep, physical ?? ["public"], None);

    private async Task<Wire.NodeNetworkState> StateOfAsync(string node) => NodeStateBuilder.Build(await Store.ViewAsync(None), node, new NodePortWires());

    private async Task<Port> BoundAsync(Network network, string node, long epoch)
    {
        var port = await PortAsync(Alice, network);
        return await Ports.BindAsync(Service, port.Id, node, epoch, $"server-{port.Id}", "compute:nova", None);
    }
}

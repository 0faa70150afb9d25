using System.Net;
using Nephos.Hypervisor.Network.Linux;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;
using Xunit;
using Xunit.Abstractions;

namespace Nephos.Probe.Tests.Network;

[Collection(NetworkCollection.Name)]
public sealed class RestartTests(ITestOutputHelper output)
{
    [NetworkFact]
    public async Task A_new_driver_keeps_the_traffic_and_removes_what_nobody_wants_after_a_while()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var open = node.State.AddGroup(node.State.Ingress(null));
        var (first, second, third) = (node.State.AddPort(subnet, "10.0.0.11", open), node.State.AddPort(subnet, "10.0.0.12", open),
            node.State.AddPort(subnet, "10.0.0.13", open));
        var router = node.State.AddRouter((subnet, "10.0.0.1"));
        await node.ApplyAsync();
        var (one, two) = (node.Boot(first), node.Boot(second));
        two.Serve(80);
        using var conversation = one.Connect("10.0.0.12", 80)!;

        // While the agent was away a port and a router were deleted.
        node.State.Wire.Ports.Remove(third);
        node.State.Wire.Routers.Remove(router);
        await node.RestartDriverAsync();
        Assert.True(conversation.Echoes("without an agent"));
        await node.ApplyAsync();
        Assert.True(conversation.Echoes("after the restart"));
        // The tap, the router, and both ends of the link between the router and its bridge.
        Assert.Equal(["namespace", "port", "routerend", "routerport"], node.Driver.ListOrphans().Select(orphan => orphan.Kind).Order());

        node.Clock.Advance(RemovalPolicy.OrphanDelay);
        await node.ApplyAsync();
        Assert.Empty(node.Driver.ListOrphans());
        Assert.DoesNotContain(DataPlaneObjects.List(node.Names), found =>
            found.Alias.Contains(third.Id, StringComparison.Ordinal) || found.Name.Contains(router.Id, StringComparison.Ordinal));
        Assert.True(conversation.Echoes("after the sweep"));
    }

    [NetworkFact]
    public async Task A_port_that_is_deleted_leaves_at_once()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var port = node.State.AddPort(subnet, "10.0.0.11", node.State.AddGroup());
        await node.ApplyAsync();

        node.State.Wire.Ports.Clear();
        node.State.Wire.Networks.Clear();
        node.State.Wire.Subnets.Clear();
        await node.ApplyAsync();
        Assert.Null(node.Driver.FindPort(Guid.Parse(port.Id)));
        Assert.DoesNotContain(DataPlaneObjects.List(node.Names), found => found.Alias.Length > 0);
    }

    [NetworkFact]
    public async Task What_was_damaged_by_hand_is_mended()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork("public"), "203.0.113.0/24", "203.0.113.1");
        var inside = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        var open = node.State.AddGroup(node.State.Ingress(null));
        var port = node.State.AddPort(inside, "10.0.0.11", open);
        var router = node.State.AddRouter((inside, "10.0.0.1"));
        node.State.SetGateway(router, subnet, "203.0.113.40");
        node.State.AddFloatingIp(router, "203.0.113.50", port);
        await node.ApplyAsync();
        node.Boot(port, "10.0.0.1");
        Assert.True(Guest.Ping(node.Host, "203.0.113.50"));

        NetworkNamespace.Delete(node.Names.RouterNamespace(Guid.Parse(router.Id)));
        using (var dataPlane = NetworkNamespace.Open(node.Names.DataPlaneNamespace))
        {
            dataPlane.Run(() =>
            {
                using var links = new RouteNetlink();
                links.SetMaster(links.FindLink(DataPlaneNames.Tap(Guid.Parse(port.Id)))!.Index, 0);
                links.DeleteLink(links.FindLink(DataPlaneNames.Bridge(Guid.Parse(subnet.NetworkId)))!.Index);
                using var rules = new NftContext();
                rules.Run("flush ruleset");
            });
        }

        node.Clock.Advance(TimeSpan.FromMinutes(2));
        await node.ApplyAsync();
        Assert.True(Guest.Ping(node.Host, "203.0.113.50"));
    }

    [NetworkFact]
    public async Task Everything_of_a_node_is_found_and_removed_without_a_driver()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/24", "10.0.0.1");
        node.State.AddPort(subnet, "10.0.0.11", node.State.AddGroup());
        node.State.AddRouter((subnet, "10.0.0.1"));
        await node.ApplyAsync();
        Assert.NotEmpty(DataPlaneObjects.List(node.Names));

        DataPlaneObjects.RemoveAll(node.Names);
        Assert.Empty(DataPlaneObjects.List(node.Names));

        // A driver that still runs makes it anew: the namespace it held is not the one with the name any more.
        await node.ApplyAsync();
        Assert.NotEmpty(DataPlaneObjects.List(node.Names));
    }

    [NetworkFact]
    public async Task Wiring_a_port_costs_milliseconds()
    {
        await using var node = new NodeFixture();
        var subnet = node.State.AddSubnet(node.State.AddNetwork(), "10.0.0.0/16", "10.0.0.1");
        var group = node.State.AddGroup(node.State.Ingress(6, 22), node.State.Ingress(1));
        await node.ApplyAsync();
        var times = new List<double>();
        for (var i = 0; i < 50; i++)
        {
            node.State.AddPort(subnet, $"10.0.1.{i + 1}", group);
            times.Add(await MeasureAsync(node));
        }

        times.Sort();
        for (var i = 0; i < 50; i++)
        {
            node.State.AddPort(subnet, $"10.0.2.{i + 1}", group);
        }

        var together = await MeasureAsync(node);
        output.WriteLine($"one port after the other, 1 to 50 on the node: min {times[0]:F1} ms, median {times[25]:F1} ms, max {times[^1]:F1} ms");
        output.WriteLine($"50 ports at once on a node with 50: {together:F1} ms");
        output.WriteLine($"nothing to do with 100 ports: {await MeasureAsync(node):F1} ms");
        Assert.True(times[25] < 500, $"the median of {times[25]} ms is far from what it should be");
    }

    private static async Task<double> MeasureAsync(NodeFixture node)
    {
        var began = TimeProvider.System.GetTimestamp();
        await node.ApplyAsync();
        return TimeProvider.System.GetElapsedTime(began).TotalMilliseconds;
    }
}

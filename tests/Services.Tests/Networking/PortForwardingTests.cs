using Nephos.Networking;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class PortForwardingTests : NetworkWorld
{
    [Fact]
    public async Task Port_numbers_of_one_floating_ip_lead_to_different_ports_on_the_routers_node()
    {
        await Nodes.ArriveAsync("node-1", "", ["public"], None);
        var (inside, _, outside, router) = await RoutedAsync();
        await Placer.RunPassAsync(None);
        var (one, two) = (await PortAsync(Alice, inside), await PortAsync(Alice, inside));
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);

        await Forwardings.CreateAsync(Alice, ip.Id, New(one, 2201, 22), None);
        var (after, _) = await Forwardings.CreateAsync(Alice, ip.Id, New(two, 2202, 22), None);

        Assert.Equal((router.Id, 2), (after.RouterId, after.PortForwardings.Count));
        var state = NodeStateBuilder.Build(await Store.ViewAsync(None), "node-1", new NodePortWires());
        var told = Assert.Single(state.Routers);
        Assert.Empty(told.FloatingIps);
        Assert.Equal(
            new[] { (2201u, one.FixedIps[0].Address.ToString(), 22u), (2202u, two.FixedIps[0].Address.ToString(), 22u) },
            told.PortForwardings.Select(forwarding => (forwarding.ExternalPort, forwarding.FixedAddress, forwarding.InternalPort)));
        Assert.All(told.PortForwardings, forwarding => Assert.Equal((ip.Id, ip.Address.ToString(), 6u), (forwarding.FloatingIpId, forwarding.FloatingAddress, forwarding.Protocol)));
    }

    [Fact]
    public async Task Forwardings_that_overlap_are_refused()
    {
        var (inside, _, outside, _) = await RoutedAsync();
        var (one, two) = (await PortAsync(Alice, inside), await PortAsync(Alice, inside));
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);
        var other = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);
        var (_, first) = await Forwardings.CreateAsync(Alice, ip.Id, New(one, 80, 8080), None);

        await FailsAsync(ErrorReason.InvalidArgument, () => Forwardings.CreateAsync(Alice, ip.Id, New(two, 80, 8080), None));
        await FailsAsync(ErrorReason.InvalidArgument, () => Forwardings.CreateAsync(Alice, ip.Id, New(one, 81, 8080), None));
        await FailsAsync(ErrorReason.InvalidArgument, () => Forwardings.CreateAsync(Alice, other.Id, New(one, 81, 8080), None));
        await FailsAsync(ErrorReason.InvalidArgument, () => Forwardings.CreateAsync(Alice, ip.Id, New(two, 65536, 1), None));
        await Forwardings.CreateAsync(Alice, ip.Id, New(one, 80, 8080) with { Protocol = "udp" }, None);
        var (_, second) = await Forwardings.CreateAsync(Alice, ip.Id, New(two, 81, 8080), None);
        await FailsAsync(ErrorReason.InvalidArgument, () => Forwardings.UpdateAsync(
            Alice, ip.Id, second.Id, new PortForwardingChanges { ExternalPort = 80 }, None));
        var (_, moved) = await Forwardings.UpdateAsync(Alice, ip.Id, first.Id, new PortForwardingChanges { ExternalPort = 8000, PortId = two.Id, InternalPort = 9 }, None);
        Assert.Equal((two.Id, two.FixedIps[0].Address), (moved.PortId, moved.FixedAddress));
    }

    [Fact]
    public async Task A_floating_ip_leads_to_a_port_or_forwards_port_numbers_and_never_both()
    {
        var (inside, subnet, outside, router) = await RoutedAsync();
        var (one, two) = (await PortAsync(Alice, inside), await PortAsync(Alice, inside));
        var whole = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = one.Id }, None);
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);
        await FailsAsync(ErrorReason.InvalidArgument, () => Forwardings.CreateAsync(Alice, whole.Id, New(two, 80, 80), None));
        await FailsAsync(ErrorReason.PortHasBindingFloatingIp, () => Forwardings.CreateAsync(Alice, ip.Id, New(one, 80, 80), None));
        var (_, forwarding) = await Forwardings.CreateAsync(Alice, ip.Id, New(two, 80, 80), None);

        await FailsAsync(ErrorReason.FloatingIpInUseByPortForwarding, () => FloatingIps.UpdateAsync(Alice, ip.Id, new FloatingIpChanges { PortId = two.Id }, None));
        await FailsAsync(ErrorReason.PortHasPortForwarding, () => FloatingIps.UpdateAsync(Alice, whole.Id, new FloatingIpChanges { PortId = two.Id }, None));
        await FailsAsync(ErrorReason.FloatingIpInUseByPortForwarding, () => FloatingIps.DeleteAsync(Alice, ip.Id, None));
        await FloatingIps.DeleteAsync(Alice, whole.Id, None);
        await FailsAsync(ErrorReason.RouterInterfaceInUseByFloatingIp, () => Routers.RemoveInterfaceAsync(Alice, router.Id, subnet.Id, null, None));
        await Forwardings.DeleteAsync(Alice, ip.Id, forwarding.Id, None);
        Assert.Null((await Store.ViewAsync(None)).FloatingIps[ip.Id].RouterId);
        await FloatingIps.DeleteAsync(Alice, ip.Id, None);
    }

    [Fact]
    public async Task A_forwarding_goes_with_its_port_and_others_stay()
    {
        var (inside, _, outside, router) = await RoutedAsync();
        var (one, two) = (await PortAsync(Alice, inside), await PortAsync(Alice, inside));
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);
        await Forwardings.CreateAsync(Alice, ip.Id, New(one, 80, 80), None);
        await Forwardings.CreateAsync(Alice, ip.Id, New(two, 81, 80), None);

        await Ports.DeleteAsync(Alice, one.Id, None);

        var left = (await Store.ViewAsync(None)).FloatingIps[ip.Id];
        Assert.Equal((two.Id, router.Id), (Assert.Single(left.PortForwardings).PortId, left.RouterId));
        await Ports.DeleteAsync(Alice, two.Id, None);
        Assert.Null((await Store.ViewAsync(None)).FloatingIps[ip.Id].RouterId);
    }

    [Fact]
    public async Task Ports_and_floating_ips_of_others_are_not_found()
    {
        var (inside, _, outside, _) = await RoutedAsync();
        var port = await PortAsync(Alice, inside);
        var mine = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);
        var his = await FloatingIps.CreateAsync(Bob, new NewFloatingIp { NetworkId = outside.Id }, None);

        await FailsAsync(ErrorReason.FloatingIpNotFound, () => Forwardings.CreateAsync(Bob, mine.Id, New(port, 80, 80), None));
        await FailsAsync(ErrorReason.PortNotFound, () => Forwardings.CreateAsync(Bob, his.Id, New(port, 80, 80), None));
    }

    private static NewPortForwarding New(Port port, int externalPort, int internalPort) =>
        new("tcp", externalPort, port.Id, FixedAddress: null, internalPort, "", IdempotencyKey: null);
}

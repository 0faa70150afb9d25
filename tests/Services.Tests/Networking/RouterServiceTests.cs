using Nephos.Networking;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Quotas;
using Nephos.Networking.Routers;
using Nephos.Networking.Subnets;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class RouterServiceTests : NetworkWorld
{
    [Fact]
    public async Task An_interface_has_the_gateway_address_of_its_subnet()
    {
        var (_, subnet, outside, router) = await RoutedAsync();
        var view = await Store.ViewAsync(None);

        var inside = Assert.Single(view.PortsOfDevice(router.Id), port => port.DeviceOwner == DeviceOwners.RouterInterface);
        var gateway = view.Ports[router.Gateway!.PortId];
        Assert.Equal([new FixedIp(subnet.Id, Ip("10.0.0.1"))], inside.FixedIps);
        Assert.Equal((outside.Id, "", router.Id), (gateway.NetworkId, gateway.ProjectId, gateway.DeviceId));
        Assert.True(Net("203.0.113.0/24").Contains(Assert.Single(gateway.FixedIps).Address));
    }

    [Fact]
    public async Task A_router_with_interfaces_cannot_be_deleted()
    {
        var (_, subnet, _, router) = await RoutedAsync();

        await FailsAsync(ErrorReason.RouterInUse, () => Routers.DeleteAsync(Alice, router.Id, None));

        await Routers.RemoveInterfaceAsync(Alice, router.Id, subnet.Id, null, None);
        await Routers.DeleteAsync(Alice, router.Id, None);
        Assert.Empty((await Store.ViewAsync(None)).Ports);
        Assert.Equal(0, await UsedAsync(Alice, QuotaResources.Router));
    }

    [Fact]
    public async Task The_ports_of_a_router_go_only_with_it()
    {
        var (_, _, _, router) = await RoutedAsync();
        var ports = (await Store.ViewAsync(None)).PortsOfDevice(router.Id).ToList();

        Assert.Equal(2, ports.Count);
        foreach (var port in ports)
        {
            await FailsAsync(ErrorReason.ServicePortInUse, () => Ports.DeleteAsync(Admin, port.Id, None));
        }
    }

    [Fact]
    public async Task The_address_of_an_interface_can_be_changed_and_its_subnet_cannot()
    {
        var (inside, subnet, _, router) = await RoutedAsync();
        var other = await SubnetAsync(Alice, inside, "10.5.0.0/24");
        var port = (await Store.ViewAsync(None)).PortsOfDevice(router.Id).Single(port => port.DeviceOwner == DeviceOwners.RouterInterface);
        Task<Port> SetAsync(WantedAddress address) => Ports.UpdateAsync(Alice, port.Id, new PortChanges { FixedIps = new(true, [address]) }, None);

        Assert.Equal(port.FixedIps, (await SetAsync(new WantedAddress(subnet.Id, null))).FixedIps);
        Assert.Equal([Ip("10.0.0.254")], (await SetAsync(new WantedAddress(subnet.Id, Ip("10.0.0.254")))).FixedIps.Select(ip => ip.Address));
        await FailsAsync(ErrorReason.PortInUse, () => SetAsync(new WantedAddress(other.Id, null)));
    }

    [Fact]
    public async Task An_external_network_takes_free_floating_ips_along_and_no_others()
    {
        var (inside, _, outside, _) = await RoutedAsync();
        var second = await Networks.CreateAsync(Admin, new NewNetwork { External = true, PhysicalNetwork = "provider" }, None);
        await SubnetAsync(Admin, second, "198.51.100.0/24");
        for (var i = 0; i < 70; i++)
        {
            await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = second.Id }, None);
        }

        var port = await PortAsync(Alice, inside);
        await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None);

        await FailsAsync(ErrorReason.NetworkInUse, () => Networks.DeleteAsync(Admin, outside.Id, None));
        await Networks.DeleteAsync(Admin, second.Id, None);

        Assert.Equal(1, await UsedAsync(Alice, QuotaResources.FloatingIp));
        Assert.Empty((await Store.ViewAsync(None)).PortsOn(second.Id));
    }

    [Fact]
    public async Task Overlapping_subnets_cannot_meet_in_a_router()
    {
        var (_, _, _, router) = await RoutedAsync();
        var other = await SubnetAsync(Alice, await NetworkAsync(Alice), "10.0.0.128/25");

        var fault = await FailsAsync(ErrorReason.InvalidArgument, () => Routers.AddInterfaceAsync(Alice, router.Id, other.Id, null, None));

        Assert.StartsWith("Bad router request: Cidr 10.0.0.128/25", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_two_overlapping_subnets_plugged_in_at_once_one_wins()
    {
        var router = await Routers.CreateAsync(Alice, new NewRouter(), None);
        var subnets = new List<Subnet>();
        for (var i = 0; i < 4; i++)
        {
            subnets.Add(await SubnetAsync(Alice, await NetworkAsync(Alice), "10.0.0.0/24"));
        }

        var results = await Task.WhenAll(subnets.Select(subnet =>
            Task.Run(() => Record.ExceptionAsync(() => Routers.AddInterfaceAsync(Alice, router.Id, subnet.Id, null, None)))));

        Assert.Single(results, result => result is null);
    }

    [Fact]
    public async Task A_subnet_is_plugged_in_once()
    {
        var (_, subnet, _, router) = await RoutedAsync();

        await FailsAsync(ErrorReason.InvalidArgument, () => Routers.AddInterfaceAsync(Alice, router.Id, subnet.Id, null, None));
    }

    [Fact]
    public async Task A_router_takes_over_a_port_and_gives_it_up_with_its_interface()
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24");
        var port = await PortAsync(Alice, network);
        var router = await Routers.CreateAsync(Alice, new NewRouter(), None);

        var added = await Routers.AddInterfaceAsync(Alice, router.Id, null, port.Id, None);

        Assert.Equal((port.Id, subnet.Id), (added.Port.Id, Assert.Single(added.SubnetIds)));
        await FailsAsync(ErrorReason.PortInUse, () => Routers.AddInterfaceAsync(Alice, router.Id, null, port.Id, None));
        await Routers.RemoveInterfaceAsync(Alice, router.Id, null, port.Id, None);
        Assert.Empty((await Store.ViewAsync(None)).Ports);
    }

    [Fact]
    public async Task Ipv6_subnets_of_a_network_share_an_interface()
    {
        var network = await NetworkAsync(Alice);
        var one = await SubnetAsync(Alice, network, "2001:db8::/64");
        var two = await SubnetAsync(Alice, network, "2001:db8:1::/64");
        var router = await Routers.CreateAsync(Alice, new NewRouter(), None);

        var first = await Routers.AddInterfaceAsync(Alice, router.Id, one.Id, null, None);
        var second = await Routers.AddInterfaceAsync(Alice, router.Id, two.Id, null, None);

        Assert.Equal(first.Port.Id, second.Port.Id);
        Assert.Equal(2, second.Port.FixedIps.Count);
        await Routers.RemoveInterfaceAsync(Alice, router.Id, one.Id, null, None);
        Assert.Equal(two.Id, Assert.Single((await Store.ViewAsync(None)).Ports[first.Port.Id].FixedIps).SubnetId);
    }

    [Fact]
    public async Task A_gateway_needs_an_external_network_that_exists()
    {
        var inside = await NetworkAsync(Alice);
        var router = await Routers.CreateAsync(Alice, new NewRouter(), None);

        Task Set(string networkId) =>
            Routers.UpdateAsync(Alice, router.Id, new RouterChanges { Gateway = new(true, new NewGateway(networkId, null, null)) }, None);

        await FailsAsync(ErrorReason.InvalidArgument, () => Set(inside.Id));
        await FailsAsync(ErrorReason.NetworkNotFound, () => Set(Guid.NewGuid().ToString()));
    }

    [Fact]
    public async Task Setting_the_same_gateway_again_keeps_its_address()
    {
        var (_, _, outside, router) = await RoutedAsync();

        var again = await Routers.UpdateAsync(
            Alice, router.Id, new RouterChanges { Gateway = new(true, new NewGateway(outside.Id, null, null)) }, None);

        Assert.Equal(router.Gateway, again.Gateway);
    }

    [Fact]
    public async Task Switching_source_nat_off_is_for_administrators()
    {
        var (_, _, outside, router) = await RoutedAsync();
        var change = new RouterChanges { Gateway = new(true, new NewGateway(outside.Id, false, null)) };

        await FailsAsync(ErrorReason.Forbidden, () => Routers.UpdateAsync(Alice, router.Id, change, None));
        Assert.False((await Routers.UpdateAsync(Admin, router.Id, change, None)).Gateway!.EnableSnat);
    }

    [Fact]
    public async Task A_route_goes_to_a_neighbour()
    {
        var (_, subnet, _, router) = await RoutedAsync();

        Task<Router> SetAsync(string nexthop) => Routers.UpdateAsync(
            Alice, router.Id, new RouterChanges { Routes = new(true, [new Route(Net("10.9.0.0/16"), Ip(nexthop))]) }, None);

        await FailsAsync(ErrorReason.InvalidRoutes, () => SetAsync("10.5.0.1"));
        await FailsAsync(ErrorReason.InvalidRoutes, () => SetAsync("10.0.0.1"));
        await SetAsync("10.0.0.7");
        await FailsAsync(ErrorReason.RouterInterfaceInUseByRoute, () => Routers.RemoveInterfaceAsync(Alice, router.Id, subnet.Id, null, None));
        await Routers.UpdateAsync(Alice, router.Id, new RouterChanges { Routes = new(true, []) }, None);
        await Routers.RemoveInterfaceAsync(Alice, router.Id, subnet.Id, null, None);
    }

    [Fact]
    public async Task What_is_not_plugged_in_cannot_be_pulled_out()
    {
        var (_, _, _, router) = await RoutedAsync();

        await FailsAsync(ErrorReason.RouterInterfaceNotFound,
            () => Routers.RemoveInterfaceAsync(Alice, router.Id, null, Guid.NewGuid().ToString(), None));
        await FailsAsync(ErrorReason.RouterInterfaceNotFoundForSubnet,
            () => Routers.RemoveInterfaceAsync(Alice, router.Id, Guid.NewGuid().ToString(), null, None));
        await FailsAsync(ErrorReason.RouterNotFound, () => Routers.RemoveInterfaceAsync(Bob, router.Id, null, "x", None));
    }

    [Fact]
    public async Task A_floating_ip_finds_its_router_and_holds_the_interface()
    {
        var (inside, subnet, outside, router) = await RoutedAsync();
        var port = await PortAsync(Alice, inside);

        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None);

        Assert.Equal(new FloatingTarget(port.Id, port.FixedIps[0].Address, router.Id), ip.Target);
        await FailsAsync(ErrorReason.RouterInterfaceInUseByFloatingIp, () => Routers.RemoveInterfaceAsync(Alice, router.Id, subnet.Id, null, None));
        await FailsAsync(ErrorReason.RouterGatewayInUseByFloatingIp,
            () => Routers.UpdateAsync(Alice, router.Id, new RouterChanges { Gateway = new(true, null) }, None));
    }

    [Fact]
    public async Task Deleting_a_port_frees_its_floating_ip()
    {
        var (inside, _, outside, _) = await RoutedAsync();
        var port = await PortAsync(Alice, inside);
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None);

        await Ports.DeleteAsync(Alice, port.Id, None);

        var left = (await Store.ViewAsync(None)).FloatingIps[ip.Id];
        Assert.Null(left.Target);
        Assert.Equal(ip.Address, left.Address);
    }

    [Fact]
    public async Task Taking_an_address_off_a_port_frees_the_floating_ip_of_that_address()
    {
        var (inside, subnet, outside, _) = await RoutedAsync();
        var port = await PortAsync(Alice, inside);
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None);

        await Ports.UpdateAsync(Alice, port.Id, new PortChanges { FixedIps = new(true, [new WantedAddress(subnet.Id, Ip("10.0.0.222"))]) }, None);

        Assert.Null((await Store.ViewAsync(None)).FloatingIps[ip.Id].Target);
    }

    [Fact]
    public async Task A_floating_ip_moves_from_port_to_port_and_one_address_has_one()
    {
        var (inside, _, outside, _) = await RoutedAsync();
        var one = await PortAsync(Alice, inside);
        var two = await PortAsync(Alice, inside);
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = one.Id }, None);

        var moved = await FloatingIps.UpdateAsync(Alice, ip.Id, new FloatingIpChanges { PortId = new(true, two.Id) }, None);
        var free = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);

        Assert.Equal(two.Id, moved.Target!.PortId);
        await FailsAsync(ErrorReason.FloatingIpPortAlreadyAssociated,
            () => FloatingIps.UpdateAsync(Alice, free.Id, new FloatingIpChanges { PortId = new(true, two.Id) }, None));
        Assert.Null((await FloatingIps.UpdateAsync(Alice, ip.Id, new FloatingIpChanges { PortId = new(true, null) }, None)).Target);
    }

    [Fact]
    public async Task A_floating_ip_needs_a_way_and_an_external_network()
    {
        var outside = await ExternalAsync();
        await SubnetAsync(Admin, outside, "203.0.113.0/24");
        var inside = await NetworkAsync(Alice);
        await SubnetAsync(Alice, inside, "10.0.0.0/24");
        var port = await PortAsync(Alice, inside);

        await FailsAsync(ErrorReason.ExternalGatewayForFloatingIpNotFound,
            () => FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id, PortId = port.Id }, None));
        await FailsAsync(ErrorReason.InvalidArgument, () => FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = inside.Id }, None));
        await FailsAsync(ErrorReason.NetworkNotFound,
            () => FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = Guid.NewGuid().ToString() }, None));
        Assert.Equal(0, await UsedAsync(Alice, QuotaResources.FloatingIp));
    }

    [Fact]
    public async Task The_last_floating_address_goes_to_one_of_those_who_want_it()
    {
        var outside = await ExternalAsync();
        await SubnetAsync(Admin, outside, "203.0.113.0/30");

        var results = await Task.WhenAll(new[] { Alice, Bob }.Select(caller => Task.Run(() =>
            Record.ExceptionAsync(() => FloatingIps.CreateAsync(caller, new NewFloatingIp { NetworkId = outside.Id }, None)))));

        Assert.Single(results, result => result is null);
    }

    [Fact]
    public async Task A_deleted_floating_ip_gives_its_address_back()
    {
        var outside = await ExternalAsync();
        await SubnetAsync(Admin, outside, "203.0.113.0/30");
        var ip = await FloatingIps.CreateAsync(Alice, new NewFloatingIp { NetworkId = outside.Id }, None);

        await FailsAsync(ErrorReason.FloatingIpNotFound, () => FloatingIps.DeleteAsync(Bob, ip.Id, None));
        await FloatingIps.DeleteAsync(Alice, ip.Id, None);

        Assert.Equal(ip.Address, (await FloatingIps.CreateAsync(Bob, new NewFloatingIp { NetworkId = outside.Id }, None)).Address);
    }
}

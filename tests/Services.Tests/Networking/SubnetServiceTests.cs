using Nephos.Networking;
using Nephos.Networking.Addressing;
using Nephos.Networking.Ports;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class SubnetServiceTests : NetworkWorld
{
    [Fact]
    public async Task The_gateway_is_the_first_address_and_the_pool_all_others()
    {
        var subnet = await SubnetAsync(Alice, await NetworkAsync(Alice), "10.100.0.0/28");

        Assert.Equal(Ip("10.100.0.1"), subnet.GatewayIp);
        Assert.Equal([new AddressRange(Ip("10.100.0.2"), Ip("10.100.0.14"))], subnet.AllocationPools);
    }

    [Fact]
    public async Task A_gateway_in_the_middle_splits_the_pool()
    {
        var subnet = await SubnetAsync(
            Alice, await NetworkAsync(Alice), "10.0.0.0/29", request => request with { GatewayIp = new(true, Ip("10.0.0.3")) });

        Assert.Equal(
            [new AddressRange(Ip("10.0.0.1"), Ip("10.0.0.2")), new AddressRange(Ip("10.0.0.4"), Ip("10.0.0.6"))], subnet.AllocationPools);
    }

    [Fact]
    public async Task A_subnet_can_do_without_a_gateway()
    {
        var subnet = await SubnetAsync(Alice, await NetworkAsync(Alice), "10.0.0.0/29", request => request with { GatewayIp = new(true, null) });

        Assert.Null(subnet.GatewayIp);
        Assert.Equal([new AddressRange(Ip("10.0.0.1"), Ip("10.0.0.6"))], subnet.AllocationPools);
    }

    [Fact]
    public async Task Subnets_of_a_network_do_not_overlap()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");

        var fault = await FailsAsync(ErrorReason.InvalidNetworkInput, () => SubnetAsync(Alice, network, "10.0.0.128/25"));

        Assert.Contains("overlaps with another subnet", fault.Message, StringComparison.Ordinal);
        await SubnetAsync(Alice, await NetworkAsync(Alice), "10.0.0.0/24");
    }

    [Fact]
    public async Task Of_two_overlapping_subnets_made_at_once_one_wins()
    {
        var network = await NetworkAsync(Alice);

        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
            await Record.ExceptionAsync(() => SubnetAsync(Alice, network, "10.0.0.0/24"))));

        Assert.Single(results, result => result is null);
        Assert.Single((await Store.ViewAsync(None)).SubnetsOf(network.Id));
    }

    public static TheoryData<string, string?, string?, bool> IllegalModes => new()
    {
        { "2001:db8::/64", "slaac", "dhcpv6-stateful", true },
        { "2001:db8::/64", "dhcpv6-stateless", "slaac", true },
        { "2001:db8::/64", "slaac", null, false },
        { "2001:db8::/64", null, "dhcpv6-stateful", false },
        { "2001:db8::/96", "slaac", "slaac", true },
        { "10.0.0.0/24", "slaac", null, true },
    };

    [Theory]
    [MemberData(nameof(IllegalModes))]
    public async Task Illegal_ipv6_modes_are_refused(string cidr, string? ra, string? address, bool dhcp)
    {
        var network = await NetworkAsync(Alice);

        await FailsAsync(ErrorReason.InvalidNetworkInput, () => SubnetAsync(Alice, network, cidr, request => request with
        {
            RaMode = SubnetRules.ParseMode("ra", ra), AddressMode = SubnetRules.ParseMode("address", address), EnableDhcp = dhcp,
        }));
    }

    [Theory]
    [InlineData("10.0.0.3", "10.0.0.2", ErrorReason.InvalidAllocationPool)]
    [InlineData("10.0.0.3", "2001:db8::1", ErrorReason.InvalidAllocationPool)]
    [InlineData("10.0.0.3", "10.0.1.7", ErrorReason.AllocationPoolOutOfBounds)]
    [InlineData("10.0.0.0", "10.0.0.7", ErrorReason.AllocationPoolOutOfBounds)]
    [InlineData("10.0.0.1", "10.0.0.7", ErrorReason.GatewayInAllocationPool)]
    public async Task A_pool_lies_in_the_subnet_beside_the_gateway(string start, string end, ErrorReason reason)
    {
        var network = await NetworkAsync(Alice);

        await FailsAsync(reason, () => SubnetAsync(Alice, network, "10.0.0.0/24", request => request with
        {
            AllocationPools = [new AddressRange(Ip(start), Ip(end))],
        }));
    }

    [Fact]
    public async Task Pools_do_not_overlap()
    {
        var network = await NetworkAsync(Alice);

        await FailsAsync(ErrorReason.AllocationPoolsOverlap, () => SubnetAsync(Alice, network, "10.0.0.0/24", request => request with
        {
            AllocationPools = [new AddressRange(Ip("10.0.0.2"), Ip("10.0.0.9")), new AddressRange(Ip("10.0.0.9"), Ip("10.0.0.12"))],
        }));
    }

    [Theory]
    [InlineData("224.0.0.0/24")]
    [InlineData("127.0.0.0/24")]
    [InlineData("0.0.0.0/0")]
    public async Task Addresses_that_hosts_cannot_have_make_no_subnet(string cidr)
    {
        var network = await NetworkAsync(Alice);

        await FailsAsync(ErrorReason.InvalidNetworkInput, () => SubnetAsync(Alice, network, cidr));
    }

    [Fact]
    public async Task A_subnet_with_addresses_in_use_stays()
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24");
        await PortAsync(Alice, network);

        await FailsAsync(ErrorReason.SubnetInUse, () => Subnets.DeleteAsync(Alice, subnet.Id, None));
    }

    [Fact]
    public async Task Deleting_a_subnet_of_automatic_addresses_takes_them_off_their_ports()
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "2001:db8::/64", request => request with { RaMode = Ipv6Mode.Slaac, AddressMode = Ipv6Mode.Slaac });
        var port = await PortAsync(Alice, network);
        Assert.Equal(new FixedIp(subnet.Id, MacAddress.Eui64(port.MacAddress, subnet.Cidr)), Assert.Single(port.FixedIps));

        await Subnets.DeleteAsync(Alice, subnet.Id, None);

        Assert.Empty((await Store.ViewAsync(None)).Ports[port.Id].FixedIps);
    }

    [Fact]
    public async Task Ports_get_their_address_of_a_subnet_of_automatic_addresses_that_comes_later()
    {
        var network = await NetworkAsync(Alice);
        var port = await PortAsync(Alice, network);

        var subnet = await SubnetAsync(Alice, network, "2001:db8::/64", request => request with { AddressMode = Ipv6Mode.Dhcpv6Stateless });

        var address = Assert.Single((await Store.ViewAsync(None)).Ports[port.Id].FixedIps);
        Assert.Equal(MacAddress.Eui64(port.MacAddress, subnet.Cidr), address.Address);
    }

    [Fact]
    public async Task The_gateway_that_a_router_has_cannot_be_changed()
    {
        var (_, subnet, _, _) = await RoutedAsync();

        await FailsAsync(ErrorReason.PortHasGatewayAddress, () => Subnets.UpdateAsync(Alice, subnet.Id, new SubnetChanges
        {
            GatewayIp = new(true, Ip("10.0.0.254")), AllocationPools = new(true, [new AddressRange(Ip("10.0.0.2"), Ip("10.0.0.9"))]),
        }, None));
    }

    [Fact]
    public async Task Subnets_of_a_pool_are_disjoint_until_it_is_empty()
    {
        var pool = await Pools.CreateAsync(Alice, new NewSubnetPool { Name = "p", Prefixes = [Net("10.8.0.0/28")], DefaultPrefixLength = 30 }, None);

        var subnets = new List<Subnet>();
        for (var i = 0; i < 4; i++)
        {
            var network = await NetworkAsync(Alice);
            subnets.Add((await Subnets.CreateAsync(Alice, [new NewSubnet { NetworkId = network.Id, SubnetPoolId = pool.Id }], None))[0]);
        }

        Assert.Equal(["10.8.0.0/30", "10.8.0.4/30", "10.8.0.8/30", "10.8.0.12/30"], subnets.Select(subnet => subnet.Cidr.ToString()));
        var last = await NetworkAsync(Alice);
        await FailsAsync(ErrorReason.SubnetAllocationFailed,
            () => Subnets.CreateAsync(Alice, [new NewSubnet { NetworkId = last.Id, SubnetPoolId = pool.Id }], None));
        await FailsAsync(ErrorReason.SubnetPoolInUse, () => Pools.DeleteAsync(Alice, pool.Id, None));
    }

    [Fact]
    public async Task A_pool_gives_one_project_no_more_than_its_quota()
    {
        var pool = await Pools.CreateAsync(
            Alice, new NewSubnetPool { Name = "p", Prefixes = [Net("10.8.0.0/24")], DefaultPrefixLength = 28, DefaultQuota = 20 }, None);
        var network = await NetworkAsync(Alice);
        await Subnets.CreateAsync(Alice, [new NewSubnet { NetworkId = network.Id, SubnetPoolId = pool.Id }], None);

        await FailsAsync(ErrorReason.SubnetPoolQuotaExceeded,
            () => Subnets.CreateAsync(Alice, [new NewSubnet { NetworkId = network.Id, SubnetPoolId = pool.Id }], None));
    }

    [Fact]
    public async Task The_prefixes_of_a_pool_only_grow()
    {
        var pool = await Pools.CreateAsync(Alice, new NewSubnetPool { Name = "p", Prefixes = [Net("10.8.0.0/24"), Net("10.8.1.0/24")] }, None);
        Assert.Equal([Net("10.8.0.0/23")], pool.Prefixes);

        await FailsAsync(ErrorReason.InvalidArgument,
            () => Pools.UpdateAsync(Alice, pool.Id, new SubnetPoolChanges { Prefixes = new(true, [Net("10.8.0.0/24")]) }, None));
        var grown = await Pools.UpdateAsync(Alice, pool.Id, new SubnetPoolChanges { Prefixes = new(true, [Net("10.8.0.0/22")]) }, None);
        Assert.Equal([Net("10.8.0.0/22")], grown.Prefixes);
    }

    [Fact]
    public async Task A_subnet_of_another_project_is_not_found()
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24");

        await FailsAsync(ErrorReason.SubnetNotFound, () => Subnets.DeleteAsync(Bob, subnet.Id, None));
        await FailsAsync(ErrorReason.NetworkNotFound, () => SubnetAsync(Bob, network, "10.1.0.0/24"));
    }
}

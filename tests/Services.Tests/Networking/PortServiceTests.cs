using Nephos.Networking;
using Nephos.Networking.Addressing;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Quotas;
using Nephos.Networking.Subnets;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class PortServiceTests : NetworkWorld
{
    [Fact]
    public async Task A_port_gets_one_address_of_each_version_and_the_default_group()
    {
        var network = await NetworkAsync(Alice);
        var four = await SubnetAsync(Alice, network, "10.0.0.0/24");
        var six = await SubnetAsync(Alice, network, "2001:db8::/64");

        var port = await PortAsync(Alice, network);

        Assert.Equal([four.Id, six.Id], port.FixedIps.Select(ip => ip.SubnetId));
        Assert.Equal([(await Defaults.EnsureAsync(Alice.ProjectId!, None)).Id], port.SecurityGroupIds);
        Assert.StartsWith("fa:16:3e:", port.MacAddress, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_subnet_gives_way_to_the_next()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/30");
        await SubnetAsync(Alice, network, "10.1.0.0/30");

        var ports = new[] { await PortAsync(Alice, network), await PortAsync(Alice, network) };

        Assert.Equal(["10.0.0.2", "10.1.0.2"], ports.Select(port => port.FixedIps[0].Address.ToString()).Order());
        await FailsAsync(ErrorReason.NoIpAddressLeft, () => PortAsync(Alice, network));
    }

    [Fact]
    public async Task Every_address_of_a_pool_is_given_once_to_creates_at_once()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/27");

        var results = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => Task.Run(async () =>
        {
            try
            {
                return (await PortAsync(Alice, network)).FixedIps[0].Address.ToString();
            }
            catch (Kernel.Errors.FaultException fault) when (fault.Reason == ErrorReason.NoIpAddressLeft)
            {
                return "none";
            }
        })));

        // 32 addresses less network, broadcast and gateway.
        Assert.Equal(29, results.Where(result => result != "none").Distinct().Count());
        Assert.Equal(11, results.Count(result => result == "none"));
        Assert.Equal(29, await UsedAsync(Alice, QuotaResources.Port));
    }

    [Fact]
    public async Task Of_creates_for_the_last_address_one_wins_also_between_projects()
    {
        var network = await Networks.CreateAsync(Admin, new NewNetwork { Shared = true }, None);
        await SubnetAsync(Admin, network, "10.0.0.0/30");

        var results = await Task.WhenAll(new[] { Alice, Bob, Admin }.Select(caller => Task.Run(() => Record.ExceptionAsync(() => PortAsync(caller, network)))));

        Assert.Single(results, result => result is null);
    }

    [Fact]
    public async Task The_same_address_is_given_to_one_of_those_who_name_it()
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24");
        NewPort Named(NewPort request) => request with { FixedIps = [new WantedAddress(subnet.Id, Ip("10.0.0.9"))] };

        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Record.ExceptionAsync(() => PortAsync(Alice, network, Named)))));

        Assert.Single(results, result => result is null);
        Assert.All(results.OfType<Kernel.Errors.FaultException>(), fault => Assert.Equal(ErrorReason.IpAddressAlreadyAllocated, fault.Reason));
    }

    [Theory]
    [InlineData("10.0.1.1", true, ErrorReason.InvalidIpForSubnet)]
    [InlineData("10.0.0.255", true, ErrorReason.InvalidIpForSubnet)]
    [InlineData("10.0.1.1", false, ErrorReason.InvalidIpForNetwork)]
    public async Task An_address_outside_the_subnet_is_refused(string address, bool withSubnet, ErrorReason reason)
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "10.0.0.0/24");

        await FailsAsync(reason, () => PortAsync(Alice, network, request => request with
        {
            FixedIps = [new WantedAddress(withSubnet ? subnet.Id : null, Ip(address))],
        }));
    }

    [Fact]
    public async Task A_subnet_of_another_network_is_refused()
    {
        var network = await NetworkAsync(Alice);
        var other = await SubnetAsync(Alice, await NetworkAsync(Alice), "10.0.0.0/24");

        await FailsAsync(ErrorReason.InvalidNetworkInput,
            () => PortAsync(Alice, network, request => request with { FixedIps = [new WantedAddress(other.Id, null)] }));
    }

    [Fact]
    public async Task A_mac_address_is_given_once_in_a_network()
    {
        var network = await NetworkAsync(Alice);
        NewPort Named(NewPort request) => request with { MacAddress = "FA:16:3E:00:00:01" };
        var port = await PortAsync(Alice, network, Named);

        Assert.Equal("fa:16:3e:00:00:01", port.MacAddress);
        await FailsAsync(ErrorReason.MacAddressInUse, () => PortAsync(Alice, network, Named));
        await PortAsync(Alice, await NetworkAsync(Alice), Named);
    }

    [Fact]
    public async Task Automatic_addresses_come_from_the_mac_address_and_are_not_chosen()
    {
        var network = await NetworkAsync(Alice);
        var subnet = await SubnetAsync(Alice, network, "2001:db8::/64", request => request with { RaMode = Ipv6Mode.Slaac, AddressMode = Ipv6Mode.Slaac });

        var port = await PortAsync(Alice, network, request => request with { FixedIps = [new WantedAddress(subnet.Id, null)] });

        Assert.Equal(MacAddress.Eui64(port.MacAddress, subnet.Cidr), Assert.Single(port.FixedIps).Address);
        await FailsAsync(ErrorReason.InvalidNetworkInput,
            () => PortAsync(Alice, network, request => request with { FixedIps = [new WantedAddress(subnet.Id, Ip("2001:db8::5"))] }));
    }

    [Fact]
    public async Task An_update_keeps_the_address_of_a_subnet_that_it_only_names()
    {
        var network = await NetworkAsync(Alice);
        var one = await SubnetAsync(Alice, network, "10.0.0.0/24");
        var two = await SubnetAsync(Alice, network, "10.1.0.0/24");
        var port = await PortAsync(Alice, network, request => request with { FixedIps = [new WantedAddress(one.Id, null)] });

        var updated = await Ports.UpdateAsync(Alice, port.Id, new PortChanges
        {
            FixedIps = new(true, [new WantedAddress(one.Id, null), new WantedAddress(two.Id, Ip("10.1.0.7"))]),
        }, None);

        Assert.Equal([port.FixedIps[0].Address, Ip("10.1.0.7")], updated.FixedIps.Select(ip => ip.Address).Order());
    }

    [Fact]
    public async Task An_address_that_is_given_back_can_be_given_again()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/30");
        var port = await PortAsync(Alice, network);

        await Ports.DeleteAsync(Alice, port.Id, None);

        Assert.Equal(port.FixedIps[0].Address, (await PortAsync(Alice, network)).FixedIps[0].Address);
    }

    [Fact]
    public async Task Groups_can_be_named_left_out_and_none()
    {
        var network = await NetworkAsync(Alice);
        var web = await Groups.CreateAsync(Alice, new() { Name = "web" }, None);

        var named = await PortAsync(Alice, network, request => request with { SecurityGroups = ["web", "default"] });
        var none = await PortAsync(Alice, network, request => request with { SecurityGroups = [] });

        Assert.Contains(web.Id, named.SecurityGroupIds);
        Assert.Equal(2, named.SecurityGroupIds.Count);
        Assert.Empty(none.SecurityGroupIds);
        await FailsAsync(ErrorReason.SecurityGroupNotFound, () => PortAsync(Alice, network, request => request with { SecurityGroups = ["no"] }));
        var bobs = await Groups.CreateAsync(Bob, new() { Name = "bobs" }, None);
        await FailsAsync(ErrorReason.SecurityGroupNotFound, () => PortAsync(Alice, network, request => request with { SecurityGroups = [bobs.Id] }));
    }

    [Fact]
    public async Task Two_groups_of_one_name_must_be_told_apart_by_id()
    {
        var network = await NetworkAsync(Alice);
        await Groups.CreateAsync(Alice, new() { Name = "web" }, None);
        await Groups.CreateAsync(Alice, new() { Name = "web" }, None);

        await FailsAsync(ErrorReason.NameIsAmbiguous, () => PortAsync(Alice, network, request => request with { SecurityGroups = ["web"] }));
    }

    [Fact]
    public async Task Without_port_security_a_port_has_no_groups_and_no_address_pairs()
    {
        var network = await NetworkAsync(Alice);

        var port = await PortAsync(Alice, network, request => request with { PortSecurityEnabled = false });

        Assert.Empty(port.SecurityGroupIds);
        await FailsAsync(ErrorReason.AddressPairNeedsPortSecurity, () => Ports.UpdateAsync(
            Alice, port.Id, new PortChanges { AllowedAddressPairs = new(true, [new AddressPair(Net("10.0.0.0/24"), null)]) }, None));
        var guarded = await PortAsync(Alice, network);
        await FailsAsync(ErrorReason.PortSecurityHasGroups,
            () => Ports.UpdateAsync(Alice, guarded.Id, new PortChanges { PortSecurityEnabled = false }, None));
    }

    [Fact]
    public async Task On_a_shared_network_others_get_ports_but_choose_no_addresses()
    {
        var network = await Networks.CreateAsync(Admin, new NewNetwork { Shared = true }, None);
        var subnet = await SubnetAsync(Admin, network, "10.0.0.0/24");

        await PortAsync(Bob, network);
        await FailsAsync(ErrorReason.Forbidden,
            () => PortAsync(Bob, network, request => request with { FixedIps = [new WantedAddress(subnet.Id, Ip("10.0.0.9"))] }));
        await FailsAsync(ErrorReason.Forbidden, () => PortAsync(Bob, network, request => request with { PortSecurityEnabled = false }));
    }

    [Fact]
    public async Task An_external_network_gives_no_ports_to_others()
    {
        var network = await ExternalAsync();

        await FailsAsync(ErrorReason.Forbidden, () => PortAsync(Bob, network));
    }

    [Fact]
    public async Task A_user_that_a_service_vouches_for_gets_no_further_than_alone()
    {
        var network = await NetworkAsync(Alice);
        var port = await PortAsync(Alice, network);
        var vouched = Bob with { IsService = true };

        await FailsAsync(ErrorReason.NetworkNotFound, () => PortAsync(vouched, network));
        await FailsAsync(ErrorReason.PortNotFound, () => Ports.BindAsync(vouched, port.Id, "node-1", 1, "server", null, None));
        await FailsAsync(ErrorReason.Forbidden, () => Ports.BindAsync(Alice, port.Id, "node-1", 1, "server", null, None));
        Assert.Equal("node-1", (await Ports.BindAsync(Alice with { IsService = true }, port.Id, "node-1", 1, "server", "compute:nova", None)).HostName);
    }

    [Fact]
    public async Task A_binding_with_an_older_epoch_is_refused()
    {
        var port = await PortAsync(Alice, await NetworkAsync(Alice));

        await Ports.BindAsync(Service, port.Id, "node-1", 3, "server", "compute:nova", None);
        var again = await Ports.BindAsync(Service, port.Id, "node-1", 3, "server", "compute:nova", None);
        var moved = await Ports.BindAsync(Service, port.Id, "node-2", 4, null, null, None);

        Assert.Equal(("server", 3L), (again.DeviceId, again.BindingEpoch));
        Assert.Equal("node-2", moved.HostName);
        await FailsAsync(ErrorReason.Aborted, () => Ports.BindAsync(Service, port.Id, "node-1", 3, null, null, None));
        await FailsAsync(ErrorReason.PortInUse, () => Ports.BindAsync(Service, port.Id, "node-2", 5, "another", null, None));
    }

    [Fact]
    public async Task An_old_unbind_does_not_undo_a_newer_binding()
    {
        var port = await PortAsync(Alice, await NetworkAsync(Alice));
        await Ports.BindAsync(Service, port.Id, "node-2", 4, "server", "compute:nova", None);

        var kept = await Ports.UnbindAsync(Service, port.Id, 3, releaseDevice: true, None);
        var released = await Ports.UnbindAsync(Service, port.Id, 4, releaseDevice: true, None);

        Assert.Equal(("node-2", "server"), (kept.HostName, kept.DeviceId));
        Assert.Equal(("", ""), (released.HostName, released.DeviceId));
    }

    [Fact]
    public async Task A_port_says_that_it_belongs_to_the_service_only_when_it_does()
    {
        var network = await NetworkAsync(Alice);

        await FailsAsync(ErrorReason.InvalidNetworkInput, () => PortAsync(Alice, network, request => request with { DeviceOwner = "network:router_gateway" }));
    }

    [Fact]
    public async Task Ports_of_one_request_are_made_together_or_not_at_all()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/29");
        var requests = Enumerable.Repeat(new NewPort { NetworkId = network.Id }, 6).ToList();

        await FailsAsync(ErrorReason.NoIpAddressLeft, () => Ports.CreateAsync(Alice, requests, None));
        Assert.Empty((await Store.ViewAsync(None)).Ports);

        var made = await Ports.CreateAsync(Alice, requests[..5], None);
        Assert.Equal(5, made.Select(port => port.FixedIps[0].Address).Distinct().Count());
    }

    [Fact]
    public async Task As_many_ports_as_one_request_may_have_fit_into_one_commit()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");
        await SubnetAsync(Alice, network, "2001:db8::/64");

        var made = await Ports.CreateAsync(
            Alice, Enumerable.Repeat(new NewPort { NetworkId = network.Id, DeviceId = "d" }, Checks.MaxPerRequest).ToList(), None);

        Assert.Equal(Checks.MaxPerRequest, made.Count);
    }
}

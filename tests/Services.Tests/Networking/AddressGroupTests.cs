using Nephos.Networking.AddressGroups;
using Nephos.Networking.Nodes;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class AddressGroupTests : NetworkWorld
{
    [Fact]
    public async Task A_rule_that_names_a_group_is_one_rule_for_each_of_its_addresses_on_nodes()
    {
        await Nodes.ArriveAsync("node-1", "", ["public"], None);
        var addresses = await GroupAsync("192.0.2.0/24", "198.51.100.7", "2001:db8::/32");
        var group = await Groups.CreateAsync(Alice, new NewSecurityGroup { Name = "web" }, None);
        await Groups.AddRulesAsync(
            Alice,
            [new NewRule { SecurityGroupId = group.Id, Direction = RuleDirection.Ingress, Protocol = "tcp", PortRangeMin = 80, PortRangeMax = 80, RemoteAddressGroupId = addresses.Id }],
            None);
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");
        await PortAsync(Service, network, request => request with { ProjectId = Alice.ProjectId!, HostName = "node-1", SecurityGroups = [group.Id] });

        Assert.Equal(["192.0.2.0/24", "198.51.100.7/32"], await RemotesAsync());
        await AddressGroups.AddAsync(Alice, addresses.Id, ["203.0.113.0/24"], None);
        await AddressGroups.RemoveAsync(Alice, addresses.Id, ["192.0.2.0/24"], None);
        Assert.Equal(["198.51.100.7/32", "203.0.113.0/24"], await RemotesAsync());
    }

    [Fact]
    public async Task Addresses_are_added_once_and_only_those_that_are_there_removed()
    {
        var group = await GroupAsync("192.0.2.0/24");

        await FailsAsync(ErrorReason.AddressesAlreadyExist, () => AddressGroups.AddAsync(Alice, group.Id, ["192.0.2.0/24", "10.0.0.1"], None));
        await FailsAsync(ErrorReason.AddressesNotFound, () => AddressGroups.RemoveAsync(Alice, group.Id, ["10.0.0.1"], None));
        await FailsAsync(ErrorReason.InvalidArgument, () => AddressGroups.AddAsync(Alice, group.Id, ["not an address"], None));
        await FailsAsync(ErrorReason.AddressGroupNotFound, () => AddressGroups.AddAsync(Bob, group.Id, ["10.0.0.1"], None));
    }

    [Fact]
    public async Task A_group_that_a_rule_names_cannot_be_deleted()
    {
        var addresses = await GroupAsync("192.0.2.0/24");
        var group = await Groups.CreateAsync(Alice, new NewSecurityGroup { Name = "web" }, None);
        var request = new NewRule { SecurityGroupId = group.Id, Direction = RuleDirection.Ingress, RemoteAddressGroupId = addresses.Id };
        await FailsAsync(ErrorReason.RuleRemotesExcludeEachOther, () => Groups.AddRulesAsync(Alice, [request with { RemoteIpPrefix = "10.0.0.0/8" }], None));
        var added = await Groups.AddRulesAsync(Alice, [request], None);

        await FailsAsync(ErrorReason.AddressGroupInUse, () => AddressGroups.DeleteAsync(Alice, addresses.Id, None));
        await Groups.DeleteRuleAsync(Alice, added[0].Rule.Id, None);
        await AddressGroups.DeleteAsync(Alice, addresses.Id, None);
    }

    [Fact]
    public async Task A_shared_group_is_named_by_rules_of_the_project_it_is_shared_with()
    {
        var addresses = await GroupAsync("192.0.2.0/24");
        var group = await Groups.CreateAsync(Bob, new NewSecurityGroup { Name = "his" }, None);
        Task UseAsync() => Groups.AddRulesAsync(
            Bob, [new NewRule { SecurityGroupId = group.Id, Direction = RuleDirection.Ingress, RemoteAddressGroupId = addresses.Id }], None);
        await FailsAsync(ErrorReason.AddressGroupNotFound, UseAsync);

        var policy = await Rbac.CreateAsync(Alice, new NewRbacPolicy("", "address_group", addresses.Id, "access_as_shared", Bob.ProjectId!), None);
        await UseAsync();
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Alice, policy.Grant.Id, None));
    }

    private Task<AddressGroup> GroupAsync(params string[] addresses) =>
        AddressGroups.CreateAsync(Alice, new NewAddressGroup("", "g", "", addresses, null), None);

    private async Task<string[]> RemotesAsync() =>
        [.. NodeStateBuilder.Build(await Store.ViewAsync(None), "node-1", new NodePortWires()).SecurityGroups.SelectMany(group => group.Rules)
            .Select(rule => rule.RemoteCidr).Where(remote => remote.Length > 0)];
}

using Nephos.Networking;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class RbacTests : NetworkWorld
{
    private const string Shared = "access_as_shared";
    private const string External = "access_as_external";

    [Fact]
    public async Task A_network_shared_with_a_project_is_seen_and_used_by_it_and_by_no_other()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");
        var carol = Caller("c3333333333333333333333333333333", "member");
        await FailsAsync(ErrorReason.NetworkNotFound, () => PortAsync(Bob, network));

        await ShareAsync(Alice, "network", network.Id, Bob.ProjectId!);

        var port = await PortAsync(Bob, network);
        Assert.Equal(Bob.ProjectId, port.ProjectId);
        var view = await Store.ViewAsync(None);
        Assert.Equal(network.Id, view.Network(Bob, network.Id).Id);
        Assert.Single(view.SubnetsOf(network.Id), subnet => Bob.Sees(subnet, view));
        await FailsAsync(ErrorReason.NetworkNotFound, () => PortAsync(carol, network));
        await FailsAsync(ErrorReason.Forbidden, () => Networks.UpdateAsync(Bob, network.Id, new NetworkChanges { Name = "mine" }, None));
        await FailsAsync(ErrorReason.Forbidden, () => PortAsync(Bob, network, request => request with { MacAddress = "fa:16:3e:00:00:01" }));
    }

    [Fact]
    public async Task A_policy_in_use_can_be_neither_deleted_nor_given_to_another()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");
        var policy = await ShareAsync(Alice, "network", network.Id, Bob.ProjectId!);
        var port = await PortAsync(Bob, network);

        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Alice, policy.Grant.Id, None));
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.UpdateAsync(Alice, policy.Grant.Id, "someone-else", None));

        // Another policy that covers the same project takes its place.
        var everyone = await ShareAsync(Admin, "network", network.Id, Grant.Everyone);
        await Rbac.DeleteAsync(Alice, policy.Grant.Id, None);
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Admin, everyone.Grant.Id, None));
        await Ports.DeleteAsync(Bob, port.Id, None);
        await Rbac.DeleteAsync(Admin, everyone.Grant.Id, None);
        await FailsAsync(ErrorReason.NetworkNotFound, () => PortAsync(Bob, network));
    }

    [Fact]
    public async Task An_external_network_can_be_external_for_one_project_only()
    {
        var outside = await Networks.CreateAsync(Admin, new NewNetwork { PhysicalNetwork = "public" }, None);
        await SubnetAsync(Admin, outside, "203.0.113.0/24");
        var policy = await ShareAsync(Admin, "network", outside.Id, Alice.ProjectId!, External);

        await FailsAsync(ErrorReason.NetworkNotFound, () => FloatingIps.CreateAsync(Bob, new NewFloatingIp { NetworkId = outside.Id }, None));
        var router = await Routers.CreateAsync(Alice, new NewRouter { Gateway = new NewGateway(outside.Id, null, null) }, None);
        await FailsAsync(ErrorReason.Forbidden, () => PortAsync(Alice, outside));
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Admin, policy.Grant.Id, None));
        await Routers.DeleteAsync(Alice, router.Id, None);
        await Rbac.DeleteAsync(Admin, policy.Grant.Id, None);
        Assert.False((await Store.ViewAsync(None)).Networks[outside.Id].External);
    }

    [Fact]
    public async Task The_older_switches_of_networks_are_policies_for_everyone()
    {
        var network = await Networks.CreateAsync(Admin, new NewNetwork { Shared = true }, None);
        var policy = Assert.Single(network.Grants);
        Assert.Equal((GrantAction.Shared, Grant.Everyone), (policy.Action, policy.Target));

        await Rbac.DeleteAsync(Admin, policy.Id, None);
        Assert.False((await Store.ViewAsync(None)).Networks[network.Id].Shared);
        await ShareAsync(Admin, "network", network.Id, Bob.ProjectId!);
        var shared = await Networks.UpdateAsync(Admin, network.Id, new NetworkChanges { Shared = true }, None);
        Assert.Equal(2, shared.Grants.Count);
    }

    [Fact]
    public async Task A_shared_security_group_can_be_put_on_ports_and_not_be_changed()
    {
        var group = await Groups.CreateAsync(Alice, new NewSecurityGroup { Name = "web" }, None);
        var network = await NetworkAsync(Bob);
        Task<Port> UseAsync() => PortAsync(Bob, network, request => request with { SecurityGroups = [group.Id] });
        await FailsAsync(ErrorReason.SecurityGroupNotFound, UseAsync);

        var policy = await ShareAsync(Alice, "security_group", group.Id, Bob.ProjectId!);

        Assert.Equal([group.Id], (await UseAsync()).SecurityGroupIds);
        await FailsAsync(ErrorReason.Forbidden, () => Groups.DeleteAsync(Bob, group.Id, None));
        await FailsAsync(ErrorReason.Forbidden, () => Groups.AddRulesAsync(
            Bob, [new NewRule { SecurityGroupId = group.Id, Direction = RuleDirection.Ingress }], None));
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Alice, policy.Grant.Id, None));
    }

    [Fact]
    public async Task Policies_are_made_by_owners_once_and_for_everyone_by_administrators()
    {
        var network = await NetworkAsync(Alice);
        await FailsAsync(ErrorReason.Forbidden, () => ShareAsync(Alice, "network", network.Id, Grant.Everyone));
        await FailsAsync(ErrorReason.SharedObjectNotFound, () => ShareAsync(Bob, "network", network.Id, Bob.ProjectId!));
        await FailsAsync(ErrorReason.InvalidNetworkInput, () => ShareAsync(Alice, "router", network.Id, Bob.ProjectId!));
        await FailsAsync(ErrorReason.InvalidNetworkInput, () => ShareAsync(Alice, "security_group", network.Id, Bob.ProjectId!, External));
        var policy = await ShareAsync(Alice, "network", network.Id, Bob.ProjectId!);
        await FailsAsync(ErrorReason.RbacPolicyExists, () => ShareAsync(Alice, "network", network.Id, Bob.ProjectId!));
        await FailsAsync(ErrorReason.Forbidden, () => ShareAsync(Bob, "network", network.Id, "someone-else"));
        await FailsAsync(ErrorReason.RbacPolicyNotFound, () => Rbac.DeleteAsync(Bob, policy.Grant.Id, None));
    }

    private Task<RbacPolicy> ShareAsync(
        Kernel.Operations.OperationContext operation, string type, string id, string target, string action = Shared) =>
        Rbac.CreateAsync(operation, new NewRbacPolicy("", type, id, action, target), None);
}

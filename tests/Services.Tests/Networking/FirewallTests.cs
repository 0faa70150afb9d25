using Nephos.Networking.Firewalls;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Protos.Errors.V1;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.Networking;

public sealed class FirewallTests : NetworkWorld
{
    [Fact]
    public async Task The_node_of_a_router_is_told_the_enabled_rules_of_an_interface_in_order()
    {
        await Nodes.ArriveAsync("node-1", "", ["public"], None);
        var port = await InterfaceAsync();
        var (first, second, off) = (await RuleAsync("tcp", new PortRange(80, 90)), await RuleAsync(null, null), await RuleAsync("udp", null, enabled: false));
        var policy = await Policies.CreateAsync(Alice, "", NewPolicy(second.Id, off.Id), None);
        await Policies.InsertRuleAsync(Alice, policy.Id, first.Id, before: second.Id, after: null, None);

        var group = await FirewallGroups.CreateAsync(Alice, "", NewGroup() with { IngressPolicyId = policy.Id, PortIds = [port.Id] }, None);

        var told = await ToldAsync();
        Assert.Equal([(6u, 80u, 90u), (0u, 0u, 0u)], told.Ingress.Select(rule => (rule.Protocol, rule.DestinationPortMin, rule.DestinationPortMax)));
        Assert.False(told.Ingress[1].HasProtocol);
        Assert.Empty(told.Egress);
        await FirewallGroups.UpdateAsync(Alice, group.Id, before => before with { AdminStateUp = false }, None);
        Assert.Empty((await ToldAsync()).Ingress);
        await FirewallGroups.UpdateAsync(Alice, group.Id, before => before with { PortIds = [] }, None);
        Assert.Null(await ToldAsync());
    }

    [Fact]
    public async Task Rules_are_inserted_at_the_front_or_beside_another_and_removed()
    {
        var (a, b, c) = (await RuleAsync("tcp", null), await RuleAsync("udp", null), await RuleAsync("icmp", null));
        var policy = await Policies.CreateAsync(Alice, "", NewPolicy() with { Audited = true }, None);

        await Policies.InsertRuleAsync(Alice, policy.Id, a.Id, null, null, None);
        await Policies.InsertRuleAsync(Alice, policy.Id, b.Id, null, null, None);
        var after = await Policies.InsertRuleAsync(Alice, policy.Id, c.Id, before: null, after: b.Id, None);
        Assert.Equal([b.Id, c.Id, a.Id], after.RuleIds);
        Assert.False(after.Audited);
        after = await Policies.InsertRuleAsync(Alice, policy.Id, a.Id, before: b.Id, after: null, None);
        Assert.Equal([a.Id, b.Id, c.Id], after.RuleIds);
        after = await Policies.RemoveRuleAsync(Alice, policy.Id, b.Id, None);
        Assert.Equal([a.Id, c.Id], after.RuleIds);
        await FailsAsync(ErrorReason.FirewallRuleNotInPolicy, () => Policies.RemoveRuleAsync(Alice, policy.Id, b.Id, None));
        await FailsAsync(ErrorReason.FirewallRuleNotInPolicy, () => Policies.InsertRuleAsync(Alice, policy.Id, b.Id, before: b.Id, after: null, None));
    }

    [Fact]
    public async Task What_is_in_use_cannot_be_deleted()
    {
        var port = await InterfaceAsync();
        var rule = await RuleAsync(null, null);
        var policy = await Policies.CreateAsync(Alice, "", NewPolicy(rule.Id), None);
        var group = await FirewallGroups.CreateAsync(Alice, "", NewGroup() with { EgressPolicyId = policy.Id, PortIds = [port.Id] }, None);

        await FailsAsync(ErrorReason.FirewallRuleInUse, () => Rules.DeleteAsync(Alice, rule.Id, None));
        await FailsAsync(ErrorReason.FirewallPolicyInUse, () => Policies.DeleteAsync(Alice, policy.Id, None));
        await FailsAsync(ErrorReason.FirewallGroupInUse, () => FirewallGroups.DeleteAsync(Alice, group.Id, None));
        await Routers.RemoveInterfaceAsync(Alice, port.DeviceId, null, port.Id, None);
        Assert.Empty((await Store.ViewAsync(None)).FirewallGroups[group.Id].PortIds);
        await FirewallGroups.DeleteAsync(Alice, group.Id, None);
        await Policies.DeleteAsync(Alice, policy.Id, None);
        await Rules.DeleteAsync(Alice, rule.Id, None);
    }

    [Fact]
    public async Task A_group_has_router_interfaces_of_its_project_that_no_other_has()
    {
        var port = await InterfaceAsync();
        var plain = await PortAsync(Alice, (await Store.ViewAsync(None)).Networks[port.NetworkId]);
        await FirewallGroups.CreateAsync(Alice, "", NewGroup() with { PortIds = [port.Id] }, None);

        await FailsAsync(ErrorReason.FirewallGroupPortInUse, () => FirewallGroups.CreateAsync(Alice, "", NewGroup() with { PortIds = [port.Id] }, None));
        await FailsAsync(ErrorReason.FirewallGroupPortInvalid, () => FirewallGroups.CreateAsync(Alice, "", NewGroup() with { PortIds = [plain.Id] }, None));
        await FailsAsync(ErrorReason.PortNotFound, () => FirewallGroups.CreateAsync(Bob, "", NewGroup() with { PortIds = [port.Id] }, None));
    }

    [Fact]
    public async Task The_default_group_of_a_project_lets_nothing_in_and_everything_out()
    {
        await FirewallGroups.EnsureDefaultAsync(Alice.ProjectId!, None);
        await FirewallGroups.EnsureDefaultAsync(Alice.ProjectId!, None);

        var view = await Store.ViewAsync(None);
        var group = Assert.Single(view.FirewallGroups.Values);
        FirewallAction[] Actions(string? policy) => [.. view.FirewallPolicies[policy!].RuleIds.Select(id => view.FirewallRules[id].Action).Distinct()];
        Assert.Equal([FirewallAction.Deny], Actions(group.IngressPolicyId));
        Assert.Equal([FirewallAction.Allow], Actions(group.EgressPolicyId));
        await FailsAsync(ErrorReason.FirewallDefaultGroup, () => FirewallGroups.DeleteAsync(Alice, group.Id, None));
        await FailsAsync(ErrorReason.FirewallDefaultGroup, () => FirewallGroups.CreateAsync(Alice, "", NewGroup() with { Name = "default" }, None));
    }

    [Fact]
    public async Task Rules_that_contradict_themselves_are_refused()
    {
        await FailsAsync(ErrorReason.FirewallRuleInvalid, () => RuleAsync("icmp", new PortRange(1, 2)));
        await FailsAsync(ErrorReason.FirewallRuleInvalid, () => RuleAsync("gre", null));
        await FailsAsync(ErrorReason.FirewallRuleInvalid, () => Rules.CreateAsync(Alice, "", NewRule() with { IpVersion = 6, Source = Net("10.0.0.0/8") }, None));
        var rule = await RuleAsync(null, null);
        await FailsAsync(ErrorReason.FirewallRuleNotFound, () => Policies.CreateAsync(Bob, "", NewPolicy(rule.Id), None));
        await FailsAsync(ErrorReason.Forbidden, () => Rules.CreateAsync(Alice, "", NewRule() with { Shared = true }, None));
    }

    private static FirewallRule NewRule() => new() { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default };

    private static FirewallPolicy NewPolicy(params string[] rules) => new() { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default, RuleIds = rules };

    private static FirewallGroup NewGroup() => new() { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default, Name = "g" };

    private Task<FirewallRule> RuleAsync(string? protocol, PortRange? ports, bool enabled = true) =>
        Rules.CreateAsync(Alice, "", NewRule() with { Action = FirewallAction.Allow, Protocol = protocol, DestinationPorts = ports, Enabled = enabled }, None);

    private async Task<Port> InterfaceAsync()
    {
        var (_, _, _, router) = await RoutedAsync();
        await Placer.RunPassAsync(None);
        return Assert.Single((await Store.ViewAsync(None)).PortsOfDevice(router.Id), port => port.DeviceOwner == DeviceOwners.RouterInterface);
    }

    private async Task<Wire.NodeFirewall> ToldAsync() =>
        Assert.Single(Assert.Single(NodeStateBuilder.Build(await Store.ViewAsync(None), "node-1", new NodePortWires()).Routers).Interfaces).Firewall;
}

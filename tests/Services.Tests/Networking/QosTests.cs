using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Sharing;
using Nephos.Protos.Errors.V1;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.Networking;

public sealed class QosTests : NetworkWorld
{
    [Fact]
    public async Task A_port_is_bound_by_its_own_policy_else_by_that_of_its_network()
    {
        await Nodes.ArriveAsync("node-1", "", ["public"], None);
        var (slow, marked) = (await PolicyAsync(Grant.Everyone), await PolicyAsync(Grant.Everyone));
        await Qos.AddRuleAsync(Admin, slow.Id, Limit(1000) with { BurstKbits = 200 }, None);
        await Qos.AddRuleAsync(Admin, slow.Id, Limit(2000) with { Direction = QosDirection.Ingress }, None);
        await Qos.AddRuleAsync(Admin, marked.Id, new QosRule { Id = "", Kind = QosRuleKind.DscpMarking, DscpMark = 26 }, None);
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");
        var port = await PortAsync(Service, network, request => request with { ProjectId = Alice.ProjectId!, HostName = "node-1" });
        Assert.Null((await ToldAsync()).Qos);

        await Networks.UpdateAsync(Alice, network.Id, new NetworkChanges { QosPolicyId = new(true, slow.Id) }, None);
        Assert.Equal(new Wire.NodeQos { EgressKbps = 1000, EgressBurstKbits = 200, IngressKbps = 2000 }, (await ToldAsync()).Qos);
        await Ports.UpdateAsync(Alice, port.Id, new PortChanges { QosPolicyId = new(true, marked.Id) }, None);
        Assert.Equal(new Wire.NodeQos { Dscp = 26 }, (await ToldAsync()).Qos);

        await FailsAsync(ErrorReason.QosPolicyInUse, () => Qos.DeleteAsync(Admin, slow.Id, None));
        await FailsAsync(ErrorReason.QosPolicyInUse, () => Qos.DeleteAsync(Admin, marked.Id, None));
        await Ports.UpdateAsync(Alice, port.Id, new PortChanges { QosPolicyId = new(true, null) }, None);
        await Qos.DeleteAsync(Admin, marked.Id, None);
        Assert.Equal(1000u, (await ToldAsync()).Qos.EgressKbps);
    }

    [Fact]
    public async Task Policies_are_changed_by_administrators_and_used_where_they_are_shared()
    {
        await FailsAsync(ErrorReason.Forbidden, () => Qos.CreateAsync(Alice, new NewQosPolicy("", "p", "", false, false, [], null), None));
        var policy = await PolicyAsync(target: null);
        Task<Network> UseAsync() => Networks.CreateAsync(Alice, new NewNetwork { QosPolicyId = new(true, policy.Id) }, None);
        await FailsAsync(ErrorReason.QosPolicyNotFound, UseAsync);

        var grant = await Rbac.CreateAsync(Admin, new NewRbacPolicy("", "qos_policy", policy.Id, "access_as_shared", Alice.ProjectId!), None);
        Assert.Equal(policy.Id, (await UseAsync()).QosPolicyId);
        await FailsAsync(ErrorReason.Forbidden, () => Qos.AddRuleAsync(Alice, policy.Id, Limit(1), None));
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Admin, grant.Grant.Id, None));
    }

    [Fact]
    public async Task New_networks_of_a_project_have_its_default_policy()
    {
        var policy = await Qos.CreateAsync(Admin, new NewQosPolicy("", "p", "", false, IsDefault: true, [], null), None);
        await FailsAsync(ErrorReason.Conflict, () => Qos.CreateAsync(Admin, new NewQosPolicy("", "q", "", false, IsDefault: true, [], null), None));

        Assert.Equal(policy.Id, (await NetworkAsync(Admin)).QosPolicyId);
        Assert.Null((await NetworkAsync(Alice)).QosPolicyId);
        Assert.Null((await Networks.CreateAsync(Admin, new NewNetwork { QosPolicyId = new(true, null) }, None)).QosPolicyId);
    }

    [Fact]
    public async Task A_policy_has_one_rule_of_a_kind_and_direction()
    {
        var policy = await PolicyAsync(target: null);
        var rule = await Qos.AddRuleAsync(Admin, policy.Id, Limit(1000), None);
        var other = await Qos.AddRuleAsync(Admin, policy.Id, Limit(1000) with { Direction = QosDirection.Ingress }, None);

        await FailsAsync(ErrorReason.QosRuleConflict, () => Qos.AddRuleAsync(Admin, policy.Id, Limit(1), None));
        await FailsAsync(ErrorReason.QosRuleConflict, () => Qos.UpdateRuleAsync(
            Admin, policy.Id, QosRuleKind.BandwidthLimit, other.Id, before => before with { Direction = QosDirection.Egress }, None));
        await FailsAsync(ErrorReason.InvalidArgument, () => Qos.AddRuleAsync(Admin, policy.Id, new QosRule { Id = "", Kind = QosRuleKind.DscpMarking, DscpMark = 1 }, None));
        await FailsAsync(ErrorReason.InvalidArgument, () => Qos.UpdateRuleAsync(
            Admin, policy.Id, QosRuleKind.BandwidthLimit, rule.Id, before => before with { Kbps = 0 }, None));
        await FailsAsync(ErrorReason.QosRuleNotFound, () => Qos.DeleteRuleAsync(Admin, policy.Id, QosRuleKind.DscpMarking, rule.Id, None));
        await Qos.DeleteRuleAsync(Admin, policy.Id, QosRuleKind.BandwidthLimit, rule.Id, None);
        await Qos.AddRuleAsync(Admin, policy.Id, Limit(1), None);
    }

    private static QosRule Limit(int kbps) => new() { Id = "", Kind = QosRuleKind.BandwidthLimit, Kbps = kbps };

    private Task<QosPolicy> PolicyAsync(string? target) =>
        Qos.CreateAsync(Admin, new NewQosPolicy("", "p", "", Shared: target == Grant.Everyone, IsDefault: false, [], null), None);

    private async Task<Wire.NodePort> ToldAsync() =>
        Assert.Single(NodeStateBuilder.Build(await Store.ViewAsync(None), "node-1", new NodePortWires()).Ports);
}

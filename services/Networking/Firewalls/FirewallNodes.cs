using Nephos.Networking.Ports;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Firewalls;

/// <summary>What the node of a router is told of the firewall of one interface.</summary>
internal static class FirewallNodes
{
    /// <summary>Null when the interface is in no group. A group that is switched off has no rules, and so lets nothing through.</summary>
    public static Wire.NodeFirewall? Of(NetworkView view, Port port) => view.FirewallGroupOf(port.Id) is not { } group
        ? null
        : new Wire.NodeFirewall
        {
            Ingress = { RulesOf(view, group, group.IngressPolicyId) },
            Egress = { RulesOf(view, group, group.EgressPolicyId) },
        };

    private static IEnumerable<Wire.NodeFirewallRule> RulesOf(NetworkView view, FirewallGroup group, string? policyId) =>
        group.AdminStateUp && policyId is not null && view.FirewallPolicies.TryGetValue(policyId, out var policy)
            ? policy.RuleIds.Select(id => view.FirewallRules.GetValueOrDefault(id)).OfType<FirewallRule>().Where(rule => rule.Enabled).Select(ToWire)
            : [];

    private static Wire.NodeFirewallRule ToWire(FirewallRule rule)
    {
        var wire = new Wire.NodeFirewallRule
        {
            Action = (Wire.NodeFirewallAction)rule.Action,
            IpVersion = (uint)rule.IpVersion,
            Source = rule.Source?.ToString() ?? "",
            Destination = rule.Destination?.ToString() ?? "",
            SourcePortMin = (uint)(rule.SourcePorts?.Min ?? 0),
            SourcePortMax = (uint)(rule.SourcePorts?.Max ?? 0),
            DestinationPortMin = (uint)(rule.DestinationPorts?.Min ?? 0),
            DestinationPortMax = (uint)(rule.DestinationPorts?.Max ?? 0),
        };
        if (IpProtocols.NumberOf(rule.Protocol, rule.IpVersion) is { } protocol)
        {
            wire.Protocol = (uint)protocol;
        }

        return wire;
    }
}

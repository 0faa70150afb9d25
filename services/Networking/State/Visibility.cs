using Nephos.Kernel.Operations;
using Nephos.Networking.AddressGroups;
using Nephos.Networking.AddressScopes;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.State;

/// <summary>What of a view a caller may see. What it may not see is not found.</summary>
internal static class Visibility
{
    public static bool Sees(this OperationContext operation, Subnet subnet, NetworkView view) =>
        operation.Owns(subnet.ProjectId) ||
        (view.Networks.GetValueOrDefault(subnet.NetworkId) is { } network && operation.Sees((SharedResource)network));

    public static bool Sees(this OperationContext operation, Port port, NetworkView view) =>
        operation.Owns(port.ProjectId) ||
        (view.Networks.GetValueOrDefault(port.NetworkId) is { } network && operation.Owns(network.ProjectId));

    public static Network Network(this NetworkView view, OperationContext operation, string id) =>
        view.Networks.GetValueOrDefault(id) is { } network && operation.Sees(network)
            ? network
            : throw NetworkFaults.NetworkNotFound(Checks.Shown(id));

    public static Subnet Subnet(this NetworkView view, OperationContext operation, string id) =>
        view.Subnets.GetValueOrDefault(id) is { } subnet && operation.Sees(subnet, view)
            ? subnet
            : throw NetworkFaults.SubnetNotFound(Checks.Shown(id));

    public static SubnetPool SubnetPool(this NetworkView view, OperationContext operation, string id) =>
        view.SubnetPools.GetValueOrDefault(id) is { } pool && operation.Sees(pool)
            ? pool
            : throw NetworkFaults.SubnetPoolNotFound(Checks.Shown(id));

    public static Port Port(this NetworkView view, OperationContext operation, string id) =>
        view.Ports.GetValueOrDefault(id) is { } port && operation.Sees(port, view) ? port : throw NetworkFaults.PortNotFound(Checks.Shown(id));

    public static Router Router(this NetworkView view, OperationContext operation, string id) =>
        view.Routers.GetValueOrDefault(id) is { } router && operation.Owns(router.ProjectId)
            ? router
            : throw NetworkFaults.RouterNotFound(Checks.Shown(id));

    public static FloatingIp FloatingIp(this NetworkView view, OperationContext operation, string id) =>
        view.FloatingIps.GetValueOrDefault(id) is { } ip && operation.Owns(ip.ProjectId)
            ? ip
            : throw NetworkFaults.FloatingIpNotFound(Checks.Shown(id));

    public static (FloatingIp Ip, PortForwarding Forwarding) PortForwarding(
        this NetworkView view, OperationContext operation, string floatingIpId, string id)
    {
        var ip = view.FloatingIp(operation, floatingIpId);
        return ip.PortForwardings.FirstOrDefault(one => one.Id == id) is { } forwarding
            ? (ip, forwarding)
            : throw NetworkFaults.PortForwardingNotFound(Checks.Shown(id));
    }

    public static AddressScope AddressScope(this NetworkView view, OperationContext operation, string id) =>
        view.AddressScopes.GetValueOrDefault(id) is { } scope && operation.Sees(scope)
            ? scope
            : throw NetworkFaults.AddressScopeNotFound(Checks.Shown(id));

    public static AddressGroup AddressGroup(this NetworkView view, OperationContext operation, string id) =>
        view.AddressGroups.GetValueOrDefault(id) is { } group && operation.Sees(group)
            ? group
            : throw NetworkFaults.AddressGroupNotFound(Checks.Shown(id));

    public static QosPolicy QosPolicy(this NetworkView view, OperationContext operation, string id) =>
        view.QosPolicies.GetValueOrDefault(id) is { } policy && operation.Sees(policy)
            ? policy
            : throw NetworkFaults.QosPolicyNotFound(Checks.Shown(id));

    public static SecurityGroup SecurityGroup(this NetworkView view, OperationContext operation, string id) =>
        view.SecurityGroups.GetValueOrDefault(id) is { } group && operation.Sees(group)
            ? group
            : throw NetworkFaults.SecurityGroupNotFound(Checks.Shown(id));

    public static (SecurityGroup Group, SecurityGroupRule Rule) Rule(this NetworkView view, OperationContext operation, string id)
    {
        foreach (var group in view.SecurityGroups.Values)
        {
            if (operation.Sees(group) && group.Rules.FirstOrDefault(rule => rule.Id == id) is { } rule)
            {
                return (group, rule);
            }
        }

        throw NetworkFaults.SecurityGroupRuleNotFound(Checks.Shown(id));
    }
}

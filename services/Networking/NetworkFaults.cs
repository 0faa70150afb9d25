using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking;

/// <summary>The refusals of the service, in the words that clients of such services look for.</summary>
internal static class NetworkFaults
{
    public static FaultException NetworkNotFound(string id) => New(ErrorReason.NetworkNotFound, $"Network {id} could not be found.", ("id", id));

    public static FaultException SubnetNotFound(string id) => New(ErrorReason.SubnetNotFound, $"Subnet {id} could not be found.", ("id", id));

    public static FaultException SubnetPoolNotFound(string id) =>
        New(ErrorReason.SubnetPoolNotFound, $"Subnet pool {id} could not be found.", ("id", id));

    public static FaultException PortNotFound(string id) => New(ErrorReason.PortNotFound, $"Port {id} could not be found.", ("id", id));

    public static FaultException RouterNotFound(string id) => New(ErrorReason.RouterNotFound, $"Router {id} could not be found", ("id", id));

    public static FaultException FloatingIpNotFound(string id) =>
        New(ErrorReason.FloatingIpNotFound, $"Floating IP {id} could not be found", ("id", id));

    public static FaultException SecurityGroupNotFound(string id) =>
        New(ErrorReason.SecurityGroupNotFound, $"Security group {id} does not exist", ("id", id));

    public static FaultException SecurityGroupRuleNotFound(string id) =>
        New(ErrorReason.SecurityGroupRuleNotFound, $"Security group rule {id} does not exist", ("id", id));

    public static FaultException PortForwardingNotFound(string id) =>
        New(ErrorReason.PortForwardingNotFound, $"Port Forwarding {id} could not be found.", ("id", id));

    public static FaultException FloatingIpForwards(string id) =>
        New(ErrorReason.FloatingIpInUseByPortForwarding, $"Floating IP {id} in use by Port Forwarding resources.", ("id", id));

    public static FaultException PortForwards(string portId, string floatingIpId) =>
        New(ErrorReason.PortHasPortForwarding,
            $"Cannot associate a floating IP with port {portId}, as that port already has a Port Forwarding resource of floating IP {floatingIpId}.",
            ("port", portId), ("id", floatingIpId));

    public static FaultException PortHasFloatingIp(FloatingIps.FloatingIp ip, string portId, IpAddress fixedAddress) =>
        New(ErrorReason.PortHasBindingFloatingIp,
            $"Cannot create port forwarding to floating IP {ip.Address} ({ip.Id}) with port {portId} using fixed IP {fixedAddress}, " +
            "as that port already has a binding floating IP.",
            ("port", portId), ("id", ip.Id));

    public static FaultException AddressScopeNotFound(string id) =>
        New(ErrorReason.AddressScopeNotFound, $"Address scope {id} could not be found.", ("id", id));

    public static FaultException AddressGroupNotFound(string id) =>
        New(ErrorReason.AddressGroupNotFound, $"Address group {id} could not be found.", ("id", id));

    public static FaultException QosPolicyNotFound(string id) =>
        New(ErrorReason.QosPolicyNotFound, $"QoS policy {id} could not be found.", ("id", id));

    /// <param name="kind">Rule, Policy or Group.</param>
    public static FaultException FirewallObjectNotFound(string kind, string id) => New(
        kind switch
        {
            "Rule" => ErrorReason.FirewallRuleNotFound,
            "Policy" => ErrorReason.FirewallPolicyNotFound,
            _ => ErrorReason.FirewallGroupNotFound,
        },
        $"Firewall {kind} {id} could not be found.", ("id", id));

    public static FaultException RbacPolicyNotFound(string id) =>
        New(ErrorReason.RbacPolicyNotFound, $"RBAC policy with ID {id} not found", ("id", id));

    public static FaultException SharedObjectNotFound(string type, string id) =>
        New(ErrorReason.SharedObjectNotFound, $"RBAC object of type {type} with ID {id} not found", ("id", id));

    public static FaultException RbacPolicyExists() => New(ErrorReason.RbacPolicyExists, "An RBAC policy already exists with those values.");

    public static FaultException RbacPolicyInUse(string objectId, string why) =>
        New(ErrorReason.RbacPolicyInUse,
            $"RBAC policy on object {objectId} cannot be removed because other objects depend on it.\nDetails: {why}", ("object", objectId));

    public static FaultException AgentNotFound(string id) => New(ErrorReason.NetworkAgentNotFound, $"Agent {id} could not be found.", ("id", id));

    public static FaultException TagNotFound(string tag) => New(ErrorReason.TagNotFound, $"Tag {tag} could not be found.", ("tag", tag));

    public static FaultException InterfaceNotFound(string routerId, string portId) =>
        New(ErrorReason.RouterInterfaceNotFound, $"Router {routerId} does not have an interface with id {portId}", ("router", routerId), ("port", portId));

    public static FaultException InterfaceNotFoundForSubnet(string routerId, string subnetId) =>
        New(ErrorReason.RouterInterfaceNotFoundForSubnet, $"Router {routerId} has no interface on subnet {subnetId}", ("router", routerId), ("subnet", subnetId));

    public static FaultException NotReachable(string externalNetworkId, string subnetId, string portId) =>
        New(ErrorReason.ExternalGatewayForFloatingIpNotFound,
            $"External network {externalNetworkId} is not reachable from subnet {subnetId}.  " +
            $"Therefore, cannot associate Port {portId} with a Floating IP.",
            ("network", externalNetworkId), ("subnet", subnetId), ("port", portId));

    public static FaultException NetworkInUse(string id, int portCount) =>
        New(ErrorReason.NetworkInUse,
            $"Unable to complete operation on network {id}. There are one or more ports still in use on the network ({portCount}).", ("id", id));

    public static FaultException SubnetInUse(string id, string why) =>
        New(ErrorReason.SubnetInUse, $"Unable to complete operation on subnet {id}: {why}", ("id", id));

    public static FaultException SubnetPoolInUse(string id) =>
        New(ErrorReason.SubnetPoolInUse, $"Subnet pool {id} is in use: subnets were allocated from it.", ("id", id));

    public static FaultException PortInUse(string portId, string networkId, string deviceId) =>
        New(ErrorReason.PortInUse,
            $"Unable to complete operation on port {portId} for network {networkId}. Port already has an attached device {deviceId}.",
            ("id", portId), ("device", deviceId));

    public static FaultException ServicePortInUse(string portId, string deviceOwner) =>
        New(ErrorReason.ServicePortInUse, $"Port {portId} cannot be deleted directly via the port API: has device owner {deviceOwner}.", ("id", portId));

    public static FaultException RouterInUse(string id, string portIds) =>
        New(ErrorReason.RouterInUse, $"Router {id} has ports still attached: {portIds}", ("id", id));

    public static FaultException InterfaceInUseByFloatingIp(string routerId, string subnetId) =>
        New(ErrorReason.RouterInterfaceInUseByFloatingIp,
            $"Router interface for subnet {subnetId} on router {routerId} cannot be deleted, as it is required by one or more floating IPs.",
            ("router", routerId), ("subnet", subnetId));

    public static FaultException InterfaceInUseByRoute(string routerId, string subnetId) =>
        New(ErrorReason.RouterInterfaceInUseByRoute,
            $"Router interface for subnet {subnetId} on router {routerId} cannot be deleted, as it is required by one or more routes.",
            ("router", routerId), ("subnet", subnetId));

    public static FaultException GatewayInUseByFloatingIp(string routerId, string networkId) =>
        New(ErrorReason.RouterGatewayInUseByFloatingIp,
            $"Gateway cannot be updated for router {routerId}, since a gateway to external network {networkId} is required by one or more floating IPs.",
            ("router", routerId), ("network", networkId));

    public static FaultException SecurityGroupInUse(string id) =>
        New(ErrorReason.SecurityGroupInUse, $"Security Group {id} in use.", ("id", id));

    public static FaultException DefaultGroupExists() =>
        New(ErrorReason.DefaultSecurityGroupExists, "Default security group already exists.");

    public static FaultException CannotRemoveDefaultGroup() =>
        New(ErrorReason.CannotRemoveDefaultSecurityGroup, "Insufficient rights for removing default security group.");

    public static FaultException CannotUpdateDefaultGroup() =>
        New(ErrorReason.CannotUpdateDefaultSecurityGroup, "Updating default security group not allowed.");

    public static FaultException RuleExists(string ruleId) =>
        New(ErrorReason.SecurityGroupRuleExists, $"Security group rule already exists. Rule id is {ruleId}.", ("id", ruleId));

    public static FaultException AddressTaken(IpAddress address, string subnetId) =>
        New(ErrorReason.IpAddressAlreadyAllocated, $"IP address {address} already allocated in subnet {subnetId}",
            ("address", address.ToString()), ("subnet", subnetId));

    public static FaultException NoAddressLeft(string networkId, IEnumerable<string> subnetIds) =>
        New(ErrorReason.NoIpAddressLeft,
            $"No more IP addresses available on network {networkId} (subnets {string.Join(", ", subnetIds)}).", ("network", networkId));

    public static FaultException MacTaken(string mac, string networkId) =>
        New(ErrorReason.MacAddressInUse,
            $"Unable to complete operation for network {networkId}. The mac address {mac} is in use.", ("mac", mac), ("network", networkId));

    public static FaultException AlreadyAssociated(IpAddress floating, string portId, IpAddress address, string networkId) =>
        New(ErrorReason.FloatingIpPortAlreadyAssociated,
            $"Cannot associate floating IP {floating} with port {portId} using fixed IP {address}, " +
            $"as that fixed IP already has a floating IP on external network {networkId}.",
            ("port", portId));

    public static FaultException GatewayInPool(IpAddress gateway, AddressRange pool) =>
        New(ErrorReason.GatewayInAllocationPool, $"Gateway ip {gateway} conflicts with allocation pool {pool}.");

    public static FaultException PoolsOverlap(AddressRange one, AddressRange other, Cidr cidr) =>
        New(ErrorReason.AllocationPoolsOverlap, $"Found overlapping allocation pools: {one} {other} for subnet {cidr}.");

    public static FaultException PhysicalNetworkInUse(string name) =>
        New(ErrorReason.PhysicalNetworkInUse,
            $"Unable to create the flat network. Physical network {name} is in use.", ("physical_network", name));

    public static FaultException TunnelIdInUse(string vni) =>
        New(ErrorReason.TunnelIdInUse, $"Unable to create the network. The tunnel ID {vni} is in use.", ("segmentation_id", vni));

    public static FaultException NoTunnelIdLeft() =>
        New(ErrorReason.NoTunnelIdLeft, "Unable to create the network. No VXLAN network identifier is free.");

    public static FaultException DefaultNetworkExists() =>
        New(ErrorReason.DefaultExternalNetworkExists, "A default external network already exists.");

    public static FaultException OverQuota(string resource, long limit) =>
        New(ErrorReason.NetworkQuotaExceeded, $"Quota exceeded for resources: ['{resource}'].", ("resource", resource), ("limit", $"{limit}"));

    public static FaultException PoolQuotaExceeded() =>
        New(ErrorReason.SubnetPoolQuotaExceeded, "Per-tenant subnet pool prefix quota exceeded.");

    public static FaultException Ambiguous(string kind, string name) =>
        New(ErrorReason.NameIsAmbiguous, $"Multiple {kind}s match the name '{name}'; use an id.", ("name", name));

    /// <summary>A rule about one operation is broken.</summary>
    public static FaultException Input(string message) => New(ErrorReason.InvalidNetworkInput, $"Invalid input for operation: {message}");

    /// <summary>A request that is wrong for the kind of object: "Bad router request: ...".</summary>
    public static FaultException Bad(string kind, string message) => New(ErrorReason.InvalidArgument, $"Bad {kind} request: {message}");

    public static FaultException AddressNotInSubnet(IpAddress address) =>
        New(ErrorReason.InvalidIpForSubnet, $"IP address {address} is not a valid IP for the specified subnet.", ("field", "fixed_ips"));

    public static FaultException AddressNotInNetwork(IpAddress address) =>
        New(ErrorReason.InvalidIpForNetwork,
            $"IP address {address} is not a valid IP for any of the subnets on the specified network.", ("field", "fixed_ips"));

    public static FaultException BadPool(string pool) =>
        New(ErrorReason.InvalidAllocationPool, $"The allocation pool {pool} is not valid.", ("field", "allocation_pools"));

    public static FaultException PoolOutOfBounds(AddressRange pool, Cidr cidr) =>
        New(ErrorReason.AllocationPoolOutOfBounds,
            $"The allocation pool {pool} spans beyond the subnet cidr {cidr}.", ("field", "allocation_pools"));

    public static FaultException BadRoutes(string why) =>
        New(ErrorReason.InvalidRoutes, $"Invalid format for routes: {why}", ("field", "routes"));

    public static FaultException SubnetAllocation(string why) => New(ErrorReason.SubnetAllocationFailed, $"Failed to allocate subnet: {why}.");

    public static FaultException Of(ErrorReason reason, string message) => New(reason, message);

    /// <summary>What the loser of a race for a unique value is told.</summary>
    public static FaultException Taken(UniqueViolationException violation)
    {
        var value = violation.Value;
        var slash = value.LastIndexOf('/');
        return violation.Index switch
        {
            Tables.ByAddress => AddressTaken(IpAddress.Parse(value[(slash + 1)..]), value[..slash]),
            Tables.ByMac => MacTaken(value[(slash + 1)..], value[..slash]),
            Tables.ByVni => TunnelIdInUse(value),
            Tables.ByPhysicalNetwork => PhysicalNetworkInUse(value),
            Tables.ByDefault when violation.Table == Tables.Networks.Name => DefaultNetworkExists(),
            Tables.ByDefault when violation.Table == Tables.SecurityGroups.Name => DefaultGroupExists(),
            Tables.ByDefault when violation.Table == Tables.QosPolicies.Name => Faults.Conflict("A default QoS policy exists for the project."),
            Tables.ByDefault => Input($"A default subnet pool for IP version {value} exists."),
            Tables.ByInternalPort => Bad("port_forwarding", "A duplicate port forwarding entry with same attributes already exists."),
            Tables.ByTarget => Faults.Conflict("The fixed address got another floating IP meanwhile."),
            _ => Faults.Aborted("The same request is being served twice; try again."),
        };
    }

    private static FaultException New(ErrorReason reason, string message, params (string Key, string Value)[] metadata) =>
        new(reason, message, metadata.Length == 0 ? null : metadata.ToDictionary(pair => pair.Key, pair => pair.Value));
}

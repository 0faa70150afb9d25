using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Kernel.State;
using Nephos.Networking.Addressing;
using Nephos.Networking.AddressGroups;
using Nephos.Networking.AddressScopes;
using Nephos.Networking.Firewalls;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Quotas;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.Sharing;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.State;

/// <summary>The tables of the service, with the indexes that its invariants rest on.</summary>
internal static class Tables
{
    /// <summary>Index of every table of resources: the request that made a record, found again when it is repeated.</summary>
    public const string ByRequest = "request";

    public const string ByNetwork = "network";
    public const string BySubnet = "subnet";
    public const string ByPool = "pool";
    public const string ByDevice = "device";
    public const string BySecurityGroup = "security_group";
    public const string ByPort = "port";
    public const string ByRouter = "router";
    public const string ByRule = "rule";
    public const string ByPolicy = "policy";
    public const string ByProject = "project";
    public const string ByScope = "scope";
    public const string ByQosPolicy = "qos_policy";
    public const string ByAddressGroup = "address_group";
    public const string ByAddress = "address";
    public const string ByMac = "mac";
    public const string ByVni = "vni";
    public const string ByPhysicalNetwork = "physical_network";
    public const string ByTarget = "target";
    public const string ByForwarding = "forwarding";
    public const string ByInternalPort = "internal_port";

    /// <summary>Groups that name another in a rule.</summary>
    public const string ByRemoteGroup = "remote_group";

    /// <summary>The grants that share an object.</summary>
    public const string ByGrant = "grant";

    /// <summary>The one default: group of a project, external network of all, pool of an IP version.</summary>
    public const string ByDefault = "default";

    public static readonly TableSchema<Network> Networks = Shareable("network/networks", RecordJson.Default.Network)
        .Unique(ByVni, network => network.SegmentationId is { } vni ? $"{vni}" : null)
        .Index(ByQosPolicy, network => network.QosPolicyId)
        .Unique(ByPhysicalNetwork, network => network.PhysicalNetwork)
        .Unique(ByDefault, network => network.IsDefault ? "external" : null);

    public static readonly TableSchema<Subnet> Subnets = Resources("network/subnets", RecordJson.Default.Subnet)
        .Index(ByNetwork, subnet => subnet.NetworkId)
        .Index(ByPool, subnet => subnet.SubnetPoolId);

    public static readonly TableSchema<SubnetPool> SubnetPools = Shareable("network/subnet_pools", RecordJson.Default.SubnetPool)
        .Index(ByScope, pool => pool.AddressScopeId)
        .Unique(ByDefault, pool => pool.IsDefault ? $"{pool.IpVersion}" : null);

    public static readonly TableSchema<Port> Ports = Resources("network/ports", RecordJson.Default.Port)
        .UniqueMany(ByAddress, port => port.FixedIps.Select(ip => AddressKey(ip.SubnetId, ip.Address)))
        .Unique(ByMac, port => MacKey(port.NetworkId, port.MacAddress))
        .Index(ByNetwork, port => port.NetworkId)
        .Index(ByQosPolicy, port => port.QosPolicyId)
        .Index(ByDevice, port => port.DeviceId.Length > 0 ? port.DeviceId : null)
        .IndexMany(BySubnet, port => port.FixedIps.Select(ip => ip.SubnetId).Distinct())
        .IndexMany(BySecurityGroup, port => port.SecurityGroupIds);

    public static readonly TableSchema<Router> Routers = Resources("network/routers", RecordJson.Default.Router);

    public static readonly TableSchema<RouterPlacement> RouterPlacements =
        new("network/router_placements", placement => placement.RouterId, RecordJson.Default.RouterPlacement);

    public static readonly TableSchema<FloatingIp> FloatingIps = Resources("network/floating_ips", RecordJson.Default.FloatingIp)
        .Unique(ByTarget, ip => ip.Target is { } target ? TargetKey(target.PortId, target.FixedAddress, ip.FloatingNetworkId) : null)
        .IndexMany(ByPort, ip => ip.Destinations.Select(destination => destination.PortId).Distinct())
        .Index(ByRouter, ip => ip.RouterId)
        .UniqueMany(ByForwarding, ip => ip.PortForwardings.Select(one => one.Id))
        .UniqueMany(ByInternalPort, ip => ip.PortForwardings.Select(InternalPortKey));

    public static readonly TableSchema<SecurityGroup> SecurityGroups =
        Shareable("network/security_groups", RecordJson.Default.SecurityGroup)
            .Unique(ByDefault, group => group.Name == SecurityGroup.DefaultName ? group.ProjectId : null)
            .UniqueMany(ByRule, group => group.Rules.Select(rule => rule.Id))
            .Index(ByProject, group => group.ProjectId)
            .IndexMany(ByAddressGroup, group => group.Rules.Select(rule => rule.RemoteAddressGroupId).OfType<string>().Distinct())
            .IndexMany(ByRemoteGroup, group => group.Rules.Select(rule => rule.RemoteGroupId).OfType<string>().Where(id => id != group.Id).Distinct());

    public static readonly TableSchema<AddressScope> AddressScopes = Shareable("network/address_scopes", RecordJson.Default.AddressScope);

    public static readonly TableSchema<AddressGroup> AddressGroups = Shareable("network/address_groups", RecordJson.Default.AddressGroup);

    public static readonly TableSchema<QosPolicy> QosPolicies = Shareable("network/qos_policies", RecordJson.Default.QosPolicy)
        .Unique(ByDefault, policy => policy.IsDefault ? policy.ProjectId : null);

    public static readonly TableSchema<FirewallRule> FirewallRules = Resources("network/firewall_rules", RecordJson.Default.FirewallRule);

    public static readonly TableSchema<FirewallPolicy> FirewallPolicies = Resources("network/firewall_policies", RecordJson.Default.FirewallPolicy)
        .IndexMany(ByRule, policy => policy.RuleIds);

    public static readonly TableSchema<FirewallGroup> FirewallGroups = Resources("network/firewall_groups", RecordJson.Default.FirewallGroup)
        .Unique(ByDefault, group => group.Name == FirewallGroup.DefaultName ? group.ProjectId : null)
        .UniqueMany(ByPort, group => group.PortIds)
        .IndexMany(ByPolicy, group => new[] { group.IngressPolicyId, group.EgressPolicyId }.OfType<string>().Distinct());

    public static readonly TableSchema<QuotaLimits> QuotaLimits =
        new("network/quota_limits", limits => limits.ProjectId, RecordJson.Default.QuotaLimits);

    public static readonly TableSchema<QuotaUsage> QuotaUsages =
        new("network/quota_usages", usage => usage.Key, RecordJson.Default.QuotaUsage);

    public static readonly TableSchema<NetworkNode> Nodes = new("network/nodes", node => node.Name, RecordJson.Default.NetworkNode);

    public static readonly TableSchema<Wired> Wired = new("network/wired", wired => wired.Id, RecordJson.Default.Wired);

    public static string AddressKey(string subnetId, IpAddress address) => $"{subnetId}/{address}";

    public static string MacKey(string networkId, string mac) => $"{networkId}/{mac}";

    public static string TargetKey(string portId, IpAddress address, string networkId) => $"{portId}/{address}/{networkId}";

    public static string InternalPortKey(PortForwarding one) => $"{one.PortId}/{one.FixedAddress}/{one.Protocol}/{one.InternalPort}";

    public static string RequestKey(string projectId, string key) => $"{projectId}/{key}";

    private static TableSchema<T> Shareable<T>(string name, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> json)
        where T : SharedResource =>
        Resources(name, json).UniqueMany(ByGrant, record => record.Grants.Select(grant => grant.Id));

    private static TableSchema<T> Resources<T>(string name, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> json)
        where T : Resource =>
        new TableSchema<T>(name, record => record.Id, json)
            .Unique(ByRequest, record => record.IdempotencyKey is { } key ? RequestKey(record.ProjectId, key) : null);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Network))]
[JsonSerializable(typeof(Subnet))]
[JsonSerializable(typeof(SubnetPool))]
[JsonSerializable(typeof(Port))]
[JsonSerializable(typeof(Router))]
[JsonSerializable(typeof(RouterPlacement))]
[JsonSerializable(typeof(FloatingIp))]
[JsonSerializable(typeof(SecurityGroup))]
[JsonSerializable(typeof(AddressScope))]
[JsonSerializable(typeof(AddressGroup))]
[JsonSerializable(typeof(QosPolicy))]
[JsonSerializable(typeof(FirewallRule))]
[JsonSerializable(typeof(FirewallPolicy))]
[JsonSerializable(typeof(FirewallGroup))]
[JsonSerializable(typeof(QuotaLimits))]
[JsonSerializable(typeof(QuotaUsage))]
[JsonSerializable(typeof(NetworkNode))]
[JsonSerializable(typeof(Wired))]
internal sealed partial class RecordJson : JsonSerializerContext;

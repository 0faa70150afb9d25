using System.Collections.Immutable;
using Nephos.Networking.AddressGroups;
using Nephos.Networking.AddressScopes;
using Nephos.Networking.Firewalls;
using Nephos.Networking.FloatingIps;
using Nephos.Networking.Networks;
using Nephos.Networking.Nodes;
using Nephos.Networking.Ports;
using Nephos.Networking.Qos;
using Nephos.Networking.Routers;
using Nephos.Networking.SecurityGroups;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.State;

/// <summary>One look at all tables, with the ways from one record to its neighbours. Does not change.</summary>
/// <remarks>
/// Each table is as of one revision, at least <see cref="Revision"/>; tables may be a moment apart, so a neighbour may be missing.
/// </remarks>
internal sealed class NetworkView
{
    private readonly SubnetIndex _subnets;
    private readonly PortIndex _ports;
    private readonly FloatingIpIndex _floatingIps;
    private readonly FirewallGroupIndex _firewallGroups;

    public NetworkView(NetworkTableCaches caches, long revision, NetworkView? previous)
    {
        Revision = revision;
        Networks = caches.Networks.ByKey();
        SubnetPools = caches.SubnetPools.ByKey();
        Routers = caches.Routers.ByKey();
        RouterPlacements = caches.RouterPlacements.ByKey();
        SecurityGroups = caches.SecurityGroups.ByKey();
        AddressScopes = caches.AddressScopes.ByKey();
        AddressGroups = caches.AddressGroups.ByKey();
        QosPolicies = caches.QosPolicies.ByKey();
        FirewallRules = caches.FirewallRules.ByKey();
        FirewallPolicies = caches.FirewallPolicies.ByKey();
        Nodes = caches.Nodes.ByKey();
        Wired = caches.Wired.ByKey();

        // A table that did not change keeps its index.
        _subnets = Reuse(previous?._subnets, caches.Subnets.ByKey(), records => new SubnetIndex(records));
        _ports = Reuse(previous?._ports, caches.Ports.ByKey(), records => new PortIndex(records));
        _firewallGroups = Reuse(previous?._firewallGroups, caches.FirewallGroups.ByKey(), records => new FirewallGroupIndex(records));
        _floatingIps = Reuse(previous?._floatingIps, caches.FloatingIps.ByKey(), records => new FloatingIpIndex(records));
    }

    public long Revision { get; }

    public IImmutableDictionary<string, Network> Networks { get; }

    public IImmutableDictionary<string, Subnet> Subnets => _subnets.Records;

    public IImmutableDictionary<string, SubnetPool> SubnetPools { get; }

    public IImmutableDictionary<string, Port> Ports => _ports.Records;

    public IImmutableDictionary<string, Router> Routers { get; }

    public IImmutableDictionary<string, RouterPlacement> RouterPlacements { get; }

    public IImmutableDictionary<string, FloatingIp> FloatingIps => _floatingIps.Records;

    public IImmutableDictionary<string, SecurityGroup> SecurityGroups { get; }

    public IImmutableDictionary<string, AddressScope> AddressScopes { get; }

    public IImmutableDictionary<string, AddressGroup> AddressGroups { get; }

    public IImmutableDictionary<string, QosPolicy> QosPolicies { get; }

    public IImmutableDictionary<string, FirewallRule> FirewallRules { get; }

    public IImmutableDictionary<string, FirewallPolicy> FirewallPolicies { get; }

    public IImmutableDictionary<string, FirewallGroup> FirewallGroups => _firewallGroups.Records;

    public IImmutableDictionary<string, NetworkNode> Nodes { get; }

    public IImmutableDictionary<string, Wired> Wired { get; }

    public IEnumerable<Subnet> SubnetsOf(string networkId) => _subnets.ByNetwork.Value[networkId];

    /// <summary>The group that a router interface is in; null for none.</summary>
    public FirewallGroup? FirewallGroupOf(string portId) => _firewallGroups.ByPort.Value[portId].FirstOrDefault();

    /// <summary>The scope that a subnet's addresses are in; null for none.</summary>
    public string? AddressScopeOf(Subnet subnet) =>
        subnet.SubnetPoolId is { } pool ? SubnetPools.GetValueOrDefault(pool)?.AddressScopeId : null;

    /// <summary>The scope of a network's addresses of an IP version; null for none.</summary>
    public string? AddressScopeOf(string networkId, int ipVersion) =>
        SubnetsOf(networkId).Where(subnet => subnet.IpVersion == ipVersion).Select(AddressScopeOf).FirstOrDefault(scope => scope is not null);

    /// <summary>The policy that binds a port: its own, else that of its network; null for none. Ports of routers and the like have their own only.</summary>
    public QosPolicy? QosPolicyOf(Port port) =>
        (port.QosPolicyId ?? (DeviceOwners.IsReserved(port.DeviceOwner) ? null : Networks.GetValueOrDefault(port.NetworkId)?.QosPolicyId)) is { } id
            ? QosPolicies.GetValueOrDefault(id)
            : null;

    public IEnumerable<Port> PortsOn(string networkId) => _ports.ByNetwork.Value[networkId];

    public IEnumerable<Port> PortsOfDevice(string deviceId) => _ports.ByDevice.Value[deviceId];

    public IEnumerable<Port> PortsOfHost(string hostName) => _ports.ByHost.Value[hostName];

    public IEnumerable<Port> PortsWith(string securityGroupId) => _ports.BySecurityGroup.Value[securityGroupId];

    public IEnumerable<FloatingIp> FloatingIpsOfPort(string portId) => _floatingIps.ByPort.Value[portId];

    public IEnumerable<FloatingIp> FloatingIpsOfRouter(string routerId) => _floatingIps.ByRouter.Value[routerId];

    /// <summary>Whether nothing that nodes or users see differs.</summary>
    public bool HasSameTablesAs(NetworkView other) =>
        ReferenceEquals(Networks, other.Networks) && ReferenceEquals(_subnets, other._subnets) && ReferenceEquals(_ports, other._ports) &&
        ReferenceEquals(SubnetPools, other.SubnetPools) && ReferenceEquals(Routers, other.Routers) &&
        ReferenceEquals(RouterPlacements, other.RouterPlacements) && ReferenceEquals(_floatingIps, other._floatingIps) &&
        ReferenceEquals(SecurityGroups, other.SecurityGroups) && ReferenceEquals(FirewallRules, other.FirewallRules) &&
        ReferenceEquals(FirewallPolicies, other.FirewallPolicies) && ReferenceEquals(_firewallGroups, other._firewallGroups) && ReferenceEquals(AddressScopes, other.AddressScopes) &&
        ReferenceEquals(AddressGroups, other.AddressGroups) && ReferenceEquals(QosPolicies, other.QosPolicies) && ReferenceEquals(Nodes, other.Nodes) &&
        ReferenceEquals(Wired, other.Wired);

    private static TIndex Reuse<TIndex, T>(
        TIndex? previous, IImmutableDictionary<string, T> records, Func<IImmutableDictionary<string, T>, TIndex> make)
        where TIndex : TableIndex<T>
        where T : class =>
        previous is not null && ReferenceEquals(previous.Records, records) ? previous : make(records);

    private abstract class TableIndex<T>(IImmutableDictionary<string, T> records)
        where T : class
    {
        public IImmutableDictionary<string, T> Records { get; } = records;

        protected static Lazy<ILookup<string, T>> By(IImmutableDictionary<string, T> records, Func<T, string?> value) =>
            new(() => records.Values.Where(record => value(record) is { Length: > 0 }).ToLookup(record => value(record)!));
    }

    private sealed class SubnetIndex(IImmutableDictionary<string, Subnet> records) : TableIndex<Subnet>(records)
    {
        public Lazy<ILookup<string, Subnet>> ByNetwork { get; } = By(records, subnet => subnet.NetworkId);
    }

    private sealed class PortIndex(IImmutableDictionary<string, Port> records) : TableIndex<Port>(records)
    {
        public Lazy<ILookup<string, Port>> ByNetwork { get; } = By(records, port => port.NetworkId);

        public Lazy<ILookup<string, Port>> ByDevice { get; } = By(records, port => port.DeviceId);

        public Lazy<ILookup<string, Port>> ByHost { get; } = By(records, port => port.HostName);

        public Lazy<ILookup<string, Port>> BySecurityGroup { get; } = new(() => records.Values
            .SelectMany(port => port.SecurityGroupIds, (port, group) => (port, group))
            .ToLookup(pair => pair.group, pair => pair.port));
    }

    private sealed class FirewallGroupIndex(IImmutableDictionary<string, FirewallGroup> records) : TableIndex<FirewallGroup>(records)
    {
        public Lazy<ILookup<string, FirewallGroup>> ByPort { get; } = new(() => records.Values
            .SelectMany(group => group.PortIds, (group, port) => (group, port))
            .ToLookup(pair => pair.port, pair => pair.group));
    }

    private sealed class FloatingIpIndex(IImmutableDictionary<string, FloatingIp> records) : TableIndex<FloatingIp>(records)
    {
        public Lazy<ILookup<string, FloatingIp>> ByPort { get; } = By(records, ip => ip.Target?.PortId);

        public Lazy<ILookup<string, FloatingIp>> ByRouter { get; } = By(records, ip => ip.RouterId);
    }
}

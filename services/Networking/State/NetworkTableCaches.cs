using Nephos.Kernel.State;
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

/// <summary>Every table that is listed or told to nodes, in memory.</summary>
internal sealed record NetworkTableCaches(
    TableCache<Network> Networks,
    TableCache<Subnet> Subnets,
    TableCache<SubnetPool> SubnetPools,
    TableCache<Port> Ports,
    TableCache<Router> Routers,
    TableCache<RouterPlacement> RouterPlacements,
    TableCache<FloatingIp> FloatingIps,
    TableCache<SecurityGroup> SecurityGroups,
    TableCache<AddressScope> AddressScopes,
    TableCache<AddressGroup> AddressGroups,
    TableCache<QosPolicy> QosPolicies,
    TableCache<FirewallRule> FirewallRules,
    TableCache<FirewallPolicy> FirewallPolicies,
    TableCache<FirewallGroup> FirewallGroups,
    TableCache<NetworkNode> Nodes,
    TableCache<Wired> Wired)
{
    public Task WaitForRevisionAsync(long revision, CancellationToken cancellationToken) => Task.WhenAll(
        Networks.WaitForRevisionAsync(revision, cancellationToken),
        Subnets.WaitForRevisionAsync(revision, cancellationToken),
        SubnetPools.WaitForRevisionAsync(revision, cancellationToken),
        Ports.WaitForRevisionAsync(revision, cancellationToken),
        Routers.WaitForRevisionAsync(revision, cancellationToken),
        RouterPlacements.WaitForRevisionAsync(revision, cancellationToken),
        FloatingIps.WaitForRevisionAsync(revision, cancellationToken),
        SecurityGroups.WaitForRevisionAsync(revision, cancellationToken),
        AddressScopes.WaitForRevisionAsync(revision, cancellationToken),
        AddressGroups.WaitForRevisionAsync(revision, cancellationToken),
        QosPolicies.WaitForRevisionAsync(revision, cancellationToken),
        FirewallRules.WaitForRevisionAsync(revision, cancellationToken),
        FirewallPolicies.WaitForRevisionAsync(revision, cancellationToken),
        FirewallGroups.WaitForRevisionAsync(revision, cancellationToken),
        Nodes.WaitForRevisionAsync(revision, cancellationToken),
        Wired.WaitForRevisionAsync(revision, cancellationToken));
}

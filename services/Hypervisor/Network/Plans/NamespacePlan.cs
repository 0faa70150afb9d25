using System.Net;

namespace Nephos.Hypervisor.Network.Plans;

/// <summary>A device that shall exist, by its name.</summary>
/// <param name="Alias">Says what it is for; kept on the device, so that a later life of the agent knows it again.</param>
/// <param name="Master">The bridge it is a port of; empty for none.</param>
internal abstract record LinkPlan(string Name, string Alias, int Mtu, bool Up, string Master);

internal sealed record BridgePlan(string Name, string Alias, int Mtu, Mac Mac) : LinkPlan(Name, Alias, Mtu, Up: true, Master: "");

internal sealed record TapPlan(string Name, string Alias, int Mtu, bool Up, string Master) : LinkPlan(Name, Alias, Mtu, Up, Master);

internal sealed record TunnelPlan(string Name, string Alias, int Mtu, string Master, uint Vni, IPAddress Local)
    : LinkPlan(Name, Alias, Mtu, Up: true, Master);

/// <param name="PeerNamespace">Name of the namespace of the other end; empty for the host's own.</param>
internal sealed record VethPlan(
    string Name, string Alias, int Mtu, string Master, string PeerNamespace, string PeerName, string PeerAlias, Mac PeerMac)
    : LinkPlan(Name, Alias, Mtu, Up: true, Master);

/// <summary>The other end of a veth of another plan: made with that one, only set up here.</summary>
internal sealed record PeerPlan(string Name, string Alias, int Mtu, string Master, Mac Mac) : LinkPlan(Name, Alias, Mtu, Up: true, Master);

internal readonly record struct AddressPlan(string Link, IPAddress Address, int PrefixLength);

internal readonly record struct RoutePlan(string Link, IPNetwork Destination, IPAddress? Gateway, uint Metric);

internal readonly record struct NeighbourPlan(string Link, IPAddress Address, Mac Mac);

/// <param name="Mac">Zero: floods go there.</param>
internal readonly record struct TunnelEntryPlan(string Link, Mac Mac, IPAddress Vtep);

/// <summary>Everything that shall be in one namespace, and by that everything that shall not.</summary>
/// <param name="Parameters">Kernel parameters below /proc/sys; device names in them must exist.</param>
/// <param name="Rules">One nftables transaction that replaces our tables; empty where the rules are kept apart.</param>
internal sealed record NamespacePlan(
    string Name,
    IReadOnlyList<(string Path, string Value)> Parameters,
    IReadOnlyList<LinkPlan> Links,
    IReadOnlyList<AddressPlan> Addresses,
    IReadOnlyList<RoutePlan> Routes,
    IReadOnlyList<NeighbourPlan> Neighbours,
    IReadOnlyList<TunnelEntryPlan> TunnelEntries,
    string Rules);

using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;
using Nephos.Hypervisor.Network.Rules;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>What lies in the host's own namespace: the legs of physical networks, and one table of rules beside the host's.</summary>
/// <remarks>Not thread safe.</remarks>
internal sealed class HostSide(DataPlaneHandles handles, DataPlaneNames names) : IDisposable
{
    private string _appliedRules = "";

    public DataPlaneHandles Handles => handles;

    public void Apply(IReadOnlyList<LegPlan> legs, bool verify, ReportBuilder report)
    {
        if (legs.Count == 0 && _appliedRules.Length == 0 && !verify)
        {
            return;
        }

        var usable = legs.Select(leg => WithoutConflicts(leg, legs, report)).ToList();
        var plan = new NamespacePlan("", [], [.. usable.Select(leg => leg.Link)], [.. usable.SelectMany(leg => leg.Addresses)],
            [.. usable.SelectMany(leg => leg.Routes)], [], [], "");
        var applier = new NamespaceApplier(handles.Namespace, handles.Links, _ => throw new InvalidOperationException("a leg has no plan of its other end"),
            handles.Links);
        applier.Apply(plan);
        foreach (var leg in usable.Where(leg => applier.Failures.ContainsKey(leg.Link.Name)))
        {
            report.Fail(leg.NetworkId, applier.Failures[leg.Link.Name]);
        }

        ApplyRules(usable, verify, report);
    }

    /// <summary>Names of legs that the prefix owns and the plan does not have.</summary>
    public List<string> UnwantedLegs(IReadOnlyList<LegPlan> legs) =>
        [.. handles.Links.Links()
            .Where(link => link.Alias.StartsWith(names.LegAliasStart, StringComparison.Ordinal) && !legs.Any(leg => leg.Link.Name == link.Name))
            .Select(link => link.Name)];

    public void RemoveLeg(string name)
    {
        if (handles.Links.FindLink(name) is { } link)
        {
            handles.Links.DeleteLink(link.Index);
        }
    }

    public void RemoveAll()
    {
        foreach (var leg in UnwantedLegs([]))
        {
            RemoveLeg(leg);
        }

        RemoveRules(names, handles.Namespace, handles.Rules);
        _appliedRules = "";
    }

    /// <summary>Removes the table, and switches forwarding off again when it was switched on for it and no other cloud needs it.</summary>
    public static void RemoveRules(DataPlaneNames names, NetworkNamespace host, NftContext rules)
    {
        var guarded = GuardedUplinks(rules.Run("list tables").Contains($"table {names.HostTable}\n", StringComparison.Ordinal)
            ? rules.Run($"list table {names.HostTable}")
            : "");
        rules.Run($"table {names.HostTable}\ndelete table {names.HostTable}");
        if (guarded.Count > 0 && !rules.Run("list tables").Contains(DataPlaneNames.HostTableStart, StringComparison.Ordinal))
        {
            // A device may be gone by now.
            host.Run(() => guarded.Select(uplink => $"/proc/sys/net/ipv4/conf/{uplink}/forwarding").Where(File.Exists).ToList()
                .ForEach(file => File.WriteAllText(file, "0")));
        }
    }

    /// <summary>The rule that guards them says on which devices forwarding was switched on.</summary>
    internal static List<string> GuardedUplinks(string table)
    {
        var guard = table.Split('\n').FirstOrDefault(line => line.Contains(HostRules.GuardMark, StringComparison.Ordinal)) ?? "";
        var end = guard.IndexOf("oifname", StringComparison.Ordinal);
        return end < 0 ? [] : [.. guard[..end].Split('"').Where((_, i) => i % 2 == 1)];
    }

    public void Dispose() => handles.Dispose();

    /// <summary>Takes back what would take traffic from the host: addresses that lie in a network that the host has a route of its own for. The
    /// default route does not count: it is what single addresses are taken out of. Without its gateway address the leg gets none.</summary>
    private LegPlan WithoutConflicts(LegPlan leg, IReadOnlyList<LegPlan> all, ReportBuilder report)
    {
        if (leg.Addresses.Count == 0)
        {
            return leg;
        }

        var own = handles.Links.FindLink(leg.Link.Name)?.Index ?? 0;
        var others = handles.Links.Routes(all: true).Where(route => route.Index != own && route.Destination.PrefixLength > 0 && route.Destination.IsIpv4()).ToList();
        var gateways = leg.Addresses.SelectMany(address => others.Where(route => route.Destination.Contains(address.Address)).Take(1)
                .Select(route => $"its gateway {address.Address} belongs to route {route.Destination} of the host"))
            .Concat(all.TakeWhile(other => other != leg).Where(other => other.Networks.Any(theirs => leg.Networks.Any(network => network.Overlaps(theirs))))
                .Select(other => $"its subnet overlaps that of physical network '{other.PhysicalNetwork}'"));
        if (gateways.FirstOrDefault() is { } reason)
        {
            report.Fail(leg.NetworkId, $"the host gets no address on physical network '{leg.PhysicalNetwork}': {reason}");
            return leg with { Addresses = [], Routes = [] };
        }

        var taken = leg.Routes.Where(route => others.Exists(other => other.Destination.Contains(route.Destination.BaseAddress))).ToList();
        if (taken.Count > 0)
        {
            report.Fail(leg.NetworkId, $"the host cannot reach {string.Join(", ", taken.Take(5).Select(route => route.Destination.BaseAddress))} on physical network "
                + $"'{leg.PhysicalNetwork}': it has routes of its own for them");
        }

        return leg with { Routes = [.. leg.Routes.Except(taken)] };
    }

    private void ApplyRules(List<LegPlan> legs, bool verify, ReportBuilder report)
    {
        var withGateway = legs.Where(leg => leg.Addresses.Count > 0).ToList();
        var uplinks = withGateway.Count == 0 ? [] : Uplinks();
        var rules = withGateway.Count == 0
            ? $"table {names.HostTable}\ndelete table {names.HostTable}"
            : HostRules.Compile(names, withGateway, ForwardsEverything() ? [] : uplinks);
        if (!verify && rules == _appliedRules)
        {
            return;
        }

        try
        {
            handles.Rules.Run(rules);
            EnableForwarding([.. withGateway.Select(leg => leg.Link.Name), .. uplinks]);
            _appliedRules = rules;
        }
        catch (Exception error) when (error is NftException or IOException or UnauthorizedAccessException)
        {
            foreach (var leg in withGateway)
            {
                report.Fail(leg.NetworkId, $"the way out through the host cannot be made: {error.Message}");
            }
        }
    }

    /// <summary>Devices of the host's default routes.</summary>
    private List<string> Uplinks()
    {
        var indexes = handles.Links.Routes(all: true)
            .Where(route => route.Destination.PrefixLength == 0 && route.Destination.IsIpv4()).Select(route => route.Index).ToHashSet();
        return [.. handles.Links.Links().Where(link => indexes.Contains(link.Index)).Select(link => link.Name).Order()];
    }

    private bool ForwardsEverything() => handles.Namespace.Run(() => File.ReadAllText("/proc/sys/net/ipv4/ip_forward").Trim() == "1");

    /// <summary>On the devices concerned only: the host does not become a router for others.</summary>
    private void EnableForwarding(IEnumerable<string> devices)
    {
        if (!ForwardsEverything())
        {
            handles.Namespace.SetParameters([.. devices.Select(device => ($"net/ipv4/conf/{device}/forwarding", "1"))]);
        }
    }
}

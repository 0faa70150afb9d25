using System.ComponentModel;
using Nephos.Hypervisor.Network.Namespaces;
using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Nft;
using Nephos.Hypervisor.Network.Plans;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>Finds and removes what a node's prefix names, also when no agent runs: for <c>nephos doctor --orphans</c> and <c>nephos down</c>.</summary>
internal static class DataPlaneObjects
{
    /// <summary>Everything on this machine that belongs to the prefix. Devices inside of a namespace are named with it, as <c>namespace/device</c>.</summary>
    public static IReadOnlyList<NetworkOrphan> List(DataPlaneNames names)
    {
        using var links = new RouteNetlink();
        return List(names, links);
    }

    /// <param name="host">Devices of the namespace that legs are in.</param>
    public static IReadOnlyList<NetworkOrphan> List(DataPlaneNames names, RouteNetlink host)
    {
        var found = new List<NetworkOrphan>();
        foreach (var name in NetworkNamespace.Names().Where(names.Owns))
        {
            found.Add(new NetworkOrphan("namespace", name, ""));
            found.AddRange(ListLinks(name).Where(link => link.Alias.StartsWith(DataPlaneNames.AliasStart, StringComparison.Ordinal))
                .Select(link => new NetworkOrphan(DataPlaneNames.ParseAlias(link.Alias)?.Kind ?? "device", $"{name}/{link.Name}", link.Alias)));
        }

        found.AddRange(host.Links().Where(link => link.Alias.StartsWith(names.LegAliasStart, StringComparison.Ordinal))
            .Select(link => new NetworkOrphan("leg", link.Name, link.Alias)));
        return found;
    }

    /// <summary>The names, as <see cref="List(DataPlaneNames)"/> gives them, of what a plan has.</summary>
    public static HashSet<string> NamesIn(DataPlanePlan plan) =>
    [
        .. plan.Routers.Select(router => router.Namespace).Append(plan.DataPlane)
            .SelectMany(part => part.Links.Select(link => $"{part.Name}/{link.Name}").Append(part.Name)),
        .. plan.Legs.Select(leg => leg.Link.Name),
    ];

    /// <summary>Removes all of it. Guests must have ended: a process inside a namespace keeps it alive, without a name and without devices.</summary>
    public static void RemoveAll(DataPlaneNames names)
    {
        using (var own = new RouteNetlink())
        {
            foreach (var leg in own.Links().Where(link => link.Alias.StartsWith(names.LegAliasStart, StringComparison.Ordinal)))
            {
                own.DeleteLink(leg.Index);
            }
        }

        // Routers first: their links end on the bridges of the data plane.
        foreach (var name in NetworkNamespace.Names().Where(names.Owns).OrderBy(name => name == names.DataPlaneNamespace))
        {
            RemoveNamespace(name);
        }

        using var rules = new NftContext();
        using var host = NetworkNamespace.OpenOwn();
        HostSide.RemoveRules(names, host, rules);
    }

    /// <summary>Removes the devices in it and its name.</summary>
    public static void RemoveNamespace(string name)
    {
        try
        {
            using var own = NetworkNamespace.Open(name);
            own.Run(() =>
            {
                using var links = new RouteNetlink();
                foreach (var link in links.Links().Where(link => link.Alias.StartsWith(DataPlaneNames.AliasStart, StringComparison.Ordinal)))
                {
                    links.DeleteLink(link.Index);
                }
            });
        }
        catch (Win32Exception)
        {
            // A name without a namespace: only the name is left to remove.
        }

        NetworkNamespace.Delete(name);
    }

    private static List<Link> ListLinks(string namespaceName)
    {
        try
        {
            using var own = NetworkNamespace.Open(namespaceName);
            return own.Run(() =>
            {
                using var links = new RouteNetlink();
                return links.Links();
            });
        }
        catch (Win32Exception)
        {
            return [];
        }
    }
}

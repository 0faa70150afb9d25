using Nephos.Hypervisor.Network.Netlink;
using Nephos.Hypervisor.Network.Plans;

namespace Nephos.Hypervisor.Network.Linux;

/// <summary>Gives every network its number in connection tracking. It is kept on the bridge's alias: connections live longer than the agent.</summary>
internal static class NetworkZones
{
    private const int ZoneMax = ushort.MaxValue;

    public static IReadOnlyDictionary<Guid, ushort> Assign(NodeState state, IEnumerable<Link> links)
    {
        var zones = new Dictionary<Guid, ushort>();
        var taken = new HashSet<ushort>();
        foreach (var link in links)
        {
            // Numbers of networks that go away stay taken until their bridge is gone.
            if (DataPlaneNames.ParseAlias(link.Alias) is { Kind: "network", Number: > 0 and <= ZoneMax } alias && taken.Add((ushort)alias.Number))
            {
                zones[alias.Id] = (ushort)alias.Number;
            }
        }

        ushort next = 1;
        foreach (var id in state.Networks.Keys.Where(id => !zones.ContainsKey(id)).Order())
        {
            while (!taken.Add(next))
            {
                next = checked((ushort)(next + 1));
            }

            zones[id] = next;
        }

        return zones;
    }
}

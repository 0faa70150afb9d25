using Nephos.Hypervisor.Network.Netlink;

namespace Nephos.Hypervisor.Network.Plans;

/// <summary>Numbers that packets and connections carry: one per port (its mark), one per network (its zone of connection tracking).</summary>
/// <remarks>A port keeps its number while the agent lives, so that a change of one port changes nothing of the others. A network's is kept on the alias
/// of its bridge: connections live longer than the agent. Not thread safe.</remarks>
internal sealed class NodeNumbers
{
    private readonly Dictionary<Guid, uint> _ports = [];
    private readonly Dictionary<Guid, uint> _zones = [];

    public uint Port(Guid id) => _ports[id];

    public ushort Zone(Guid id) => (ushort)_zones[id];

    /// <param name="links">Devices of the data plane: what an earlier life has numbered.</param>
    /// <exception cref="InvalidOperationException">More than 65535 networks.</exception>
    public void Assign(NodeState state, IEnumerable<Link> links)
    {
        var onBridges = links.Select(link => DataPlaneNames.ParseAlias(link.Alias)).OfType<(string Kind, Guid Id, ulong Number)>()
            .Where(alias => alias is { Kind: "network", Number: > 0 and <= ushort.MaxValue })
            .DistinctBy(alias => alias.Number).ToDictionary(alias => alias.Id, alias => (uint)alias.Number);
        // Numbers of networks that go away stay taken until their bridge is gone.
        Update(_zones, [.. state.Networks.Keys.Union(onBridges.Keys)], onBridges);
        Update(_ports, [.. state.Ports.Select(port => port.Id)], []);
        if (_zones.Values.Any(zone => zone > ushort.MaxValue))
        {
            throw new InvalidOperationException($"a node can have {ushort.MaxValue} networks");
        }
    }

    private static void Update(Dictionary<Guid, uint> numbers, HashSet<Guid> present, Dictionary<Guid, uint> known)
    {
        foreach (var gone in numbers.Keys.Where(id => !present.Contains(id)).ToList())
        {
            numbers.Remove(gone);
        }

        foreach (var (id, number) in known)
        {
            numbers[id] = number;
        }

        var taken = numbers.Values.ToHashSet();
        uint next = 1;
        foreach (var id in present.Where(id => !numbers.ContainsKey(id)).Order())
        {
            while (!taken.Add(next))
            {
                next++;
            }

            numbers[id] = next;
        }
    }
}

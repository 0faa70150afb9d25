using System.Net;
using System.Runtime.InteropServices;

namespace Nephos.Hypervisor.Network.Netlink;

/// <summary>A permanent entry: which MAC has an address on a device.</summary>
internal readonly record struct Neighbour(int Index, IPAddress Address, Mac Mac);

/// <summary>An entry of a tunnel's forwarding table: behind which underlay address a MAC is. The zero MAC: where floods go.</summary>
internal readonly record struct TunnelEntry(int Index, Mac Mac, IPAddress Vtep);

/// <summary>A static entry of a bridge's forwarding table: behind which port a MAC is.</summary>
internal readonly record struct BridgeEntry(int PortIndex, Mac Mac);

internal sealed partial class RouteNetlink
{
    private const ushort StatePermanent = 0x80;
    private const ushort StateStatic = 0x40;
    private const byte FlagSelf = 0x02;
    private const byte FlagMaster = 0x04;
    private const ushort NeighbourDestination = 1;
    private const ushort NeighbourMac = 2;

    /// <summary>The permanent entries only.</summary>
    public List<Neighbour> Neighbours()
    {
        var entries = new List<Neighbour>();
        _socket.Dump(new NetlinkMessage(RouteType.GetNeighbour, NetlinkFlags.Dump).Fixed(new NeighbourHeader()), "list neighbours", (_, payload) =>
        {
            var header = MemoryMarshal.Read<NeighbourHeader>(payload);
            var address = NetlinkAttributes.Find(payload[12..], NeighbourDestination);
            var mac = NetlinkAttributes.Find(payload[12..], NeighbourMac);
            if ((header.State & StatePermanent) != 0 && address.Length is 4 or 16 && mac.Length == 6)
            {
                entries.Add(new Neighbour(header.Index, new IPAddress(address), Mac.Read(mac)));
            }
        });
        return entries;
    }

    public void ReplaceNeighbour(Neighbour entry) => _socket.Request(
        NeighbourMessage(RouteType.NewNeighbour, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Replace, FamilyOf(entry.Address), entry.Index,
                StatePermanent, 0)
            .Address(NeighbourDestination, entry.Address)
            .Bytes(NeighbourMac, entry.Mac.ToArray()), $"set neighbour {entry.Address}");

    public void DeleteNeighbour(Neighbour entry) => Tolerate(NetlinkException.NoEntry, () => _socket.Request(
        NeighbourMessage(RouteType.DeleteNeighbour, NetlinkFlags.Ack, FamilyOf(entry.Address), entry.Index, 0, 0)
            .Address(NeighbourDestination, entry.Address), $"delete neighbour {entry.Address}"));

    /// <summary>Entries of tunnels and static entries of bridge ports.</summary>
    public (List<TunnelEntry> Tunnels, List<BridgeEntry> Bridges) ForwardingEntries()
    {
        var tunnels = new List<TunnelEntry>();
        var bridges = new List<BridgeEntry>();
        _socket.Dump(new NetlinkMessage(RouteType.GetNeighbour, NetlinkFlags.Dump).Fixed(new NeighbourHeader { Family = FamilyBridge }),
            "list forwarding entries", (_, payload) =>
            {
                var header = MemoryMarshal.Read<NeighbourHeader>(payload);
                var mac = NetlinkAttributes.Find(payload[12..], NeighbourMac);
                var vtep = NetlinkAttributes.Find(payload[12..], NeighbourDestination);
                if (mac.Length != 6)
                {
                    return;
                }

                if ((header.Flags & FlagSelf) != 0 && vtep.Length == 4)
                {
                    tunnels.Add(new TunnelEntry(header.Index, Mac.Read(mac), new IPAddress(vtep)));
                }
                else if ((header.Flags & FlagSelf) == 0 && (header.State & StateStatic) != 0)
                {
                    bridges.Add(new BridgeEntry(header.Index, Mac.Read(mac)));
                }
            });
        return (tunnels, bridges);
    }

    /// <summary>A MAC has one underlay address; the zero MAC may have many.</summary>
    public void AddTunnelEntry(TunnelEntry entry) => Tolerate(NetlinkException.Exists, () => _socket.Request(
        NeighbourMessage(RouteType.NewNeighbour, NetlinkFlags.Ack | NetlinkFlags.Create | (entry.Mac.Value == 0 ? NetlinkFlags.Append : NetlinkFlags.Replace),
                FamilyBridge, entry.Index, StatePermanent, FlagSelf)
            .Bytes(NeighbourMac, entry.Mac.ToArray())
            .Address(NeighbourDestination, entry.Vtep), $"add tunnel entry {entry.Mac}"));

    public void DeleteTunnelEntry(TunnelEntry entry) => Tolerate(NetlinkException.NoEntry, () => _socket.Request(
        NeighbourMessage(RouteType.DeleteNeighbour, NetlinkFlags.Ack, FamilyBridge, entry.Index, StatePermanent, FlagSelf)
            .Bytes(NeighbourMac, entry.Mac.ToArray())
            .Address(NeighbourDestination, entry.Vtep), $"delete tunnel entry {entry.Mac}"));

    public void AddBridgeEntry(BridgeEntry entry) => _socket.Request(
        NeighbourMessage(RouteType.NewNeighbour, NetlinkFlags.Ack | NetlinkFlags.Create | NetlinkFlags.Replace, FamilyBridge, entry.PortIndex,
                StateStatic, FlagMaster)
            .Bytes(NeighbourMac, entry.Mac.ToArray()), $"add bridge entry {entry.Mac}");

    public void DeleteBridgeEntry(BridgeEntry entry) => Tolerate(NetlinkException.NoEntry, () => _socket.Request(
        NeighbourMessage(RouteType.DeleteNeighbour, NetlinkFlags.Ack, FamilyBridge, entry.PortIndex, 0, FlagMaster)
            .Bytes(NeighbourMac, entry.Mac.ToArray()), $"delete bridge entry {entry.Mac}"));

    private static NetlinkMessage NeighbourMessage(ushort type, NetlinkFlags flags, byte family, int index, ushort state, byte entryFlags) =>
        new NetlinkMessage(type, flags).Fixed(new NeighbourHeader { Family = family, Index = index, State = state, Flags = entryFlags });
}

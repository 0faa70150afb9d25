using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;

namespace Nephos.Hypervisor.Network.Netlink;

/// <summary>A tracked connection, as its first packet was.</summary>
/// <param name="Key">What the kernel needs to find it again.</param>
internal sealed record Connection(ushort Zone, Rules.Flow Original, Rules.Flow Reply, byte Family, byte[] Key);

/// <summary>Connections of the namespace in which the object was made (ctnetlink). Thread safe.</summary>
internal sealed class Conntrack : IDisposable
{
    private const ushort Subsystem = 1 << 8;
    private const ushort Get = Subsystem | 1;
    private const ushort Delete = Subsystem | 2;
    private const int HeaderBytes = 4;

    private const ushort TupleOriginal = 1;
    private const ushort TupleReply = 2;
    private const ushort Id = 12;
    private const ushort Zone = 18;
    private const ushort Nested = 0x8000;

    private readonly NetlinkSocket _socket = new(NetlinkSocket.Netfilter);

    public List<Connection> List()
    {
        var connections = new List<Connection>();
        _socket.Dump(new NetlinkMessage(Get, NetlinkFlags.Dump).Fixed(default(NetfilterHeader)), "list connections", (_, payload) =>
        {
            if (Parse(payload) is { } connection)
            {
                connections.Add(connection);
            }
        });
        return connections;
    }

    /// <summary>Harmless when the connection ended meanwhile.</summary>
    public void Remove(Connection connection)
    {
        var message = new NetlinkMessage(Delete, NetlinkFlags.Ack).Fixed(new NetfilterHeader { Family = connection.Family });
        var attributes = new NetlinkAttributes(connection.Key);
        while (attributes.MoveNext())
        {
            switch (attributes.Type)
            {
                case TupleOriginal:
                    message.Bytes(TupleOriginal | Nested, attributes.Value);
                    break;
                case Zone or Id:
                    message.Bytes(attributes.Type, attributes.Value);
                    break;
                default:
                    break;
            }
        }

        try
        {
            _socket.Request(message, "delete connection");
        }
        catch (NetlinkException error) when (error.Errno == NetlinkException.NoEntry)
        {
            // It ended by itself.
        }
    }

    public void Dispose() => _socket.Dispose();

    private static Connection? Parse(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < HeaderBytes)
        {
            return null;
        }

        var attributes = payload[HeaderBytes..];
        var zone = NetlinkAttributes.Find(attributes, Zone);
        var original = ParseTuple(NetlinkAttributes.Find(attributes, TupleOriginal));
        var reply = ParseTuple(NetlinkAttributes.Find(attributes, TupleReply));
        return original is null || reply is null ? null : new Connection(
            zone.Length == 2 ? BinaryPrimitives.ReadUInt16BigEndian(zone) : (ushort)0, original.Value, reply.Value, payload[0], attributes.ToArray());
    }

    private static Rules.Flow? ParseTuple(ReadOnlySpan<byte> tuple)
    {
        var addresses = NetlinkAttributes.Find(tuple, 1);
        var protocol = NetlinkAttributes.Find(tuple, 2);
        var source = NetlinkAttributes.Find(addresses, 1);
        var destination = NetlinkAttributes.Find(addresses, 2);
        if (source.IsEmpty)
        {
            source = NetlinkAttributes.Find(addresses, 3);
            destination = NetlinkAttributes.Find(addresses, 4);
        }

        var number = NetlinkAttributes.Find(protocol, 1);
        if (source.Length is not (4 or 16) || destination.Length != source.Length || number.Length != 1)
        {
            return null;
        }

        var (sourcePort, destinationPort) = (Port(protocol, 2), Port(protocol, 3));
        // ICMP has a type and a code (5 and 6; ICMPv6 8 and 9) in place of ports.
        var (type, code) = number[0] == Rules.IpProtocol.IcmpV6 ? (8, 9) : (5, 6);
        if (Rules.IpProtocol.IsIcmp(number[0]))
        {
            var typeByte = NetlinkAttributes.Find(protocol, (ushort)type);
            var codeByte = NetlinkAttributes.Find(protocol, (ushort)code);
            destinationPort = (ushort)(((typeByte.IsEmpty ? 0 : typeByte[0]) << 8) | (codeByte.IsEmpty ? 0 : codeByte[0]));
        }

        return new Rules.Flow(new IPAddress(source), new IPAddress(destination), number[0], sourcePort, destinationPort);
    }

    private static ushort Port(ReadOnlySpan<byte> protocol, ushort type)
    {
        var value = NetlinkAttributes.Find(protocol, type);
        return value.Length == 2 ? BinaryPrimitives.ReadUInt16BigEndian(value) : (ushort)0;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct NetfilterHeader
    {
        public byte Family;
        public byte Version;
        public ushort Resource;
    }
}

using System.Buffers.Binary;
using System.Net;

namespace Nephos.Hypervisor.Network.Dhcp;

internal enum DhcpMessageType : byte
{
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
    Inform = 8,
}

/// <summary>What matters of a client's message (RFC 2131).</summary>
/// <param name="Client">The address the client already uses; 0.0.0.0 when none.</param>
/// <param name="Server">The server it chose; null when it did not say.</param>
/// <param name="MaximumBytes">The largest answer it takes, as an IP packet: at least 576.</param>
internal readonly record struct DhcpRequest(
    DhcpMessageType Type, uint TransactionId, ushort Flags, IPAddress Client, Mac ClientMac, IPAddress? Requested, IPAddress? Server, int MaximumBytes)
{
    public const int EthernetBytes = 14;
    public const int BootpBytes = 240;
    public const uint Magic = 0x6382_5363;
    public const int SmallestMaximum = 576;

    public bool WantsBroadcast => (Flags & 0x8000) != 0;

    /// <summary>Reads an Ethernet frame from a guest. False for anything that is not a well-formed request of a client on this very link.</summary>
    public static bool TryParse(ReadOnlySpan<byte> frame, out DhcpRequest request)
    {
        request = default;
        if (frame.Length < EthernetBytes + 20 || BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) != 0x0800)
        {
            return false;
        }

        var packet = frame[EthernetBytes..];
        var headerBytes = (packet[0] & 0x0F) * 4;
        var totalBytes = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (packet[0] >> 4 != 4 || headerBytes < 20 || totalBytes > packet.Length || totalBytes < headerBytes + 8 + BootpBytes
            || (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0 || packet[9] != 17)
        {
            return false;
        }

        var datagram = packet[headerBytes..totalBytes];
        var datagramBytes = BinaryPrimitives.ReadUInt16BigEndian(datagram[4..]);
        if (BinaryPrimitives.ReadUInt16BigEndian(datagram[2..]) != 67 || datagramBytes > datagram.Length || datagramBytes < 8 + BootpBytes)
        {
            return false;
        }

        return TryParseMessage(datagram[8..datagramBytes], out request);
    }

    private static bool TryParseMessage(ReadOnlySpan<byte> message, out DhcpRequest request)
    {
        request = default;
        // A request (1) over Ethernet (1) with six-byte addresses, not through a relay.
        if (message[0] != 1 || message[1] != 1 || message[2] != 6 || BinaryPrimitives.ReadUInt32BigEndian(message[24..]) != 0
            || BinaryPrimitives.ReadUInt32BigEndian(message[236..]) != Magic)
        {
            return false;
        }

        byte type = 0;
        IPAddress? requested = null;
        IPAddress? server = null;
        var maximum = SmallestMaximum;
        var options = message[BootpBytes..];
        while (options.Length > 0 && options[0] != DhcpOption.End)
        {
            if (options[0] == 0)
            {
                options = options[1..];
                continue;
            }

            if (options.Length < 2 || options.Length < 2 + options[1])
            {
                return false;
            }

            var value = options.Slice(2, options[1]);
            switch (options[0])
            {
                case DhcpOption.MessageType when value.Length == 1:
                    type = value[0];
                    break;
                case DhcpOption.RequestedAddress when value.Length == 4:
                    requested = new IPAddress(value);
                    break;
                case DhcpOption.ServerIdentifier when value.Length == 4:
                    server = new IPAddress(value);
                    break;
                case DhcpOption.MaximumSize when value.Length == 2:
                    maximum = Math.Max(SmallestMaximum, (int)BinaryPrimitives.ReadUInt16BigEndian(value));
                    break;
                default:
                    break;
            }

            options = options[(2 + value.Length)..];
        }

        if (type is not ((byte)DhcpMessageType.Discover or (byte)DhcpMessageType.Request or (byte)DhcpMessageType.Decline
            or (byte)DhcpMessageType.Release or (byte)DhcpMessageType.Inform))
        {
            return false;
        }

        request = new DhcpRequest(
            (DhcpMessageType)type,
            BinaryPrimitives.ReadUInt32BigEndian(message[4..]),
            BinaryPrimitives.ReadUInt16BigEndian(message[10..]),
            new IPAddress(message.Slice(12, 4)),
            Mac.Read(message[28..]),
            requested,
            server,
            maximum);
        return true;
    }
}

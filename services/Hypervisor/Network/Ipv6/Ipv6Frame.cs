using System.Buffers.Binary;
using System.Net;

namespace Nephos.Hypervisor.Network.Ipv6;

/// <summary>Ethernet frames with a packet of IPv6 in them (RFC 8200).</summary>
internal static class Ipv6Frame
{
    public const int EthernetBytes = 14;
    public const int HeaderBytes = EthernetBytes + 40;
    public const byte Udp = 17;
    public const byte Icmp = 58;

    private const int AddressBytes = 16;

    /// <summary>Writes the headers around a payload that begins at <see cref="HeaderBytes"/>, and the checksum into it.</summary>
    /// <param name="frame">The whole frame, no longer and no shorter.</param>
    /// <param name="checksumAt">Place of the checksum in the payload.</param>
    public static void Seal(Span<byte> frame, Mac toMac, Mac fromMac, IPAddress to, IPAddress from, byte protocol, byte hopLimit, int checksumAt)
    {
        toMac.Write(frame);
        fromMac.Write(frame[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], 0x86DD);
        var packet = frame[EthernetBytes..];
        BinaryPrimitives.WriteUInt32BigEndian(packet, 0x6000_0000);
        var payload = frame[HeaderBytes..];
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)payload.Length);
        packet[6] = protocol;
        packet[7] = hopLimit;
        from.TryWriteBytes(packet[8..], out _);
        to.TryWriteBytes(packet[24..], out _);
        BinaryPrimitives.WriteUInt16BigEndian(payload[checksumAt..], 0);
        // The pseudo header: both addresses, the length, the protocol. A sum of zero is written as all ones, since zero means none.
        var sum = Sum(packet.Slice(8, 2 * AddressBytes), (uint)payload.Length + protocol);
        var checksum = Fold(Sum(payload, sum));
        BinaryPrimitives.WriteUInt16BigEndian(payload[checksumAt..], checksum == 0 ? (ushort)0xFFFF : checksum);
    }

    /// <summary>The source of a frame that is long enough for a packet.</summary>
    public static (Mac Mac, IPAddress Address) SourceOf(ReadOnlySpan<byte> frame) =>
        (Mac.Read(frame[6..]), new IPAddress(frame.Slice(EthernetBytes + 8, AddressBytes)));

    private static uint Sum(ReadOnlySpan<byte> bytes, uint sum)
    {
        for (var i = 0; i + 1 < bytes.Length; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes[i..]);
        }

        return bytes.Length % 2 == 0 ? sum : sum + ((uint)bytes[^1] << 8);
    }

    private static ushort Fold(uint sum)
    {
        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)~sum;
    }
}

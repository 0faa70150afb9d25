using System.Buffers.Binary;
using System.Net;

namespace Nephos.Hypervisor.Network.Dhcp;

/// <summary>Answers a request from a lease: without state, so the same question always gets the same answer.</summary>
internal static class DhcpReply
{
    /// <summary>The largest frame that is ever built.</summary>
    public const int FrameBytesMax = DhcpRequest.EthernetBytes + PacketBytesMax;

    private const int PacketBytesMax = 1400;
    private const int HeadersBytes = 20 + 8;
    private const int FrameBytesMin = DhcpRequest.EthernetBytes + HeadersBytes + 300;

    /// <summary>Builds the frame that answers a request.</summary>
    /// <param name="frame">At least <see cref="FrameBytesMax"/> bytes.</param>
    /// <returns>Length of the frame; 0 when there is nothing to say (a release, another server's client, another's MAC).</returns>
    public static int Build(in DhcpRequest request, DhcpLease lease, Mac serverMac, Span<byte> frame)
    {
        if (Decide(request, lease) is not { } type)
        {
            return 0;
        }

        var inform = request.Type == DhcpMessageType.Inform;
        var refused = type == DhcpMessageType.Nak;
        var limit = DhcpRequest.EthernetBytes + Math.Min(PacketBytesMax, request.MaximumBytes);
        frame = frame[..limit];
        frame.Clear();
        var message = frame[(DhcpRequest.EthernetBytes + HeadersBytes)..];
        message[0] = 2;
        message[1] = 1;
        message[2] = 6;
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], request.TransactionId);
        BinaryPrimitives.WriteUInt16BigEndian(message[10..], request.Flags);
        if (!refused)
        {
            request.Client.TryWriteBytes(message[12..], out _);
            if (!inform)
            {
                lease.Address.TryWriteBytes(message[16..], out _);
            }

            lease.Server.TryWriteBytes(message[20..], out _);
        }

        request.ClientMac.Write(message[28..]);
        BinaryPrimitives.WriteUInt32BigEndian(message[236..], DhcpRequest.Magic);
        var options = new OptionWriter(message[DhcpRequest.BootpBytes..]);
        options.Write(new DhcpOption(DhcpOption.MessageType, [(byte)type]));
        options.Write(DhcpOption.Address(DhcpOption.ServerIdentifier, lease.Server));
        if (!refused)
        {
            WriteLease(ref options, lease, inform);
        }

        var end = DhcpRequest.EthernetBytes + HeadersBytes + DhcpRequest.BootpBytes + options.Finish();
        var length = Math.Max(end, FrameBytesMin);
        WriteHeaders(frame[..length], request, lease, serverMac, refused);
        return length;
    }

    private static DhcpMessageType? Decide(in DhcpRequest request, DhcpLease lease)
    {
        if (request.ClientMac != lease.Mac || (request.Server is { } chosen && !chosen.Equals(lease.Server)))
        {
            return null;
        }

        return request.Type switch
        {
            DhcpMessageType.Discover => DhcpMessageType.Offer,
            DhcpMessageType.Inform => DhcpMessageType.Ack,
            DhcpMessageType.Request => (request.Requested ?? request.Client).Equals(lease.Address) ? DhcpMessageType.Ack : DhcpMessageType.Nak,
            _ => null,
        };
    }

    private static void WriteLease(ref OptionWriter options, DhcpLease lease, bool inform)
    {
        if (!inform)
        {
            var seconds = (uint)lease.Duration.TotalSeconds;
            options.Write(DhcpOption.Number(DhcpOption.LeaseTime, seconds));
            options.Write(DhcpOption.Number(DhcpOption.RenewalTime, seconds / 2));
            options.Write(DhcpOption.Number(DhcpOption.RebindingTime, (uint)(seconds * 7L / 8)));
        }

        foreach (var option in lease.Options)
        {
            options.Write(option);
        }
    }

    private static void WriteHeaders(Span<byte> frame, in DhcpRequest request, DhcpLease lease, Mac serverMac, bool refused)
    {
        var broadcast = refused || (request.Client.Equals(IPAddress.Any) && request.WantsBroadcast);
        var destination = broadcast ? IPAddress.Broadcast : request.Client.Equals(IPAddress.Any) ? lease.Address : request.Client;
        (broadcast ? Mac.Broadcast : request.ClientMac).Write(frame);
        serverMac.Write(frame[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], 0x0800);

        var packet = frame[DhcpRequest.EthernetBytes..];
        packet[0] = 0x45;
        packet[1] = 0x10;
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], (ushort)packet.Length);
        packet[8] = 64;
        packet[9] = 17;
        lease.Server.TryWriteBytes(packet[12..], out _);
        destination.TryWriteBytes(packet[16..], out _);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], Fold(Sum(packet[..20], 0)));

        var datagram = packet[20..];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, 67);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], 68);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)datagram.Length);
        // The pseudo header: both addresses, the protocol, the length.
        var sum = Sum(packet[12..20], 17 + (uint)datagram.Length);
        var checksum = Fold(Sum(datagram, sum));
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], checksum == 0 ? (ushort)0xFFFF : checksum);
    }

    private static uint Sum(ReadOnlySpan<byte> bytes, uint sum)
    {
        for (; bytes.Length >= 2; bytes = bytes[2..])
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes);
        }

        return bytes.Length == 1 ? sum + ((uint)bytes[0] << 8) : sum;
    }

    private static ushort Fold(uint sum)
    {
        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)~sum;
    }

    /// <summary>Writes options while they fit whole, leaving room for the end mark.</summary>
    private ref struct OptionWriter(Span<byte> space)
    {
        private const int PartBytesMax = 255;

        private readonly Span<byte> _space = space;
        private int _length;

        public void Write(DhcpOption option)
        {
            var parts = Math.Max(1, (option.Value.Length + PartBytesMax - 1) / PartBytesMax);
            if (_length + option.Value.Length + parts * 2 + 1 > _space.Length)
            {
                return;
            }

            for (var part = 0; part < parts; part++)
            {
                var value = option.Value.AsSpan(part * PartBytesMax, Math.Min(PartBytesMax, option.Value.Length - part * PartBytesMax));
                _space[_length] = option.Code;
                _space[_length + 1] = (byte)value.Length;
                value.CopyTo(_space[(_length + 2)..]);
                _length += 2 + value.Length;
            }
        }

        public int Finish()
        {
            _space[_length++] = DhcpOption.End;
            return _length;
        }
    }
}

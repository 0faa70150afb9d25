using System.Buffers.Binary;
using System.Net;

namespace Nephos.Hypervisor.Network.Ipv6;

internal enum Dhcpv6Type : byte
{
    Solicit = 1,
    Advertise = 2,
    Request = 3,
    Confirm = 4,
    Renew = 5,
    Rebind = 6,
    Reply = 7,
    Release = 8,
    Decline = 9,
    InformationRequest = 11,
}

/// <summary>A message of a client (RFC 8415) as far as the answer depends on it. The spans are those of the frame.</summary>
internal readonly ref struct Dhcpv6Request
{
    private const int UdpBytes = 8;
    private const int MessageBytes = 4;
    private const int ClientIdBytesMax = 130;
    private const int AssociationBytes = 12;

    public Mac ClientMac { get; private init; }

    public IPAddress Client { get; private init; }

    public Dhcpv6Type Type { get; private init; }

    /// <summary>24 bits.</summary>
    public uint TransactionId { get; private init; }

    public ReadOnlySpan<byte> ClientId { get; private init; }

    /// <summary>Empty: any server.</summary>
    public ReadOnlySpan<byte> ServerId { get; private init; }

    /// <summary>Id of the association that wants addresses; null: none is wanted.</summary>
    public uint? Association { get; private init; }

    public bool RapidCommit { get; private init; }

    /// <summary>The first address that is named in the association; null: none.</summary>
    public IPAddress? Named { get; private init; }

    /// <returns>False for what is no well-formed request.</returns>
    public static bool TryParse(ReadOnlySpan<byte> frame, out Dhcpv6Request request)
    {
        request = default;
        if (frame.Length < Ipv6Frame.HeaderBytes + UdpBytes + MessageBytes || BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) != 0x86DD
            || frame[Ipv6Frame.EthernetBytes + 6] != Ipv6Frame.Udp)
        {
            return false;
        }

        var length = BinaryPrimitives.ReadUInt16BigEndian(frame[(Ipv6Frame.EthernetBytes + 4)..]);
        if (length < UdpBytes + MessageBytes || length > frame.Length - Ipv6Frame.HeaderBytes)
        {
            return false;
        }

        var datagram = frame.Slice(Ipv6Frame.HeaderBytes, length);
        var message = datagram[UdpBytes..];
        var type = (Dhcpv6Type)message[0];
        if (BinaryPrimitives.ReadUInt16BigEndian(datagram) != 546 || BinaryPrimitives.ReadUInt16BigEndian(datagram[2..]) != 547 || !Enum.IsDefined(type)
            || type is Dhcpv6Type.Advertise or Dhcpv6Type.Reply)
        {
            return false;
        }

        var (mac, address) = Ipv6Frame.SourceOf(frame);
        ReadOnlySpan<byte> clientId = default, serverId = default;
        uint? association = null;
        IPAddress? named = null;
        var rapid = false;
        for (var options = message[MessageBytes..]; options.Length > 0;)
        {
            if (!TryTake(ref options, out var code, out var value))
            {
                return false;
            }

            switch (code)
            {
                case Dhcpv6Option.ClientId:
                    clientId = value;
                    break;
                case Dhcpv6Option.ServerId:
                    serverId = value;
                    break;
                case Dhcpv6Option.RapidCommit:
                    rapid = true;
                    break;
                case Dhcpv6Option.Association when association is null && value.Length >= AssociationBytes:
                    association = BinaryPrimitives.ReadUInt32BigEndian(value);
                    named = NamedIn(value[AssociationBytes..]);
                    break;
            }
        }

        request = new Dhcpv6Request
        {
            ClientMac = mac, Client = address, Type = type, TransactionId = BinaryPrimitives.ReadUInt32BigEndian(message) & 0xFF_FFFF, ClientId = clientId,
            ServerId = serverId, Association = association, RapidCommit = rapid, Named = named,
        };
        return address.IsIPv6LinkLocal && clientId.Length <= ClientIdBytesMax && (clientId.Length > 0 || type == Dhcpv6Type.InformationRequest);
    }

    private static IPAddress? NamedIn(ReadOnlySpan<byte> options)
    {
        while (options.Length > 0 && TryTake(ref options, out var code, out var value))
        {
            if (code == Dhcpv6Option.Address && value.Length >= 16)
            {
                return new IPAddress(value[..16]);
            }
        }

        return null;
    }

    private static bool TryTake(scoped ref ReadOnlySpan<byte> options, out ushort code, out ReadOnlySpan<byte> value)
    {
        code = 0;
        value = default;
        if (options.Length < 4)
        {
            return false;
        }

        code = BinaryPrimitives.ReadUInt16BigEndian(options);
        var length = BinaryPrimitives.ReadUInt16BigEndian(options[2..]);
        if (length > options.Length - 4)
        {
            return false;
        }

        value = options.Slice(4, length);
        options = options[(4 + length)..];
        return true;
    }
}

/// <summary>Numbers of the options that are read or written.</summary>
internal static class Dhcpv6Option
{
    public const ushort ClientId = 1;
    public const ushort ServerId = 2;
    public const ushort Association = 3;
    public const ushort Address = 5;
    public const ushort Status = 13;
    public const ushort RapidCommit = 14;
    public const ushort DnsServers = 23;
    public const ushort DomainList = 24;
}

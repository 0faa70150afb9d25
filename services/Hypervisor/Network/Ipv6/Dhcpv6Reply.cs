using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Nephos.Hypervisor.Network.Ipv6;

/// <summary>Answers a DHCPv6 message from a lease: without state, so the same question always gets the same answer.</summary>
internal static class Dhcpv6Reply
{
    public const int FrameBytesMax = 1294;

    private const int UdpBytes = 8;
    private const ushort NoAddresses = 2;
    private const ushort NotOnLink = 4;
    private const uint ValidSeconds = 86_400;
    private const int AddressesMax = 16;

    /// <param name="frame">At least <see cref="FrameBytesMax"/> bytes.</param>
    /// <returns>Length of the frame; 0 when there is nothing to say: another server's client, another's MAC, or DHCPv6 is not served.</returns>
    public static int Build(in Dhcpv6Request request, Ipv6Lease lease, Mac nodeMac, Span<byte> frame)
    {
        // DUID of the kind "link-layer address", of Ethernet.
        ReadOnlySpan<byte> serverId = [0, 3, 0, 1, .. nodeMac.ToArray()];
        if (!lease.AnswersDhcp || request.ClientMac != lease.Mac || (request.ServerId.Length > 0 && !request.ServerId.SequenceEqual(serverId)))
        {
            return 0;
        }

        var offers = request is { Type: Dhcpv6Type.Solicit, RapidCommit: false };
        var message = frame.Slice(Ipv6Frame.HeaderBytes + UdpBytes, FrameBytesMax - Ipv6Frame.HeaderBytes - UdpBytes);
        BinaryPrimitives.WriteUInt32BigEndian(message, request.TransactionId);
        message[0] = (byte)(offers ? Dhcpv6Type.Advertise : Dhcpv6Type.Reply);
        var at = 4;
        Write(message, ref at, Dhcpv6Option.ServerId, serverId);
        if (request.ClientId.Length > 0)
        {
            Write(message, ref at, Dhcpv6Option.ClientId, request.ClientId);
        }

        switch (request.Type)
        {
            case Dhcpv6Type.Solicit or Dhcpv6Type.Request or Dhcpv6Type.Renew or Dhcpv6Type.Rebind:
                if (request.Type == Dhcpv6Type.Solicit && !offers)
                {
                    Write(message, ref at, Dhcpv6Option.RapidCommit, []);
                }

                WriteAddresses(message, ref at, request, lease);
                break;
            case Dhcpv6Type.Confirm:
                WriteStatus(message, ref at, request.Named is { } named && !lease.Addresses.Contains(named) ? NotOnLink : (ushort)0);
                break;
            case Dhcpv6Type.Release or Dhcpv6Type.Decline:
                WriteStatus(message, ref at, 0);
                break;
        }

        WriteNames(message, ref at, lease);
        var length = Ipv6Frame.HeaderBytes + UdpBytes + at;
        var datagram = frame[Ipv6Frame.HeaderBytes..length];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, 547);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], 546);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)datagram.Length);
        Ipv6Frame.Seal(frame[..length], request.ClientMac, nodeMac, request.Client, nodeMac.LinkLocal(), Ipv6Frame.Udp, hopLimit: 64, checksumAt: 6);
        return length;
    }

    private static void WriteAddresses(Span<byte> message, ref int at, in Dhcpv6Request request, Ipv6Lease lease)
    {
        if (request.Association is not { } association)
        {
            return;
        }

        Span<byte> value = stackalloc byte[12 + AddressesMax * 28 + 6];
        value.Clear();
        BinaryPrimitives.WriteUInt32BigEndian(value, association);
        BinaryPrimitives.WriteUInt32BigEndian(value[4..], ValidSeconds / 2);
        BinaryPrimitives.WriteUInt32BigEndian(value[8..], ValidSeconds * 4 / 5);
        Span<byte> one = stackalloc byte[24];
        var inside = 12;
        foreach (var address in lease.Addresses.Take(AddressesMax))
        {
            address.TryWriteBytes(one, out _);
            BinaryPrimitives.WriteUInt32BigEndian(one[16..], ValidSeconds);
            BinaryPrimitives.WriteUInt32BigEndian(one[20..], ValidSeconds);
            Write(value, ref inside, Dhcpv6Option.Address, one);
        }

        if (lease.Addresses.Count == 0)
        {
            WriteStatus(value, ref inside, NoAddresses);
        }

        Write(message, ref at, Dhcpv6Option.Association, value[..inside]);
    }

    private static void WriteNames(Span<byte> message, ref int at, Ipv6Lease lease)
    {
        if (lease.DnsServers.Count > 0)
        {
            Write(message, ref at, Dhcpv6Option.DnsServers, lease.DnsServers.SelectMany(server => server.GetAddressBytes()).ToArray());
        }

        var labels = lease.DnsDomain.Split('.');
        if (lease.DnsDomain.Length > 0 && Array.TrueForAll(labels, label => label.Length is > 0 and <= 63))
        {
            byte[] name = [.. labels.SelectMany(label => Encoding.ASCII.GetBytes(label).Prepend((byte)label.Length)), 0];
            Write(message, ref at, Dhcpv6Option.DomainList, name);
        }
    }

    private static void WriteStatus(Span<byte> message, ref int at, ushort status)
    {
        Span<byte> value = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(value, status);
        Write(message, ref at, Dhcpv6Option.Status, value);
    }

    private static void Write(Span<byte> message, ref int at, ushort code, ReadOnlySpan<byte> value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(message[at..], code);
        BinaryPrimitives.WriteUInt16BigEndian(message[(at + 2)..], (ushort)value.Length);
        value.CopyTo(message[(at + 4)..]);
        at += 4 + value.Length;
    }
}

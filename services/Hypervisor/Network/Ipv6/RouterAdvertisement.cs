using System.Buffers.Binary;
using System.Net;

namespace Nephos.Hypervisor.Network.Ipv6;

/// <summary>Tells a guest its prefixes, its router and how it gets addresses (RFC 4861, RFC 8106).</summary>
internal static class RouterAdvertisement
{
    public const byte SolicitationType = 133;
    public const int FrameBytesMax = Ipv6Frame.HeaderBytes + 16 + 8 + 8 + PrefixesMax * 32 + 8 + 8 * 16;

    /// <summary>How often it is repeated; the lifetime below outlives a few that are lost.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(5);

    private const int PrefixesMax = 16;
    private const byte Type = 134;
    private const byte HopLimit = 64;
    private const byte ManagedFlag = 0x80;
    private const byte OtherFlag = 0x40;
    private const byte OnLinkFlag = 0x80;
    private const byte AutonomousFlag = 0x40;
    private const ushort RouterSeconds = 1800;
    private const uint ValidSeconds = 86_400;
    private const uint PreferredSeconds = 14_400;
    private static readonly IPAddress AllNodes = IPAddress.Parse("ff02::1");
    private static readonly Mac AllNodesMac = new(0x3333_0000_0001);

    /// <param name="nodeMac">Speaks where there is no router.</param>
    /// <param name="frame">At least <see cref="FrameBytesMax"/> bytes.</param>
    /// <returns>Length of the frame; 0 when nothing is advertised.</returns>
    public static int Build(Ipv6Lease lease, Mac nodeMac, Span<byte> frame)
    {
        if (!lease.Advertises)
        {
            return 0;
        }

        var speaker = lease.Router ?? nodeMac;
        frame[..FrameBytesMax].Clear();
        var message = frame[Ipv6Frame.HeaderBytes..];
        message[0] = Type;
        message[4] = HopLimit;
        message[5] = (byte)((lease.Managed ? ManagedFlag : 0) | (lease.OtherByDhcp ? OtherFlag : 0));
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], lease.Router is null ? (ushort)0 : RouterSeconds);
        var at = 16;
        (message[at], message[at + 1]) = (1, 1);
        speaker.Write(message[(at + 2)..]);
        at += 8;
        (message[at], message[at + 1]) = (5, 1);
        BinaryPrimitives.WriteUInt32BigEndian(message[(at + 4)..], (uint)lease.Mtu);
        at += 8;
        foreach (var (prefix, autonomous) in lease.Prefixes.Take(PrefixesMax))
        {
            var option = message.Slice(at, 32);
            (option[0], option[1], option[2]) = (3, 4, (byte)prefix.PrefixLength);
            option[3] = (byte)(OnLinkFlag | (autonomous ? AutonomousFlag : 0));
            BinaryPrimitives.WriteUInt32BigEndian(option[4..], ValidSeconds);
            BinaryPrimitives.WriteUInt32BigEndian(option[8..], PreferredSeconds);
            prefix.BaseAddress.TryWriteBytes(option[16..], out _);
            at += 32;
        }

        if (lease.DnsServers.Count > 0)
        {
            (message[at], message[at + 1]) = (25, (byte)(1 + 2 * lease.DnsServers.Count));
            BinaryPrimitives.WriteUInt32BigEndian(message[(at + 4)..], RouterSeconds);
            at += 8;
            foreach (var server in lease.DnsServers)
            {
                server.TryWriteBytes(message[at..], out _);
                at += 16;
            }
        }

        var length = Ipv6Frame.HeaderBytes + at;
        Ipv6Frame.Seal(frame[..length], AllNodesMac, speaker, AllNodes, speaker.LinkLocal(), Ipv6Frame.Icmp, hopLimit: 255, checksumAt: 2);
        return length;
    }
}

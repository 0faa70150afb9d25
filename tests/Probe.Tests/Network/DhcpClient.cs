using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Probe.Tests.Network;

/// <summary>A DHCP client that speaks for itself: its frames are written here, not by the code under test.</summary>
internal sealed class DhcpClient(Guest guest)
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(3);

    /// <summary>Sends one message and returns the answer to it; null when none comes.</summary>
    public async Task<DhcpAnswer?> AskAsync(byte type, params (byte Code, byte[] Value)[] options)
    {
        using var socket = guest.Run(() => PacketSocket.OpenForAll((int)LibC.InterfaceIndex("eth0")));
        using var limit = new CancellationTokenSource(AnswerTimeout);
        var frame = Build(guest.Mac, 0xC0FFEE00u + type, [(53, [type]), .. options]);
        var answer = new byte[2048];
        try
        {
            await socket.SendAsync(frame, limit.Token);
            while (true)
            {
                var length = await socket.ReceiveAsync(answer, limit.Token);
                if (DhcpAnswer.TryRead(answer.AsSpan(0, length), 0xC0FFEE00u + type) is { } read)
                {
                    return read;
                }
            }
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    public static byte[] Build(Mac mac, uint transaction, IReadOnlyList<(byte Code, byte[] Value)> options)
    {
        var body = new List<byte>(new byte[240]);
        (body[0], body[1], body[2]) = (1, 1, 6);
        for (var i = 0; i < 4; i++)
        {
            body[4 + i] = (byte)(transaction >> (24 - 8 * i));
            body[236 + i] = (byte)(0x63825363u >> (24 - 8 * i));
        }

        for (var i = 0; i < 6; i++)
        {
            body[28 + i] = mac.ToArray()[i];
        }

        foreach (var (code, value) in options)
        {
            body.AddRange([code, (byte)value.Length, .. value]);
        }

        body.Add(255);
        var packet = new byte[14 + 28 + body.Count];
        packet.AsSpan(0, 6).Fill(0xFF);
        mac.ToArray().CopyTo(packet, 6);
        packet[12] = 8;
        packet[14] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(16), (ushort)(28 + body.Count));
        (packet[22], packet[23]) = (64, 17);
        packet.AsSpan(30, 4).Fill(0xFF);
        var sum = 0u;
        for (var i = 14; i < 34; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(i));
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(24), (ushort)~((sum & 0xFFFF) + (sum >> 16)));
        (packet[35], packet[37]) = (68, 67);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(38), (ushort)(8 + body.Count));
        body.CopyTo(packet, 42);
        return packet;
    }
}

internal sealed record DhcpAnswer(IPAddress Offered, byte Type, IReadOnlyDictionary<byte, byte[]> Options)
{
    public IPAddress Address(byte code) => new(Options[code]);

    public uint Number(byte code) => Options[code].Aggregate(0u, (value, part) => (value << 8) | part);

    public string Text(byte code) => Encoding.ASCII.GetString(Options[code]);

    public static DhcpAnswer? TryRead(ReadOnlySpan<byte> frame, uint transaction)
    {
        if (frame.Length < 14 + 28 + 240 || frame[12] != 8 || frame[13] != 0 || frame[23] != 17 || frame[37] != 68
            || BinaryPrimitives.ReadUInt32BigEndian(frame[46..]) != transaction)
        {
            return null;
        }

        var options = new Dictionary<byte, byte[]>();
        for (var rest = frame[(42 + 240)..]; rest[0] != 255; rest = rest[(2 + rest[1])..])
        {
            // A long option comes in parts.
            options[rest[0]] = [.. options.GetValueOrDefault(rest[0], []), .. rest.Slice(2, rest[1])];
        }

        return new DhcpAnswer(new IPAddress(frame.Slice(58, 4)), options[53][0], options);
    }
}

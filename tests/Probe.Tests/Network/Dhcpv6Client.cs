using System.Buffers.Binary;
using System.Net;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Probe.Tests.Network;

/// <summary>A DHCPv6 client that speaks for itself: its frames are written and read here, not by the code under test.</summary>
internal sealed class Dhcpv6Client(Guest guest)
{
    private const int OptionsAt = 14 + 40 + 8 + 4;
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(10);
    private static readonly byte[] ServersMac = [0x33, 0x33, 0, 1, 0, 2];

    /// <summary>Sends one message with the client's id and returns type and options of the answer; null when none comes.</summary>
    public Task<(byte Type, IReadOnlyDictionary<int, byte[]> Options)?> AskAsync(byte type, params (int Code, byte[] Value)[] options) =>
        AskAsync(type, AnswerTimeout, options);

    public async Task<(byte Type, IReadOnlyDictionary<int, byte[]> Options)?> AskAsync(byte type, TimeSpan timeout, params (int Code, byte[] Value)[] options)
    {
        using var socket = guest.Run(() => PacketSocket.OpenForAll((int)LibC.InterfaceIndex("eth0")));
        using var limit = new CancellationTokenSource(timeout);
        byte[] clientId = [0, 3, 0, 1, .. guest.Mac.ToArray()];
        var answer = new byte[2048];
        try
        {
            await socket.SendAsync(Build(guest.Mac, type, [(1, clientId), .. options]), limit.Token);
            while (true)
            {
                var length = await socket.ReceiveAsync(answer, limit.Token);
                if (length > OptionsAt && answer[12] == 0x86 && answer[13] == 0xDD && answer[20] == 17 && answer[56] == 2 && answer[57] == 34)
                {
                    Xunit.Assert.Equal(0xFFFF, Checksum(answer.AsSpan(22, 32), answer.AsSpan(54, length - 54)));
                    return (answer[62], Read(answer.AsSpan(OptionsAt, length - OptionsAt)));
                }
            }
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>The options of a message or of an association of addresses; the first of each number.</summary>
    public static IReadOnlyDictionary<int, byte[]> Read(ReadOnlySpan<byte> options)
    {
        var read = new Dictionary<int, byte[]>();
        while (options.Length >= 4)
        {
            var (code, length) = (BinaryPrimitives.ReadUInt16BigEndian(options), BinaryPrimitives.ReadUInt16BigEndian(options[2..]));
            read.TryAdd(code, options.Slice(4, length).ToArray());
            options = options[(4 + length)..];
        }

        return read;
    }

    private static byte[] Build(Mac mac, byte type, (int Code, byte[] Value)[] options)
    {
        byte[] message = [type, 0xC0, 0xFF, 0xEE, .. options.SelectMany(option =>
            (byte[])[(byte)(option.Code >> 8), (byte)option.Code, (byte)(option.Value.Length >> 8), (byte)option.Value.Length, .. option.Value])];
        var length = 8 + message.Length;
        byte[] datagram = [2, 34, 2, 35, (byte)(length >> 8), (byte)length, 0, 0, .. message];
        byte[] addresses = [.. mac.LinkLocal().GetAddressBytes(), .. IPAddress.Parse("ff02::1:2").GetAddressBytes()];
        var checksum = (ushort)~Checksum(addresses, datagram);
        (datagram[6], datagram[7]) = ((byte)(checksum >> 8), (byte)checksum);
        return [.. ServersMac, .. mac.ToArray(), 0x86, 0xDD, 0x60, 0, 0, 0, (byte)(length >> 8), (byte)length, 17, 1, .. addresses, .. datagram];
    }

    private static int Checksum(ReadOnlySpan<byte> addresses, ReadOnlySpan<byte> datagram)
    {
        var sum = 17 + datagram.Length;
        foreach (var bytes in (byte[][])[addresses.ToArray(), datagram.ToArray()])
        {
            for (var i = 0; i < bytes.Length; i++)
            {
                sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
            }
        }

        while (sum > 0xFFFF)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return sum;
    }
}

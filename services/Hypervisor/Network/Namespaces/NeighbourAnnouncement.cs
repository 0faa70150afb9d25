using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Nephos.Hypervisor.Network.Namespaces;

/// <summary>Tells a link where an address now is (gratuitous ARP, RFC 5227), so that nobody keeps sending to where it was.</summary>
internal static class NeighbourAnnouncement
{
    private const int FrameBytes = 42;

    /// <summary>Sends in the namespace of the calling thread. A device that is down or gone is no error: nobody listens.</summary>
    public static void Send(int deviceIndex, Mac mac, IEnumerable<IPAddress> addresses)
    {
        using var socket = PacketSocket.OpenForDhcp(deviceIndex);
        foreach (var address in addresses)
        {
            try
            {
                socket.Send(Build(mac, address));
            }
            catch (SocketException)
            {
                return;
            }
        }
    }

    internal static byte[] Build(Mac mac, IPAddress address)
    {
        var frame = new byte[FrameBytes];
        Mac.Broadcast.Write(frame);
        mac.Write(frame.AsSpan(6));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x0806);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14), 1);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(16), 0x0800);
        frame[18] = 6;
        frame[19] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(20), 1);
        mac.Write(frame.AsSpan(22));
        address.TryWriteBytes(frame.AsSpan(28), out _);
        address.TryWriteBytes(frame.AsSpan(38), out _);
        return frame;
    }
}

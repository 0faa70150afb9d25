using System.Net;
using System.Net.Sockets;

namespace Nephos.Testing;

/// <summary>Ports for hosts under test, that no other test of this process was given.</summary>
/// <remarks>Below the range from which the kernel takes ports of outgoing connections, so that none is taken between the check and its use.</remarks>
public static class FreePorts
{
    private const int First = 12_000, Count = 18_000, Step = 3;

    private static int _taken = Environment.ProcessId * 31 % Count;

    /// <summary>A port that is free together with others at some distance from it.</summary>
    /// <exception cref="InvalidOperationException">All were tried.</exception>
    public static int Take(params ReadOnlySpan<int> offsets)
    {
        for (var tries = 0; tries < Count / Step; tries++)
        {
            var port = First + Interlocked.Add(ref _taken, Step) % Count;
            var isFree = IsFree(port);
            foreach (var offset in offsets)
            {
                isFree = isFree && IsFree(port + offset);
            }
            if (isFree)
            {
                return port;
            }
        }
        throw new InvalidOperationException("There is no free port.");
    }

    private static bool IsFree(int port)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

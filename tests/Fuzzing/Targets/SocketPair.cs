using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Nephos.Fuzzing.Targets;

/// <summary>Two ends of one connection in this process.</summary>
internal sealed partial class SocketPair : IDisposable
{
    private const int LocalDomain = 1, StreamType = 1, CloseOnExec = 0x80000;

    public unsafe SocketPair()
    {
        var descriptors = stackalloc int[2];
        // SAFETY: room for the two numbers that the call writes.
        if (Create(LocalDomain, StreamType | CloseOnExec, 0, descriptors) != 0)
        {
            throw new IOException($"No sockets: error {Marshal.GetLastPInvokeError()}.");
        }
        Server = new Socket(new SafeSocketHandle(descriptors[0], ownsHandle: true));
        Client = new Socket(new SafeSocketHandle(descriptors[1], ownsHandle: true));
    }

    public Socket Server { get; }

    public Socket Client { get; }

    /// <summary>Sends all that the client will ever say.</summary>
    public void Say(ReadOnlySpan<byte> bytes)
    {
        Client.Send(bytes);
        Client.Shutdown(SocketShutdown.Send);
    }

    public void Dispose()
    {
        Server.Dispose();
        Client.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static unsafe partial int Create(int domain, int type, int protocol, int* descriptors);
}

using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Nephos.Client.Nbd;

/// <summary>Plain blocking calls on a connected socket: less work per request than the framework's, and nothing allocated.</summary>
internal static partial class LibcSocket
{
    private const int Eintr = 4;
    private const int NoSignal = 0x4000; // MSG_NOSIGNAL
    private const short PollReadHangUp = 0x2000, PollError = 0x8, PollHangUp = 0x10;

    /// <summary>Waits for bytes.</summary>
    /// <returns>How many came; 0 or less when the peer or somebody here has closed the connection.</returns>
    public static unsafe int Receive(SafeSocketHandle socket, NativeBuffer buffer, int offset, int count)
    {
        while (true)
        {
            // SAFETY: the slice is checked against the buffer, which stays allocated while its connection runs.
            fixed (byte* start = buffer.Span.Slice(offset, count))
            {
                var received = Recv(socket, start, (nuint)count, 0);
                if (received >= 0 || Marshal.GetLastPInvokeError() != Eintr) return (int)received;
            }
        }
    }

    /// <summary>Sends all bytes, waiting for the peer to take them.</summary>
    /// <returns>False when the connection is gone.</returns>
    public static unsafe bool SendAll(SafeSocketHandle socket, ReadOnlySpan<byte> data)
    {
        // SAFETY: the span is pinned for the time of the calls, and never more than its rest is sent.
        fixed (byte* start = data)
        {
            var done = 0;
            while (done < data.Length)
            {
                var sent = Send(socket, start + done, (nuint)(data.Length - done), NoSignal);
                if (sent > 0) done += (int)sent;
                else if (Marshal.GetLastPInvokeError() != Eintr) return false;
            }
        }
        return true;
    }

    /// <summary>Whether the peer has closed its side, without waiting and without taking bytes.</summary>
    public static unsafe bool HasHungUp(SafeSocketHandle socket)
    {
        var added = false;
        try
        {
            socket.DangerousAddRef(ref added);
            var entry = new PollEntry { Descriptor = (int)socket.DangerousGetHandle(), Events = PollReadHangUp };
            // SAFETY: one entry, on the stack; the handle is kept open by the reference.
            return Poll(&entry, 1, 0) > 0 && (entry.Returned & (PollReadHangUp | PollError | PollHangUp)) != 0;
        }
        catch (ObjectDisposedException)
        {
            return true;
        }
        finally
        {
            if (added) socket.DangerousRelease();
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollEntry
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static unsafe partial nint Recv(SafeSocketHandle socket, byte* buffer, nuint count, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static unsafe partial nint Send(SafeSocketHandle socket, byte* buffer, nuint count, int flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static unsafe partial int Poll(PollEntry* entries, nuint count, int timeoutMs);
}

/// <summary>Memory outside of the collector's heap, aligned to pages, so that system calls need no pinning.</summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private const int Alignment = 4096;
    private byte* _start;

    public NativeBuffer(int bytes)
    {
        Length = bytes;
        // SAFETY: freed once, by Dispose or the finalizer; every access goes through spans of this length.
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        Span.Clear();
    }

    ~NativeBuffer() => Free();

    public int Length { get; }

    // SAFETY: the memory has Length bytes until it is freed, and a freed buffer gives no span.
    public Span<byte> Span => _start is not null ? new Span<byte>(_start, Length) : throw new ObjectDisposedException(nameof(NativeBuffer));

    /// <summary>The address of a byte; valid until the buffer is disposed.</summary>
    public nint Address(int offset)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)offset, (uint)Length);
        return (nint)(_start + offset);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_start);
        _start = null;
    }
}

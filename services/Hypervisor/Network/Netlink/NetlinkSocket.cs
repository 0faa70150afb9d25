using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Nephos.Hypervisor.Network.Namespaces;

namespace Nephos.Hypervisor.Network.Netlink;

/// <summary>A netlink socket in the namespace of the thread that opens it. One request at a time; thread safe.</summary>
internal sealed unsafe class NetlinkSocket : IDisposable
{
    public const int Route = 0;
    public const int Netfilter = 12;

    private const int LevelNetlink = 270;
    private const int OptionExtendedAck = 11;
    private const int LevelSocket = 1;
    private const int OptionReceiveTimeout = 20;
    private const int OptionReceiveBuffer = 8;
    private const ushort TypeError = 2;
    private const ushort TypeDone = 3;
    private const int HeaderBytes = 16;
    private const int BufferBytes = 64 * 1024;
    private const int InterruptedCall = 4;

    private readonly Lock _lock = new();
    private readonly SafeFileHandle _handle;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferBytes);
    private uint _sequence;

    public NetlinkSocket(int protocol)
    {
        _handle = LibC.OpenSocket(LibC.FamilyNetlink, LibC.SocketRaw, protocol);
        var on = 1;
        // The kernel answers at once; the timeout turns a lost answer into an error.
        var timeout = (Seconds: 10L, Microseconds: 0L);
        var receiveBytes = 1 << 20;
        // SAFETY: the pointers are to locals of the size given.
        LibC.SetSocketOption(_handle, LevelNetlink, OptionExtendedAck, &on, sizeof(int));
        LibC.SetSocketOption(_handle, LevelSocket, OptionReceiveTimeout, &timeout, 16);
        LibC.SetSocketOption(_handle, LevelSocket, OptionReceiveBuffer, &receiveBytes, sizeof(int));
    }

    /// <summary>Sends a request and waits for its acknowledgement.</summary>
    /// <param name="what">Begins the message of the exception.</param>
    /// <exception cref="NetlinkException">The kernel refused.</exception>
    public void Request(NetlinkMessage message, string what) => Exchange(message, what, static (_, _) => { });

    public delegate void Visitor(ushort type, ReadOnlySpan<byte> payload);

    /// <summary>Sends a dump request and hands every message of the answer to the visitor.</summary>
    public void Dump(NetlinkMessage message, string what, Visitor visit) => Exchange(message, what, visit);

    public void Dispose() => _handle.Dispose();

    private void Exchange(NetlinkMessage message, string what, Visitor visit)
    {
        lock (_lock)
        {
            var sequence = ++_sequence;
            var request = message.Finish(sequence);
            fixed (byte* bytes = request)
            {
                // SAFETY: the kernel copies the request before send returns.
                if (LibC.Send(_handle, bytes, (nuint)request.Length, 0) != request.Length)
                {
                    throw LibC.Error(what);
                }
            }

            while (!ReadAnswers(sequence, what, visit))
            {
            }
        }
    }

    /// <summary>True when the exchange is over.</summary>
    private bool ReadAnswers(uint sequence, string what, Visitor visit)
    {
        nint count;
        fixed (byte* bytes = _buffer)
        {
            // SAFETY: the kernel writes at most the length given.
            count = LibC.Receive(_handle, bytes, BufferBytes, 0);
        }

        if (count < 0)
        {
            return Marshal.GetLastPInvokeError() == InterruptedCall ? false : throw LibC.Error(what);
        }

        var rest = _buffer.AsSpan(0, (int)count);
        while (rest.Length >= HeaderBytes)
        {
            var length = (int)MemoryMarshal.Read<uint>(rest);
            var type = MemoryMarshal.Read<ushort>(rest[4..]);
            if (length < HeaderBytes || length > rest.Length)
            {
                throw new NetlinkException(what, 74, "truncated answer");
            }

            var payload = rest[HeaderBytes..length];
            // Answers to an exchange that failed half way may still be in the queue.
            if (MemoryMarshal.Read<uint>(rest[8..]) == sequence)
            {
                if (type == TypeError)
                {
                    var errno = -MemoryMarshal.Read<int>(payload);
                    return errno == 0 ? true : throw new NetlinkException(what, errno, Explain(payload, MemoryMarshal.Read<ushort>(rest[6..])));
                }

                if (type == TypeDone)
                {
                    var errno = payload.Length >= 4 ? -MemoryMarshal.Read<int>(payload) : 0;
                    return errno == 0 ? true : throw new NetlinkException(what, errno, "");
                }

                visit(type, payload);
            }

            rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        }

        return false;
    }

    /// <summary>The kernel's own words, when it sent some: attributes behind the echoed header.</summary>
    private static string Explain(ReadOnlySpan<byte> payload, ushort flags)
    {
        const ushort Capped = 0x100;
        const ushort HasAttributes = 0x200;
        const ushort Message = 1;
        if ((flags & HasAttributes) == 0 || payload.Length < 4 + HeaderBytes)
        {
            return "";
        }

        var echoed = (flags & Capped) != 0 ? HeaderBytes : (int)MemoryMarshal.Read<uint>(payload[4..]);
        var start = 4 + ((echoed + 3) & ~3);
        return start >= payload.Length ? "" : NetlinkAttributes.Text(NetlinkAttributes.Find(payload[start..], Message));
    }
}

/// <param name="errno">As in errno.h.</param>
internal sealed class NetlinkException(string what, int errno, string explanation)
    : Exception($"{what}: {Marshal.GetPInvokeErrorMessage(errno)}{(explanation.Length == 0 ? "" : $" ({explanation})")}")
{
    public const int NoEntry = 2;
    public const int NoProcess = 3;
    public const int Exists = 17;
    public const int NoDevice = 19;
    public const int NoAddress = 99;

    public int Errno { get; } = errno;
}

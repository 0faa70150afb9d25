namespace Nephos.Client.Transport;

/// <summary>
/// How storage processes and their clients call each other. The real one carries frames over TCP and unix sockets
/// (<see cref="SocketTransport"/>); the simulator has one of its own that delays, loses and reorders.
/// </summary>
public interface IStorageTransport
{
    /// <summary>Takes calls at an address until disposed.</summary>
    /// <exception cref="IOException">The address is in use or cannot be listened on.</exception>
    IAsyncDisposable Listen(StorageAddress address, CallHandler handler);

    /// <summary>A way to an address. It connects with the first call, and again after a loss.</summary>
    IStorageChannel Open(StorageAddress address);
}

/// <summary>A way to one process. Calls made one after the other by one thread arrive in that order while the connection lasts. Thread-safe.</summary>
public interface IStorageChannel : IAsyncDisposable
{
    /// <summary>Sends a call and waits for its answer, at most for the call's timeout.</summary>
    /// <remarks>The memory of the call is used until this completes, never after.</remarks>
    /// <exception cref="StorageUnreachableException">No answer came.</exception>
    /// <exception cref="StorageCallException">The other side could not carry it out.</exception>
    ValueTask<CallReply> CallAsync(StorageCall call);
}

/// <summary>Carries out a call and gives the answer. Runs on the connection's reader up to its first wait: what takes long waits at once.</summary>
public delegate ValueTask<CallResult> CallHandler(IncomingCall call);

/// <summary>A call to another process.</summary>
/// <param name="Method">What is asked; each plane has its own range, see <see cref="StorageMethods"/>.</param>
/// <param name="Head">Small: arguments. At most <see cref="StorageMethods.HeadBytesMax"/>.</param>
public readonly record struct StorageCall(ushort Method, ReadOnlyMemory<byte> Head)
{
    public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Bulk bytes, sent from where they lie. At most <see cref="StorageMethods.PayloadBytesMax"/>.</summary>
    public ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>Where the bulk bytes of the answer go; an answer with more is an error.</summary>
    public Memory<byte> Destination { get; init; }

    public TimeSpan Timeout { get; init; } = DefaultTimeout;
}

/// <param name="Head">Belongs to the caller.</param>
/// <param name="PayloadBytes">Bytes in the call's destination.</param>
public readonly record struct CallReply(ReadOnlyMemory<byte> Head, int PayloadBytes);

/// <summary>A call as its handler sees it.</summary>
/// <param name="Head">Belongs to the handler.</param>
/// <param name="Payload">At a page boundary and pinned; valid until the handler completes.</param>
public readonly record struct IncomingCall(ushort Method, ReadOnlyMemory<byte> Head, ReadOnlyMemory<byte> Payload);

/// <summary>The answer to a call.</summary>
/// <param name="Owner">Disposed when <paramref name="Payload"/> has been sent; null when nobody needs to know.</param>
public readonly record struct CallResult(ReadOnlyMemory<byte> Head, ReadOnlyMemory<byte> Payload = default, IDisposable? Owner = null);

/// <summary>No answer came. <see cref="IsOutcomeUnknown"/> false: the call was never sent, so it can be made elsewhere.</summary>
public sealed class StorageUnreachableException(string message, bool isOutcomeUnknown, Exception? cause = null) : IOException(message, cause)
{
    public bool IsOutcomeUnknown { get; } = isOutcomeUnknown;
}

/// <summary>The other side answered that it could not carry the call out; the message is its own.</summary>
public sealed class StorageCallException(string message) : IOException(message);

/// <summary>Who uses which methods, and what a call may carry.</summary>
public static class StorageMethods
{
    /// <summary>Payload of objects on devices.</summary>
    public const ushort Blobs = 0x100;

    /// <summary>Replicas of groups with one writer.</summary>
    public const ushort Groups = 0x200;

    /// <summary>Records of the namespace, at the writer of their shard.</summary>
    public const ushort Namespace = 0x300;

    /// <summary>Replicas of volumes.</summary>
    public const ushort Blocks = 0x400;

    /// <summary>Bytes of arguments of one call or answer.</summary>
    public const int HeadBytesMax = 32 << 20;

    /// <summary>Bulk bytes of one call or answer.</summary>
    public const int PayloadBytesMax = 1 << 20;
}

/// <summary>Hands each call to the plane whose range its method is in (the range's first method and the 255 behind it).</summary>
public sealed class CallRouter
{
    private readonly CallHandler?[] _planes = new CallHandler?[256];

    /// <summary>Call it before the first call comes.</summary>
    public void Add(ushort firstMethod, CallHandler handler) => _planes[firstMethod >> 8] = handler;

    /// <exception cref="StorageCallException">Nobody here serves the method.</exception>
    public ValueTask<CallResult> HandleAsync(IncomingCall call) =>
        _planes[call.Method >> 8] is { } handler ? handler(call) : throw new StorageCallException($"Nothing here serves method {call.Method:x}.");
}

using System.Threading.Tasks.Sources;

namespace Nephos.LocalStorage.Objects;

public enum StoreStatus
{
    Ok,

    /// <summary>No room for more data; deletes still work.</summary>
    Full,

    /// <summary>The disk refused; nothing is known to be stored.</summary>
    Failed,

    NotFound,

    /// <summary>What is there does not match its checksum.</summary>
    Corrupt,
}

/// <summary>One frame to store. The buffers belong to the caller and must stay unchanged until the append completes.</summary>
public readonly record struct NeedleWrite
{
    public required NeedleKey Key { get; init; }

    /// <summary>At most 1 MiB. Written from where it lies when it starts at a multiple of 512 bytes in memory that does not move.</summary>
    public required ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>XXH3-64 of each 64 KiB block, from <see cref="NeedleHeader.HashBlocks"/>.</summary>
    public required ReadOnlyMemory<ulong> Checksums { get; init; }

    public ReadOnlyMemory<byte> Hint { get; init; }

    public NeedleFlags Flags { get; init; }

    public uint HomeDevice { get; init; }
}

internal enum StoreRequestKind
{
    Append,
    Delete,

    /// <summary>Append, if the needle still is where compaction found it.</summary>
    Move,

    /// <summary>Make the index durable, then recycle a volume that holds nothing live.</summary>
    Recycle,
}

/// <summary>A request that waits for the committer; pooled, so that an append leaves no garbage.</summary>
internal sealed class StoreRequest : IValueTaskSource<StoreStatus>
{
    private ManualResetValueTaskSourceCore<StoreStatus> _source = new() { RunContinuationsAsynchronously = true };
    private Action<StoreRequest>? _release;

    public StoreRequestKind Kind { get; set; }

    public NeedleWrite Write { get; set; }

    public NeedleLocation Expected { get; set; }

    public ulong VolumeId { get; set; }

    // Filled by the committer between placing the request and completing it.
    internal long Offset { get; set; }

    internal StoreStatus Status { get; set; }

    public ValueTask<StoreStatus> Start(Action<StoreRequest> release)
    {
        _release = release;
        return new ValueTask<StoreStatus>(this, _source.Version);
    }

    public void Complete(StoreStatus status) => _source.SetResult(status);

    StoreStatus IValueTaskSource<StoreStatus>.GetResult(short token)
    {
        var status = _source.GetResult(token);
        _source.Reset();
        Write = default;
        _release!(this);
        return status;
    }

    ValueTaskSourceStatus IValueTaskSource<StoreStatus>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<StoreStatus>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}

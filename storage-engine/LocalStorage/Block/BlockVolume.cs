namespace Nephos.LocalStorage.Block;

/// <summary>A volume of a device, as its users hold it. Safe for use by several threads.</summary>
public sealed class BlockVolume
{
    private readonly BlockStore _store;
    private Layer _top;
    private long _sizeBytes;
    private long _sealedEpoch;
    private long _lastSequence;

    internal BlockVolume(BlockStore store, Guid id, uint handle, Layer top, long sizeBytes, long sealedEpoch, long lastSequence)
    {
        _store = store;
        Id = id;
        Handle = handle;
        _top = top;
        _sizeBytes = sizeBytes;
        _sealedEpoch = sealedEpoch;
        _lastSequence = lastSequence;
    }

    public Guid Id { get; }

    internal uint Handle { get; }

    /// <summary>The one layer that is written. Changes under the structure's lock and the journal's gate.</summary>
    internal Layer Top
    {
        get => Volatile.Read(ref _top);
        set => Volatile.Write(ref _top, value);
    }

    internal bool Deleted;

    public long SizeBytes
    {
        get => Volatile.Read(ref _sizeBytes);
        internal set => Volatile.Write(ref _sizeBytes, value);
    }

    /// <summary>Requests with a lower epoch are refused.</summary>
    public long SealedEpoch
    {
        get => Volatile.Read(ref _sealedEpoch);
        internal set => Volatile.Write(ref _sealedEpoch, value);
    }

    /// <summary>The greatest sequence of a write that was taken.</summary>
    public long LastSequence
    {
        get => Volatile.Read(ref _lastSequence);
        internal set => Volatile.Write(ref _lastSequence, value);
    }

    /// <summary>From now on every lower epoch is refused. Durable when it returns. Sealing the same epoch again is no change.</summary>
    public BlockStatus Seal(long epoch) => _store.Seal(this, epoch);

    /// <summary>Reads whole blocks; each is checked against its sum.</summary>
    public BlockStatus Read(long epoch, long offset, Span<byte> buffer) => _store.Read(this, epoch, offset, buffer);

    /// <summary>Appends the writes to the journal, in order. They survive the death of the process when it returns.</summary>
    public BlockStatus Write(long epoch, ReadOnlySpan<JournalWrite> writes) => _store.Write(this, epoch, writes);

    /// <summary>Makes durable whatever was written before the call.</summary>
    public BlockStatus Flush(long epoch) => _store.Flush(this, epoch);

    /// <summary>Describes a range until the output is full.</summary>
    public BlockStatus GetRanges(long epoch, long offset, long length, Span<LayerRange> ranges, out int count) =>
        _store.GetRanges(this, epoch, offset, length, ranges, out count);
}

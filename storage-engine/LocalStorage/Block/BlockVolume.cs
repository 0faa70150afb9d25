using Nephos.Replication.Volumes;

namespace Nephos.LocalStorage.Block;

/// <summary>A volume of a device, as its users hold it. Safe for use by several threads.</summary>
public sealed class BlockVolume
{
    private readonly BlockStore _store;
    private Layer _top;
    private long _sizeBytes;
    private long _sealedEpoch;
    private long _lastSequence;
    private VolumeHistory _history;
    private bool _complete;

    internal BlockVolume(BlockStore store, MetaVolume meta, Layer top)
    {
        _store = store;
        Id = meta.Id;
        Handle = meta.Handle;
        _top = top;
        _sizeBytes = meta.SizeBytes;
        _sealedEpoch = meta.SealedEpoch;
        _history = meta.History ?? VolumeHistory.Empty;
        _lastSequence = _history.Sequence;
        _complete = !meta.Incomplete;
        Unlisted = meta.Unlisted;
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

    /// <summary>The sequence of the last write that was taken.</summary>
    public long LastSequence => Volatile.Read(ref _lastSequence);

    /// <summary>The writes this replica has. Under the journal's gate.</summary>
    internal VolumeHistory History => Volatile.Read(ref _history) with { Sequence = LastSequence };

    /// <summary>Whether it has all that its history says. A complete replica takes no write that does not follow its last one.</summary>
    public bool Complete => Volatile.Read(ref _complete);

    /// <summary>Writes up to this sequence need not be in the journal any more. Under the journal's gate.</summary>
    internal long Unlisted { get; set; }

    /// <summary>How often it was told what it holds since the device was opened.</summary>
    internal long Begins { get; private set; }

    /// <summary>Writes above this sequence wait. Under the journal's gate.</summary>
    internal long HeldAbove { get; set; } = long.MaxValue;

    /// <summary>When the hold ends by itself.</summary>
    internal long HeldUntil { get; set; }

    /// <summary>Counts a write. Under the journal's gate, or before the volume is in use.</summary>
    internal void Took(long epoch, long sequence)
    {
        if (sequence <= 0 || epoch < _history.Epoch || (epoch == _history.Epoch && sequence <= _lastSequence)) return;
        if (epoch > _history.Epoch) Volatile.Write(ref _history, History.With(epoch, sequence));
        Volatile.Write(ref _lastSequence, sequence);
    }

    /// <summary>Under the journal's gate.</summary>
    internal void Became(VolumeHistory history, bool complete, long unlisted)
    {
        Volatile.Write(ref _history, history);
        Volatile.Write(ref _lastSequence, history.Sequence);
        Volatile.Write(ref _complete, complete);
        Unlisted = unlisted;
        Begins++;
    }

    /// <summary>From now on every lower epoch is refused. Durable when it returns. Sealing the same epoch again is no change.</summary>
    public BlockStatus Seal(long epoch) => _store.Seal(this, epoch);

    /// <summary>Reads whole blocks; each is checked against its sum.</summary>
    public BlockStatus Read(long epoch, long offset, Span<byte> buffer) => _store.Read(this, epoch, offset, buffer);

    /// <summary>Appends the writes to the journal, in order. They survive the death of the process when it returns.</summary>
    public BlockStatus Write(long epoch, ReadOnlySpan<JournalWrite> writes) => _store.Write(this, epoch, writes);

    /// <summary>What the replica is.</summary>
    public VolumeInfo Describe() => _store.Describe(this);

    /// <summary>From now on this is what the replica holds, under the newest epoch of the history. Durable when it returns.</summary>
    /// <param name="history">Its last epoch must not be below the sealed one.</param>
    /// <param name="complete">False when some of it is still to be brought.</param>
    public BlockStatus Begin(VolumeHistory history, bool complete) => _store.Begin(this, history, complete);

    /// <summary>The sums of whole blocks: equal sums are equal content. A block that reads as zero because nothing was written has the sum 1.</summary>
    public BlockStatus GetSums(long epoch, long offset, Span<uint> sums) => _store.GetSums(this, epoch, offset, sums);

    /// <summary>Where the volume was written after a sequence, in no order and perhaps more than that.</summary>
    /// <returns>False when the journal does not go back so far.</returns>
    public bool TryListWritten(long sequence, Action<long, long> found) => _store.TryListWritten(this, sequence, found);

    /// <summary>Makes durable whatever was written before the call.</summary>
    public BlockStatus Flush(long epoch) => _store.Flush(this, epoch);

    /// <summary>Describes a range until the output is full.</summary>
    public BlockStatus GetRanges(long epoch, long offset, long length, Span<LayerRange> ranges, out int count) =>
        _store.GetRanges(this, epoch, offset, length, ranges, out count);
}

using Nephos.Client.Volumes;
using Nephos.Replication.Volumes;

namespace Nephos.Fuzzing.Targets;

/// <summary>A replica that is an array, and that takes nothing which a device would not.</summary>
internal sealed unsafe class MemoryReplica(int sizeBytes) : IBlockReplica
{
    private readonly byte[] _content = new byte[sizeBytes];
    private VolumeHistory _history = VolumeHistory.Empty;
    private long _epoch;

    public ReadOnlySpan<byte> Content => _content;

    public void Clear() => Array.Clear(_content);

    public ReplicaDescription Describe() => new(sizeBytes, _epoch, _history, Complete: true, Begins: 1);

    public ReplicaStatus Seal(long epoch)
    {
        _epoch = epoch;
        return ReplicaStatus.Ok;
    }

    public ReplicaStatus Begin(VolumeHistory history, bool complete)
    {
        _history = history;
        return ReplicaStatus.Ok;
    }

    public ReplicaStatus Read(long epoch, long offset, Span<byte> buffer)
    {
        Check(offset, buffer.Length);
        _content.AsSpan((int)offset, buffer.Length).CopyTo(buffer);
        return ReplicaStatus.Ok;
    }

    public ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes)
    {
        foreach (ref readonly var write in writes)
        {
            Check(write.Offset, write.Length);
            if (write.Length == 0 || write.Sequence != _history.Sequence + 1) throw new InvalidOperationException($"Write {write.Sequence} of {write.Length} bytes does not follow {_history.Sequence}.");
            _history = _history.With(epoch, write.Sequence + write.Records - 1);
            var target = _content.AsSpan((int)write.Offset, (int)write.Length);
            if (write.Kind == BlockWriteKind.Zero) target.Clear();
            // SAFETY: the data stays until the call returns.
            else new ReadOnlySpan<byte>((void*)write.Data, target.Length).CopyTo(target);
        }
        return ReplicaStatus.Ok;
    }

    public ReplicaStatus Flush(long epoch) => ReplicaStatus.Ok;

    /// <summary>Blocks are data and holes by turns of three, whatever is in them.</summary>
    public ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count)
    {
        Check(offset, length);
        const int turn = 3 * VolumeHead.BlockBytes;
        count = 0;
        for (var end = offset + length; offset < end && count < ranges.Length;)
        {
            var next = Math.Min(end, (offset / turn + 1) * turn);
            var isData = _content.AsSpan((int)offset, (int)(next - offset)).ContainsAnyExcept((byte)0);
            ranges[count++] = new BlockRange(offset, next - offset, isData ? BlockRangeKind.Data : BlockRangeKind.Hole);
            offset = next;
        }
        return ReplicaStatus.Ok;
    }

    public ReplicaStatus GetSums(long epoch, long offset, Span<uint> sums) => throw new NotSupportedException("There is nobody to compare with.");

    public bool TryListWritten(long epoch, long sequence, Action<long, long> found) => true;

    private static void Fail(long offset, long length) => throw new InvalidOperationException($"{length} bytes at {offset} are not in the volume, or no whole blocks.");

    private void Check(long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > sizeBytes - length || (offset | length) % VolumeHead.BlockBytes != 0) Fail(offset, length);
    }

    public void Dispose()
    {
    }
}

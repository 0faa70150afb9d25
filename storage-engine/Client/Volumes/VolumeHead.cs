using System.Runtime.InteropServices;

namespace Nephos.Client.Volumes;

/// <summary>The owner of a volume session: gives each write its number, keeps the epoch, and reaches the replicas.</summary>
/// <remarks>
/// A write is acknowledged when the replica's process has it in its journal (it survives the death of this process, B20); a flush when it is durable.
/// All connections of an export end here, so a flush on one covers the writes acknowledged on all (B26). Safe for use by several threads.
/// </remarks>
internal sealed class VolumeHead(Guid volumeId, long epoch, IBlockReplica replica, long sizeBytes) : IDisposable
{
    public const int BlockBytes = 4096;

    private readonly Lock _order = new();
    private long _sequence = replica.LastSequence;
    private long _sizeBytes = sizeBytes;
    private bool _fenced;
    private long _readCount, _writeCount, _readBytes, _writtenBytes;

    public Guid VolumeId { get; } = volumeId;
    public long Epoch { get; } = epoch;

    public long SizeBytes
    {
        get => Volatile.Read(ref _sizeBytes);
        set => Volatile.Write(ref _sizeBytes, value);
    }

    /// <summary>A newer epoch exists: nothing can be completed any more, so connections are dropped and the name is unknown.</summary>
    public bool Fenced => Volatile.Read(ref _fenced);

    /// <summary>Called once when the head finds itself fenced.</summary>
    public Action? OnFenced { get; set; }

    public (long Reads, long Writes, long ReadBytes, long WrittenBytes) Counters =>
        (Volatile.Read(ref _readCount), Volatile.Read(ref _writeCount), Volatile.Read(ref _readBytes), Volatile.Read(ref _writtenBytes));

    /// <summary>Reads any range of bytes.</summary>
    /// <param name="offset">In bytes; with the length inside the volume.</param>
    /// <param name="buffer">Gets the data.</param>
    /// <param name="scratch">Memory for the blocks around a range that does not begin and end on blocks; at least the length and two blocks.</param>
    public ReplicaStatus Read(long offset, Span<byte> buffer, Func<int, Span<byte>> scratch)
    {
        ReplicaStatus status;
        if ((offset | (long)buffer.Length) % BlockBytes == 0)
        {
            status = replica.Read(Epoch, offset, buffer);
        }
        else
        {
            var start = offset / BlockBytes * BlockBytes;
            var end = RoundUp(offset + buffer.Length);
            var blocks = scratch((int)(end - start));
            status = replica.Read(Epoch, start, blocks);
            if (status == ReplicaStatus.Ok) blocks.Slice((int)(offset - start), buffer.Length).CopyTo(buffer);
        }
        Interlocked.Increment(ref _readCount);
        Interlocked.Add(ref _readBytes, buffer.Length);
        return Noted(status);
    }

    /// <summary>Takes over writes of whole blocks, in order.</summary>
    public ReplicaStatus Write(Span<BlockWrite> writes)
    {
        long bytes = 0;
        ReplicaStatus status;
        lock (_order)
        {
            foreach (ref var write in writes)
            {
                write.Sequence = ++_sequence;
                if (write.Kind == BlockWriteKind.Data) bytes += write.Length;
            }
            status = replica.Write(Epoch, writes);
        }
        Interlocked.Add(ref _writeCount, writes.Length);
        Interlocked.Add(ref _writtenBytes, bytes);
        return Noted(status);
    }

    /// <summary>Writes, or zeroes, a range that does not begin and end on blocks. Nobody else writes meanwhile, so that no neighbour is lost (B11).</summary>
    /// <param name="offset">In bytes.</param>
    /// <param name="length">In bytes; of the data, or of the zeros.</param>
    /// <param name="data">Empty for zeros.</param>
    public ReplicaStatus WriteUnaligned(long offset, long length, ReadOnlySpan<byte> data)
    {
        using var buffer = new Nbd.NativeBuffer(BlockBytes);
        var zero = data.IsEmpty;
        ReplicaStatus status;
        lock (_order)
        {
            status = WriteParts(offset, length, data, zero, buffer);
        }
        Interlocked.Increment(ref _writeCount);
        Interlocked.Add(ref _writtenBytes, data.Length);
        return Noted(status);
    }

    private ReplicaStatus WriteParts(long offset, long length, ReadOnlySpan<byte> data, bool zero, Nbd.NativeBuffer buffer)
    {
        while (length > 0)
        {
            var within = (int)(offset % BlockBytes);
            if (zero && within == 0 && length >= BlockBytes)
            {
                var whole = length / BlockBytes * BlockBytes;
                var zeros = new BlockWrite { Offset = offset, Length = whole, Kind = BlockWriteKind.Zero };
                if (WriteOne(ref zeros) is var zeroed and not ReplicaStatus.Ok) return zeroed;
                offset += whole;
                length -= whole;
                continue;
            }
            var part = (int)Math.Min(BlockBytes - within, length);
            var block = buffer.Span;
            if (part < BlockBytes && replica.Read(Epoch, offset - within, block) is var read and not ReplicaStatus.Ok) return read;
            if (zero) block.Slice(within, part).Clear();
            else data[..part].CopyTo(block[within..]);
            var write = new BlockWrite { Offset = offset - within, Length = BlockBytes, Data = buffer.Address(0) };
            if (WriteOne(ref write) is var status and not ReplicaStatus.Ok) return status;
            if (!zero) data = data[part..];
            offset += part;
            length -= part;
        }
        return ReplicaStatus.Ok;
    }

    private ReplicaStatus WriteOne(ref BlockWrite write)
    {
        write.Sequence = ++_sequence;
        return replica.Write(Epoch, MemoryMarshal.CreateReadOnlySpan(ref write, 1));
    }

    /// <summary>Makes durable whatever was acknowledged before the call, on any connection (B12).</summary>
    public ReplicaStatus Flush() => Noted(replica.Flush(Epoch));

    public ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count) =>
        Noted(replica.GetRanges(Epoch, offset, length, ranges, out count));

    public static long RoundUp(long bytes) => (bytes + BlockBytes - 1) / BlockBytes * BlockBytes;

    private ReplicaStatus Noted(ReplicaStatus status)
    {
        if (status is ReplicaStatus.Fenced or ReplicaStatus.NotFound && !Interlocked.Exchange(ref _fenced, true)) OnFenced?.Invoke();
        return status;
    }

    public void Dispose() => replica.Dispose();
}

using Microsoft.Extensions.Logging;
using Nephos.Client.Nbd;

namespace Nephos.Client.Volumes;

/// <summary>The owner of a volume session: what its connections ask goes through here to the group of replicas.</summary>
/// <remarks>
/// A write is acknowledged when the processes of a majority of replicas have it in their journals (it survives the death of this process, B20, B21); a
/// flush when it is durable at a majority. All connections of an export end here, so a flush on one covers the writes acknowledged on all (B26). Safe for
/// use by several threads.
/// </remarks>
internal sealed class VolumeHead : INbdContent, IDisposable
{
    public const int BlockBytes = VolumeGroup.BlockBytes;

    /// <summary>How long closing waits for the slowest replica.</summary>
    private static readonly TimeSpan DrainTime = TimeSpan.FromMilliseconds(500);

    private readonly VolumeGroup _group;
    private readonly HeadThreads _threads;
    private readonly BlockCipher? _cipher;
    private readonly Lock _order = new();
    private int _fencedTold;
    private long _readCount, _writeCount, _readBytes, _writtenBytes;

    /// <param name="group">Its replicas.</param>
    /// <param name="cipher">Null for a volume that is not encrypted. Belongs to the head from now on.</param>
    /// <param name="connect">Reaches a replica again; null when it can not be.</param>
    /// <param name="logger">For what the replicas do.</param>
    public VolumeHead(VolumeGroup group, BlockCipher? cipher, Func<int, IBlockReplica?> connect, ILogger logger)
    {
        _group = group;
        _cipher = cipher;
        _threads = new HeadThreads(group, connect, new RepairPace(() => Volatile.Read(ref _readCount) + Volatile.Read(ref _writeCount)), logger);
    }

    public Guid VolumeId => _group.VolumeId;

    public long SizeBytes
    {
        get => _group.SizeBytes;
        set => _group.SizeBytes = value;
    }

    /// <summary>A newer epoch exists: nothing can be completed any more, so connections are dropped and the name is unknown.</summary>
    public bool Fenced => _group.Fenced;

    /// <summary>Called once when the head finds itself fenced.</summary>
    public Action? OnFenced { get; set; }

    public GroupStatus Status => _group.Status;

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
            status = ReadBlocks(offset, buffer);
        }
        else
        {
            var start = offset / BlockBytes * BlockBytes;
            var end = RoundUp(offset + buffer.Length);
            var blocks = scratch((int)(end - start));
            status = ReadBlocks(start, blocks);
            if (status == ReplicaStatus.Ok) blocks.Slice((int)(offset - start), buffer.Length).CopyTo(buffer);
        }
        Interlocked.Increment(ref _readCount);
        Interlocked.Add(ref _readBytes, buffer.Length);
        return Noted(status);
    }

    private ReplicaStatus ReadBlocks(long offset, Span<byte> buffer)
    {
        var status = _group.Read(offset, buffer);
        if (status == ReplicaStatus.Ok) _cipher?.Decrypt(offset / BlockBytes, buffer);
        return status;
    }

    /// <summary>Makes of the data of a write, where it is, what devices are given. To be called once for each, before it is in a batch.</summary>
    public unsafe void Prepare(in BlockWrite write)
    {
        // SAFETY: a write of data has its length behind its address, which stays until every replica has read it; nobody else reads it any more.
        if (write.Kind == BlockWriteKind.Data) _cipher?.Encrypt(write.Offset / BlockBytes, new Span<byte>((void*)write.Data, (int)write.Length));
    }

    /// <summary>Takes over writes of whole blocks that were prepared, in order. The batch may still be read by slow replicas when this returns: see <see cref="IsReleased"/>.</summary>
    public ReplicaStatus Write(WriteBatch batch)
    {
        var bytes = 0L;
        foreach (ref readonly var write in batch.Span)
            if (write.Kind == BlockWriteKind.Data) bytes += write.Length;
        Interlocked.Add(ref _writeCount, batch.Count);
        Interlocked.Add(ref _writtenBytes, bytes);
        lock (_order) Submit(batch);
        return Finish(batch);
    }

    // In the order of the lock.
    private void Submit(WriteBatch batch) => _group.Submit(batch, wake: _group.MemberCount > 1);

    private ReplicaStatus Finish(WriteBatch batch)
    {
        // A single replica needs no other thread.
        if (_group.MemberCount == 1) _group.RunLane(0);
        return Noted(_group.Wait(batch));
    }

    /// <summary>Whether no replica reads the memory of the batch any more.</summary>
    public bool IsReleased(WriteBatch batch) => _group.IsReleased(batch);

    /// <summary>Writes, or zeroes, a range that does not begin and end on blocks. Nobody else writes meanwhile, so that no neighbour is lost (B11).</summary>
    /// <param name="offset">In bytes.</param>
    /// <param name="length">In bytes; of the data, or of the zeros.</param>
    /// <param name="data">Empty for zeros.</param>
    public ReplicaStatus WriteUnaligned(long offset, long length, ReadOnlySpan<byte> data)
    {
        Interlocked.Increment(ref _writeCount);
        Interlocked.Add(ref _writtenBytes, data.Length);
        lock (_order) return Noted(WriteParts(offset, length, data, zero: data.IsEmpty));
    }

    private ReplicaStatus WriteParts(long offset, long length, ReadOnlySpan<byte> data, bool zero)
    {
        while (length > 0)
        {
            var within = (int)(offset % BlockBytes);
            if (zero && within == 0 && length >= BlockBytes)
            {
                var whole = length / BlockBytes * BlockBytes;
                if (WriteOne(new BlockWrite { Offset = offset, Length = whole, Kind = BlockWriteKind.Zero }, null) is var zeroed and not ReplicaStatus.Ok) return zeroed;
                offset += whole;
                length -= whole;
                continue;
            }
            var part = (int)Math.Min(BlockBytes - within, length);
            var buffer = new NativeBuffer(BlockBytes);
            // What is on its way may be for this block.
            _group.WaitForAll();
            if (part < BlockBytes && ReadBlocks(offset - within, buffer.Span) is var read and not ReplicaStatus.Ok) return read;
            if (zero) buffer.Span.Slice(within, part).Clear();
            else data[..part].CopyTo(buffer.Span[within..]);
            if (WriteOne(new BlockWrite { Offset = offset - within, Length = BlockBytes, Data = buffer.Address(0) }, buffer) is var status and not ReplicaStatus.Ok) return status;
            if (!zero) data = data[part..];
            offset += part;
            length -= part;
        }
        return ReplicaStatus.Ok;
    }

    // The buffer is left to the collector: a slow replica may still read it.
    private ReplicaStatus WriteOne(in BlockWrite write, NativeBuffer? buffer)
    {
        var batch = new WriteBatch(1) { Memory = buffer };
        Prepare(in write);
        batch.Add(write);
        Submit(batch);
        return Finish(batch);
    }

    /// <summary>Makes durable whatever was acknowledged before the call, on any connection (B12).</summary>
    public ReplicaStatus Flush()
    {
        var sequence = _group.Acknowledged;
        while (true)
        {
            if (_group.MemberCount > 1) _threads.WakeSyncs(sequence);
            else while (_group.WaitForSync(0, sequence)) _group.RunSync(0, sequence);
            if (_group.WaitDurable(sequence) is { } status) return Noted(status);
        }
    }

    public ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count) => Noted(_group.GetRanges(offset, length, ranges, out count));

    public static long RoundUp(long bytes) => (bytes + BlockBytes - 1) / BlockBytes * BlockBytes;

    private ReplicaStatus Noted(ReplicaStatus status)
    {
        if (status == ReplicaStatus.Fenced && Interlocked.Exchange(ref _fencedTold, 1) == 0) OnFenced?.Invoke();
        return status;
    }

    /// <summary>Ends requests that wait for replicas, without an answer.</summary>
    public void GiveUpWaiting() => _group.Close();

    public void Dispose()
    {
        if (!Fenced) _group.Drain(DrainTime);
        _threads.Dispose();
        _group.Dispose();
        _cipher?.Dispose();
    }
}

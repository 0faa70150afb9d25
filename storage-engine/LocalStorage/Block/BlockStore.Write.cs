using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Nephos.LocalStorage.Block;

public sealed partial class BlockStore
{
    private const int BatchRecordsMax = 64;
    private const int BatchBlocksMax = 1024;

    [ThreadStatic] private static WriteScratch? t_scratch;

    // What one thread needs to build a batch, so that a write allocates nothing.
    private sealed class WriteScratch
    {
        public readonly uint[] Sums = new uint[BatchBlocksMax];
        public readonly Piece[] Pieces = new Piece[BatchRecordsMax];
        public readonly IoPiece[] Io = new IoPiece[2 * BatchRecordsMax];
        public readonly byte[] Headers = GC.AllocateArray<byte>(BatchRecordsMax * RecordHeader.Bytes, pinned: true);
        public int Count;
        public int Blocks;
    }

    // A record to be: a part of a write, with its checksums.
    private struct Piece
    {
        public long Sequence;
        public long Offset;
        public long Length;
        public nint Data;
        public uint PayloadCrc;
        public int FirstSum;
        public RecordKind Kind;
    }

    internal BlockStatus Flush(BlockVolume volume, long epoch)
    {
        if (volume.Deleted) return BlockStatus.NotFound;
        if (epoch < volume.SealedEpoch) return BlockStatus.Fenced;
        return _journal.Sync() ? BlockStatus.Ok : BlockStatus.Failed;
    }

    internal BlockStatus Write(BlockVolume volume, long epoch, ReadOnlySpan<JournalWrite> writes)
    {
        var size = volume.SizeBytes;
        foreach (ref readonly var write in writes)
        {
            if (!InRange(write.Offset, write.Length, size)) return BlockStatus.OutOfRange;
        }
        var scratch = t_scratch ??= new WriteScratch();
        scratch.Count = scratch.Blocks = 0;
        foreach (ref readonly var write in writes)
        {
            var sequence = write.Sequence;
            for (var done = 0L; done < write.Length;)
            {
                var length = Math.Min(write.Length - done, write.Kind == RecordKind.Data ? BlockGeometry.RecordBytesMax : BlockGeometry.ZeroBytesMax);
                var blocks = write.Kind == RecordKind.Data ? (int)(length / BlockGeometry.BlockBytes) : 0;
                if (scratch.Count == BatchRecordsMax || scratch.Blocks + blocks > BatchBlocksMax)
                {
                    var status = Append(volume, epoch, scratch);
                    if (status != BlockStatus.Ok) return status;
                }
                AddPiece(scratch, in write, done, length, blocks);
                scratch.Pieces[scratch.Count - 1].Sequence = sequence;
                if (sequence > 0) sequence++;
                done += length;
            }
        }
        return scratch.Count == 0 ? BlockStatus.Ok : Append(volume, epoch, scratch);
    }

    private static bool InRange(long offset, long length, long size) =>
        offset >= 0 && length >= 0 && offset <= size - length && (offset | length) % BlockGeometry.BlockBytes == 0;

    private static unsafe void AddPiece(WriteScratch scratch, in JournalWrite write, long done, long length, int blocks)
    {
        ref var piece = ref scratch.Pieces[scratch.Count++];
        piece.Offset = write.Offset + done;
        piece.Length = length;
        piece.Kind = write.Kind;
        piece.Data = write.Kind == RecordKind.Data ? write.Data + (nint)done : 0;
        piece.FirstSum = scratch.Blocks;
        piece.PayloadCrc = 0;
        for (var block = 0; block < blocks; block++)
        {
            // SAFETY: the caller keeps length bytes behind the address valid until the call returns, and blocks * 4096 == length.
            var crc = Crc32C.ComputeBlock(new ReadOnlySpan<byte>((byte*)piece.Data + (long)block * BlockGeometry.BlockBytes, BlockGeometry.BlockBytes));
            piece.PayloadCrc = block == 0 ? crc : Crc32C.AppendBlock(piece.PayloadCrc, crc);
            scratch.Sums[scratch.Blocks++] = BlockWord.SumOf(crc);
        }
    }

    // Puts the pieces of the scratch into the journal, as many as fit with one system call.
    private BlockStatus Append(BlockVolume volume, long epoch, WriteScratch scratch)
    {
        var pieces = scratch.Pieces.AsSpan(0, scratch.Count);
        var blocks = scratch.Blocks;
        scratch.Count = scratch.Blocks = 0;
        using var visit = _readers.Enter();
        if (!TryTouch(volume.Top, pieces)) return BlockStatus.Corrupt;
        try
        {
            lock (_journal.Gate)
            {
                if (!HasSpace(blocks)) return BlockStatus.NoSpace;
                while (!pieces.IsEmpty)
                {
                    WaitWhileHeld(volume, pieces[0].Sequence);
                    var status = _journal.Reserve(RecordHeader.Bytes + PayloadBytes(in pieces[0]));
                    if (status != BlockStatus.Ok) return status;
                    // The gate may have been left meanwhile.
                    if (volume.Deleted) return BlockStatus.NotFound;
                    if (epoch < volume.SealedEpoch) return BlockStatus.Fenced;
                    if (pieces[0].Sequence > volume.HeldAbove) continue;
                    if (!Follows(volume, pieces[0].Sequence)) return BlockStatus.Gap;
                    pieces = pieces[AppendFitting(volume, epoch, scratch, pieces)..];
                }
            }
            WakeWhenSegmentsWait();
            return BlockStatus.Ok;
        }
        catch (BlockFileException e)
        {
            _journal.Fail(e);
            return BlockStatus.Failed;
        }
    }

    // A repair must be of the last time that the volume was told what it holds: one that was stuck on its way would undo newer writes.
    private static bool Follows(BlockVolume volume, long sequence) => sequence < 0
        ? -sequence == volume.Begins
        : volume.Complete ? sequence == volume.LastSequence + 1 : sequence > volume.LastSequence;

    private static int PayloadBytes(in Piece piece) => piece.Kind == RecordKind.Data ? (int)piece.Length : 0;

    // Loads what the words will need before the gate is taken, so that nobody waits for a disk there.
    private bool TryTouch(Layer top, ReadOnlySpan<Piece> pieces)
    {
        try
        {
            foreach (ref readonly var piece in pieces)
            {
                var last = (piece.Offset + piece.Length - 1) / BlockGeometry.ExtentBytes;
                for (var extent = piece.Offset / BlockGeometry.ExtentBytes; extent <= last; extent++)
                {
                    top.Extent(extent);
                    if (piece.Kind == RecordKind.Zero) top.Parent?.Flat(extent, _clock);
                }
            }
            return true;
        }
        catch (BlockFileException)
        {
            return false;
        }
    }

    private int AppendFitting(BlockVolume volume, long epoch, WriteScratch scratch, ReadOnlySpan<Piece> pieces)
    {
        var segment = _journal.Current!;
        var position = segment.Position;
        var crc = _journal.PreviousCrc;
        var top = volume.Top;
        int count = 0, ioCount = 0;
        while (count < pieces.Length)
        {
            ref readonly var piece = ref pieces[count];
            var payloadBytes = PayloadBytes(in piece);
            if (position + RecordHeader.Bytes + payloadBytes > _options.SegmentBytes || piece.Sequence > volume.HeldAbove) break;
            var header = scratch.Headers.AsSpan(count * RecordHeader.Bytes, RecordHeader.Bytes);
            crc = new RecordHeader(
                piece.Kind, volume.Handle, top.Handle, segment.Number, (ulong)epoch, (ulong)Math.Max(0, piece.Sequence), (ulong)piece.Offset, (uint)piece.Length,
                piece.PayloadCrc, crc).Write(header);
            scratch.Io[ioCount++] = new IoPiece { Address = AddressOf(header), Length = RecordHeader.Bytes };
            if (payloadBytes > 0) scratch.Io[ioCount++] = new IoPiece { Address = piece.Data, Length = payloadBytes };
            position += RecordHeader.Bytes + payloadBytes;
            count++;
        }
        segment.File.Write(segment.Position, scratch.Io.AsSpan(0, ioCount));
        var at = segment.Position;
        for (var i = 0; i < count; i++)
        {
            SetWords(top, in pieces[i], scratch.Sums, segment.Slot, at);
            at += RecordHeader.Bytes + PayloadBytes(in pieces[i]);
        }
        _journal.Advance(position - segment.Position, crc);
        // A run of sequences, or none: then nothing is counted.
        volume.Took(epoch, pieces[0].Sequence);
        volume.Took(epoch, pieces[count - 1].Sequence);
        if (volume.HeldAbove != long.MaxValue) Monitor.PulseAll(_journal.Gate);
        return count;
    }

    private static unsafe nint AddressOf(Span<byte> pinned)
    {
        // SAFETY: the headers of the scratch are allocated pinned and live as long as the thread.
        return (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(pinned));
    }

    private void SetWords(Layer layer, in Piece piece, uint[] sums, int slot, long position)
    {
        if (piece.Kind == RecordKind.Zero)
        {
            SetZeros(layer, piece.Offset, piece.Length, BlockWord.PlaceOf(slot, position));
            return;
        }
        var firstBlock = piece.Offset / BlockGeometry.BlockBytes;
        var blocks = (int)(piece.Length / BlockGeometry.BlockBytes);
        for (var block = 0; block < blocks; block++)
        {
            var place = BlockWord.PlaceOf(slot, position + RecordHeader.Bytes + (long)block * BlockGeometry.BlockBytes);
            SetWord(layer, firstBlock + block, BlockWord.Make(sums[piece.FirstSum + block], place));
        }
    }

    // Under the journal's gate.
    private void SetWord(Layer layer, long block, ulong word)
    {
        var number = block / BlockGeometry.ExtentBlocks;
        var extent = layer.Group((int)(number / BlockGeometry.GroupExtents)).GetForWrite((int)(number % BlockGeometry.GroupExtents));
        ref var slot = ref extent.Words[block % BlockGeometry.ExtentBlocks];
        if (BlockWord.Place(slot) == 0)
        {
            extent.JournalCount++;
            layer.JournalCount++;
            _journalBlocks++;
        }
        Volatile.Write(ref slot, word);
    }

    // Under the journal's gate. Where neither this layer nor one below has anything there is nothing to hide.
    private void SetZeros(Layer layer, long offset, long length, uint place)
    {
        var word = BlockWord.Make(BlockWord.ZeroSum, place);
        var block = offset / BlockGeometry.BlockBytes;
        var end = block + length / BlockGeometry.BlockBytes;
        while (block < end)
        {
            var number = block / BlockGeometry.ExtentBlocks;
            var extentEnd = Math.Min(end, (number + 1) * BlockGeometry.ExtentBlocks);
            var extent = layer.Extent(number);
            var below = layer.Parent?.Flat(number, _clock).Owners;
            if (ReferenceEquals(extent, LayerExtent.Empty) && below is null)
            {
                block = extentEnd;
                continue;
            }
            for (; block < extentEnd; block++)
            {
                var index = (int)(block % BlockGeometry.ExtentBlocks);
                if (BlockWord.Sum(extent[index]) != BlockWord.AbsentSum || below?[index] is not null) SetWord(layer, block, word);
            }
        }
    }

    // Free space counts what already waits in the journal for its place. Under the journal's gate.
    private long _journalBlocks;
    private long _freeBytes;
    private long _freeLookedAt = long.MinValue;
    private long _takenSinceLook;

    private bool HasSpace(int blocks)
    {
        if (blocks == 0) return true;
        var bytes = (long)blocks * BlockGeometry.BlockBytes;
        _takenSinceLook += bytes;
        var now = _time.GetTimestamp();
        var needed = _journalBlocks * BlockGeometry.BlockBytes + _takenSinceLook + _options.ReserveBytes;
        var old = _freeLookedAt == long.MinValue || _time.GetElapsedTime(_freeLookedAt, now) > FreeLookPeriod;
        if (old || needed > _freeBytes)
        {
            _freeBytes = _options.FreeBytes(_directory);
            _freeLookedAt = now;
            _takenSinceLook = bytes;
            needed = _journalBlocks * BlockGeometry.BlockBytes + bytes + _options.ReserveBytes;
        }
        return needed <= _freeBytes;
    }

    private static readonly TimeSpan FreeLookPeriod = TimeSpan.FromSeconds(1);
}

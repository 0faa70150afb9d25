namespace Nephos.LocalStorage.Block;

public sealed partial class BlockStore
{
    /// <summary>Blocks that are read with one system call.</summary>
    private const int RunBlocksMax = 64;

    /// <summary>How often a block is looked up again when it moved while it was read.</summary>
    private const int ReadAttemptsMax = 16;

    internal BlockStatus Read(BlockVolume volume, long epoch, long offset, Span<byte> buffer)
    {
        using var visit = _readers.Enter();
        if (volume.Deleted) return BlockStatus.NotFound;
        if (epoch < volume.SealedEpoch) return BlockStatus.Fenced;
        if (!InRange(offset, buffer.Length, volume.SizeBytes)) return BlockStatus.OutOfRange;
        var status = ReadLayers(volume.Top, offset, buffer);
        // The journal of a deleted volume may be in use for another one.
        return status == BlockStatus.Corrupt && volume.Deleted ? BlockStatus.NotFound : status;
    }

    private BlockStatus ReadLayers(Layer top, long offset, Span<byte> buffer)
    {
        try
        {
            var block = offset / BlockGeometry.BlockBytes;
            while (!buffer.IsEmpty)
            {
                var view = new ExtentView(this, top, block / BlockGeometry.ExtentBlocks);
                var first = (int)(block % BlockGeometry.ExtentBlocks);
                var count = Math.Min(BlockGeometry.ExtentBlocks - first, buffer.Length / BlockGeometry.BlockBytes);
                var status = ReadExtent(ref view, first, buffer[..(count * BlockGeometry.BlockBytes)]);
                if (status != BlockStatus.Ok) return status;
                buffer = buffer[(count * BlockGeometry.BlockBytes)..];
                block += count;
            }
            return BlockStatus.Ok;
        }
        catch (BlockFileException)
        {
            // A sector that can not be read is damage of these blocks, not of the device.
            return BlockStatus.Corrupt;
        }
        catch (ObjectDisposedException)
        {
            return BlockStatus.NotFound;
        }
    }

    // One extent as a volume sees it: its own top layer, and below it whichever frozen layer holds a block.
    private ref struct ExtentView(BlockStore store, Layer top, long number)
    {
        private long _version = store._clock.Settled();
        private LayerExtent _extent = top.Extent(number);
        private bool _flatKnown;
        private Layer?[]? _owners;
        private Layer? _lastOwner;
        private LayerExtent? _lastOwnerExtent;

        public readonly long Number => number;

        /// <summary>Looks everything up anew.</summary>
        public void Renew()
        {
            _version = store._clock.Settled();
            _extent = top.Extent(number);
            _flatKnown = false;
            _owners = null;
            _lastOwner = null;
            _lastOwnerExtent = null;
        }

        public ulong Resolve(int block, out Layer? owner)
        {
            while (true)
            {
                var word = _extent[block];
                owner = top;
                if (BlockWord.Sum(word) != BlockWord.AbsentSum) return word;
                if (!_flatKnown)
                {
                    _owners = top.Parent?.Flat(number, store._clock).Owners;
                    _flatKnown = true;
                }
                owner = _owners?[block];
                if (owner is null)
                {
                    word = 0;
                }
                else
                {
                    if (!ReferenceEquals(owner, _lastOwner))
                    {
                        _lastOwner = owner;
                        _lastOwnerExtent = owner.Extent(number);
                    }
                    word = _lastOwnerExtent![block];
                }
                // A merge moves blocks to the layer above and takes the lower one out of the chain: without this look a block could
                // be missed in both.
                if (store._clock.Version == _version) return word;
                Renew();
            }
        }
    }

    private BlockStatus ReadExtent(ref ExtentView view, int first, Span<byte> buffer)
    {
        Span<ulong> words = stackalloc ulong[RunBlocksMax];
        var blocks = buffer.Length / BlockGeometry.BlockBytes;
        for (var done = 0; done < blocks;)
        {
            var word = view.Resolve(first + done, out var owner);
            if (!BlockWord.HasData(word))
            {
                buffer.Slice(done * BlockGeometry.BlockBytes, BlockGeometry.BlockBytes).Clear();
                done++;
                continue;
            }
            var run = 0;
            words[run++] = word;
            while (run < RunBlocksMax && done + run < blocks)
            {
                var next = view.Resolve(first + done + run, out var nextOwner);
                if (!Follows(words[run - 1], next, ReferenceEquals(owner, nextOwner))) break;
                words[run++] = next;
            }
            var target = buffer.Slice(done * BlockGeometry.BlockBytes, run * BlockGeometry.BlockBytes);
            var read = TryReadPlace(owner!, view.Number, first + done, BlockWord.Place(word), target);
            for (var i = 0; i < run; i++)
            {
                var block = target.Slice(i * BlockGeometry.BlockBytes, BlockGeometry.BlockBytes);
                if (read && BlockWord.SumOf(block) == BlockWord.Sum(words[i])) continue;
                var status = ReadAgain(ref view, first + done + i, block);
                if (status != BlockStatus.Ok) return status;
            }
            done += run;
        }
        return BlockStatus.Ok;
    }

    private static bool Follows(ulong word, ulong next, bool sameOwner)
    {
        if (!BlockWord.HasData(next)) return false;
        var place = BlockWord.Place(word);
        return place == 0
            ? BlockWord.Place(next) == 0 && sameOwner
            : BlockWord.Place(next) == place + BlockGeometry.BlockBytes / BlockWord.UnitBytes &&
              BlockWord.Slot(BlockWord.Place(next)) == BlockWord.Slot(place);
    }

    private bool TryReadPlace(Layer owner, long extent, int block, uint place, Span<byte> target)
    {
        if (place != 0)
        {
            if (_journal.FileOf(BlockWord.Slot(place)) is not { } segment) return false;
            segment.Read(BlockWord.Position(place), target);
            return true;
        }
        var group = owner.Group((int)(extent / BlockGeometry.GroupExtents));
        if (group.Data is not { } data) return false;
        data.Read(DataPosition((int)(extent % BlockGeometry.GroupExtents), block), target);
        return true;
    }

    private static long DataPosition(int extentIndex, int block) =>
        (long)extentIndex * BlockGeometry.ExtentBytes + (long)block * BlockGeometry.BlockBytes;

    // The sum did not match. Either the block was written, moved or trimmed between looking it up and reading it, then a new look
    // shows another word; or what the device gives is not what was written.
    private BlockStatus ReadAgain(ref ExtentView view, int block, Span<byte> target)
    {
        ulong before = 0;
        Layer? ownerBefore = null;
        for (var attempt = 0; attempt < ReadAttemptsMax; attempt++)
        {
            view.Renew();
            var word = view.Resolve(block, out var owner);
            if (!BlockWord.HasData(word))
            {
                target.Clear();
                return BlockStatus.Ok;
            }
            if (TryReadPlace(owner!, view.Number, block, BlockWord.Place(word), target) && BlockWord.SumOf(target) == BlockWord.Sum(word))
                return BlockStatus.Ok;
            if (attempt > 0 && word == before && ReferenceEquals(owner, ownerBefore)) return BlockStatus.Corrupt;
            (before, ownerBefore) = (word, owner);
        }
        return BlockStatus.Corrupt;
    }

    internal BlockStatus GetRanges(BlockVolume volume, long epoch, long offset, long length, Span<LayerRange> ranges, out int count)
    {
        count = 0;
        using var visit = _readers.Enter();
        if (volume.Deleted) return BlockStatus.NotFound;
        if (epoch < volume.SealedEpoch) return BlockStatus.Fenced;
        if (!InRange(offset, length, volume.SizeBytes)) return BlockStatus.OutOfRange;
        return GetRanges(volume.Top, offset, length, ranges, out count);
    }

    private BlockStatus GetRanges(Layer top, long offset, long length, Span<LayerRange> ranges, out int count)
    {
        count = 0;
        try
        {
            var block = offset / BlockGeometry.BlockBytes;
            var end = block + length / BlockGeometry.BlockBytes;
            while (block < end)
            {
                var view = new ExtentView(this, top, block / BlockGeometry.ExtentBlocks);
                var extentEnd = Math.Min(end, (block / BlockGeometry.ExtentBlocks + 1) * BlockGeometry.ExtentBlocks);
                for (; block < extentEnd; block++)
                {
                    var word = view.Resolve((int)(block % BlockGeometry.ExtentBlocks), out var owner);
                    var kind = BlockWord.HasData(word) ? RangeKind.Data : owner is null || word == 0 ? RangeKind.Hole : RangeKind.Zero;
                    if (count > 0 && ranges[count - 1].Kind == kind)
                    {
                        ranges[count - 1] = ranges[count - 1] with { Length = ranges[count - 1].Length + BlockGeometry.BlockBytes };
                        continue;
                    }
                    if (count == ranges.Length) return BlockStatus.Ok;
                    ranges[count++] = new LayerRange(block * BlockGeometry.BlockBytes, BlockGeometry.BlockBytes, kind);
                }
            }
            return BlockStatus.Ok;
        }
        catch (BlockFileException)
        {
            return BlockStatus.Corrupt;
        }
    }
}

namespace Nephos.LocalStorage.Block;

public sealed partial class BlockStore
{
    /// <summary>The extents that may differ between two snapshots, ascending, neighbours joined to one range.</summary>
    /// <remarks>It compares layers, not content: an extent is named when a layer that only one of the two stands on has something there.</remarks>
    /// <param name="snapshotId">The newer snapshot, whose size bounds the answer.</param>
    /// <param name="baseId">The other one; of the same volume, or of one that it was cloned from, else everything differs.</param>
    /// <exception cref="BlockStoreException"><c>NotFound</c> for a snapshot.</exception>
    public IReadOnlyList<(long Offset, long Length)> ListChangedRanges(Guid snapshotId, Guid baseId)
    {
        using var visit = _readers.Enter();
        var sizeBytes = SnapshotSizeBytes(snapshotId);
        var groups = (int)((sizeBytes + BlockGeometry.GroupBytes - 1) / BlockGeometry.GroupBytes);
        var ranges = new List<(long Offset, long Length)>();
        var changed = new bool[BlockGeometry.GroupExtents];
        for (var group = 0; group < groups; group++)
        {
            FindChanged(snapshotId, baseId, group, changed);
            for (var index = 0; index < changed.Length; index++)
            {
                if (!changed[index]) continue;
                var offset = ((long)group * BlockGeometry.GroupExtents + index) * BlockGeometry.ExtentBytes;
                if (offset >= sizeBytes) break;
                var length = Math.Min(BlockGeometry.ExtentBytes, sizeBytes - offset);
                if (ranges.Count > 0 && ranges[^1] is var last && last.Offset + last.Length == offset) ranges[^1] = (last.Offset, last.Length + length);
                else ranges.Add((offset, length));
            }
        }
        return ranges;
    }

    /// <summary>Describes a range of a snapshot by what was written since another one, to the block: ranges of data were, those that are holes were not.
    /// Neighbours of one kind are joined; it ends where the ranges are full or the range does.</summary>
    /// <remarks>It compares layers, not content: a block that was written with what it held counts as written.</remarks>
    /// <param name="snapshotId">The newer snapshot.</param>
    /// <param name="baseId">The other one, as for <see cref="ListChangedRanges"/>.</param>
    /// <param name="offset">Of whole blocks.</param>
    /// <param name="length">Of whole blocks.</param>
    /// <param name="ranges">Filled from the beginning.</param>
    /// <param name="count">How many were.</param>
    /// <exception cref="BlockStoreException"><c>NotFound</c> for a snapshot.</exception>
    public BlockStatus GetChangedRanges(Guid snapshotId, Guid baseId, long offset, long length, Span<LayerRange> ranges, out int count)
    {
        count = 0;
        using var visit = _readers.Enter();
        if (!InRange(offset, length, SnapshotSizeBytes(snapshotId))) return BlockStatus.OutOfRange;
        Span<ulong> written = stackalloc ulong[BlockGeometry.ExtentBlocks / 64];
        for (var end = offset + length; offset < end;)
        {
            var number = offset / BlockGeometry.ExtentBytes;
            FindWritten(snapshotId, baseId, number, written);
            for (var stop = Math.Min(end, (number + 1) * BlockGeometry.ExtentBytes); offset < stop; offset += BlockGeometry.BlockBytes)
            {
                var block = (int)(offset / BlockGeometry.BlockBytes % BlockGeometry.ExtentBlocks);
                var kind = (written[block / 64] >> (block % 64) & 1) != 0 ? RangeKind.Data : RangeKind.Hole;
                if (count > 0 && ranges[count - 1] is var last && last.Kind == kind) ranges[count - 1] = last with { Length = last.Length + BlockGeometry.BlockBytes };
                else if (count == ranges.Length) return BlockStatus.Ok;
                else ranges[count++] = new LayerRange(offset, BlockGeometry.BlockBytes, kind);
            }
        }
        return BlockStatus.Ok;
    }

    // One bit for each block of an extent.
    private void FindWritten(Guid snapshotId, Guid baseId, long number, Span<ulong> written)
    {
        while (true)
        {
            var version = _clock.Settled();
            written.Clear();
            foreach (var layer in LayersOfOnlyOne(snapshotId, baseId))
            {
                var extent = layer.Extent(number);
                if (ReferenceEquals(extent, LayerExtent.Empty)) continue;
                for (var block = 0; block < BlockGeometry.ExtentBlocks; block++)
                    if (BlockWord.Sum(extent[block]) != BlockWord.AbsentSum) written[block / 64] |= 1UL << (block % 64);
            }
            if (_clock.Version == version) return;
        }
    }

    private void FindChanged(Guid snapshotId, Guid baseId, int number, bool[] changed)
    {
        while (true)
        {
            // A merge moves blocks between two layers of the chain: what was seen while one happened is looked at again.
            var version = _clock.Settled();
            Array.Clear(changed);
            foreach (var layer in LayersOfOnlyOne(snapshotId, baseId))
            {
                var group = layer.Group(number);
                for (var index = 0; index < changed.Length; index++)
                    changed[index] = changed[index] || !ReferenceEquals(group.Get(index), LayerExtent.Empty);
            }
            if (_clock.Version == version) return;
        }
    }

    private List<Layer> LayersOfOnlyOne(Guid snapshotId, Guid baseId)
    {
        lock (_structure)
        {
            var chain = Chain(FindSnapshot(snapshotId).Layer);
            chain.SymmetricExceptWith(Chain(FindSnapshot(baseId).Layer));
            return [.. chain];
        }

        HashSet<Layer> Chain(uint handle)
        {
            var chain = new HashSet<Layer>();
            for (var layer = _layers[handle]; layer is not null; layer = layer.Parent) chain.Add(layer);
            return chain;
        }
    }
}

using Nephos.LocalStorage.Block;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Node.Block;

/// <summary>Something to read from: a volume at its present epoch, or a snapshot, with all its copies.</summary>
internal sealed class BlockSource
{
    // What is described with one look; more would take longer without telling more.
    private const long LookBytes = 1L << 30;

    private const int RangesAtOnce = 256;

    public const int BlockBytes = BlockGeometry.BlockBytes;

    private readonly IReadOnlyList<BlockStore> _copies;
    private readonly BlockVolume? _volume;
    private readonly Guid _snapshotId;

    /// <summary>A volume, by the replica that knows most.</summary>
    public BlockSource(BlockVolume volume)
    {
        _volume = volume;
        _copies = [];
        SizeBytes = volume.SizeBytes;
    }

    /// <summary>A snapshot, by any of its copies.</summary>
    /// <exception cref="BlockStoreException"><c>NotFound</c>.</exception>
    public BlockSource(IReadOnlyList<BlockStore> members, Guid snapshotId)
    {
        // One that was cut off may be left where a device was away when it was taken anew; that one is of an earlier moment.
        var newest = members.Max(store => store.FindSnapshotSequence(snapshotId) ?? -1);
        _copies = [.. members.Where(store => store.FindSnapshotSequence(snapshotId) == newest)];
        _snapshotId = snapshotId;
        SizeBytes = (_copies.Count > 0 ? _copies[0] : members[0]).SnapshotSizeBytes(snapshotId);
    }

    public long SizeBytes { get; }

    /// <summary>The range of one kind that begins at an offset.</summary>
    public LayerRange Next(long offset, long end, out BlockStatus status)
    {
        Span<LayerRange> ranges = stackalloc LayerRange[1];
        var length = Math.Min(LookBytes, end - offset);
        status = _volume is not null
            ? _volume.GetRanges(_volume.SealedEpoch, offset, length, ranges, out _)
            : _copies[0].GetSnapshotRanges(_snapshotId, offset, length, ranges, out _);
        return ranges[0];
    }

    /// <summary>What a snapshot holds in a range, or what of it was written since another one, until there are as many ranges as wanted.</summary>
    public BlockStatus Describe(Guid? since, long offset, long length, int rangesMax, ICollection<Wire.BlockRanges.Types.Range> found)
    {
        Span<LayerRange> ranges = stackalloc LayerRange[RangesAtOnce];
        var end = offset + length;
        while (offset < end && found.Count < rangesMax)
        {
            var look = Math.Min(LookBytes, end - offset);
            var status = since is { } baseId
                ? _copies[0].GetChangedRanges(_snapshotId, baseId, offset, look, ranges, out var count)
                : _copies[0].GetSnapshotRanges(_snapshotId, offset, look, ranges, out count);
            if (status != BlockStatus.Ok) return status;
            foreach (var range in ranges[..Math.Min(count, rangesMax - found.Count)])
            {
                found.Add(new Wire.BlockRanges.Types.Range { LengthBytes = range.Length, Kind = KindOf(range.Kind) });
                offset += range.Length;
            }
        }
        return BlockStatus.Ok;
    }

    private static Wire.BlockRanges.Types.Kind KindOf(RangeKind kind) => kind switch
    {
        RangeKind.Data => Wire.BlockRanges.Types.Kind.Data,
        RangeKind.Zero => Wire.BlockRanges.Types.Kind.Zero,
        _ => Wire.BlockRanges.Types.Kind.Hole,
    };

    /// <summary>Reads whole blocks; what is damaged in one copy is read from another.</summary>
    public BlockStatus Read(long offset, Span<byte> buffer)
    {
        if (_volume is not null) return _volume.Read(_volume.SealedEpoch, offset, buffer);
        var status = BlockStatus.NotFound;
        foreach (var copy in _copies)
            if ((status = copy.ReadSnapshot(_snapshotId, offset, buffer)) == BlockStatus.Ok) return status;
        return status;
    }
}

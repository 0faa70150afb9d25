using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Node.Block;

/// <summary>Something to read from: a volume at its present epoch, or a snapshot, with all its copies.</summary>
internal sealed class BlockSource
{
    // What is described with one look; more would take longer without telling more.
    private const long LookBytes = 1L << 30;

    public const int BlockBytes = BlockGeometry.BlockBytes;

    private readonly IReadOnlyList<IBlockDevice> _copies = [];
    private readonly IBlockReplica? _volume;
    private readonly Guid _snapshotId;

    /// <summary>A volume, by the replica that knows most.</summary>
    public BlockSource(IBlockReplica volume, long sizeBytes) => (_volume, SizeBytes) = (volume, sizeBytes);

    /// <summary>A snapshot, by any of its copies.</summary>
    /// <exception cref="BlockStoreException"><c>NotFound</c>.</exception>
    public BlockSource(ReplicaSets.Members members, Guid snapshotId)
    {
        // One that was cut off may be left where a device was away when it was taken anew; that one is of an earlier moment.
        var found = members.Ask(device => device.FindSnapshot(snapshotId)).ToList();
        if (found.Count == 0) throw new BlockStoreException(BlockStoreError.NotFound, $"There is no snapshot {snapshotId}.");
        var newest = found.MaxBy(copy => copy.Known.Sequence).Known;
        _copies = [.. found.Where(copy => copy.Known.Sequence == newest.Sequence).Select(copy => copy.Device)];
        _snapshotId = snapshotId;
        SizeBytes = newest.SizeBytes;
    }

    public long SizeBytes { get; }

    /// <summary>The ranges from an offset on that are of one kind each, until some are found or the end is reached.</summary>
    /// <exception cref="BlockStoreException">None of the copies can tell.</exception>
    public IReadOnlyList<LayerRange> Describe(Guid? since, long offset, long end)
    {
        var length = Math.Min(LookBytes, end - offset);
        if (_volume is null) return ReplicaSets.First(_copies, copy => copy.GetSnapshotRanges(_snapshotId, since, offset, length));
        var ranges = new BlockRange[1];
        var status = AtPresent(epoch => _volume.GetRanges(epoch, offset, length, ranges, out _));
        return status == ReplicaStatus.Ok
            ? [new LayerRange(ranges[0].Offset, ranges[0].Length, (RangeKind)ranges[0].Kind)]
            : throw new BlockStoreException(BlockStoreError.Failed, $"The replica answered {status}.");
    }

    /// <summary>What a snapshot holds in a range, or what of it was written since another one, until there are as many ranges as wanted.</summary>
    public void Describe(Guid? since, long offset, long length, int rangesMax, ICollection<Wire.BlockRanges.Types.Range> found)
    {
        for (var end = offset + length; offset < end && found.Count < rangesMax;)
        {
            foreach (var range in Describe(since, offset, end).Take(rangesMax - found.Count))
            {
                found.Add(new Wire.BlockRanges.Types.Range { LengthBytes = range.Length, Kind = KindOf(range.Kind) });
                offset += range.Length;
            }
        }
    }

    private static Wire.BlockRanges.Types.Kind KindOf(RangeKind kind) => kind switch
    {
        RangeKind.Data => Wire.BlockRanges.Types.Kind.Data,
        RangeKind.Zero => Wire.BlockRanges.Types.Kind.Zero,
        _ => Wire.BlockRanges.Types.Kind.Hole,
    };

    /// <summary>Reads whole blocks; what is damaged in one copy, or does not answer, is read from another.</summary>
    public ReplicaStatus Read(long offset, Memory<byte> buffer)
    {
        if (_volume is not null) return AtPresent(epoch => _volume.Read(epoch, offset, buffer.Span));
        var status = ReplicaStatus.NotFound;
        foreach (var copy in _copies)
        {
            try
            {
                if ((status = (ReplicaStatus)copy.ReadSnapshot(_snapshotId, offset, buffer)) == ReplicaStatus.Ok) return status;
            }
            catch (BlockStoreException)
            {
                status = ReplicaStatus.Failed;
            }
        }
        return status;
    }

    private ReplicaStatus AtPresent(Func<long, ReplicaStatus> request)
    {
        try
        {
            return request(_volume!.Describe().SealedEpoch);
        }
        catch (VolumeHeadException)
        {
            return ReplicaStatus.Failed;
        }
    }
}

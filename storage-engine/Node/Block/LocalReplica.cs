using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Replication.Volumes;

namespace Nephos.Node.Block;

/// <summary>A replica on a device of this process. The batches of a head pass to the engine without a copy: both sides' structures have one layout.</summary>
internal sealed class LocalReplica(BlockVolume volume) : IBlockReplica
{
    private const int RangesMax = 256;

    public ReplicaDescription Describe()
    {
        var info = volume.Describe();
        return new ReplicaDescription(info.SizeBytes, info.SealedEpoch, info.History, info.Complete, info.Begins);
    }

    public ReplicaStatus Seal(long epoch) => (ReplicaStatus)volume.Seal(epoch);

    public ReplicaStatus Begin(VolumeHistory history, bool complete) => (ReplicaStatus)volume.Begin(history, complete);

    public ReplicaStatus Read(long epoch, long offset, Span<byte> buffer) => (ReplicaStatus)volume.Read(epoch, offset, buffer);

    public ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes) =>
        (ReplicaStatus)volume.Write(epoch, MemoryMarshal.Cast<BlockWrite, JournalWrite>(writes));

    public ReplicaStatus Flush(long epoch) => (ReplicaStatus)volume.Flush(epoch);

    [SkipLocalsInit]
    public ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count)
    {
        count = 0;
        Span<LayerRange> part = stackalloc LayerRange[Math.Min(RangesMax, ranges.Length)];
        while (length > 0 && count < ranges.Length)
        {
            var room = part[..Math.Min(part.Length, ranges.Length - count)];
            var status = volume.GetRanges(epoch, offset, length, room, out var found);
            if (status != BlockStatus.Ok) return (ReplicaStatus)status;
            for (var i = 0; i < found; i++)
            {
                ranges[count++] = new BlockRange(room[i].Offset, room[i].Length, (BlockRangeKind)room[i].Kind);
                offset += room[i].Length;
                length -= room[i].Length;
            }
        }
        return ReplicaStatus.Ok;
    }

    public ReplicaStatus GetSums(long epoch, long offset, Span<uint> sums) => (ReplicaStatus)volume.GetSums(epoch, offset, sums);

    public bool TryListWritten(long epoch, long sequence, Action<long, long> found) => volume.TryListWritten(sequence, found);

    public void Dispose()
    {
        // The volume belongs to its device.
    }
}

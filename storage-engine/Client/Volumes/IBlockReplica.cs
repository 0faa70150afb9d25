using System.Runtime.InteropServices;
using Nephos.Replication.Volumes;

namespace Nephos.Client.Volumes;

/// <summary>How a request on a replica ended.</summary>
public enum ReplicaStatus
{
    Ok = 0,

    /// <summary>A newer epoch is sealed; the head that asked must stop.</summary>
    Fenced = 1,

    /// <summary>The device has no space for the write.</summary>
    NoSpace = 2,

    OutOfRange = 3,

    /// <summary>A checksum does not match what was written.</summary>
    Corrupt = 4,

    /// <summary>The device failed, for good.</summary>
    Failed = 5,

    /// <summary>There is no such volume on the device (any more).</summary>
    NotFound = 6,

    /// <summary>The replica lacks a write before this one.</summary>
    Gap = 7,

    /// <summary>There was no answer. Only within the head.</summary>
    Unreachable = 8,

    /// <summary>The head is being closed: the request is not answered. Only within the head.</summary>
    Closing = 9,
}

public enum BlockWriteKind : byte
{
    Data = 0,

    /// <summary>The range reads as zero afterwards and takes no space.</summary>
    Zero = 1,
}

/// <summary>One write, aligned to blocks of 4 KiB.</summary>
/// <remarks>The layout is the one of the storage engine's own record, so that a batch passes without a copy:
/// 0 sequence | 8 offset | 16 length | 24 address | 32 kind.</remarks>
[StructLayout(LayoutKind.Sequential)]
public struct BlockWrite
{
    /// <summary>Replicas apply in this order. A write takes as many sequences as it has <see cref="Records"/>; a negative one, of the last
    /// <see cref="ReplicaDescription.Begins"/>, repairs what the history already has.</summary>
    public long Sequence;
    public long Offset;
    public long Length;

    /// <summary>The data, in memory that stays until the call returns; unused for <see cref="BlockWriteKind.Zero"/>.</summary>
    public nint Data;
    public BlockWriteKind Kind;

    /// <summary>A replica may lose its power between two records of a write, never within one.</summary>
    public readonly long Records => Kind == BlockWriteKind.Data
        ? (Length + RecordBytesMax - 1) / RecordBytesMax
        : (Length + ZeroBytesMax - 1) / ZeroBytesMax;

    private const long RecordBytesMax = 256 << 10, ZeroBytesMax = 1 << 30;
}

public enum BlockRangeKind : byte
{
    Data = 0,

    /// <summary>Reads as zero because some layer says so.</summary>
    Zero = 1,

    /// <summary>No layer holds anything.</summary>
    Hole = 2,
}

/// <summary>A range of a volume whose blocks are all of one kind.</summary>
public readonly record struct BlockRange(long Offset, long Length, BlockRangeKind Kind);

/// <summary>What one replica of a volume holds.</summary>
/// <param name="Complete">False while some of what the history says is still to be brought to it.</param>
/// <param name="Begins">How often this process was told what it holds; names the repairs that belong to the last time.</param>
public sealed record ReplicaDescription(long SizeBytes, long SealedEpoch, VolumeHistory History, bool Complete, long Begins);

/// <summary>One copy of a volume, as its head uses it. Blocking calls, safe for use by several threads.</summary>
public interface IBlockReplica : IDisposable
{
    /// <exception cref="VolumeHeadException">The replica can not be reached.</exception>
    ReplicaDescription Describe();

    /// <summary>From now on every lower epoch is refused. Durable when it returns.</summary>
    ReplicaStatus Seal(long epoch);

    /// <summary>From now on this is what the replica holds, under the newest epoch of the history. Durable when it returns, with all that was written.</summary>
    /// <param name="history">Its last epoch is the one of the caller.</param>
    /// <param name="complete">False when some of it is still to be brought; writes need not follow each other then.</param>
    ReplicaStatus Begin(VolumeHistory history, bool complete);

    /// <summary>Reads whole blocks of 4 KiB. Each is checked against its checksum. Nothing at all may be read, to learn whether the epoch still counts.</summary>
    ReplicaStatus Read(long epoch, long offset, Span<byte> buffer);

    /// <summary>Takes the writes over, in order. When it returns they survive the death of this process, not yet a power cut.</summary>
    ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes);

    /// <summary>Makes durable what was taken over before the call.</summary>
    ReplicaStatus Flush(long epoch);

    /// <summary>Describes the range from its beginning, neighbours of one kind joined, until the ranges are full or it ends.</summary>
    ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count);

    /// <summary>The sums of whole blocks; equal sums are equal content.</summary>
    ReplicaStatus GetSums(long epoch, long offset, Span<uint> sums);

    /// <summary>Where the volume was written after a sequence, perhaps more than that: offset and length in bytes.</summary>
    /// <returns>False when the replica does not know any more.</returns>
    bool TryListWritten(long epoch, long sequence, Action<long, long> found);
}

/// <summary>Finds the replicas of a volume.</summary>
public interface IReplicaConnector
{
    /// <param name="endpoint">Where the replica is.</param>
    /// <param name="volumeId">The volume.</param>
    /// <param name="newSizeBytes">When it is not there, an empty one of this size is made that counts as not complete; 0: then it is an error.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="VolumeHeadException">The device can not be reached or does not have the volume.</exception>
    ValueTask<IBlockReplica> ConnectAsync(ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken);
}

using System.Runtime.InteropServices;

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
    /// <summary>Grows by one with each write of a volume; replicas apply in this order.</summary>
    public long Sequence;
    public long Offset;
    public long Length;

    /// <summary>The data, in memory that stays until the call returns; unused for <see cref="BlockWriteKind.Zero"/>.</summary>
    public nint Data;
    public BlockWriteKind Kind;
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

/// <summary>One copy of a volume, as its head uses it. Blocking calls, safe for use by several threads.</summary>
public interface IBlockReplica : IDisposable
{
    long SizeBytes { get; }

    /// <summary>The sequence of the last write the replica has; the head goes on above it.</summary>
    long LastSequence { get; }

    /// <summary>From now on every lower epoch is refused. Durable when it returns.</summary>
    ReplicaStatus Seal(long epoch);

    /// <summary>Reads whole blocks of 4 KiB. Each is checked against its checksum.</summary>
    ReplicaStatus Read(long epoch, long offset, Span<byte> buffer);

    /// <summary>Takes the writes over, in order. When it returns they survive the death of this process, not yet a power cut.</summary>
    ReplicaStatus Write(long epoch, ReadOnlySpan<BlockWrite> writes);

    /// <summary>Makes durable what was taken over before the call.</summary>
    ReplicaStatus Flush(long epoch);

    /// <summary>Describes the range from its beginning, neighbours of one kind joined, until the ranges are full or it ends.</summary>
    ReplicaStatus GetRanges(long epoch, long offset, long length, Span<BlockRange> ranges, out int count);
}

/// <summary>Finds the replica of a volume.</summary>
public interface IReplicaConnector
{
    /// <exception cref="VolumeHeadException">The device can not be reached or does not have the volume.</exception>
    ValueTask<IBlockReplica> ConnectAsync(ReplicaEndpoint endpoint, Guid volumeId, CancellationToken cancellationToken);
}

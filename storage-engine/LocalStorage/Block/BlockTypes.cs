using System.Runtime.InteropServices;
using Nephos.Replication.Volumes;

namespace Nephos.LocalStorage.Block;

/// <summary>Sizes that the on-disk format fixes.</summary>
public static class BlockGeometry
{
    public const int BlockBytes = 4096;
    public const int ExtentBlocks = 1024;
    public const int ExtentBytes = ExtentBlocks * BlockBytes;

    /// <summary>The extents that share a pair of files.</summary>
    public const int GroupExtents = 256;

    public const long GroupBytes = (long)GroupExtents * ExtentBytes;

    /// <summary>The largest volume: what a group number of 16 bits reaches.</summary>
    public const long VolumeBytesMax = 64L << 40;

    /// <summary>The largest payload of one record; longer writes become several.</summary>
    public const int RecordBytesMax = 256 << 10;

    /// <summary>The largest zero record; longer ranges become several.</summary>
    public const long ZeroBytesMax = 1L << 30;

    /// <summary>The records, and so the sequences, of a write.</summary>
    public static long RecordsOf(RecordKind kind, long length)
    {
        var most = kind == RecordKind.Data ? RecordBytesMax : ZeroBytesMax;
        return (length + most - 1) / most;
    }
}

/// <summary>How a data request ended.</summary>
public enum BlockStatus
{
    Ok = 0,
    Fenced = 1,
    NoSpace = 2,
    OutOfRange = 3,
    Corrupt = 4,
    Failed = 5,
    NotFound = 6,

    /// <summary>The write does not follow the last one of a complete replica: something in between is missing.</summary>
    Gap = 7,
}

public enum RecordKind : byte
{
    Data = 0,
    Zero = 1,
}

/// <summary>One write in a batch: 0 sequence | 8 offset | 16 length | 24 address of the data | 32 kind.</summary>
/// <remarks>Offset and length are multiples of 4096. The data stays valid until the call returns. A write takes one sequence for each of its records
/// (<see cref="BlockGeometry.RecordsOf"/>); a negative one, of the last
/// <see cref="VolumeInfo.Begins"/>, puts content right that the history already has.</remarks>
[StructLayout(LayoutKind.Sequential)]
public struct JournalWrite
{
    public long Sequence;
    public long Offset;
    public long Length;
    public nint Data;
    public RecordKind Kind;
}

public enum RangeKind : byte
{
    Data = 0,
    Zero = 1,
    Hole = 2,
}

/// <summary>A range of a volume whose blocks are all of one kind.</summary>
public readonly record struct LayerRange(long Offset, long Length, RangeKind Kind);

/// <summary>What a block store may use, and how much of it.</summary>
public sealed record BlockStoreOptions
{
    /// <summary>Bytes of one journal segment; a multiple of 4096, at most 64 MiB, as a location has 20 bits of 64 bytes.</summary>
    public long SegmentBytes { get; init; } = 64 << 20;

    /// <summary>Segments that may hold records which are not in their place yet; writers wait above it.</summary>
    public int SegmentsMax { get; init; } = 8;

    /// <summary>Free bytes of the file system that are not given to volumes.</summary>
    public long ReserveBytes { get; init; } = 256L << 20;

    /// <summary>Extents whose block words are kept in memory, 8 KiB each.</summary>
    public int CachedExtentsMax { get; init; } = 8192;

    /// <summary>How long records may wait in the journal of a device without other work.</summary>
    public TimeSpan ApplyIdle { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Off for tests that drive the background steps themselves.</summary>
    public bool RunInBackground { get; init; } = true;

    /// <summary>Answers an error number for operations that shall fail, else 0.</summary>
    public FileFault? Faults { get; init; }

    /// <summary>Answers the free bytes of the file system that holds a directory.</summary>
    public Func<string, long> FreeBytes { get; init; } = static directory => new DriveInfo(directory).AvailableFreeSpace;
}

public enum BlockStoreError
{
    NotFound,
    Conflict,
    InvalidArgument,
    NoSpace,
    Failed,
    Corrupt,
}

/// <summary>A control operation of a block store was refused or failed.</summary>
public sealed class BlockStoreException(BlockStoreError error, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    public BlockStoreError Error { get; } = error;
}

/// <summary>What a volume on the device is.</summary>
/// <param name="Begins">How often it was told what it holds since the device was opened.</param>
/// <param name="Complete">False while something that the history says is not there yet.</param>
public sealed record VolumeInfo(Guid Id, long SizeBytes, long SealedEpoch, VolumeHistory History, bool Complete, long Begins, int LayerCount);

/// <summary>What was found when a device was opened.</summary>
public sealed record RecoveryReport(int Segments, long Records, long Bytes, string? StoppedAt);

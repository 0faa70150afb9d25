using Nephos.Client.Volumes;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Devices;

/// <param name="FreeBytes">What volumes may still take.</param>
internal sealed record BlockDevice(string Id, string Zone, long CapacityBytes, long FreeBytes, bool Failed);

/// <summary>A range of content that is not all zero.</summary>
internal readonly record struct BlockChunk(long Offset, ReadOnlyMemory<byte> Data);

/// <summary>A range of a volume.</summary>
internal readonly record struct BlockSpan(long Offset, long Length)
{
    public long End => Offset + Length;
}

/// <summary>What this service needs of the storage nodes. Every call may be repeated: what is so already is done.</summary>
/// <remarks>Refusals are <see cref="FaultException"/> with the reasons NotFound, Conflict, InvalidArgument, StorageFull; Unavailable passes by itself.</remarks>
internal interface IBlockDevices
{
    Task<IReadOnlyList<BlockDevice>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Where heads reach the devices of a set.</summary>
    Task<IReadOnlyList<ReplicaEndpoint>> LocateAsync(string deviceId, CancellationToken cancellationToken);

    Task<bool> ExistsAsync(string deviceId, string volumeId, CancellationToken cancellationToken);

    /// <param name="snapshotId">Null for a blank volume.</param>
    Task CreateAsync(string deviceId, string volumeId, long sizeBytes, string? snapshotId, CancellationToken cancellationToken);

    Task DeleteAsync(string deviceId, string volumeId, CancellationToken cancellationToken);

    Task ResizeAsync(string deviceId, string volumeId, long sizeBytes, CancellationToken cancellationToken);

    Task CreateSnapshotAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken);

    /// <summary>Freezes several volumes of a device at one moment.</summary>
    Task CreateSnapshotsAsync(string deviceId, IReadOnlyList<(string VolumeId, string SnapshotId)> snapshots, CancellationToken cancellationToken);

    Task DeleteSnapshotAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken);

    Task RollbackAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken);

    Task SealAsync(string deviceId, string volumeId, long epoch, CancellationToken cancellationToken);

    /// <summary>Writes ascending ranges of whole blocks; durable when it returns.</summary>
    Task WriteAsync(string deviceId, string volumeId, long epoch, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken);

    /// <summary>The size of a snapshot and what in it is not zero, ascending.</summary>
    /// <param name="span">Of this range only; null for all of it.</param>
    Task<(long SizeBytes, IAsyncEnumerable<BlockChunk> Chunks)> ReadAsync(
        string deviceId, string volumeId, string snapshotId, BlockSpan? span, CancellationToken cancellationToken);

    /// <summary>What a snapshot holds from the beginning of a span on, or what of it was written since another one (data) and what was not (holes).
    /// Ranges follow each other, and may end before the span does.</summary>
    Task<IReadOnlyList<BlockRange>> DescribeAsync(
        string deviceId, string volumeId, string snapshotId, string? baseSnapshotId, BlockSpan span, CancellationToken cancellationToken);

    /// <summary>Where two snapshots of one history may differ, ascending, in units of 4 MiB.</summary>
    Task<IReadOnlyList<BlockSpan>> ListChangedAsync(
        string deviceId, string volumeId, string snapshotId, string baseSnapshotId, CancellationToken cancellationToken);
}

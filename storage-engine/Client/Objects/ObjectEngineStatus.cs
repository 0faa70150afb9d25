using System.Collections.Immutable;

namespace Nephos.Client.Objects;

public enum DeviceState
{
    /// <summary>Reads and writes.</summary>
    Online,

    /// <summary>Reads and deletes; writes are refused until there is room.</summary>
    Full,

    /// <summary>Its directory is gone or its disk failed; its copies are made again elsewhere or on its successor.</summary>
    Failed,
}

public sealed record DeviceStatus(
    int Id,
    string Zone,
    string Path,
    DeviceState State,
    long CapacityBytes,
    long UsedBytes,
    long LiveBytes,
    long Needles,
    string Reason);

public sealed record IndexShardStatus(
    int Shard, ulong Epoch, ulong CommittedSequence, string State, int ReplicasInSync, int Replicas, string Reason)
{
    /// <summary>It has the accounts whose names' hashes are from here to the next shard's.</summary>
    public ulong FirstHash { get; init; }

    /// <summary>Objects in it, older versions included, when they were last counted; null before the first time.</summary>
    public long? Objects { get; init; }

    /// <summary>The hash of an account's name that would leave half of them on either side; null when there is no such place.</summary>
    public ulong? SplitAt { get; init; }
}

/// <summary>The health of the engine at one moment.</summary>
/// <param name="Devices">Every device of the ring.</param>
/// <param name="Shards">Every shard of the namespace's index.</param>
/// <param name="BlobsWithoutSpare">Known blobs with one good copy left.</param>
/// <param name="BlobsAtRisk">Known blobs with fewer than the wanted copies, those without a spare included.</param>
/// <param name="BlobsMissing">Referenced blobs with no copy at all. Must be 0.</param>
/// <param name="BlobsToRemove">Released blobs whose bytes are still to be removed.</param>
/// <param name="BlobsRepaired">Copies made again since the start.</param>
/// <param name="LastFullCheck">When all references were last compared with all devices; null before the first time, and after a device came without its data until it has them.</param>
public sealed record ObjectEngineStatus(
    ImmutableArray<DeviceStatus> Devices,
    ImmutableArray<IndexShardStatus> Shards,
    long BlobsWithoutSpare,
    long BlobsAtRisk,
    long BlobsMissing,
    long BlobsToRemove,
    long BlobsRepaired,
    DateTimeOffset? LastFullCheck)
{
    /// <summary>Time until every blob has its copies, by the rate of the last minute; null when no copies are being made.</summary>
    public TimeSpan? SafeIn { get; init; }

    /// <summary>Which shards are being replaced by which; empty when none are.</summary>
    public string ShardChange { get; init; } = "";
}

using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block;

/// <summary>A device as the control of volumes uses it, in this process or in another one. Calls block, and may be repeated.</summary>
/// <remarks>Refusals are <see cref="BlockStoreException"/>, with <c>Failed</c> also when the process that has the device does not answer.</remarks>
internal interface IBlockDevice
{
    Guid Id { get; }

    /// <summary>The process that has it.</summary>
    string Node { get; }

    string Zone { get; }

    /// <summary>Where heads of other processes reach it; empty when only this process does.</summary>
    string Address { get; }

    /// <summary>Whether it can be asked, as far as is known.</summary>
    bool IsUsable { get; }

    /// <summary>How it is, or was when it was last heard of; null when it never was.</summary>
    DeviceState? State { get; }

    /// <summary>Null when it has no such volume.</summary>
    VolumeInfo? FindVolume(Guid volumeId);

    /// <inheritdoc cref="BlockStore.AllocatedBytes"/>
    long AllocatedBytes(Guid volumeId);

    /// <inheritdoc cref="BlockStore.CreateVolume"/>
    void CreateVolume(Guid volumeId, long sizeBytes, Guid? snapshotId, bool complete);

    void DeleteVolume(Guid volumeId);

    void ResizeVolume(Guid volumeId, long sizeBytes);

    /// <exception cref="BlockStoreException"><c>Conflict</c>: a newer epoch is sealed.</exception>
    void Seal(Guid volumeId, long epoch);

    /// <inheritdoc cref="BlockStore.Rollback"/>
    void Rollback(Guid volumeId, Guid snapshotId, long epoch);

    /// <inheritdoc cref="BlockStore.Hold"/>
    VolumeInfo Hold(Guid volumeId, TimeSpan time);

    void EndHold(Guid volumeId);

    /// <summary>Freezes volumes at one moment; of several replicas each just behind the write with the sequence given, while it is held.</summary>
    void CreateSnapshots(IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted, IReadOnlyList<long>? heldAt);

    void DeleteSnapshot(Guid snapshotId);

    /// <summary>Null when it has no such snapshot.</summary>
    SnapshotInfo? FindSnapshot(Guid snapshotId);

    /// <summary>What a snapshot holds in a range, or what of it was written since another one; may end before the range does.</summary>
    /// <exception cref="BlockStoreException"><c>InvalidArgument</c> for a range outside of it.</exception>
    IReadOnlyList<LayerRange> GetSnapshotRanges(Guid snapshotId, Guid? since, long offset, long length);

    /// <inheritdoc cref="BlockStore.ListChangedRanges"/>
    IReadOnlyList<(long Offset, long Length)> ListChangedRanges(Guid snapshotId, Guid baseId);

    /// <summary>Reads whole blocks of a snapshot, at most 1 MiB.</summary>
    BlockStatus ReadSnapshot(Guid snapshotId, long offset, Memory<byte> buffer);

    /// <summary>The way of data to a volume that is there.</summary>
    IBlockReplica OpenReplica(Guid volumeId);
}

/// <summary>How a device is.</summary>
/// <param name="Failure">Why it takes no more writes; null while it does.</param>
/// <param name="Trouble">What its background work met; null when all is well.</param>
internal sealed record DeviceState(long CapacityBytes, long FreeBytes, string? Failure, string? Trouble, int VolumeCount, long JournalBytes);

/// <param name="Sequence">The write behind which it was taken of a held volume; 0 for others.</param>
internal sealed record SnapshotInfo(long Sequence, long SizeBytes);

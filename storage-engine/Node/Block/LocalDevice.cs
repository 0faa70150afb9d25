using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block;

/// <summary>A device of this process.</summary>
internal sealed class LocalDevice(BlockStore store, string node, string zone, string address, long capacityBytes) : IBlockDevice
{
    private const int RangesMax = 256;

    public Guid Id => store.DeviceId;

    public string Node => node;

    public string Zone => zone;

    public string Address => address;

    public bool IsUsable => store.Failure is null;

    public DeviceState State => new(
        capacityBytes, store.FreeBytes, store.Failure?.Message, store.BackgroundError?.Message, store.VolumeCount, store.JournalBytes);

    public VolumeInfo? FindVolume(Guid volumeId) => store.FindVolume(volumeId)?.Describe();

    public long AllocatedBytes(Guid volumeId) => store.AllocatedBytes(store.GetVolume(volumeId));

    public void CreateVolume(Guid volumeId, long sizeBytes, Guid? snapshotId, bool complete) => store.CreateVolume(volumeId, sizeBytes, snapshotId, complete);

    public void DeleteVolume(Guid volumeId) => store.DeleteVolume(volumeId);

    public void ResizeVolume(Guid volumeId, long sizeBytes) => store.ResizeVolume(volumeId, sizeBytes);

    public void Seal(Guid volumeId, long epoch)
    {
        switch (store.GetVolume(volumeId).Seal(epoch))
        {
            case BlockStatus.Ok: return;
            case BlockStatus.Fenced: throw new BlockStoreException(BlockStoreError.Conflict, "A newer epoch of the volume is sealed.");
            case var status: throw new BlockStoreException(BlockStoreError.Failed, $"Device {Id} answered {status}.");
        }
    }

    public void Rollback(Guid volumeId, Guid snapshotId, long epoch) => store.Rollback(volumeId, snapshotId, epoch);

    public VolumeInfo Hold(Guid volumeId, TimeSpan time) => store.Hold(volumeId, time);

    public void EndHold(Guid volumeId) => store.EndHold(volumeId);

    public void CreateSnapshots(IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted, IReadOnlyList<long>? heldAt) => store.CreateSnapshots(wanted, heldAt);

    public void DeleteSnapshot(Guid snapshotId) => store.DeleteSnapshot(snapshotId);

    public SnapshotInfo? FindSnapshot(Guid snapshotId) =>
        store.FindSnapshotSequence(snapshotId) is { } sequence ? new SnapshotInfo(sequence, store.SnapshotSizeBytes(snapshotId)) : null;

    public IReadOnlyList<LayerRange> GetSnapshotRanges(Guid snapshotId, Guid? since, long offset, long length)
    {
        Span<LayerRange> ranges = stackalloc LayerRange[RangesMax];
        var status = since is { } baseId
            ? store.GetChangedRanges(snapshotId, baseId, offset, length, ranges, out var count)
            : store.GetSnapshotRanges(snapshotId, offset, length, ranges, out count);
        return status switch
        {
            BlockStatus.Ok => [.. ranges[..count]],
            BlockStatus.OutOfRange => throw new BlockStoreException(BlockStoreError.InvalidArgument, $"Snapshot {snapshotId} has no range of {length} bytes at {offset}."),
            BlockStatus.Corrupt => throw new BlockStoreException(BlockStoreError.Corrupt, $"The map of snapshot {snapshotId} on device {Id} is damaged."),
            _ => throw new BlockStoreException(BlockStoreError.Failed, $"Device {Id} answered {status}."),
        };
    }

    public IReadOnlyList<(long Offset, long Length)> ListChangedRanges(Guid snapshotId, Guid baseId) => store.ListChangedRanges(snapshotId, baseId);

    public BlockStatus ReadSnapshot(Guid snapshotId, long offset, Memory<byte> buffer) => store.ReadSnapshot(snapshotId, offset, buffer.Span);

    public IBlockReplica OpenReplica(Guid volumeId) => new LocalReplica(store.GetVolume(volumeId));
}

using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block.Cluster;

/// <summary>A device of another process.</summary>
internal sealed class RemoteDevice(Guid id, BlockPeer peer) : IBlockDevice
{
    public Guid Id => id;

    public string Node => peer.Record.Name;

    public string Zone => peer.Record.Zone;

    public string Address => peer.Record.Address;

    public bool IsUsable => peer.IsAnswering && State is { Failure: null };

    public DeviceState? State => peer.StateOf(id);

    public VolumeInfo? FindVolume(Guid volumeId) => peer.Ask(new DeviceCall.FindVolume(id, volumeId)).Volume;

    public long AllocatedBytes(Guid volumeId) => peer.Ask(new DeviceCall.CountAllocated(id, volumeId)).Bytes;

    public void CreateVolume(Guid volumeId, long sizeBytes, Guid? snapshotId, bool complete) =>
        peer.Ask(new DeviceCall.CreateVolume(id, volumeId, sizeBytes, snapshotId, complete));

    public void DeleteVolume(Guid volumeId) => peer.Ask(new DeviceCall.DeleteVolume(id, volumeId));

    public void ResizeVolume(Guid volumeId, long sizeBytes) => peer.Ask(new DeviceCall.ResizeVolume(id, volumeId, sizeBytes));

    public void Seal(Guid volumeId, long epoch) => peer.Ask(new DeviceCall.SealVolume(id, volumeId, epoch));

    public void Rollback(Guid volumeId, Guid snapshotId, long epoch) => peer.Ask(new DeviceCall.RollBack(id, volumeId, snapshotId, epoch));

    public VolumeInfo Hold(Guid volumeId, TimeSpan time) => peer.Ask(new DeviceCall.HoldVolume(id, volumeId, time)).Volume ?? throw Incomplete("a held volume");

    public void EndHold(Guid volumeId) => peer.Ask(new DeviceCall.EndHold(id, volumeId));

    public void CreateSnapshots(IReadOnlyList<(Guid VolumeId, Guid SnapshotId)> wanted, IReadOnlyList<long>? heldAt) =>
        peer.Ask(new DeviceCall.CreateSnapshots(id, [.. wanted.Select(pair => pair.VolumeId)], [.. wanted.Select(pair => pair.SnapshotId)], heldAt));

    public void DeleteSnapshot(Guid snapshotId) => peer.Ask(new DeviceCall.DeleteSnapshot(id, snapshotId));

    public SnapshotInfo? FindSnapshot(Guid snapshotId) => peer.Ask(new DeviceCall.FindSnapshot(id, snapshotId)).Snapshot;

    public IReadOnlyList<LayerRange> GetSnapshotRanges(Guid snapshotId, Guid? since, long offset, long length) =>
        peer.Ask(new DeviceCall.ListRanges(id, snapshotId, since, offset, length)).Ranges ?? throw Incomplete("ranges");

    public IReadOnlyList<(long Offset, long Length)> ListChangedRanges(Guid snapshotId, Guid baseId) =>
        [.. (peer.Ask(new DeviceCall.ListChanged(id, snapshotId, baseId)).Ranges ?? throw Incomplete("ranges")).Select(range => (range.Offset, range.Length))];

    public BlockStatus ReadSnapshot(Guid snapshotId, long offset, Memory<byte> buffer) =>
        peer.Ask(new DeviceCall.ReadSnapshot(id, snapshotId, offset, buffer.Length), buffer).Status;

    public IBlockReplica OpenReplica(Guid volumeId) => peer.OpenReplica(id, volumeId);

    private BlockStoreException Incomplete(string what) => new(BlockStoreError.Failed, $"Device {id} answered without {what}.");
}

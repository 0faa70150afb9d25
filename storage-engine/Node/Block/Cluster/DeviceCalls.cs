using System.Text.Json.Serialization;
using Nephos.Client.Transport;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block.Cluster;

/// <summary>Calls between processes about devices, besides those of heads. Heads of calls and answers are JSON.</summary>
internal static class DeviceMethods
{
    /// <summary>A <see cref="DeviceCall"/>; answers a <see cref="DeviceAnswer"/>, with what was read as payload.</summary>
    public const ushort Control = StorageMethods.Blocks + 0x80;

    /// <summary>Nothing; answers a <see cref="BlockNodeState"/>.</summary>
    public const ushort Presence = StorageMethods.Blocks + 0x81;
}

/// <summary>Something to do at a device of another process.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "call")]
[JsonDerivedType(typeof(FindVolume), "find-volume")]
[JsonDerivedType(typeof(CountAllocated), "count-allocated")]
[JsonDerivedType(typeof(CreateVolume), "create-volume")]
[JsonDerivedType(typeof(DeleteVolume), "delete-volume")]
[JsonDerivedType(typeof(ResizeVolume), "resize-volume")]
[JsonDerivedType(typeof(SealVolume), "seal-volume")]
[JsonDerivedType(typeof(RollBack), "roll-back")]
[JsonDerivedType(typeof(HoldVolume), "hold-volume")]
[JsonDerivedType(typeof(EndHold), "end-hold")]
[JsonDerivedType(typeof(CreateSnapshots), "create-snapshots")]
[JsonDerivedType(typeof(DeleteSnapshot), "delete-snapshot")]
[JsonDerivedType(typeof(FindSnapshot), "find-snapshot")]
[JsonDerivedType(typeof(ListRanges), "list-ranges")]
[JsonDerivedType(typeof(ListChanged), "list-changed")]
[JsonDerivedType(typeof(ReadSnapshot), "read-snapshot")]
internal abstract record DeviceCall(Guid Device)
{
    /// <summary>Does it.</summary>
    /// <param name="device">The one that is named.</param>
    /// <param name="payload">For what is read; as long as the call wants.</param>
    /// <exception cref="BlockStoreException">As the device has it.</exception>
    public abstract DeviceAnswer Run(IBlockDevice device, Memory<byte> payload);

    private static DeviceAnswer Done(Action action)
    {
        action();
        return new DeviceAnswer();
    }

    private static LayerRange ToRange((long Offset, long Length) range) => new(range.Offset, range.Length, RangeKind.Data);

    public sealed record FindVolume(Guid Device, Guid Volume) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Volume = device.FindVolume(Volume) };
    }

    public sealed record CountAllocated(Guid Device, Guid Volume) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Bytes = device.AllocatedBytes(Volume) };
    }

    public sealed record CreateVolume(Guid Device, Guid Volume, long SizeBytes, Guid? Snapshot, bool Complete) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.CreateVolume(Volume, SizeBytes, Snapshot, Complete));
    }

    public sealed record DeleteVolume(Guid Device, Guid Volume) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.DeleteVolume(Volume));
    }

    public sealed record ResizeVolume(Guid Device, Guid Volume, long SizeBytes) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.ResizeVolume(Volume, SizeBytes));
    }

    public sealed record SealVolume(Guid Device, Guid Volume, long Epoch) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.Seal(Volume, Epoch));
    }

    public sealed record RollBack(Guid Device, Guid Volume, Guid Snapshot, long Epoch) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.Rollback(Volume, Snapshot, Epoch));
    }

    public sealed record HoldVolume(Guid Device, Guid Volume, TimeSpan Time) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Volume = device.Hold(Volume, Time) };
    }

    public sealed record EndHold(Guid Device, Guid Volume) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.EndHold(Volume));
    }

    /// <param name="Volumes">One for each of the snapshots.</param>
    /// <param name="HeldAt">Likewise; null when they are not held.</param>
    public sealed record CreateSnapshots(Guid Device, IReadOnlyList<Guid> Volumes, IReadOnlyList<Guid> Snapshots, IReadOnlyList<long>? HeldAt) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.CreateSnapshots([.. Volumes.Zip(Snapshots)], HeldAt));
    }

    public sealed record DeleteSnapshot(Guid Device, Guid Snapshot) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => Done(() => device.DeleteSnapshot(Snapshot));
    }

    public sealed record FindSnapshot(Guid Device, Guid Snapshot) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Snapshot = device.FindSnapshot(Snapshot) };
    }

    public sealed record ListRanges(Guid Device, Guid Snapshot, Guid? Since, long Offset, long Length) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Ranges = device.GetSnapshotRanges(Snapshot, Since, Offset, Length) };
    }

    public sealed record ListChanged(Guid Device, Guid Snapshot, Guid Base) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Ranges = [.. device.ListChangedRanges(Snapshot, Base).Select(ToRange)] };
    }

    public sealed record ReadSnapshot(Guid Device, Guid Snapshot, long Offset, int Length) : DeviceCall(Device)
    {
        public override DeviceAnswer Run(IBlockDevice device, Memory<byte> payload) => new() { Status = device.ReadSnapshot(Snapshot, Offset, payload) };
    }
}

/// <summary>How a call ended; of the other fields those that the call asks for.</summary>
/// <param name="Error">Why it was refused; null when it was not.</param>
/// <param name="Message">For people.</param>
internal sealed record DeviceAnswer(BlockStoreError? Error = null, string? Message = null)
{
    public VolumeInfo? Volume { get; init; }

    public SnapshotInfo? Snapshot { get; init; }

    public IReadOnlyList<LayerRange>? Ranges { get; init; }

    public BlockStatus Status { get; init; }

    public long Bytes { get; init; }
}

/// <summary>How the devices of a process are, in the order of their ids in its record.</summary>
internal sealed record BlockNodeState(IReadOnlyDictionary<Guid, DeviceState> Devices);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(DeviceCall))]
[JsonSerializable(typeof(DeviceAnswer))]
[JsonSerializable(typeof(BlockNodeState))]
[JsonSerializable(typeof(BlockNodesRecord))]
internal sealed partial class BlockNodesJson : JsonSerializerContext;

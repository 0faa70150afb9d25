using System.Buffers;
using System.Text.Json;
using Nephos.Client.Transport;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block.Cluster;

/// <summary>Answers other processes for the devices of this one: their heads, and their control.</summary>
internal sealed class DeviceServer(BlockDeviceSet set, IReadOnlyList<LocalDevice> devices)
{
    private readonly ReplicaServer _replicas = new(set);
    private readonly Dictionary<Guid, LocalDevice> _devices = devices.ToDictionary(device => device.Id);

    /// <summary>The calls wait for disks, so they leave the connection's reader at once.</summary>
    public ValueTask<CallResult> HandleAsync(IncomingCall call) => call.Method switch
    {
        DeviceMethods.Control => new(Task.Run(() => Control(call.Head))),
        DeviceMethods.Presence => new(Task.Run(Present)),
        _ => _replicas.HandleAsync(call),
    };

    private CallResult Present() =>
        new(JsonSerializer.SerializeToUtf8Bytes(new BlockNodeState(_devices.ToDictionary(pair => pair.Key, pair => pair.Value.State)), BlockNodesJson.Default.BlockNodeState));

    private CallResult Control(ReadOnlyMemory<byte> head)
    {
        var call = JsonSerializer.Deserialize(head.Span, BlockNodesJson.Default.DeviceCall) ?? throw new StorageCallException("An empty call names no device.");
        var length = call is DeviceCall.ReadSnapshot read ? read.Length : 0;
        if (length is < 0 or > StorageMethods.PayloadBytesMax) throw new StorageCallException($"A read of {length} bytes is too long.");
        var payload = length > 0 ? MemoryPool<byte>.Shared.Rent(length) : null;
        var answer = Run(call, payload is null ? default : payload.Memory[..length]);
        var isRead = payload is not null && answer is { Error: null, Status: BlockStatus.Ok };
        if (!isRead) payload?.Dispose();
        var said = JsonSerializer.SerializeToUtf8Bytes(answer, BlockNodesJson.Default.DeviceAnswer);
        return isRead ? new CallResult(said, payload!.Memory[..length], payload) : new CallResult(said);
    }

    private DeviceAnswer Run(DeviceCall call, Memory<byte> payload)
    {
        try
        {
            return _devices.TryGetValue(call.Device, out var device)
                ? call.Run(device, payload)
                : new DeviceAnswer(BlockStoreError.Failed, $"Device {call.Device} is not in this process.");
        }
        catch (BlockStoreException refusal)
        {
            return new DeviceAnswer(refusal.Error, refusal.Message);
        }
    }
}

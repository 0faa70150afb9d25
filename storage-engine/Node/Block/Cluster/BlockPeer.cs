using System.Text.Json;
using Nephos.Client.Transport;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block.Cluster;

/// <summary>Another storage process, and what it said last.</summary>
internal sealed class BlockPeer : IAsyncDisposable
{
    /// <summary>One that takes longer to say how it is counts as gone until it does.</summary>
    private static readonly TimeSpan PresenceTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Devices wait for their disks, several times for some calls.</summary>
    private static readonly TimeSpan ControlTimeout = TimeSpan.FromSeconds(10);

    private readonly IStorageChannel _channel;
    private volatile BlockNodeState? _state;
    private volatile bool _isAnswering;

    public BlockPeer(BlockNodeRecord record, IStorageTransport transport)
    {
        Record = record;
        _channel = transport.Open(StorageAddress.Parse(record.Address));
        Devices = [.. record.Devices.Select(device => new RemoteDevice(device, this))];
    }

    public BlockNodeRecord Record { get; }

    public IReadOnlyList<RemoteDevice> Devices { get; }

    /// <summary>Whether it said how it is when it was last asked, and has answered since.</summary>
    public bool IsAnswering => _isAnswering;

    /// <summary>What it said last, also when it does not answer now.</summary>
    public DeviceState? StateOf(Guid device) => _state?.Devices.GetValueOrDefault(device);

    public async Task GreetAsync()
    {
        try
        {
            var reply = await _channel.CallAsync(new StorageCall(DeviceMethods.Presence, default) { Timeout = PresenceTimeout });
            _state = JsonSerializer.Deserialize(reply.Head.Span, BlockNodesJson.Default.BlockNodeState);
            _isAnswering = true;
        }
        catch (Exception failure) when (failure is IOException or JsonException or ObjectDisposedException)
        {
            _isAnswering = false;
        }
    }

    /// <exception cref="BlockStoreException">As the device has it, and <c>Failed</c> when there is no answer.</exception>
    public DeviceAnswer Ask(DeviceCall call, Memory<byte> destination = default)
    {
        // Known to be gone: nothing waits for it.
        if (!_isAnswering) throw Away(call.Device, "it did not when it was last asked", null);
        DeviceAnswer? answer;
        try
        {
            var head = JsonSerializer.SerializeToUtf8Bytes(call, BlockNodesJson.Default.DeviceCall);
            var reply = _channel.CallAsync(new StorageCall(DeviceMethods.Control, head) { Destination = destination, Timeout = ControlTimeout }).AsTask().GetAwaiter().GetResult();
            answer = JsonSerializer.Deserialize(reply.Head.Span, BlockNodesJson.Default.DeviceAnswer);
        }
        catch (Exception failure) when (failure is IOException or JsonException or ObjectDisposedException)
        {
            if (failure is StorageUnreachableException) _isAnswering = false;
            throw Away(call.Device, failure.Message, failure);
        }
        return answer switch
        {
            null => throw Away(call.Device, "its answer is empty", null),
            { Error: { } error } => throw new BlockStoreException(error, answer.Message ?? "no reason given"),
            _ => answer,
        };
    }

    public IBlockReplica OpenReplica(Guid device, Guid volumeId) => new RemoteReplica(_channel, device, volumeId);

    private BlockStoreException Away(Guid device, string reason, Exception? cause) =>
        new(BlockStoreError.Failed, $"Device {device} of {Record.Name} does not answer: {reason}", cause);

    public ValueTask DisposeAsync() => _channel.DisposeAsync();
}

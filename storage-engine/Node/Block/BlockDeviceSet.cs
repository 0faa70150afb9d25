using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.LocalStorage.Block;

namespace Nephos.Node.Block;

/// <summary>The open block devices of this process, and the way of heads in the same process to them.</summary>
public sealed partial class BlockDeviceSet : IReplicaConnector, IHostedService, IDisposable
{
    private readonly Dictionary<Guid, BlockStore> _devices = [];
    private readonly ILogger<BlockDeviceSet> _logger;

    /// <exception cref="BlockStoreException">A device is in use or damaged.</exception>
    public BlockDeviceSet(BlockDevicesOptions options, NephosOptions nephos, TimeProvider time, ILogger<BlockDeviceSet> logger)
    {
        _logger = logger;
        Zone = options.Zone;
        IEnumerable<string> directories = options.Directories.Count > 0
            ? options.Directories
            : Enumerable.Range(1, ReplicaSet.Replicas).Select(number => Path.Combine(nephos.StateDirectory, "block", $"device-{number}"));
        try
        {
            foreach (var directory in directories)
            {
                var store = BlockStore.Open(
                    directory,
                    new BlockStoreOptions
                    {
                        SegmentBytes = options.SegmentBytes,
                        SegmentsMax = options.SegmentsMax,
                        ReserveBytes = options.ReserveBytes,
                        CachedExtentsMax = options.CachedExtentsMax,
                    },
                    time);
                _devices.Add(store.DeviceId, store);
                Capacities[store.DeviceId] = new DriveInfo(directory).TotalSize;
                LogOpened(store.DeviceId, directory, store.VolumeCount, store.Recovery.Records, store.Recovery.StoppedAt ?? "its end");
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Zone { get; }

    /// <summary>Bytes of the file system of each device.</summary>
    internal Dictionary<Guid, long> Capacities { get; } = [];

    public IReadOnlyCollection<BlockStore> Devices => _devices.Values;

    public BlockStore? Find(string deviceId) => Guid.TryParse(deviceId, out var id) ? _devices.GetValueOrDefault(id) : null;

    public ValueTask<IBlockReplica> ConnectAsync(ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IBlockReplica>(new LocalReplica(FindOrMake(endpoint.DeviceId, volumeId, newSizeBytes)));

    /// <exception cref="VolumeHeadException">The device is not here, does not have the volume or can not make it.</exception>
    internal BlockVolume FindOrMake(string deviceId, Guid volumeId, long newSizeBytes)
    {
        var store = Find(deviceId) ?? throw new VolumeHeadException($"Device {deviceId} is not in this process.");
        try
        {
            var volume = store.FindVolume(volumeId);
            if (newSizeBytes == 0) return volume ?? throw new VolumeHeadException($"Device {store.DeviceId} has no volume {volumeId}.");
            if (volume is null) return store.CreateVolume(volumeId, newSizeBytes, snapshotId: null, complete: false);
            // It was away when the volume grew.
            if (volume.SizeBytes < newSizeBytes) store.ResizeVolume(volumeId, newSizeBytes);
            return volume;
        }
        catch (BlockStoreException e)
        {
            throw new VolumeHeadException(e.Message, e);
        }
    }

    // The devices are open since construction; the host only decides when that is.
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        foreach (var store in _devices.Values) store.Dispose();
        _devices.Clear();
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Block device {DeviceId} in {Directory} is open: {VolumeCount} volumes, {RecordCount} records replayed up to {StoppedAt}")]
    private partial void LogOpened(Guid deviceId, string directory, int volumeCount, long recordCount, string stoppedAt);
}

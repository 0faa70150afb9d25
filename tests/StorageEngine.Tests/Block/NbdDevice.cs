using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Nephos.Node.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>A volume of a device of this process, served on a unix socket.</summary>
internal sealed class NbdDevice : IReplicaConnector, IAsyncDisposable
{
    public const long Size = 64 << 20;

    public NbdDevice(BlockStoreOptions? options = null, long sizeBytes = Size)
    {
        Device = new BlockDevice(options ?? BlockDevice.Small with { SegmentBytes = 4 << 20, RunInBackground = true, ApplyIdle = TimeSpan.FromMilliseconds(20) });
        Heads = new VolumeHeads(this, TimeProvider.System, NullLogger<VolumeHeads>.Instance);
        Volume = Device.Store.CreateVolume(Guid.NewGuid(), sizeBytes, null);
        Opened = new OpenedVolume
        {
            AttachmentId = Guid.NewGuid(),
            VolumeId = Volume.Id,
            Epoch = 1,
            SizeBytes = sizeBytes,
            ReadOnly = false,
            ExportName = $"attachment-{Guid.NewGuid():n}",
            Replicas = [new ReplicaEndpoint("here", "")],
        };
        SocketPath = Path.Combine(Device.Directory, "nbd.sock");
    }

    public BlockDevice Device { get; }
    public VolumeHeads Heads { get; }
    public BlockVolume Volume { get; }
    public OpenedVolume Opened { get; set; }
    public string SocketPath { get; }
    public string Name => Opened.ExportName;
    public string Uri => $"nbd+unix:///{Name}?socket={SocketPath}";

    public static async Task<NbdDevice> OpenAsync(BlockStoreOptions? options = null, long sizeBytes = Size, bool readOnly = false)
    {
        var device = new NbdDevice(options, sizeBytes);
        device.Opened = device.Opened with { ReadOnly = readOnly };
        await device.Heads.OpenAsync(device.Opened, device.SocketPath, CancellationToken.None);
        return device;
    }

    public NbdTestClient Connect(bool structured = true, bool allocation = false) => NbdTestClient.Connect(SocketPath, Name, structured, allocation);

    public ValueTask<IBlockReplica> ConnectAsync(
        ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IBlockReplica>(new LocalReplica(Device.Store.GetVolume(volumeId)));

    public async ValueTask DisposeAsync()
    {
        await Heads.DisposeAsync();
        Device.Dispose();
    }
}

using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;

namespace Nephos.Node.Objects.Cluster;

/// <summary>What this process does for others, at its address.</summary>
internal sealed class ServedCalls(
    ObjectClusterOptions options, LocalBlobNode blobs, ShardSet shards, StorageCluster cluster, ShardDirectory directory, ShardHost host)
    : IAsyncDisposable
{
    private const int FramesKept = 32;
    private IAsyncDisposable? _listener;
    private GroupCalls? _groups;

    /// <exception cref="IOException">The address cannot be listened on.</exception>
    public void Listen(Func<PresenceReply> present)
    {
        _groups = new GroupCalls(shards, cluster, present, host.Time, host.Background);
        var router = new CallRouter();
        router.Add(StorageMethods.Blobs, new BlobCalls(blobs, new FramePool(FramesKept), host.Background).HandleAsync);
        router.Add(StorageMethods.Groups, _groups.HandleAsync);
        router.Add(StorageMethods.Namespace, directory.HandleAsync);
        _listener = options.Transport.Listen(options.Listen!, router.HandleAsync);
    }

    public async ValueTask DisposeAsync()
    {
        if (_listener is not null)
        {
            await _listener.DisposeAsync();
        }

        if (_groups is not null)
        {
            await _groups.DisposeAsync();
        }
    }
}

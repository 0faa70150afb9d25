using Nephos.Client.Volumes;

namespace Nephos.Node.Block;

/// <summary>The way of heads to replicas: straight to a device of this process, by frames to those of others.</summary>
/// <param name="local">Null when it has none.</param>
/// <param name="remote">To other processes.</param>
internal sealed class ReplicaConnector(BlockDeviceSet? local, RemoteReplicas remote) : IReplicaConnector
{
    public ValueTask<IBlockReplica> ConnectAsync(ReplicaEndpoint endpoint, Guid volumeId, long newSizeBytes, CancellationToken cancellationToken)
    {
        if (local?.Find(endpoint.DeviceId) is not null) return local.ConnectAsync(endpoint, volumeId, newSizeBytes, cancellationToken);
        return endpoint.Address.Length > 0
            ? remote.ConnectAsync(endpoint, volumeId, newSizeBytes, cancellationToken)
            : throw new VolumeHeadException($"It is not known which process has device {endpoint.DeviceId}.");
    }
}

using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using Nephos.Placement;

namespace Nephos.Node.Objects.Cluster;

/// <summary>What all processes of a store share, read or made when one of them opens.</summary>
internal sealed class EngineConfiguration(ObjectEngineOptions options, IConfigurationMaster master, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <summary>The ring. Of several processes, the first that sees enough others makes it, and all wait for it.</summary>
    public async Task<Ring> OpenRingAsync(StorageCluster cluster, RingWeights weights, CancellationToken cancellationToken)
    {
        if (options.Cluster is null)
        {
            return await OpenLonelyRingAsync(weights.Apply(options.Devices.Select(d => d.ToRing())), cancellationToken);
        }

        await RegisterAsync(cancellationToken);
        while (true)
        {
            var record = await ReadClusterAsync(cancellationToken);
            await cluster.FollowAsync(record.Value);
            if (await master.ReadAsync(RingKeeper.RingName, cancellationToken) is { } stored)
            {
                return RingFormat.Read(stored.Value.Span);
            }

            var devices = weights.Apply(record.Value.Devices);
            if (record.Value.Nodes.Length >= options.Cluster.NodesAtFirst && devices.Count(d => d.Weight > 0) >= options.Replicas)
            {
                var first = RingBuilder.Create(options.PartitionPower, options.Replicas, devices);
                await master.CompareAndSwapAsync(RingKeeper.RingName, 0, RingFormat.Write(first), cancellationToken);
                continue;
            }

            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    public async Task<ShardMap> OpenShardMapAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await master.ReadAsync(ShardMap.Name, cancellationToken) is { } stored)
            {
                return ShardMap.Parse(stored.Value.Span);
            }

            await master.CompareAndSwapAsync(ShardMap.Name, 0, ShardMap.Even(options.Shards).ToBytes(), cancellationToken);
        }
    }

    /// <summary>Tells the others where this process is and what it has.</summary>
    private async Task RegisterAsync(CancellationToken cancellationToken)
    {
        if (options.Cluster is not { Listen: { } address, Name: var name } || options.Devices.Count == 0)
        {
            return;
        }

        var node = new NodeRecord(name, address.Text, [.. options.Devices.Select(d => d.ToRing())]);
        while (true)
        {
            var (record, version) = await ReadClusterAsync(cancellationToken);
            if (record.Nodes.Where(n => n.Name != name).SelectMany(n => n.Devices).Select(d => d.Id).Intersect(node.Devices.Select(d => d.Id)).Any())
            {
                throw new InvalidDataException($"A device of {name} has the number of a device of another process.");
            }

            if (await master.CompareAndSwapAsync(ClusterRecord.Name, version, record.With(node).ToBytes(), cancellationToken) is not null)
            {
                return;
            }
        }
    }

    private async Task<(ClusterRecord Value, ulong Version)> ReadClusterAsync(CancellationToken cancellationToken) =>
        await master.ReadAsync(ClusterRecord.Name, cancellationToken) is { } stored
            ? (ClusterRecord.Parse(stored.Value.Span), stored.Version)
            : (ClusterRecord.Empty, 0);

    /// <summary>
    /// The stored ring, changed to the devices of the options and the weights that were set. Copies follow the ring in the background: nothing
    /// is removed from where it was before every device that should have it has it, and reads look everywhere.
    /// </summary>
    private async Task<Ring> OpenLonelyRingAsync(IReadOnlyList<RingDevice> wanted, CancellationToken cancellationToken)
    {
        var stored = await master.ReadAsync(RingKeeper.RingName, cancellationToken);
        var ring = stored is null ? RingBuilder.Create(options.PartitionPower, options.Replicas, wanted) : RingFormat.Read(stored.Value.Value.Span);
        var before = stored is null ? 0 : ring.Version;
        for (var change = RingBuilder.Rebalance(ring, wanted); ; change = RingBuilder.Rebalance(ring, wanted))
        {
            ring = change.Ring;
            if (change.IsBalanced)
            {
                break;
            }
        }

        return ring.Version == before
            || await master.CompareAndSwapAsync(RingKeeper.RingName, stored?.Version ?? 0, RingFormat.Write(ring), cancellationToken) is not null
            ? ring
            : throw new InvalidOperationException("Another process changes the ring at the same time.");
    }
}

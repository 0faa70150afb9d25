using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Nephos.Compute.Nodes;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>An instance with what was made for it and what clients see of it.</summary>
internal sealed record InstanceDetails(Instance Instance, InstanceParts? Parts, Observation? Seen, InstanceView View, Node? Node, bool NodeUp);

/// <summary>Puts the records of instances together.</summary>
internal sealed class InstanceViews(
    IStateStore store,
    TableCache<Instance> instances,
    TableCache<InstanceParts> parts,
    TableCache<Observation> observations,
    NodeRegistry nodes,
    TimeProvider time)
{
    /// <summary>From the copies in memory.</summary>
    public InstanceView Of(Instance instance) => DetailsOf(instance).View;

    public InstanceDetails DetailsOf(Instance instance)
    {
        var nodeId = instance.Claim?.NodeId;
        return Details(instance, parts.Get(instance.Id), nodeId is null ? null : observations.Get(Observation.KeyOf(instance.Id, nodeId)));
    }

    /// <summary>From the store: sees everything acknowledged before.</summary>
    public async Task<InstanceDetails> ReadAsync(Instance instance, CancellationToken cancellationToken)
    {
        var seen = instance.Claim is { } claim
            ? await store.GetAsync(Observation.Table, Observation.KeyOf(instance.Id, claim.NodeId), cancellationToken)
            : null;
        return Details(instance, await store.GetAsync(InstanceParts.Table, instance.Id, cancellationToken), seen);
    }

    /// <summary>Every instance, in the order of ids, after everything acknowledged before has arrived.</summary>
    public async Task<IReadOnlyList<Instance>> ListAsync(CancellationToken cancellationToken)
    {
        var revision = await store.GetRevisionAsync(cancellationToken);
        await Task.WhenAll(
            instances.WaitForRevisionAsync(revision, cancellationToken),
            parts.WaitForRevisionAsync(revision, cancellationToken),
            observations.WaitForRevisionAsync(revision, cancellationToken));
        return instances.List();
    }

    /// <summary>Every instance there is, then null, then every instance of which something changed.</summary>
    public async IAsyncEnumerable<Instance?> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changed = Channel.CreateBounded<string>(TableCache<Instance>.MaxUnreadChanges);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var followers = Task.WhenAll(
            FollowAsync(instances, change => change.Key), FollowAsync(parts, change => change.Key), FollowAsync(observations, change => change.Key.Split('/')[0]));
        try
        {
            foreach (var instance in await ListAsync(cancellationToken))
            {
                if (instance.DeletedAt is null)
                {
                    yield return instance;
                }
            }
            yield return null;
            await foreach (var id in changed.Reader.ReadAllAsync(cancellationToken))
            {
                if (instances.Get(id) is { } instance)
                {
                    yield return instance;
                }
            }
        }
        finally
        {
            await stop.CancelAsync();
            await followers.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        async Task FollowAsync<T>(TableCache<T> cache, Func<TableChange<T>, string> key)
            where T : class
        {
            await Task.Yield();
            var first = cache.Revision;
            try
            {
                await foreach (var change in cache.WatchAsync(stop.Token))
                {
                    if (change.Revision > first || change.Before is not null)
                    {
                        await changed.Writer.WriteAsync(key(change), stop.Token);
                    }
                }
            }
            catch (StateCompactedException exception)
            {
                changed.Writer.TryComplete(Nephos.Kernel.Errors.Faults.Aborted(exception.Message));
            }
        }
    }

    /// <summary>What was made for an instance, again with each change.</summary>
    public async IAsyncEnumerable<InstanceParts> WatchPartsAsync(string instanceId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var change in parts.WatchAsync(cancellationToken))
        {
            if (change.Key == instanceId && change.After is { } after)
            {
                yield return after;
            }
        }
    }

    public Instance? Find(string instanceId) => instances.Get(instanceId);

    private InstanceDetails Details(Instance instance, InstanceParts? made, Observation? seen)
    {
        var nodeId = instance.Claim?.NodeId;
        var up = nodes.IsUp(nodeId);
        return new InstanceDetails(
            instance, made, seen, InstanceView.Of(instance, made, seen, up, time.GetUtcNow()), nodeId is null ? null : nodes.Find(nodeId), up);
    }
}

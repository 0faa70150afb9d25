using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Compute.Nodes;
using Nephos.Compute.Seams;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>Runs the passes over instances: soon after something about one changed, a bounded number side by side.</summary>
internal sealed partial class InstanceWorker(
    InstanceReconciler reconciler,
    TableCache<Instance> instances,
    TableCache<InstanceParts> parts,
    TableCache<Observation> observations,
    TableCache<NodeLease> leases,
    AgentSessions sessions,
    INetworkApi network,
    IVolumeApi volumes,
    ComputeOptions options,
    TimeProvider time,
    ILogger<InstanceWorker> logger) : BackgroundService
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    private readonly KeyedQueue _queue = new(time);
    private readonly ConcurrentDictionary<string, bool> _stalePorts = new(StringComparer.Ordinal);

    public int Backlog => _queue.Backlog;

    public void Enqueue(string instanceId) => _queue.Enqueue(instanceId);

    /// <summary>What is known of the ports of an instance may be out of date.</summary>
    public void RefreshPorts(string instanceId)
    {
        _stalePorts[instanceId] = true;
        _queue.Enqueue(instanceId);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        _queue.RunAsync(options.Parallelism, WorkAsync, stoppingToken),
        FollowAsync("instances", InstancesAsync, stoppingToken),
        FollowAsync("observations", ObservationsAsync, stoppingToken),
        FollowAsync("orders", OrdersAsync, stoppingToken),
        FollowAsync("leases", LeasesAsync, stoppingToken),
        FollowAsync("ports", PortsAsync, stoppingToken),
        FollowAsync("volumes", VolumesAsync, stoppingToken));

    private async Task<WorkResult> WorkAsync(string instanceId, CancellationToken cancellationToken)
    {
        try
        {
            var result = await reconciler.PassAsync(instanceId, _stalePorts.TryRemove(instanceId, out _), cancellationToken);
            return result;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (Exception exception)
        {
            LogFailed(exception, instanceId);
            return WorkResult.Retry;
        }
    }

    private async Task InstancesAsync(CancellationToken cancellationToken)
    {
        await foreach (var change in instances.WatchAsync(cancellationToken))
        {
            if (change.After is null)
            {
                _queue.Forget(change.Key);
            }
            else
            {
                _queue.Enqueue(change.Key);
            }
        }
    }

    private async Task ObservationsAsync(CancellationToken cancellationToken)
    {
        await foreach (var change in observations.WatchAsync(cancellationToken))
        {
            if (change.After is { } seen)
            {
                _queue.Enqueue(seen.InstanceId);
            }
        }
    }

    private async Task OrdersAsync(CancellationToken cancellationToken)
    {
        await foreach (var change in parts.WatchAsync(cancellationToken))
        {
            foreach (var order in (change.Before?.Orders ?? []).Concat(change.After?.Orders ?? []))
            {
                sessions.Notify(order.NodeId, change.Key);
            }
        }
    }

    /// <summary>When a node comes or goes, whatever waits for it is looked at.</summary>
    private async Task LeasesAsync(CancellationToken cancellationToken)
    {
        await foreach (var change in leases.WatchAsync(cancellationToken))
        {
            if (change.After is { } lease)
            {
                sessions.TakenOver(lease.NodeId, lease.SessionId);
            }
            if (change.Before is null != change.After is null)
            {
                foreach (var told in parts.List().Where(item => item.OrderFor(change.Key) is not null))
                {
                    _queue.Enqueue(told.InstanceId);
                }
            }
        }
    }

    private async Task PortsAsync(CancellationToken cancellationToken)
    {
        await foreach (var deviceId in network.WatchDevicesAsync(cancellationToken))
        {
            if (instances.Get(deviceId) is { DeletedAt: null } && parts.Get(deviceId) is { Ports.Count: > 0 })
            {
                RefreshPorts(deviceId);
            }
        }
    }

    private async Task VolumesAsync(CancellationToken cancellationToken)
    {
        await foreach (var instanceId in volumes.WatchInstancesAsync(cancellationToken))
        {
            if (instances.Get(instanceId) is { LaunchedAt: null, DeletedAt: null } or { Disks.Count: > 0, DeletedAt: null })
            {
                _queue.Enqueue(instanceId);
            }
        }
    }

    private async Task FollowAsync(string what, Func<CancellationToken, Task> follow, CancellationToken cancellationToken)
    {
        await Task.Yield();
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await follow(cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (StateCompactedException)
            {
                continue;
            }
            catch (Exception exception)
            {
                LogLost(exception.Message, what);
            }
            await Task.Delay(PauseAfterFailure, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(LogLevel.Error, "A pass over instance {InstanceId} failed")]
    private partial void LogFailed(Exception exception, string instanceId);

    [LoggerMessage(LogLevel.Debug, "Following {What} ended and begins again: {Reason}")]
    private partial void LogLost(string reason, string what);
}

/// <summary>Looks at every instance that is not settled, in case a change was missed, and forgets those deleted long ago.</summary>
internal sealed class InstanceSweeper(
    InstanceWorker worker,
    TableCache<Instance> instances,
    TableCache<InstanceParts> parts,
    InstanceViews views,
    IStateStore store,
    ComputeOptions options,
    TimeProvider time,
    ReconcilerRegistry registry,
    ILogger<InstanceSweeper> logger)
    : Reconciler("compute/instances", Period, time, registry, logger)
{
    private const int PurgedMax = 100;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(15);
    private readonly TimeProvider _time = time;

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        var (open, purged) = (0, 0);
        foreach (var instance in instances.List())
        {
            var leftovers = parts.Get(instance.Id);
            if (instance.DeletedAt is { } deletedAt)
            {
                if (leftovers is { Orders.Count: > 0 })
                {
                    worker.Enqueue(instance.Id);
                    open++;
                }
                else if (now - deletedAt > options.DeletedRetention && purged < PurgedMax)
                {
                    await PurgeAsync(instance.Id, cancellationToken);
                    purged++;
                }
            }
            else if (views.Of(instance).TaskState is not null || leftovers?.LastError is not null || instance.OpenActions.Count > 0)
            {
                worker.Enqueue(instance.Id);
                open++;
            }
        }
        return new ReconcileResult(instances.List().Count, purged, Math.Max(open, worker.Backlog));
    }

    private Task PurgeAsync(string instanceId, CancellationToken cancellationToken) => store.TransactAsync(async transaction =>
    {
        transaction.Delete(Instance.Table, instanceId);
        foreach (var action in await transaction.ListAsync(Actions.InstanceAction.Table, instanceId + "/", cancellationToken))
        {
            transaction.Delete(Actions.InstanceAction.Table, action.Key);
        }
    }, cancellationToken);
}

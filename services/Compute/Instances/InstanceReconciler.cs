using Microsoft.Extensions.Logging;
using Nephos.Compute.Actions;
using Nephos.Compute.Nodes;
using Nephos.Compute.Quotas;
using Nephos.Compute.Seams;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>Makes one instance what it should be: ports, disks, the order for its node, and what follows from what the node saw.</summary>
/// <remarks>A pass takes nothing but the store, may be killed anywhere and may run twice: everything made elsewhere is named by
/// ids of this instance, so that making it again finds it. Deleting wins over everything and looks for leftovers by owner, not by memory.</remarks>
internal sealed partial class InstanceReconciler(
    IStateStore store,
    NodeRegistry nodes,
    INetworkApi network,
    IVolumeApi volumes,
    IImageApi images,
    ImageSaver saver,
    QuotaService quotas,
    ActionLog actions,
    ComputeOptions options,
    TimeProvider time,
    ILogger<InstanceReconciler> logger)
{
    private static readonly TimeSpan WaitPause = TimeSpan.FromMilliseconds(500);

    private readonly PortKeeper _ports = new(network);
    private readonly DiskKeeper _disks = new(volumes);

    /// <summary>One pass over one instance.</summary>
    /// <param name="refreshPorts">What is known of its ports may be out of date.</param>
    public async Task<WorkResult> PassAsync(string instanceId, bool refreshPorts, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(Instance.Table, instanceId, cancellationToken) is not { } instance)
        {
            return WorkResult.Done;
        }
        var parts = await store.GetAsync(InstanceParts.Table, instanceId, cancellationToken);
        var seen = await store.ListAsync(Observation.Table, instanceId + "/", cancellationToken);
        var pass = new PassState(
            instance, parts ?? new InstanceParts { InstanceId = instanceId }, seen, nodes.IsUp, options.ReleaseDeadline, time.GetUtcNow());
        WorkResult result;
        try
        {
            result = instance.Desired == DesiredState.Deleted
                ? await RemoveAsync(pass, cancellationToken)
                : await ConvergeAsync(pass, refreshPorts, cancellationToken);
            pass.SetError(null);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw;
        }
        catch (DiskFaultException fault)
        {
            result = await GiveUpAsync(pass, fault.Fault, withoutDisk: fault.Disk, cancellationToken);
        }
        catch (FaultException fault) when (PassState.IsPermanent(fault) && instance.Desired != DesiredState.Deleted)
        {
            result = await GiveUpAsync(pass, fault, withoutDisk: null, cancellationToken);
        }
        catch (Exception exception)
        {
            pass.SetError(exception.Message);
            LogFailedPass(exception, instanceId);
            result = WorkResult.Retry;
        }
        await SaveAsync(pass, cancellationToken);
        return result;
    }

    private async Task<WorkResult> ConvergeAsync(PassState pass, bool refreshPorts, CancellationToken cancellationToken)
    {
        var instance = pass.Instance;
        if (instance.Desired == DesiredState.Shelved)
        {
            await ShelveAsync(pass, cancellationToken);
        }
        else if (instance.Claim is { } claim && instance.Fault is null && nodes.Find(claim.NodeId) is { } node)
        {
            if (LeaveOthers(pass, node))
            {
                await Task.WhenAll(
                    _ports.EnsureAsync(pass, node, refreshPorts, cancellationToken),
                    _disks.EnsureAsync(pass, node, cancellationToken));
                if (IsComplete(pass))
                {
                    pass.SetOrder(InstanceOrders.Run(instance, pass.Parts, node, node.AvailabilityZone, pass.Now));
                }
            }
            await _ports.ReleaseAsync(pass, cancellationToken);
            await _disks.ReleaseAsync(pass, cancellationToken);
            await DropShelvedImageAsync(pass, cancellationToken);
        }
        await SaveImageAsync(pass, cancellationToken);
        DropFinishedOrders(pass);
        await ObserveAsync(pass, cancellationToken);
        if (pass.Waits)
        {
            return WorkResult.After(WaitPause);
        }
        var building = pass.Instance is { LaunchedAt: null, Claim: not null, Fault: null };
        var again = Earliest(pass.AgainAt, building ? pass.Instance.Deadline : null);
        return again is { } at ? WorkResult.After(at > pass.Now ? at - pass.Now + TimeSpan.FromMilliseconds(1) : WaitPause) : WorkResult.Done;
    }

    /// <summary>Sends the instance away from every other node, with a proper end of the guest when it only moves.</summary>
    /// <returns>True when the others have let it go, cannot be asked, or had time enough: what they still write is fenced off.</returns>
    private bool LeaveOthers(PassState pass, Node node)
    {
        var left = true;
        foreach (var old in pass.Parts.Orders.Where(order => order.NodeId != node.Id).ToList())
        {
            var up = pass.IsUp(old.NodeId);
            var ends = !old.Removes && pass.Instance.Resize is not null && up && pass.Now < old.Since + options.ReleaseDeadline
                && pass.SeenBy(old.NodeId) is { Power: Power.Running or Power.Paused };
            var order = ends ? InstanceOrders.Stop(old, pass.Now) : InstanceOrders.Remove(old, pass.Now);
            pass.SetOrder(order);
            if (up && !(order.Removes && IsGone(pass, order)) && pass.Now < order.Since + options.ReleaseDeadline)
            {
                pass.LookAgainBy(order.Since);
                left = false;
            }
        }
        return left;
    }

    /// <summary>Everything that the machine cannot start without is there. A running machine gets what is ready.</summary>
    private static bool IsComplete(PassState pass)
    {
        var instance = pass.Instance;
        var disks = instance.AllDisks.Where(disk => instance.LaunchedAt is null || disk.IsRoot || ReferenceEquals(disk, instance.RescueDisk));
        var nics = instance.Nics.Where(_ => instance.LaunchedAt is null);
        return disks.All(disk => pass.Parts.DiskOf(disk, instance.RootNonce) is { AttachmentId: not null })
            && nics.All(nic => pass.Parts.PortOf(nic) is { Details: not null, BoundNode: not null });
    }

    /// <summary>No node that can be asked has anything of the instance any more, or it had time enough to say so.</summary>
    private bool HasLeft(PassState pass)
    {
        foreach (var order in pass.Parts.Orders.Where(order => pass.IsUp(order.NodeId)))
        {
            if (IsGone(pass, order))
            {
                continue;
            }
            if (pass.Now < order.Since + options.ReleaseDeadline)
            {
                pass.LookAgainBy(order.Since);
                return false;
            }
        }
        return true;
    }

    private static bool IsGone(PassState pass, Order order) =>
        pass.SeenBy(order.NodeId) is { Phase: Phase.Gone } seen && seen.Epoch >= order.Epoch && seen.Generation >= order.Generation;

    /// <summary>Forgets orders to leave that were followed.</summary>
    private static void DropFinishedOrders(PassState pass)
    {
        foreach (var order in pass.Parts.Orders.Where(order => order.Removes && IsGone(pass, order)).ToList())
        {
            pass.RemoveOrder(order);
        }
    }

    private async Task SaveAsync(PassState pass, CancellationToken cancellationToken)
    {
        if (!pass.Changed)
        {
            return;
        }
        await store.TransactAsync(async transaction =>
        {
            var current = await transaction.GetAsync(InstanceParts.Table, pass.Instance.Id, cancellationToken);
            if ((current?.Version ?? 0) != pass.Parts.Version)
            {
                throw Faults.Aborted($"Somebody else works on instance {pass.Instance.Id}.");
            }
            transaction.Put(InstanceParts.Table, pass.Parts with { Version = pass.Parts.Version + 1 });
            foreach (var seen in await transaction.ListAsync(Observation.Table, pass.Instance.Id + "/", cancellationToken))
            {
                if (seen.Phase == Phase.Gone && pass.Parts.OrderFor(seen.NodeId) is null)
                {
                    transaction.Delete(Observation.Table, Observation.KeyOf(seen.InstanceId, seen.NodeId));
                }
            }
        }, cancellationToken);
    }

    internal static async Task ReleaseClaimAsync(StateTransaction transaction, Claim claim, CancellationToken cancellationToken)
    {
        if (await transaction.GetAsync(NodeUsage.Table, claim.NodeId, cancellationToken) is { } usage)
        {
            transaction.Put(NodeUsage.Table, usage.Minus(claim));
        }
    }

    private static DateTimeOffset? Earliest(DateTimeOffset? one, DateTimeOffset? other) =>
        one is null ? other : other is null ? one : one < other ? one : other;

    [LoggerMessage(LogLevel.Warning, "Instance {InstanceId} could not be brought nearer to what it should be")]
    private partial void LogFailedPass(Exception exception, string instanceId);

    [LoggerMessage(LogLevel.Warning, "Instance {InstanceId} cannot be what it should be: {Reason}")]
    private partial void LogGaveUp(string instanceId, string reason);

    [LoggerMessage(LogLevel.Information, "Instance {InstanceId} runs on {NodeName} {Milliseconds:F0} ms after it was asked for")]
    private partial void LogLaunched(string instanceId, string nodeName, double milliseconds);

    [LoggerMessage(LogLevel.Information, "Instance {InstanceId} is deleted")]
    private partial void LogDeleted(string instanceId);
}

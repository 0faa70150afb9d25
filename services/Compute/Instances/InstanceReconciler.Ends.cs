using Nephos.Compute.Nodes;
using Nephos.Compute.Quotas;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>What follows from what was observed, from what cannot be had, and from being deleted.</summary>
internal sealed partial class InstanceReconciler
{
    /// <summary>Writes down what the node has shown: first start, a guest that switched itself off, a resize taken back, actions that ended.</summary>
    private async Task ObserveAsync(PassState pass, CancellationToken cancellationToken)
    {
        var before = Observed(pass.Instance, pass);
        if (ReferenceEquals(before, pass.Instance) && !(pass.Instance.OpenActions.Count > 0 && ViewOf(pass.Instance, pass).TaskState is null))
        {
            return;
        }
        await store.TransactAsync(async transaction =>
        {
            if (await transaction.GetAsync(Instance.Table, pass.Instance.Id, cancellationToken) is not { } now || now.Desired == DesiredState.Deleted)
            {
                return;
            }
            var after = Observed(now, pass);
            if (now.Resize is { Step: ResizeStep.Reverting } && after.Resize is null)
            {
                await EndResizeAsync(transaction, now, quotas, cancellationToken);
            }
            if (after.OpenActions.Count > 0 && ViewOf(after, pass) is { TaskState: null } view)
            {
                await actions.FinishAsync(
                    transaction, after.OpenActions, view.Status == InstanceStatus.Error ? view.Fault?.Message ?? "Error" : null,
                    NameOf(after.Claim), pass.Now, cancellationToken);
                after = after with { OpenActions = [] };
            }
            if (!ReferenceEquals(after, now))
            {
                transaction.Put(Instance.Table, after);
            }
        }, cancellationToken);
        if (pass.Instance.LaunchedAt is null && before.LaunchedAt is { } launched)
        {
            LogLaunched(pass.Instance.Id, NameOf(before.Claim) ?? "", (launched - pass.Instance.CreatedAt).TotalMilliseconds);
        }
    }

    private InstanceView ViewOf(Instance instance, PassState pass) =>
        InstanceView.Of(instance, pass.Parts, pass.SeenBy(instance.Claim?.NodeId), pass.IsUp(instance.Claim?.NodeId), pass.Now);

    private string? NameOf(Claim? claim) => claim is null ? null : nodes.Find(claim.NodeId)?.HostName;

    private static Instance Observed(Instance instance, PassState pass)
    {
        var seen = pass.SeenBy(instance.Claim?.NodeId);
        var after = instance;
        if (instance.LaunchedAt is null && seen?.FirstRunningAt is { } first)
        {
            after = after with { LaunchedAt = first, UpdatedAt = pass.Now };
        }
        if (InstanceView.StoppedItself(instance, seen))
        {
            after = after.Wanting(DesiredState.Stopped, pass.Now);
        }
        if (instance.Resize is { Step: ResizeStep.Reverting } && InstanceView.Reached(instance, seen))
        {
            after = after with { Resize = null, UpdatedAt = pass.Now };
        }
        if (instance.RootPowerGeneration > 0 && !InstanceView.Rebuilding(instance, pass.Parts, seen))
        {
            after = after with { RootPowerGeneration = 0 };
        }
        return after;
    }

    /// <summary>Stops trying what cannot work: an instance that never ran is in error; a running one does without the disk it cannot have.</summary>
    private async Task<WorkResult> GiveUpAsync(PassState pass, FaultException fault, Disk? withoutDisk, CancellationToken cancellationToken)
    {
        pass.SetError(fault.Message);
        LogGaveUp(pass.Instance.Id, fault.Message);
        await store.TransactAsync(async transaction =>
        {
            if (await transaction.GetAsync(Instance.Table, pass.Instance.Id, cancellationToken) is not { } now || now.Desired == DesiredState.Deleted)
            {
                return;
            }
            Instance after;
            if (now.RescueDisk is not null && withoutDisk?.Id == now.RescueDisk.Id)
            {
                after = now.Changed(pass.Now) with { RescueDisk = null };
            }
            else if (now.LaunchedAt is not null && withoutDisk is { IsRoot: false })
            {
                after = now.Changed(pass.Now) with { Disks = [.. now.Disks.Where(disk => disk.Id != withoutDisk.Id)] };
            }
            else if (now.LaunchedAt is not null && withoutDisk is null && UnmadeNic(now, pass) is { } nic)
            {
                after = now.Changed(pass.Now) with { Nics = [.. now.Nics.Where(item => item.Id != nic.Id)] };
            }
            else
            {
                after = now with { Fault = new Fault(fault.Rule.HttpStatus >= 500 ? 500 : fault.Rule.HttpStatus, fault.Message, fault.ToString(), pass.Now), UpdatedAt = pass.Now };
            }
            await actions.FinishAsync(transaction, after.OpenActions, fault.Message, NameOf(after.Claim), pass.Now, cancellationToken);
            transaction.Put(Instance.Table, after with { OpenActions = [] });
        }, cancellationToken);
        return WorkResult.Done;
    }

    private static Nic? UnmadeNic(Instance instance, PassState pass) =>
        instance.Nics.FirstOrDefault(nic => pass.Parts.PortOf(nic) is not { BoundNode: not null });

    /// <summary>Leaves nothing of the instance, in any state it may be in. A node that cannot be asked is told when it comes back.</summary>
    private async Task<WorkResult> RemoveAsync(PassState pass, CancellationToken cancellationToken)
    {
        foreach (var order in pass.Parts.Orders.ToList())
        {
            pass.SetOrder(InstanceOrders.Remove(order, pass.Now));
        }
        if (pass.Instance.DeletedAt is null)
        {
            if (!HasLeft(pass))
            {
                return pass.AgainAt is { } at && at > pass.Now ? WorkResult.After(at - pass.Now) : WorkResult.After(WaitPause);
            }
            await Task.WhenAll(
                _ports.RemoveAllAsync(pass.Instance, pass.Parts, cancellationToken),
                _disks.RemoveAllAsync(pass.Instance, pass.Parts, cancellationToken));
            if (pass.Instance.ShelvedImageId is { } imageId)
            {
                await images.DropImageAsync(imageId, cancellationToken);
            }
            foreach (var port in pass.Parts.Ports.ToList())
            {
                pass.RemovePort(port);
            }
            foreach (var disk in pass.Parts.Disks.ToList())
            {
                pass.RemoveDisk(disk);
            }
            DropFinishedOrders(pass);
            await FinishDeleteAsync(pass, cancellationToken);
            return WorkResult.Done;
        }
        DropFinishedOrders(pass);
        if (pass.Parts.Orders.Count == 0)
        {
            await store.TransactAsync(transaction => DropPartsAsync(transaction, pass, cancellationToken), cancellationToken);
        }
        return WorkResult.Done;
    }

    /// <summary>The commit after which the instance is gone for its user: capacity and quota are free, in the same commit.</summary>
    private async Task FinishDeleteAsync(PassState pass, CancellationToken cancellationToken)
    {
        await store.TransactAsync(async transaction =>
        {
            if (await transaction.GetAsync(Instance.Table, pass.Instance.Id, cancellationToken) is not { DeletedAt: null } now)
            {
                return;
            }
            foreach (var claim in new[] { now.Claim, now.Resize?.OldClaim }.OfType<Claim>())
            {
                await ReleaseClaimAsync(transaction, claim, cancellationToken);
            }
            var (cores, ram) = Held(now);
            await quotas.ChangeAsync(transaction, now.ProjectId, -1, -cores, -ram, cancellationToken);
            await actions.FinishAsync(transaction, now.OpenActions, null, NameOf(now.Claim), pass.Now, cancellationToken);
            transaction.Put(Instance.Table, now with
            {
                DeletedAt = pass.Now, UpdatedAt = pass.Now, Claim = null, Resize = null, OpenActions = [], UserData = null, Files = [],
            });
            if (pass.Parts.Orders.Count == 0)
            {
                await DropPartsAsync(transaction, pass, cancellationToken);
            }
        }, cancellationToken);
        LogDeleted(pass.Instance.Id);
    }

    /// <summary>Gives back what only the other size of a resize needed.</summary>
    internal static async Task EndResizeAsync(StateTransaction transaction, Instance instance, QuotaService quotas, CancellationToken cancellationToken)
    {
        if (instance.Resize?.OldClaim is { } old)
        {
            await ReleaseClaimAsync(transaction, old, cancellationToken);
        }
        var (cores, ram) = Held(instance);
        await quotas.ChangeAsync(
            transaction, instance.ProjectId, 0, instance.Flavor.Vcpus - cores, instance.Flavor.MemoryMib - ram, cancellationToken);
    }

    /// <summary>Cores and MiB of memory that an instance holds of its project's quota.</summary>
    internal static (long Cores, long RamMib) Held(Instance instance) => instance.Resize is { } resize
        ? (Math.Max(instance.Flavor.Vcpus, resize.OldFlavor.Vcpus), Math.Max(instance.Flavor.MemoryMib, resize.OldFlavor.MemoryMib))
        : (instance.Flavor.Vcpus, instance.Flavor.MemoryMib);

    /// <summary>Forgets what was made and seen, when no node has to be told anything any more.</summary>
    private static async Task DropPartsAsync(StateTransaction transaction, PassState pass, CancellationToken cancellationToken)
    {
        transaction.Delete(InstanceParts.Table, pass.Instance.Id);
        foreach (var seen in await transaction.ListAsync(Observation.Table, pass.Instance.Id + "/", cancellationToken))
        {
            transaction.Delete(Observation.Table, Observation.KeyOf(seen.InstanceId, seen.NodeId));
        }
        pass.Forget();
    }
}

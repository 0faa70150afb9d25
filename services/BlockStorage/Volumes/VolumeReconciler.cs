using Microsoft.Extensions.Logging;
using Nephos.BlockStorage.Groups;
using Nephos.BlockStorage.Snapshots;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Volumes;

/// <summary>Finds volumes and snapshots that are not what they should be and has them worked on.</summary>
internal sealed class VolumeReconciler(
    TableCache<Volume> volumes, TableCache<Snapshot> snapshots, TableCache<GroupSnapshot> groups, VolumeWorker worker, TimeProvider time, ReconcilerRegistry registry, ILogger<VolumeReconciler> logger)
    : Reconciler("block-storage/volumes", Period, time, registry, logger)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    protected override Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var all = volumes.List();
        var taken = snapshots.List();
        // A volume without a device has nothing to seal; one that is attached is sealed by its head.
        var pending = all.Where(volume => volume.IsPending || (volume.Failure is null && volume.Provisioned && volume.SealedEpoch < volume.Epoch))
            .Select(volume => volume.Id)
            .Concat(taken.Where(snapshot => snapshot.IsPending && snapshot.GroupSnapshotId is null).Select(snapshot => snapshot.Id))
            .Concat(groups.List().Where(snapshot => snapshot.IsPending).Select(snapshot => snapshot.Id))
            .ToList();
        pending.ForEach(worker.Nudge);
        return Task.FromResult(new ReconcileResult(all.Count + taken.Count, pending.Count, pending.Count));
    }
}

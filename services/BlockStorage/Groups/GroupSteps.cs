using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Snapshots;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Groups;

/// <summary>Freezes the volumes of a group together, and forgets what is left of a group snapshot. Each step may be cut off anywhere and run twice.</summary>
internal sealed class GroupSteps(IStateStore store, IBlockDevices devices, TimeProvider time)
{
    /// <param name="snapshot">The group snapshot.</param>
    /// <param name="deletePart">Deletes one of its snapshots.</param>
    /// <param name="cancellationToken">Ends the work; a later run goes on.</param>
    public async Task RunAsync(GroupSnapshot snapshot, Func<Snapshot, CancellationToken, Task> deletePart, CancellationToken cancellationToken)
    {
        var parts = await GroupSnapshotService.PartsAsync(store, snapshot.Id, cancellationToken);
        if (snapshot.Deleting)
        {
            foreach (var part in parts) await deletePart(part with { Deleting = true }, cancellationToken);
            await store.TransactAsync(
                transaction =>
                {
                    transaction.Delete(GroupSnapshot.Table, snapshot.Id);
                    return Task.CompletedTask;
                },
                cancellationToken);
            return;
        }
        if (!snapshot.IsPending) return;
        string? failure = null;
        try
        {
            // Volumes of a group are put on one device, so that this is one moment for all.
            foreach (var device in parts.GroupBy(part => part.DeviceId))
                await devices.CreateSnapshotsAsync(device.Key, [.. device.Select(part => (part.VolumeId, part.Id))], cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason is ErrorReason.NotFound or ErrorReason.InvalidArgument or ErrorReason.StorageFull or ErrorReason.Conflict)
        {
            failure = fault.Message;
        }
        await store.TransactAsync(
            async transaction =>
            {
                if (await transaction.GetAsync(GroupSnapshot.Table, snapshot.Id, cancellationToken) is not { Deleting: false } current) return;
                transaction.Put(GroupSnapshot.Table, current with { Taken = failure is null, Failure = failure, Generation = current.Generation + 1 });
                foreach (var part in parts)
                {
                    if (await transaction.GetAsync(Snapshot.Table, part.Id, cancellationToken) is { } own)
                        transaction.Put(Snapshot.Table, (own with { Taken = failure is null, Failure = failure }).Changed(time.GetUtcNow()));
                }
            },
            cancellationToken);
    }
}

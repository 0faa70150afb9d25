using Microsoft.Extensions.Logging;
using Nephos.Compute.Seams;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>Shelving: the node is left, an image of the root disk is made, then the place on the node is free. The disks stay with the
/// instance and are what it runs from again; the image is for people, and goes when the instance runs again or is deleted.</summary>
internal sealed partial class InstanceReconciler
{
    private async Task ShelveAsync(PassState pass, CancellationToken cancellationToken)
    {
        if (pass.Instance.Claim is null)
        {
            await _disks.HoldAsync(pass, cancellationToken);
            await _disks.ReleaseAsync(pass, cancellationToken);
            return;
        }
        foreach (var order in pass.Parts.Orders.ToList())
        {
            pass.SetOrder(InstanceOrders.Remove(order, pass.Now));
        }
        if (!HasLeft(pass))
        {
            return;
        }
        if (!await IsImageMadeAsync(pass, cancellationToken))
        {
            pass.Wait();
            return;
        }
        await _disks.DetachAllAsync(pass, cancellationToken);
        await _disks.HoldAsync(pass, cancellationToken);
        await _ports.UnbindAsync(pass, cancellationToken);
        await store.TransactAsync(async transaction =>
        {
            if (await transaction.GetAsync(Instance.Table, pass.Instance.Id, cancellationToken) is { Desired: DesiredState.Shelved, Claim: { } claim } now)
            {
                await ReleaseClaimAsync(transaction, claim, cancellationToken);
                transaction.Put(Instance.Table, now with { Claim = null, UpdatedAt = pass.Now });
            }
        }, cancellationToken);
    }

    /// <summary>The image has its content, or cannot have it, which does not keep the instance from being shelved.</summary>
    private async Task<bool> IsImageMadeAsync(PassState pass, CancellationToken cancellationToken)
    {
        var instance = pass.Instance;
        if (instance.ShelvedImageId is not { } imageId || pass.Parts.Disks.FirstOrDefault(part => IsRoot(instance, part)) is not { } root)
        {
            return true;
        }
        if (pass.Parts.ShelvedImageId != imageId)
        {
            try
            {
                await volumes.UploadToImageAsync(
                    root.VolumeId, imageId, SnapshotImage.ShelvedName(instance), SnapshotImage.PropertiesOf(instance, SnapshotImage.Snapshot, instance.UserId), cancellationToken);
            }
            catch (FaultException fault) when (PassState.IsPermanent(fault))
            {
                LogNoShelvedImage(instance.Id, fault.Message);
            }
            pass.SetShelvedImage(imageId);
        }
        return await volumes.FindVolumeAsync(root.VolumeId, cancellationToken) is not { State: VolumeState.Working };
    }

    private static bool IsRoot(Instance instance, PartDisk part) =>
        part.RootNonce == instance.RootNonce && instance.Disks.Any(disk => disk.IsRoot && disk.Id == part.DiskId);

    /// <summary>Deletes the image of an instance that runs again.</summary>
    private async Task DropShelvedImageAsync(PassState pass, CancellationToken cancellationToken)
    {
        if (pass.Instance.ShelvedImageId is not { } imageId || !InstanceView.Reached(pass.Instance, pass.SeenBy(pass.Instance.Claim?.NodeId)))
        {
            return;
        }
        await images.DropImageAsync(imageId, cancellationToken);
        await store.TransactAsync(async transaction =>
        {
            if (await transaction.GetAsync(Instance.Table, pass.Instance.Id, cancellationToken) is { } now && now.ShelvedImageId == imageId)
            {
                transaction.Put(Instance.Table, now with { ShelvedImageId = null });
            }
        }, cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "Instance {InstanceId} is shelved without an image: {Reason}")]
    private partial void LogNoShelvedImage(string instanceId, string reason);
}

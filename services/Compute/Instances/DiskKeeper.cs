using Nephos.Compute.Nodes;
using Nephos.Compute.Seams;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Instances;

/// <summary>Makes the disks of an instance, attaches them to its node, and lets go of those it should not have any more.</summary>
internal sealed class DiskKeeper(IVolumeApi volumes)
{
    private const long Gib = 1L << 30;

    /// <summary>Makes and attaches every disk that is wanted, as far as the volumes are ready.</summary>
    public async Task EnsureAsync(PassState pass, Node node, CancellationToken cancellationToken)
    {
        foreach (var disk in pass.Instance.AllDisks)
        {
            try
            {
                await EnsureAsync(pass, disk, node, cancellationToken);
            }
            catch (FaultException fault) when (PassState.IsPermanent(fault))
            {
                throw new DiskFaultException(disk, fault);
            }
        }
    }

    /// <summary>Takes the volumes of users for an instance that is on no node, so that nobody else does.</summary>
    public async Task HoldAsync(PassState pass, CancellationToken cancellationToken)
    {
        var instance = pass.Instance;
        foreach (var disk in instance.Disks.Where(disk => !disk.Hidden))
        {
            try
            {
                var part = pass.Parts.DiskOf(disk, instance.RootNonce) ?? await MakeAsync(instance, disk, cancellationToken);
                if (part.AttachmentId is null)
                {
                    var held = await volumes.HoldAsync(
                        part.VolumeId, instance.Id, part.Device, $"{instance.Id}/{disk.Id}/{part.RootNonce}/{instance.Epoch}/held", cancellationToken);
                    part = part with { AttachmentId = held.Id, Token = held.Token, AttachedNode = null, AttachedEpoch = instance.Epoch };
                }
                pass.SetDisk(part);
            }
            catch (FaultException fault) when (PassState.IsPermanent(fault))
            {
                throw new DiskFaultException(disk, fault);
            }
        }
    }

    /// <summary>Lets go of disks that are not wanted any more, once the node has closed them.</summary>
    public async Task ReleaseAsync(PassState pass, CancellationToken cancellationToken)
    {
        foreach (var part in pass.Parts.Disks.Where(part => !IsWanted(pass.Instance, part)).ToList())
        {
            if (part.AttachmentId is { } attachmentId)
            {
                if (pass.IsOrdered(attachmentId))
                {
                    // What replaces it is not there yet.
                    continue;
                }
                if (part.ReleasingSince is null)
                {
                    await volumes.MarkDetachingAsync(attachmentId, cancellationToken);
                }
                if (!pass.IsUnplugged(attachmentId, seen => seen.Volumes, part.ReleasingSince))
                {
                    pass.SetDisk(part with { ReleasingSince = part.ReleasingSince ?? pass.Now });
                    pass.LookAgainBy(part.ReleasingSince ?? pass.Now);
                    continue;
                }
                await volumes.DetachAsync(attachmentId, cancellationToken);
            }
            if (part.Hidden)
            {
                await volumes.DeleteVolumeAsync(part.VolumeId, cancellationToken);
            }
            pass.RemoveDisk(part);
        }
    }

    /// <summary>Ends all attachments; the volumes stay with the instance.</summary>
    public async Task DetachAllAsync(PassState pass, CancellationToken cancellationToken)
    {
        foreach (var part in pass.Parts.Disks.Where(part => part.AttachmentId is not null).ToList())
        {
            await volumes.DetachAsync(part.AttachmentId!, cancellationToken);
            pass.SetDisk(part with { AttachmentId = null, Token = null, AttachedNode = null });
        }
    }

    /// <summary>Leaves nothing: attachments end, hidden volumes go, and so do volumes that were to go with the instance. Also what was
    /// never written down.</summary>
    public async Task RemoveAllAsync(Instance instance, InstanceParts? parts, CancellationToken cancellationToken)
    {
        foreach (var attachment in await volumes.ListAttachmentsOfAsync(instance.Id, cancellationToken))
        {
            await volumes.DetachAsync(attachment.Id, cancellationToken);
        }
        foreach (var volume in await volumes.ListOwnedAsync(instance.Id, cancellationToken))
        {
            await volumes.DeleteVolumeAsync(volume.Id, cancellationToken);
        }
        foreach (var disk in instance.Disks.Where(disk => disk is { DeleteOnTermination: true, Hidden: false }))
        {
            var volumeId = disk.Source == DiskSource.Volume ? disk.SourceId : parts?.DiskOf(disk, instance.RootNonce)?.VolumeId;
            if (volumeId is not null)
            {
                await volumes.DeleteVolumeAsync(volumeId, cancellationToken);
            }
        }
    }

    private async Task EnsureAsync(PassState pass, Disk disk, Node node, CancellationToken cancellationToken)
    {
        var instance = pass.Instance;
        var part = pass.Parts.DiskOf(disk, instance.RootNonce);
        if (part is null)
        {
            part = await MakeAsync(instance, disk, cancellationToken);
            pass.SetDisk(part);
        }
        if (!part.Available)
        {
            var volume = await volumes.FindVolumeAsync(part.VolumeId, cancellationToken) ?? throw Faults.NotFound("Volume", part.VolumeId);
            if (volume.State is VolumeState.Error or VolumeState.Deleting)
            {
                throw Faults.Conflict($"Volume {part.VolumeId} cannot be used: {(volume.StateReason.Length > 0 ? volume.StateReason : "it is in error or being deleted")}.");
            }
            if (volume.State == VolumeState.Working)
            {
                pass.Wait();
                return;
            }
            part = part with { Available = true, SizeBytes = volume.SizeBytes };
            pass.SetDisk(part);
        }
        if (disk is { IsRoot: true, Hidden: true } && part.SizeBytes < instance.Flavor.RootGib * Gib)
        {
            await volumes.ExtendVolumeAsync(part.VolumeId, instance.Flavor.RootGib * Gib, cancellationToken);
            part = part with { SizeBytes = instance.Flavor.RootGib * Gib };
            pass.SetDisk(part);
        }
        if (part.AttachmentId is { } known && part.AttachedEpoch != instance.Epoch)
        {
            // Shelving ended it, and the process may have been killed before that was written down.
            var isThere = (await volumes.ListAttachmentsOfAsync(instance.Id, cancellationToken)).Any(attachment => attachment.Id == known);
            part = isThere ? part with { AttachedEpoch = instance.Epoch } : part with { AttachmentId = null, Token = null, AttachedNode = null };
            pass.SetDisk(part);
        }
        if (part.AttachmentId is null)
        {
            var attachment = await volumes.AttachAsync(
                part.VolumeId, instance.Id, node.HostName, part.Device, $"{instance.Id}/{disk.Id}/{part.RootNonce}/{instance.Epoch}", cancellationToken);
            pass.SetDisk(part with { AttachmentId = attachment.Id, Token = attachment.Token, AttachedNode = node.Id, AttachedEpoch = instance.Epoch });
        }
        else if (part.AttachedNode != node.Id)
        {
            await volumes.MoveAttachmentAsync(part.AttachmentId, node.HostName, cancellationToken);
            pass.SetDisk(part with { AttachedNode = node.Id });
        }
    }

    private async Task<PartDisk> MakeAsync(Instance instance, Disk disk, CancellationToken cancellationToken)
    {
        var nonce = disk.IsRoot ? instance.RootNonce : 0;
        var device = disk.Device ?? "";
        if (disk.Source == DiskSource.Volume)
        {
            return new PartDisk(disk.Id, nonce, disk.SourceId!, Hidden: false, Made: false, Available: false, 0, null, null, null, 0, device, null);
        }
        var volume = await volumes.CreateVolumeAsync(new VolumeWish(
            instance.ProjectId, instance.UserId, disk.Hidden ? $"{instance.Name}:{device}" : "", disk.Source, disk.SourceId, disk.SizeGib * Gib,
            disk.VolumeType, disk.Hidden, instance.Id, $"{instance.Id}/{disk.Id}/{nonce}"), cancellationToken);
        return new PartDisk(
            disk.Id, nonce, volume.Id, disk.Hidden, Made: true, volume.State == VolumeState.Available, volume.SizeBytes, null, null, null, 0, device, null);
    }

    private static bool IsWanted(Instance instance, PartDisk part) =>
        instance.AllDisks.Any(disk => disk.Id == part.DiskId && (!disk.IsRoot || part.RootNonce == instance.RootNonce));
}

/// <summary>One disk cannot be had; the cause says why.</summary>
internal sealed class DiskFaultException(Disk disk, FaultException cause) : Exception(cause.Message, cause)
{
    public Disk Disk { get; } = disk;

    public FaultException Fault { get; } = cause;
}

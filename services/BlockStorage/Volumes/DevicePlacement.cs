using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Operators;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Volumes;

/// <summary>Chooses the device of a volume: near to what it is made from, else where most space is.</summary>
internal sealed class DevicePlacement(IStateStore store, IBlockDevices devices, OperatorService operators)
{
    /// <exception cref="FaultException">Unavailable when none is in order now; StorageFull; InvalidArgument when the type asks for something else.</exception>
    public async Task<string> ChooseAsync(Volume volume, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(VolumeType.Table, volume.VolumeTypeId, cancellationToken) is { } type && !Backend.Suits(type.ExtraSpecs))
            throw Faults.Invalid("volume_type", "Could not find any available weighted backend.");
        var closed = await operators.ListClosedAsync(cancellationToken);
        var usable = (await devices.ListAsync(cancellationToken))
            .Where(device => !device.Failed && !closed.Contains(OperatorService.HostOf(device.Id))).OrderByDescending(device => device.FreeBytes).ToList();
        if (usable.Count == 0) throw Faults.Unavailable("No block device is in working order.");
        if (await FindNearAsync(volume, cancellationToken) is { Count: > 0 } near && usable.Find(device => near.Contains(device.Id) && device.FreeBytes > 0) is { } found)
            return found.Id;
        return usable[0].FreeBytes > 0 ? usable[0].Id : throw new FaultException(ErrorReason.StorageFull, "No block device has free space.");
    }

    private async Task<IReadOnlySet<string>> FindNearAsync(Volume volume, CancellationToken cancellationToken)
    {
        if (volume.RestoreFrom is { } backupId)
            return await store.GetAsync(Backup.Table, backupId, cancellationToken) is { LocalSnapshot: true, DeviceId: { } origin } ? new HashSet<string> { origin } : new HashSet<string>();
        // Volumes of a group are frozen at one moment, which one device can do.
        if (volume.GroupId is { } groupId)
        {
            var siblings = await store.ListByAsync(Volume.Table, "project", volume.ProjectId, cancellationToken);
            var taken = siblings.Where(other => other.GroupId == groupId).Select(other => other.DeviceId).OfType<string>().ToHashSet();
            if (taken.Count > 0) return taken;
        }
        if (volume.SourceImageId is not { } imageId) return new HashSet<string>();
        return (await store.ListAsync(ImageLayer.Table, imageId + "/", cancellationToken)).Where(layer => !layer.Deleting).Select(layer => layer.DeviceId).ToHashSet();
    }
}

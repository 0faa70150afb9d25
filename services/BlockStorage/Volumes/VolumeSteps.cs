using Microsoft.Extensions.Logging;
using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Groups;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Messages;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Transfers;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Volumes;

/// <summary>The steps from what a record wants to what a device has. Each may be cut off anywhere and run twice.</summary>
internal sealed partial class VolumeSteps(
    IStateStore store, IBlockDevices devices, ImageLayers layers, IImages images, QuotaService quotas, BackupWorker backups, BackupSteps backupSteps,
    GroupSteps groups, DevicePlacement placement, VolumeKeys keys, MessageLog messages, TimeProvider time, ILogger<VolumeSteps> logger)
{
    /// <summary>How long an image may take to be made after it was wanted.</summary>
    private static readonly TimeSpan ImagePatience = TimeSpan.FromMinutes(1);

    /// <summary>Does everything that can be done for a volume or a snapshot now.</summary>
    /// <exception cref="FaultException">Something passing is in the way; a later run goes on.</exception>
    public async Task RunAsync(string id, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(Volume.Table, id, cancellationToken) is { } volume) await RunVolumeAsync(volume, cancellationToken);
        else if (await store.GetAsync(Snapshot.Table, id, cancellationToken) is { } snapshot) await RunSnapshotAsync(snapshot, cancellationToken);
        else if (await store.GetAsync(GroupSnapshot.Table, id, cancellationToken) is { } group) await groups.RunAsync(group, RunSnapshotAsync, cancellationToken);
    }

    private async Task RunVolumeAsync(Volume volume, CancellationToken cancellationToken)
    {
        if (volume.Deleting)
        {
            if (volume.RestoreFrom is not null)
            {
                // Whoever fills it lets go first, or would make it anew on the device.
                await backups.RunSoonAsync(volume.Id, cancellationToken);
                if (await store.GetAsync(Volume.Table, volume.Id, cancellationToken) is not { RestoreFrom: null } free) return;
                volume = free;
            }
            await DeleteAsync(volume, cancellationToken);
            return;
        }
        try
        {
            if (volume.Failure is not null) return;
            if (volume.RestoreFrom is not null)
            {
                // Long work, which is somebody else's.
                if (volume.DeviceId is null) volume = await PlaceAsync(volume, cancellationToken);
                await backups.RunSoonAsync(volume.Id, cancellationToken);
                return;
            }
            if (!volume.Provisioned) volume = await ProvisionAsync(volume, cancellationToken);
            if (volume.SealedEpoch < volume.Epoch) volume = await SealAsync(volume, cancellationToken);
            if (volume.ProvisionedBytes < volume.SizeBytes) volume = await ResizeAsync(volume, cancellationToken);
            if (volume.RevertTo is { } snapshotId) volume = await RevertAsync(volume, snapshotId, cancellationToken);
            if (volume.Upload is { } upload) await UploadAsync(volume, upload, cancellationToken);
        }
        catch (FaultException fault) when (IsFinal(fault))
        {
            LogGivenUp(fault, volume.Id);
            await PutAsync(volume.Id, current => GiveUp(current, fault.Message), cancellationToken);
            await messages.AddAsync(volume.ProjectId, "VOLUME", volume.Id, ActionOf(volume), fault.Message, cancellationToken);
        }
    }

    // What asking again would not change.
    private static bool IsFinal(FaultException fault) =>
        fault.Reason is ErrorReason.NotFound or ErrorReason.InvalidArgument or ErrorReason.StorageFull or ErrorReason.DataLoss or ErrorReason.Conflict;

    // A volume that has content keeps it: only what was wanted last is given up.
    private static Volume GiveUp(Volume volume, string why)
    {
        if (!volume.Provisioned) return volume with { Failure = why };
        return volume.RevertTo is not null || volume.ProvisionedBytes < volume.SizeBytes
            ? volume with { RevertTo = null, SizeBytes = Math.Max(volume.ProvisionedBytes, Volume.GibBytes), Failure = why }
            : volume with { Upload = null };
    }

    // What was being done when it failed.
    private static MessageAction ActionOf(Volume volume)
    {
        if (!volume.Provisioned)
            return volume.DeviceId is null ? MessageLog.Schedule : volume.SourceImageId is null ? MessageLog.CreateFailed : MessageLog.ImageFailed;
        if (volume.RevertTo is not null) return MessageLog.RevertFailed;
        return volume.ProvisionedBytes < volume.SizeBytes ? MessageLog.ExtendFailed : MessageLog.UploadFailed;
    }

    private async Task<Volume> PlaceAsync(Volume volume, CancellationToken cancellationToken)
    {
        var chosen = await placement.ChooseAsync(volume, cancellationToken);
        return await PutAsync(volume.Id, current => current with { DeviceId = current.DeviceId ?? chosen }, cancellationToken) ?? volume;
    }

    private async Task<Volume> ProvisionAsync(Volume volume, CancellationToken cancellationToken)
    {
        if (volume.DeviceId is null) volume = await PlaceAsync(volume, cancellationToken);
        var device = volume.DeviceId!;
        if (volume.SourceVolumeId is { } sourceId)
        {
            // The content of another volume: a snapshot that lives only until the new volume stands on it.
            if (!await devices.ExistsAsync(device, volume.Id, cancellationToken))
            {
                await devices.CreateSnapshotAsync(device, sourceId, volume.Id, cancellationToken);
                await devices.CreateAsync(device, volume.Id, volume.SizeBytes, volume.Id, cancellationToken);
            }
            await devices.DeleteSnapshotAsync(device, sourceId, volume.Id, cancellationToken);
        }
        else if (volume is { SourceImageId: { } secretImageId, KeyId: { } keyId })
        {
            await FillEncryptedAsync(volume, secretImageId, keyId, cancellationToken);
        }
        else
        {
            var origin = volume.SourceSnapshotId;
            if (volume.SourceImageId is { } imageId)
            {
                var layer = await layers.EnsureAsync(imageId, device, cancellationToken);
                if (layer.SizeBytes > volume.SizeBytes)
                    throw Faults.Invalid("size", $"Image {imageId} has a disk of {layer.SizeBytes} bytes, more than the volume's {volume.SizeBytes}.");
                origin = imageId;
            }
            await devices.CreateAsync(device, volume.Id, volume.SizeBytes, origin, cancellationToken);
        }
        var size = volume.SizeBytes;
        return await PutAsync(volume.Id, current => current with { Provisioned = true, ProvisionedBytes = size }, cancellationToken) ?? volume;
    }

    // A layer of the image is for everybody; this content is for one key. A fill that was cut off begins anew.
    private async Task FillEncryptedAsync(Volume volume, string imageId, string keyId, CancellationToken cancellationToken)
    {
        var device = volume.DeviceId!;
        var (size, chunks) = await images.ReadAsync(imageId, cancellationToken);
        if (size > volume.SizeBytes) throw Faults.Invalid("size", $"Image {imageId} has a disk of {size} bytes, more than the volume's {volume.SizeBytes}.");
        await devices.DeleteAsync(device, volume.Id, cancellationToken);
        await devices.CreateAsync(device, volume.Id, volume.SizeBytes, snapshotId: null, cancellationToken);
        await devices.WriteAsync(device, volume.Id, volume.Epoch, keys.EncryptAsync(keyId, ImageLayers.WholeBlocksAsync(chunks), cancellationToken), cancellationToken);
    }

    // An attachment ended: from now on the device refuses its head. Nothing depends on the node of the head.
    private async Task<Volume> SealAsync(Volume volume, CancellationToken cancellationToken)
    {
        var epoch = volume.Epoch;
        try
        {
            await devices.SealAsync(volume.DeviceId!, volume.Id, epoch, cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.Conflict)
        {
            // A head was opened meanwhile and has sealed a newer one, which fences as well.
        }
        return await PutAsync(volume.Id, current => current with { SealedEpoch = Math.Max(current.SealedEpoch, epoch) }, cancellationToken) ?? volume;
    }

    private async Task<Volume> ResizeAsync(Volume volume, CancellationToken cancellationToken)
    {
        var size = volume.SizeBytes;
        await devices.ResizeAsync(volume.DeviceId!, volume.Id, size, cancellationToken);
        return await PutAsync(volume.Id, current => current with { ProvisionedBytes = size }, cancellationToken) ?? volume;
    }

    private async Task<Volume> RevertAsync(Volume volume, string snapshotId, CancellationToken cancellationToken)
    {
        await devices.RollbackAsync(volume.DeviceId!, volume.Id, snapshotId, cancellationToken);
        return await PutAsync(volume.Id, current => current.RevertTo == snapshotId ? current with { RevertTo = null } : current, cancellationToken) ?? volume;
    }

    private async Task UploadAsync(Volume volume, VolumeUpload upload, CancellationToken cancellationToken)
    {
        // A snapshot under the id of the image, so that writes meanwhile do not matter.
        await devices.CreateSnapshotAsync(volume.DeviceId!, volume.Id, upload.ImageId, cancellationToken);
        if (await images.ExistsAsync(upload.ImageId, cancellationToken))
        {
            try
            {
                await FillAsync(volume, upload, cancellationToken);
            }
            catch (FaultException fault) when (IsFinal(fault) || fault.Rule.Code == Code.ResourceExhausted)
            {
                LogGivenUp(fault, upload.ImageId);
                await images.DeleteAsync(upload.ImageId, cancellationToken);
            }
        }
        else if (!upload.ImageMade && time.GetUtcNow() < upload.AskedAt + ImagePatience)
        {
            throw Faults.Unavailable($"Image {upload.ImageId} is not made yet.");
        }
        await devices.DeleteSnapshotAsync(volume.DeviceId!, volume.Id, upload.ImageId, cancellationToken);
        await PutAsync(volume.Id, current => current.Upload?.ImageId == upload.ImageId ? current with { Upload = null } : current, cancellationToken);
    }

    private async Task FillAsync(Volume volume, VolumeUpload upload, CancellationToken cancellationToken)
    {
        var (size, chunks) = await ReadAsync();
        if (upload.DiskFormat == "qcow2")
        {
            var file = await Qcow2Stream.PlanAsync(size, chunks, cancellationToken);
            (_, chunks) = await ReadAsync();
            (size, chunks) = (file.SizeBytes, file.WriteAsync(chunks, cancellationToken));
        }
        await images.UploadAsync(upload.ImageId, size, chunks, cancellationToken);

        async Task<(long, IAsyncEnumerable<BlockChunk>)> ReadAsync()
        {
            var (sizeBytes, stored) = await devices.ReadAsync(volume.DeviceId!, volume.Id, upload.ImageId, span: null, cancellationToken);
            return (sizeBytes, keys.DecryptAsync(volume.KeyId, stored, cancellationToken));
        }
    }

    private async Task DeleteAsync(Volume volume, CancellationToken cancellationToken)
    {
        foreach (var snapshot in await store.ListByAsync(Snapshot.Table, "volume", volume.Id, cancellationToken))
            await RunSnapshotAsync(snapshot with { Deleting = true }, cancellationToken);
        if (volume.DeviceId is { } device)
        {
            if (volume.SourceVolumeId is { } sourceId) await devices.DeleteSnapshotAsync(device, sourceId, volume.Id, cancellationToken);
            // An image that was promised gets its content first.
            if (volume.Upload is { } upload) await UploadAsync(volume, upload, cancellationToken);
            await devices.DeleteAsync(device, volume.Id, cancellationToken);
        }
        foreach (var backup in await store.ListByAsync(Backup.Table, "volume", volume.Id, cancellationToken))
            if (backup.LocalSnapshot) await backupSteps.ForgetLocalAsync(backup, cancellationToken);
        await store.TransactAsync(
            async transaction =>
            {
                if (await transaction.GetAsync(Volume.Table, volume.Id, cancellationToken) is not { } current) return;
                foreach (var attachment in await transaction.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken))
                    transaction.Delete(Attachment.Table, attachment.Id);
                transaction.Delete(Volume.Table, volume.Id);
                await VolumeKeys.ReleaseAsync(transaction, current.KeyId, volume.Id, cancellationToken);
                if (current.TransferId is { } transferId) transaction.Delete(Transfer.Table, transferId);
                await GroupService.RemoveIfEmptyAsync(transaction, current, quotas, cancellationToken);
                if (!current.Hidden)
                    await quotas.ChangeAsync(transaction, current.ProjectId, QuotaChange.Volumes(-1, -current.SizeGib, current.VolumeTypeId), cancellationToken);
            },
            cancellationToken);
        LogDeleted(volume.Id);
    }

    private async Task RunSnapshotAsync(Snapshot snapshot, CancellationToken cancellationToken)
    {
        if (snapshot.Deleting)
        {
            await devices.DeleteSnapshotAsync(snapshot.DeviceId, snapshot.VolumeId, snapshot.Id, cancellationToken);
            await store.TransactAsync(
                async transaction =>
                {
                    if (await transaction.GetAsync(Snapshot.Table, snapshot.Id, cancellationToken) is not { } current) return;
                    transaction.Delete(Snapshot.Table, snapshot.Id);
                    await quotas.ChangeAsync(transaction, current.ProjectId, QuotaChange.Snapshots(-1, -current.SizeGib, current.VolumeTypeId), cancellationToken);
                },
                cancellationToken);
            return;
        }
        // One of a group is frozen with the others.
        if (!snapshot.IsPending || snapshot.GroupSnapshotId is not null) return;
        try
        {
            await devices.CreateSnapshotAsync(snapshot.DeviceId, snapshot.VolumeId, snapshot.Id, cancellationToken);
            await PutSnapshotAsync(snapshot.Id, current => current with { Taken = true }, cancellationToken);
        }
        catch (FaultException fault) when (IsFinal(fault))
        {
            LogGivenUp(fault, snapshot.Id);
            await PutSnapshotAsync(snapshot.Id, current => current with { Failure = fault.Message }, cancellationToken);
            await messages.AddAsync(snapshot.ProjectId, "VOLUME_SNAPSHOT", snapshot.Id, MessageLog.SnapshotFailed, fault.Message, cancellationToken);
        }
    }

    // Null when the record is gone meanwhile.
    private Task<Volume?> PutAsync(string id, Func<Volume, Volume> change, CancellationToken cancellationToken) => store.TransactAsync(
        async transaction =>
        {
            if (await transaction.GetAsync(Volume.Table, id, cancellationToken) is not { } volume) return null;
            var before = volume;
            volume = change(volume);
            if (volume == before) return volume;
            // A size that could not be had is given back.
            if (!volume.Hidden && volume.SizeGib != before.SizeGib)
                await quotas.ChangeAsync(transaction, volume.ProjectId, QuotaChange.Volumes(0, volume.SizeGib - before.SizeGib, volume.VolumeTypeId), cancellationToken);
            volume = volume.Changed(time.GetUtcNow());
            transaction.Put(Volume.Table, volume);
            return volume;
        },
        cancellationToken);

    private Task PutSnapshotAsync(string id, Func<Snapshot, Snapshot> change, CancellationToken cancellationToken) => store.TransactAsync(
        async transaction =>
        {
            if (await transaction.GetAsync(Snapshot.Table, id, cancellationToken) is not { } snapshot) return;
            transaction.Put(Snapshot.Table, change(snapshot).Changed(time.GetUtcNow()));
        },
        cancellationToken);

    [LoggerMessage(Level = LogLevel.Warning, Message = "What is wanted of {Id} can not be had")]
    private partial void LogGivenUp(Exception exception, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "Volume {VolumeId} is deleted")]
    private partial void LogDeleted(string volumeId);
}

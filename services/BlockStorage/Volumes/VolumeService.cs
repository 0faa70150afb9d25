using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Encryption;
using Nephos.BlockStorage.Images;
using Nephos.BlockStorage.Operators;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Volumes;

/// <summary>What a list of volumes is narrowed to.</summary>
internal sealed record VolumeFilter
{
    public bool AllProjects { get; init; }
    public string? ProjectId { get; init; }
    public string? Name { get; init; }
    public VolumeStatus? Status { get; init; }
    public bool IncludeHidden { get; init; }
    public string? OwnerInstanceId { get; init; }
    public string? InstanceId { get; init; }
}

/// <summary>What can be done with volumes. Everything but reads is a commit of what is wanted; the worker makes it so.</summary>
internal sealed partial class VolumeService(
    IStateStore store,
    TableCache<Volume> volumes,
    TableCache<Attachment> attachments,
    VolumeTypeService types,
    QuotaService quotas,
    IImages images,
    VolumeKeys keys,
    VolumeWorker worker,
    BlockStorageOptions options,
    TimeProvider time)
{
    private const int RoundsForUpload = 10;

    public async Task<VolumeView> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var volume = Visible(operation, await store.GetAsync(Volume.Table, id, cancellationToken), id);
        return await ViewAsync(volume, cancellationToken);
    }

    /// <summary>How a volume is encrypted; null when it is not.</summary>
    public async Task<VolumeKey?> GetEncryptionAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var volume = Visible(operation, await store.GetAsync(Volume.Table, id, cancellationToken), id);
        return volume.KeyId is { } keyId ? await keys.FindAsync(keyId, cancellationToken) : null;
    }

    /// <summary>Volumes in the order they were made, the newest first.</summary>
    public async Task<IReadOnlyList<VolumeView>> ListAsync(OperationContext operation, VolumeFilter filter, CancellationToken cancellationToken)
    {
        await volumes.CatchUpAsync(cancellationToken);
        await attachments.CatchUpAsync(cancellationToken);
        var typeNames = (await store.ListAsync(VolumeType.Table, "", cancellationToken)).ToDictionary(type => type.Id, type => type.Name);
        var byVolume = attachments.List().ToLookup(attachment => attachment.VolumeId);
        var project = operation.ListedProject(filter.AllProjects, filter.ProjectId);
        var now = time.GetUtcNow();
        return
        [
            .. volumes.List()
                .Where(volume => project is null || volume.ProjectId == project)
                .Where(volume => !volume.Hidden || (filter.IncludeHidden && operation.SeesAll))
                .Where(volume => filter.Name is null || volume.Name == filter.Name)
                .Where(volume => filter.OwnerInstanceId is null || volume.OwnerInstanceId == filter.OwnerInstanceId)
                .Where(volume => filter.InstanceId is null || byVolume[volume.Id].Any(attachment => attachment.InstanceId == filter.InstanceId))
                .Select(volume => new VolumeView(volume, [.. byVolume[volume.Id]], typeNames.GetValueOrDefault(volume.VolumeTypeId, ""), now))
                .Where(view => filter.Status is null || view.Status == filter.Status)
                .OrderByDescending(view => view.Volume.CreatedAt).ThenBy(view => view.Volume.Id, StringComparer.Ordinal),
        ];
    }

    public async Task<VolumeView> ViewAsync(Volume volume, CancellationToken cancellationToken)
    {
        var own = await store.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken);
        var type = await types.FindByIdAsync(volume.VolumeTypeId, cancellationToken);
        return new VolumeView(volume, own, type?.Name ?? "", time.GetUtcNow());
    }

    /// <summary>Changes name, description, metadata and flags, as the change says.</summary>
    public async Task<VolumeView> UpdateAsync(OperationContext operation, string id, Func<Volume, Volume> change, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:update");
        var volume = await ChangeAsync(
            operation, id,
            (volume, _) =>
            {
                var changed = change(volume);
                return Task.FromResult(changed with
                {
                    Name = InputRules.Name("name", changed.Name),
                    Description = InputRules.Description(changed.Description),
                    Metadata = InputRules.Metadata(changed.Metadata),
                    ImageMetadata = InputRules.Metadata(changed.ImageMetadata),
                });
            },
            cancellationToken);
        return await ViewAsync(volume, cancellationToken);
    }

    /// <summary>Wants a volume gone.</summary>
    public async Task DeleteAsync(OperationContext operation, string id, bool cascade, bool force, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:delete");
        if (force && !operation.IsService) operation.RequireAdmin("volume_extension:volume_admin_actions:force_delete");
        await store.TransactAsync(
            async transaction =>
            {
                var volume = Visible(operation, await transaction.GetAsync(Volume.Table, id, cancellationToken), id);
                if (volume.Deleting) return;
                var own = await transaction.ListByAsync(Attachment.Table, "volume", id, cancellationToken);
                if (own.Count > 0 && !force && !operation.IsService && !volume.Hidden) throw BlockStorageFaults.InvalidVolume(NotDeletable);
                if ((volume.Upload ?? (object?)volume.BackingUp ?? volume.RestoreFrom ?? volume.TransferId ?? volume.GroupId) is not null && !force && !operation.IsService) throw BlockStorageFaults.InvalidVolume(NotDeletable);
                await RefuseWhileCopiedAsync(transaction, volume, cancellationToken);
                foreach (var snapshot in await transaction.ListByAsync(Snapshot.Table, "volume", id, cancellationToken))
                {
                    if (!cascade && !snapshot.Deleting) throw BlockStorageFaults.InvalidVolume(NotDeletable);
                    transaction.Put(Snapshot.Table, (snapshot with { Deleting = true }).Changed(time.GetUtcNow()));
                }
                foreach (var attachment in own) transaction.Delete(Attachment.Table, attachment.Id);
                transaction.Put(Volume.Table, (volume with { Deleting = true, Epoch = volume.Epoch + 1 }).Changed(time.GetUtcNow()));
            },
            cancellationToken);
        worker.Nudge(id);
    }

    private const string NotDeletable =
        "Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a " +
        "group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.";

    // A clone that is not on the device yet still needs its source.
    private async Task RefuseWhileCopiedAsync(StateTransaction transaction, Volume volume, CancellationToken cancellationToken)
    {
        var siblings = await transaction.ListByAsync(Volume.Table, "project", volume.ProjectId, cancellationToken);
        if (siblings.Any(sibling => sibling.SourceVolumeId == volume.Id && !sibling.Provisioned && sibling.Failure is null && !sibling.Deleting))
            throw BlockStorageFaults.InvalidVolume($"Volume {volume.Id} is being copied to another volume.");
    }

    /// <summary>Grows a volume.</summary>
    public async Task<VolumeView> ExtendAsync(OperationContext operation, string id, long sizeBytes, bool online, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:extend");
        var volume = await ChangeAsync(
            operation, id,
            async (volume, transaction) =>
            {
                InputRules.Size(sizeBytes, volume.Hidden);
                if (!volume.Hidden) await quotas.CheckSizeAsync(volume.ProjectId, sizeBytes / Volume.GibBytes, cancellationToken);
                var view = await ViewAsync(volume, transaction, cancellationToken);
                if (sizeBytes == volume.SizeBytes && volume.Hidden) return volume;
                if (view.Status != VolumeStatus.Available && !(online && view.Status is VolumeStatus.InUse or VolumeStatus.Attaching))
                    throw BlockStorageFaults.InvalidVolume($"Volume {id} status must be 'available' to extend, currently {view.Status.ToCinder()}.");
                if (sizeBytes <= volume.SizeBytes)
                {
                    throw Faults.Invalid(
                        "new_size", $"New size for extend must be greater than current size. (current: {volume.SizeGib}, extended: {sizeBytes / Volume.GibBytes}).");
                }
                var grown = volume with { SizeBytes = sizeBytes };
                if (!volume.Hidden) await quotas.ChangeAsync(
                    transaction, volume.ProjectId, QuotaChange.Volumes(0, grown.SizeGib - volume.SizeGib, volume.VolumeTypeId), cancellationToken);
                return grown;
            },
            cancellationToken);
        await worker.RunSoonAsync(id, cancellationToken);
        return await GetAsync(operation, volume.Id, cancellationToken);
    }

    /// <summary>Gives a volume another type.</summary>
    public async Task<VolumeView> RetypeAsync(OperationContext operation, string id, string typeName, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:retype");
        var type = await types.GetAsync(operation, typeName, cancellationToken);
        if (!Backend.Suits(type.ExtraSpecs)) throw BlockStorageFaults.InvalidVolume("Retype needs a backend that this cloud does not have.");
        var changed = await ChangeAsync(
            operation, id,
            async (volume, transaction) =>
            {
                var status = (await ViewAsync(volume, transaction, cancellationToken)).Status;
                if (status is not (VolumeStatus.Available or VolumeStatus.InUse))
                    throw BlockStorageFaults.InvalidVolume($"Volume {id} status must be available or in-use to retype, but it is {status.ToCinder()}.");
                RequireSameEncryption(volume, type);
                if (volume.Multiattach != type.IsMultiattach && status != VolumeStatus.Available)
                    throw Faults.Invalid("new_type", $"Retyping the volume between multiattach and not is only possible while it is available; volume {id} is {status.ToCinder()}.");
                if (volume.VolumeTypeId == type.Id) throw Faults.Invalid("new_type", $"New volume_type same as original: {typeName}.");
                if (volume.GroupId is not null) throw BlockStorageFaults.InvalidVolume($"Volume {id} is in a group.");
                if (volume.Hidden) return volume with { VolumeTypeId = type.Id, Multiattach = type.IsMultiattach };
                await quotas.ChangeAsync(transaction, volume.ProjectId, QuotaChange.Volumes(-1, -volume.SizeGib, volume.VolumeTypeId), cancellationToken);
                await quotas.ChangeAsync(transaction, volume.ProjectId, QuotaChange.Volumes(1, volume.SizeGib, type.Id), cancellationToken);
                return volume with { VolumeTypeId = type.Id, Multiattach = type.IsMultiattach };
            },
            cancellationToken);
        return await ViewAsync(changed, cancellationToken);
    }

    /// <summary>Wants the content of a snapshot back.</summary>
    public async Task<VolumeView> RevertAsync(OperationContext operation, string id, string snapshotId, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:revert_to_snapshot");
        await ChangeAsync(
            operation, id,
            async (volume, transaction) =>
            {
                var snapshot = await transaction.GetAsync(Snapshot.Table, snapshotId, cancellationToken);
                if (snapshot is null || snapshot.VolumeId != id) throw BlockStorageFaults.SnapshotNotFound(snapshotId);
                if (snapshot.Status != SnapshotStatus.Available) throw BlockStorageFaults.InvalidSnapshot($"Snapshot {snapshotId} is not available.");
                await RequireAvailableAsync(volume, transaction, "revert", cancellationToken);
                return volume with { RevertTo = snapshotId };
            },
            cancellationToken);
        await worker.RunSoonAsync(id, cancellationToken);
        return await GetAsync(operation, id, cancellationToken);
    }

    /// <summary>Shows a status that the facts do not say, until it is reset to one that means the facts: available or in-use.</summary>
    public Task ResetStatusAsync(OperationContext operation, string id, string status, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:volume_admin_actions:reset_status");
        var known = VolumeStatusNames.FromCinder(status) ?? throw Faults.Invalid("status", $"'{(status.Length > 64 ? status[..64] : status)}' is not a status of a volume");
        var shown = known is VolumeStatus.Available or VolumeStatus.InUse ? null : status;
        return ChangeAsync(operation, id, (volume, _) => Task.FromResult(volume.AdminStatus == shown ? volume : volume with { AdminStatus = shown }), cancellationToken);
    }

    /// <summary>Keeps the volume for somebody who is about to attach it.</summary>
    public async Task<VolumeView> ReserveAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:reserve");
        var volume = await ChangeAsync(
            operation, id,
            async (volume, transaction) =>
            {
                await RequireAvailableAsync(volume, transaction, "reserve", cancellationToken);
                return volume with { ReservedUntil = time.GetUtcNow() + options.ReservationTime };
            },
            cancellationToken);
        return await ViewAsync(volume, cancellationToken);
    }

    public async Task<VolumeView> UnreserveAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:unreserve");
        var volume = await ChangeAsync(operation, id, (volume, _) => Task.FromResult(volume with { ReservedUntil = null }), cancellationToken);
        return await ViewAsync(volume, cancellationToken);
    }

    /// <summary>Makes an image of the content.</summary>
    /// <param name="wanted">Its image id may be empty: a new one.</param>
    /// <param name="given">Properties of the image besides those that the volume has of the image it was made from.</param>
    /// <returns>The id of the image, which becomes active later.</returns>
    public async Task<(string ImageId, VolumeView View)> UploadAsync(
        OperationContext operation, string id, VolumeUpload wanted, IReadOnlyDictionary<string, string> given, string visibility, bool isProtected, bool force,
        CancellationToken cancellationToken)
    {
        operation.RequireMember("volume_extension:volume_actions:upload_image");
        if (wanted.DiskFormat is not ("raw" or "qcow2")) throw Faults.Invalid("disk_format", "must be raw or qcow2");
        if (wanted.ContainerFormat != "bare") throw Faults.Invalid("container_format", "must be bare");
        if (wanted.ImageName.Length is 0 or > InputRules.NameCharsMax) throw Faults.Invalid("image_name", $"has 1 to {InputRules.NameCharsMax} characters");
        var view = await GetAsync(operation, id, cancellationToken);
        var again = wanted.ImageId.Length > 0 && view.Volume.Upload?.ImageId == wanted.ImageId;
        if ((again && view.Volume.Upload!.ImageMade) || (wanted.ImageId.Length > 0 && await images.ExistsAsync(wanted.ImageId, cancellationToken)))
            return (wanted.ImageId, view);
        // An image becomes active a moment before its volume is done with it.
        for (var round = 0; !again && round < RoundsForUpload && await HasFilledImageAsync(operation, view.Volume, cancellationToken); round++)
        {
            await worker.RunSoonAsync(id, cancellationToken);
            view = await GetAsync(operation, id, cancellationToken);
        }
        if (!again) RequireUploadable(view, force);
        var properties = view.Volume.ImageMetadata.Where(item => !ImageFields.Contains(item.Key)).ToDictionary();
        foreach (var (key, value) in given) properties[key] = value;
        var upload = wanted with { ImageId = wanted.ImageId.Length > 0 ? wanted.ImageId : Ids.NewUuid(), AskedAt = time.GetUtcNow() };
        // The wish first: an image that nobody will fill must not be left by a process that ends between the two.
        var volume = await ChangeAsync(
            operation, id,
            async (volume, transaction) =>
            {
                if (volume.Upload?.ImageId == upload.ImageId) return volume;
                RequireUploadable(await ViewAsync(volume, transaction, cancellationToken), force);
                return volume with { Upload = upload };
            },
            cancellationToken);
        try
        {
            await images.CreateAsync(
                operation, upload.ImageId, volume.ProjectId, upload.ImageName, upload.DiskFormat, upload.ContainerFormat, visibility, isProtected, properties,
                cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason != ErrorReason.Unavailable)
        {
            await ChangeUploadAsync(_ => null);
            throw;
        }
        volume = await ChangeUploadAsync(current => current with { ImageMade = true });
        worker.Nudge(id);
        return (upload.ImageId, await ViewAsync(volume, cancellationToken));

        Task<Volume> ChangeUploadAsync(Func<VolumeUpload, VolumeUpload?> change) => ChangeAsync(
            operation, id,
            (current, _) => Task.FromResult(current.Upload is { } now && now.ImageId == upload.ImageId ? current with { Upload = change(now) } : current),
            cancellationToken);
    }

    private async Task<bool> HasFilledImageAsync(OperationContext operation, Volume volume, CancellationToken cancellationToken) =>
        volume.Upload is { ImageMade: true } upload && await images.FindAsync(operation, upload.ImageId, cancellationToken) is { Active: true };

    private static void RequireUploadable(VolumeView view, bool force)
    {
        if (view.Status == VolumeStatus.Available || (force && view.Status == VolumeStatus.InUse)) return;
        throw BlockStorageFaults.InvalidVolume($"Volume {view.Volume.Id} status must be available{(force ? " or in-use" : "")}, but current status is: {view.Status.ToCinder()}.");
    }

    // What describes an image beside its free properties.
    internal static readonly IReadOnlySet<string> ImageFields =
        new HashSet<string> { "image_id", "image_name", "checksum", "container_format", "disk_format", "min_disk", "min_ram", "size" };

    private async Task RequireAvailableAsync(Volume volume, StateTransaction transaction, string action, CancellationToken cancellationToken)
    {
        var status = (await ViewAsync(volume, transaction, cancellationToken)).Status;
        if (status != VolumeStatus.Available)
            throw BlockStorageFaults.InvalidVolume($"Volume {volume.Id} status must be available to {action}, but the status is {status.ToCinder()}.");
    }

    private async Task<VolumeView> ViewAsync(Volume volume, StateTransaction transaction, CancellationToken cancellationToken) =>
        new(volume, await transaction.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken), "", time.GetUtcNow());

    private Task<Volume> ChangeAsync(
        OperationContext operation, string id, Func<Volume, StateTransaction, Task<Volume>> change, CancellationToken cancellationToken) =>
        store.TransactAsync(
            async transaction =>
            {
                var volume = Visible(operation, await transaction.GetAsync(Volume.Table, id, cancellationToken), id);
                if (volume.Deleting) throw BlockStorageFaults.InvalidVolume($"Volume {id} is being deleted.");
                var changed = await change(volume, transaction);
                if (ReferenceEquals(changed, volume)) return volume;
                changed = changed.Changed(time.GetUtcNow());
                transaction.Put(Volume.Table, changed);
                return changed;
            },
            cancellationToken);

    // What a caller may not see is not there; a hidden volume is there for services and administrators only.
    internal static Volume Visible(OperationContext operation, Volume? volume, string id)
    {
        if (volume is null || !operation.CanSee(volume.ProjectId)) throw BlockStorageFaults.VolumeNotFound(id);
        return !volume.Hidden || operation.SeesAll ? volume : throw BlockStorageFaults.VolumeNotFound(id);
    }
}

internal static class VolumeStatusNames
{
    /// <summary>As the block storage REST API spells it.</summary>
    public static string ToCinder(this VolumeStatus status) => status switch
    {
        VolumeStatus.InUse => "in-use",
        VolumeStatus.BackingUp => "backing-up",
        VolumeStatus.RestoringBackup => "restoring-backup",
        VolumeStatus.AwaitingTransfer => "awaiting-transfer",
        _ => status.ToString().ToLowerInvariant(),
    };

    public static VolumeStatus? FromCinder(string text) =>
        Enum.GetValues<VolumeStatus>().Select(status => (VolumeStatus?)status).FirstOrDefault(status => status!.Value.ToCinder() == text);
}

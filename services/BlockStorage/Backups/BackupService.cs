using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Backups;

internal sealed record BackupWish
{
    public required string VolumeId { get; init; }
    public string? SnapshotId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public string? Container { get; init; }
    public bool Incremental { get; init; }
    public bool Force { get; init; }
    public IEnumerable<KeyValuePair<string, string>> Metadata { get; init; } = [];
    public string IdempotencyKey { get; init; } = "";
}

internal sealed record BackupFilter
{
    public bool AllProjects { get; init; }
    public string? ProjectId { get; init; }
    public string? Name { get; init; }
    public string? VolumeId { get; init; }
    public BackupStatus? Status { get; init; }
}

/// <summary>What can be done with backups. Everything but reads and checks is a commit of what is wanted; the worker makes it so.</summary>
internal sealed class BackupService(
    IStateStore store, TableCache<Backup> backups, TableCache<Volume> volumes, QuotaService quotas, VolumeService volumeService, VolumeWorker volumeWorker,
    BackupWorker worker, TimeProvider time)
{
    public const string DefaultContainer = "volumebackups";
    private const int ContainerCharsMax = 128;

    public async Task<BackupView> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        await ViewAsync(Visible(operation, await store.GetAsync(Backup.Table, id, cancellationToken), id), cancellationToken);

    /// <summary>Backups in the order they were made, the newest first.</summary>
    public async Task<IReadOnlyList<BackupView>> ListAsync(OperationContext operation, BackupFilter filter, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(filter.AllProjects, filter.ProjectId);
        await backups.CatchUpAsync(cancellationToken);
        await volumes.CatchUpAsync(cancellationToken);
        var restoring = volumes.List().Select(volume => volume.RestoreFrom).OfType<string>().ToHashSet();
        return
        [
            .. backups.List()
                .Where(backup => project is null || backup.ProjectId == project)
                .Where(backup => filter.Name is null || backup.Name == filter.Name)
                .Where(backup => filter.VolumeId is null || backup.VolumeId == filter.VolumeId)
                .Select(backup => new BackupView(backup, restoring.Contains(backup.Id)))
                .Where(view => filter.Status is null || view.Status == filter.Status)
                .OrderByDescending(view => view.Backup.CreatedAt).ThenBy(view => view.Backup.Id, StringComparer.Ordinal),
        ];
    }

    public async Task<BackupView> ViewAsync(Backup backup, CancellationToken cancellationToken)
    {
        await volumes.CatchUpAsync(cancellationToken);
        return new BackupView(backup, volumes.List().Any(volume => volume.RestoreFrom == backup.Id));
    }

    /// <summary>Records the wish for a backup. Its content is that of the moment when the worker freezes the volume, soon after.</summary>
    public async Task<BackupView> CreateAsync(OperationContext operation, BackupWish wish, CancellationToken cancellationToken)
    {
        operation.RequireMember("backup:create");
        var (id, key, container) = (Ids.NewUuid(), InputRules.IdempotencyKey(wish.IdempotencyKey), CheckContainer(wish.Container));
        Backup made;
        try
        {
            made = await store.TransactAsync(
                async transaction =>
                {
                    var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, wish.VolumeId, cancellationToken), wish.VolumeId);
                    var snapshot = await RequireSourceAsync(transaction, volume, wish, cancellationToken);
                    var backup = new Backup
                    {
                        Id = id,
                        ProjectId = volume.ProjectId,
                        UserId = operation.UserId,
                        VolumeId = volume.Id,
                        SnapshotId = snapshot?.Id,
                        Name = InputRules.Name("name", wish.Name),
                        Description = InputRules.Description(wish.Description),
                        Metadata = InputRules.Metadata(wish.Metadata),
                        AvailabilityZone = volume.AvailabilityZone,
                        Container = container,
                        Bucket = $"{volume.ProjectId}-{container}",
                        SizeBytes = snapshot?.SizeBytes ?? volume.ProvisionedBytes,
                        Source = new BackupSource(
                            volume.Name, volume.Description, volume.Bootable, volume.VolumeTypeId, volume.Metadata, volume.ImageMetadata),
                        Incremental = wish.Incremental,
                        DataAt = snapshot?.CreatedAt ?? time.GetUtcNow(),
                        DeviceId = volume.DeviceId,
                        KeyId = volume.KeyId,
                        IdempotencyKey = key,
                        CreatedAt = time.GetUtcNow(),
                        Generation = 1,
                    };
                    if (wish.Incremental) backup = backup with { ParentId = await FindParentAsync(transaction, backup, cancellationToken) };
                    transaction.Insert(Backup.Table, backup);
                    await quotas.ChangeAsync(transaction, backup.ProjectId, QuotaChange.Backups(1, backup.SizeGib), cancellationToken);
                    if (snapshot is null) transaction.Put(Volume.Table, (volume with { BackingUp = id }).Changed(time.GetUtcNow()));
                    return backup;
                },
                cancellationToken);
        }
        catch (UniqueViolationException violation) when (violation.Index == "idempotency")
        {
            made = await store.FindAsync(Backup.Table, "idempotency", violation.Value, cancellationToken)
                ?? throw Faults.Aborted("The backup of the same idempotency key was just deleted.");
        }
        worker.Nudge(made.Id);
        return new BackupView(made, Restoring: false);
    }

    // Null when the volume itself is backed up.
    private async Task<Snapshot?> RequireSourceAsync(StateTransaction transaction, Volume volume, BackupWish wish, CancellationToken cancellationToken)
    {
        var own = await transaction.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken);
        var status = new VolumeView(volume, own, "", time.GetUtcNow()).Status;
        if (wish.SnapshotId is not { } snapshotId)
        {
            if (status == VolumeStatus.Available || (wish.Force && status is VolumeStatus.InUse)) return null;
            throw BlockStorageFaults.InvalidVolume(
                status == VolumeStatus.InUse
                    ? "Backing up an in-use volume must use the force flag."
                    : $"Volume to be backed up must be available or in-use, but the current status is \"{status.ToCinder()}\".");
        }
        var snapshot = await transaction.GetAsync(Snapshot.Table, snapshotId, cancellationToken);
        if (snapshot is null || snapshot.VolumeId != volume.Id) throw BlockStorageFaults.SnapshotNotFound(snapshotId);
        return snapshot.Status == SnapshotStatus.Available
            ? snapshot
            : throw BlockStorageFaults.InvalidSnapshot($"Snapshot to be backed up must be available, but the current status is \"{snapshot.StatusName}\".");
    }

    private static async Task<string> FindParentAsync(StateTransaction transaction, Backup backup, CancellationToken cancellationToken)
    {
        var siblings = await transaction.ListByAsync(Backup.Table, "volume", backup.VolumeId, cancellationToken);
        var parent = siblings
            .Where(other => other is { Done: true, Deleting: false } && other.Bucket == backup.Bucket && other.ProjectId == backup.ProjectId)
            .MaxBy(other => (other.DataAt, other.Id));
        return parent?.Id ?? throw BlockStorageFaults.InvalidBackup("No backups available to do an incremental backup.");
    }

    public async Task<BackupView> UpdateAsync(OperationContext operation, string id, Func<Backup, Backup> change, CancellationToken cancellationToken)
    {
        operation.RequireMember("backup:update");
        var changed = await ChangeAsync(
            operation, id,
            backup =>
            {
                var changed = change(backup);
                return changed with
                {
                    Name = InputRules.Name("name", changed.Name),
                    Description = InputRules.Description(changed.Description),
                    Metadata = InputRules.Metadata(changed.Metadata),
                };
            },
            cancellationToken);
        return await ViewAsync(changed, cancellationToken);
    }

    /// <summary>Shows a status that the facts do not say, until it is reset to available.</summary>
    public Task ResetStatusAsync(OperationContext operation, string id, string status, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:backup_admin_actions:reset_status");
        if (status is not ("available" or "error")) throw Faults.Invalid("status", "must be available or error");
        return ChangeAsync(operation, id, backup => backup with { AdminStatus = status == "error" ? status : null }, cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string id, bool force, CancellationToken cancellationToken)
    {
        operation.RequireMember("backup:delete");
        if (force) operation.RequireAdmin("volume_extension:backup_admin_actions:force_delete");
        await store.TransactAsync(
            async transaction =>
            {
                var backup = Visible(operation, await transaction.GetAsync(Backup.Table, id, cancellationToken), id);
                if (backup.Deleting) return;
                var status = (await ViewAsync(backup, cancellationToken)).Status;
                if (!force && status is not (BackupStatus.Available or BackupStatus.Error))
                    throw BlockStorageFaults.InvalidBackup($"Backup status must be available or error, but it is {status.ToString().ToLowerInvariant()}.");
                transaction.Put(Backup.Table, (backup with { Deleting = true }).Changed(time.GetUtcNow()));
                if (await transaction.GetAsync(Volume.Table, backup.VolumeId, cancellationToken) is { } volume && volume.BackingUp == id)
                    transaction.Put(Volume.Table, (volume with { BackingUp = null }).Changed(time.GetUtcNow()));
            },
            cancellationToken);
        worker.Nudge(id);
    }

    /// <summary>Puts the content into a new volume, or over one that is there.</summary>
    /// <param name="volumeId">Null for a new volume, of the size and with the description of the old one.</param>
    public async Task<VolumeView> RestoreAsync(
        OperationContext operation, string id, string? volumeId, string? name, CancellationToken cancellationToken)
    {
        operation.RequireMember("backup:restore");
        var view = await GetAsync(operation, id, cancellationToken);
        RequireRestorable(view);
        var backup = view.Backup;
        if (volumeId is null)
        {
            var wish = new VolumeWish { BackupId = id, Name = name is { Length: > 0 } ? name : $"restore_backup_{id}", Metadata = backup.Source.Metadata };
            return await volumeService.CreateAsync(operation, wish, wait: true, cancellationToken);
        }
        await store.TransactAsync(
            async transaction =>
            {
                RequireRestorable(new BackupView(Visible(operation, await transaction.GetAsync(Backup.Table, id, cancellationToken), id), Restoring: false));
                var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, volumeId, cancellationToken), volumeId);
                var own = await transaction.ListByAsync(Attachment.Table, "volume", volumeId, cancellationToken);
                var status = new VolumeView(volume, own, "", time.GetUtcNow()).Status;
                if (status != VolumeStatus.Available)
                    throw BlockStorageFaults.InvalidVolume($"Volume to be restored to must be available, but it is {status.ToCinder()}.");
                if (volume.KeyId != backup.KeyId)
                    throw BlockStorageFaults.InvalidVolume($"Volume {volumeId} is not encrypted as backup {id} is; restore it to the volume it was made of, or to a new one.");
                if (volume.SizeBytes < backup.SizeBytes)
                {
                    throw BlockStorageFaults.InvalidVolume(
                        $"volume size {volume.SizeGib} is too small to restore backup of size {backup.SizeGib}.");
                }
                transaction.Put(Volume.Table, (volume with { RestoreFrom = id }).Changed(time.GetUtcNow()));
            },
            cancellationToken);
        await volumeWorker.RunSoonAsync(volumeId, cancellationToken);
        return await volumeService.GetAsync(operation, volumeId, cancellationToken);
    }

    internal static void RequireRestorable(BackupView view)
    {
        // Several volumes may be restored from one backup at once.
        if (view.Status is not (BackupStatus.Available or BackupStatus.Restoring))
            throw BlockStorageFaults.InvalidBackup($"Backup status must be available, but it is {view.StatusName}.");
    }

    private Task<Backup> ChangeAsync(OperationContext operation, string id, Func<Backup, Backup> change, CancellationToken cancellationToken) =>
        store.TransactAsync(
            async transaction =>
            {
                var backup = Visible(operation, await transaction.GetAsync(Backup.Table, id, cancellationToken), id);
                var changed = change(backup).Changed(time.GetUtcNow());
                transaction.Put(Backup.Table, changed);
                return changed;
            },
            cancellationToken);

    internal static string CheckContainer(string? container)
    {
        if (container is null or "") return DefaultContainer;
        if (container.Length > ContainerCharsMax) throw Faults.Invalid("container", $"is longer than {ContainerCharsMax} characters");
        if (container.Any(letter => letter is '/' || char.IsControl(letter))) throw Faults.Invalid("container", "must not have slashes or control characters");
        return container;
    }

    internal static Backup Visible(OperationContext operation, Backup? backup, string id) =>
        backup is not null && operation.CanSee(backup.ProjectId) ? backup : throw BlockStorageFaults.BackupNotFound(id);
}

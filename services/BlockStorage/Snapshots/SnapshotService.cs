using Nephos.BlockStorage.Attachments;
using Nephos.BlockStorage.Quotas;
using Nephos.BlockStorage.Volumes;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Snapshots;

internal sealed record SnapshotWish
{
    public required string VolumeId { get; init; }
    public string Name { get; init; } = "";
    public string? Description { get; init; }
    public bool Force { get; init; }
    public IEnumerable<KeyValuePair<string, string>> Metadata { get; init; } = [];
    public string IdempotencyKey { get; init; } = "";
}

internal sealed record SnapshotFilter
{
    public bool AllProjects { get; init; }
    public string? ProjectId { get; init; }
    public string? Name { get; init; }
    public string? VolumeId { get; init; }
    public SnapshotStatus? Status { get; init; }
}

internal sealed class SnapshotService(IStateStore store, TableCache<Snapshot> snapshots, QuotaService quotas, VolumeWorker worker, TimeProvider time)
{
    public async Task<Snapshot> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Visible(operation, await store.GetAsync(Snapshot.Table, id, cancellationToken), id);

    /// <summary>Snapshots in the order they were made, the newest first.</summary>
    public async Task<IReadOnlyList<Snapshot>> ListAsync(OperationContext operation, SnapshotFilter filter, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(filter.AllProjects, filter.ProjectId);
        await snapshots.CatchUpAsync(cancellationToken);
        return
        [
            .. snapshots.List()
                .Where(snapshot => project is null || snapshot.ProjectId == project)
                .Where(snapshot => filter.Name is null || snapshot.Name == filter.Name)
                .Where(snapshot => filter.VolumeId is null || snapshot.VolumeId == filter.VolumeId)
                .Where(snapshot => filter.Status is null || snapshot.Status == filter.Status)
                .OrderByDescending(snapshot => snapshot.CreatedAt).ThenBy(snapshot => snapshot.Id, StringComparer.Ordinal),
        ];
    }

    /// <param name="wait">Whether to wait the moment that freezing takes.</param>
    public async Task<Snapshot> CreateAsync(OperationContext operation, SnapshotWish wish, bool wait, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:create_snapshot");
        var id = Ids.NewUuid();
        var key = InputRules.IdempotencyKey(wish.IdempotencyKey);
        Snapshot made;
        try
        {
            made = await store.TransactAsync(
                async transaction =>
                {
                    var volume = VolumeService.Visible(operation, await transaction.GetAsync(Volume.Table, wish.VolumeId, cancellationToken), wish.VolumeId);
                    var own = await transaction.ListByAsync(Attachment.Table, "volume", volume.Id, cancellationToken);
                    var status = new VolumeView(volume, own, "", time.GetUtcNow()).Status;
                    var possible = status == VolumeStatus.Available || (wish.Force && status is VolumeStatus.InUse or VolumeStatus.Attaching or VolumeStatus.Detaching);
                    if (!possible)
                        throw BlockStorageFaults.InvalidVolume($"Volume {volume.Id} status must be available, but current status is: {status.ToCinder()}.");
                    var snapshot = new Snapshot
                    {
                        Id = id,
                        ProjectId = volume.ProjectId,
                        UserId = operation.UserId,
                        VolumeId = volume.Id,
                        DeviceId = volume.DeviceId!,
                        VolumeTypeId = volume.VolumeTypeId,
                        Name = InputRules.Name("name", wish.Name),
                        Description = InputRules.Description(wish.Description),
                        SizeBytes = volume.ProvisionedBytes,
                        Metadata = InputRules.Metadata(wish.Metadata),
                        IdempotencyKey = key,
                        CreatedAt = time.GetUtcNow(),
                        Generation = 1,
                    };
                    transaction.Insert(Snapshot.Table, snapshot);
                    await quotas.ChangeAsync(
                        transaction, volume.ProjectId, QuotaChange.Snapshots(1, snapshot.SizeGib, snapshot.VolumeTypeId), cancellationToken);
                    return snapshot;
                },
                cancellationToken);
        }
        catch (UniqueViolationException violation) when (violation.Index == "idempotency")
        {
            return await store.FindAsync(Snapshot.Table, "idempotency", violation.Value, cancellationToken)
                ?? throw Faults.Aborted("The snapshot of the same idempotency key was just deleted.");
        }
        if (!wait)
        {
            worker.Nudge(id);
            return made;
        }
        await worker.RunSoonAsync(id, cancellationToken);
        return await store.GetAsync(Snapshot.Table, id, cancellationToken) ?? made;
    }

    public Task<Snapshot> UpdateAsync(OperationContext operation, string id, Func<Snapshot, Snapshot> change, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:update_snapshot");
        return store.TransactAsync(
            async transaction =>
            {
                var snapshot = change(Visible(operation, await transaction.GetAsync(Snapshot.Table, id, cancellationToken), id));
                snapshot = (snapshot with
                {
                    Name = InputRules.Name("name", snapshot.Name),
                    Description = InputRules.Description(snapshot.Description),
                    Metadata = InputRules.Metadata(snapshot.Metadata),
                }).Changed(time.GetUtcNow());
                transaction.Put(Snapshot.Table, snapshot);
                return snapshot;
            },
            cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:delete_snapshot");
        await store.TransactAsync(
            async transaction =>
            {
                var snapshot = Visible(operation, await transaction.GetAsync(Snapshot.Table, id, cancellationToken), id);
                var volumes = await transaction.ListByAsync(Volume.Table, "project", snapshot.ProjectId, cancellationToken);
                if (volumes.Any(volume => !volume.Deleting && volume.Failure is null && ((volume.SourceSnapshotId == id && !volume.Provisioned) || volume.RevertTo == id)))
                    throw BlockStorageFaults.InvalidSnapshot($"Snapshot {id} is being copied to a volume.");
                if (snapshot.GroupSnapshotId is { } group) throw BlockStorageFaults.InvalidSnapshot($"Snapshot {id} is part of group snapshot {group}.");
                if (!snapshot.Deleting) transaction.Put(Snapshot.Table, (snapshot with { Deleting = true }).Changed(time.GetUtcNow()));
            },
            cancellationToken);
        worker.Nudge(id);
    }

    private static Snapshot Visible(OperationContext operation, Snapshot? snapshot, string id) =>
        snapshot is not null && operation.CanSee(snapshot.ProjectId) ? snapshot : throw BlockStorageFaults.SnapshotNotFound(id);
}

using System.Security.Cryptography;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Snapshots;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Exports;

/// <param name="Lifetime">Null for <see cref="ExportService.LifetimeDefault"/>.</param>
internal sealed record ExportWish(string? SnapshotId, string? BackupId, TimeSpan? Lifetime, string IdempotencyKey);

/// <summary>Who may read which snapshot or backup by NBD. What is served follows the records; see <see cref="ExportListeners"/>.</summary>
internal sealed class ExportService(IStateStore store, TableCache<Export> exports, TimeProvider time)
{
    public static readonly TimeSpan LifetimeDefault = TimeSpan.FromDays(1);
    private static readonly TimeSpan LifetimeMin = TimeSpan.FromMinutes(1), LifetimeMax = TimeSpan.FromDays(30);

    private const int TokenBytes = 32;
    private const int PerProjectMax = 100;

    public async Task<Export> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Visible(operation, await store.GetAsync(Export.Table, id, cancellationToken), id);

    /// <summary>The newest first.</summary>
    public async Task<IReadOnlyList<Export>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        var project = operation.ListedProject(allProjects);
        await exports.CatchUpAsync(cancellationToken);
        return
        [
            .. exports.List().Where(export => (project is null || export.ProjectId == project) && export.ExpiresAt > time.GetUtcNow())
                .OrderByDescending(export => export.CreatedAt).ThenBy(export => export.Id, StringComparer.Ordinal),
        ];
    }

    /// <exception cref="FaultException">NotFound; Conflict when the source has no content yet; QuotaExceeded.</exception>
    public async Task<Export> CreateAsync(OperationContext operation, ExportWish wish, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:create_export");
        if ((wish.SnapshotId is null) == (wish.BackupId is null)) throw Faults.Invalid("source", "is either a snapshot or a backup");
        var lifetime = wish.Lifetime ?? LifetimeDefault;
        if (lifetime < LifetimeMin || lifetime > LifetimeMax) throw Faults.Invalid("lifetime", $"must be {LifetimeMin.TotalMinutes} minute to {LifetimeMax.TotalDays} days");
        var now = time.GetUtcNow();
        var made = new Export
        {
            Id = Ids.NewUuid(),
            ProjectId = "",
            SnapshotId = wish.SnapshotId,
            BackupId = wish.BackupId,
            SizeBytes = 0,
            Token = RandomNumberGenerator.GetHexString(2 * TokenBytes, lowercase: true),
            IdempotencyKey = InputRules.IdempotencyKey(wish.IdempotencyKey),
            CreatedAt = now,
            ExpiresAt = now + lifetime,
        };
        return await store.TransactAsync(
            async transaction =>
            {
                var (project, size) = wish.SnapshotId is { } snapshot
                    ? await RequireSnapshotAsync(transaction, operation, snapshot, cancellationToken)
                    : await RequireBackupAsync(transaction, operation, wish.BackupId!, cancellationToken);
                var others = await transaction.ListByAsync(Export.Table, "project", project, cancellationToken);
                if (made.IdempotencyKey is { } key && others.FirstOrDefault(other => other.IdempotencyKey == key) is { } first)
                {
                    return first.SnapshotId == wish.SnapshotId && first.BackupId == wish.BackupId
                        ? first
                        : throw Faults.Conflict("The idempotency key was used for an export of something else.");
                }
                var living = others.Count(other => other.ExpiresAt > now);
                if (living >= PerProjectMax) throw BlockStorageFaults.OverQuota("exports", 1, living, PerProjectMax);
                var export = made with { ProjectId = project, SizeBytes = size };
                transaction.Insert(Export.Table, export);
                return export;
            },
            cancellationToken);
    }

    private static async Task<(string ProjectId, long SizeBytes)> RequireSnapshotAsync(
        StateTransaction transaction, OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var snapshot = await transaction.GetAsync(Snapshot.Table, id, cancellationToken);
        if (snapshot is null || !operation.CanSee(snapshot.ProjectId)) throw BlockStorageFaults.SnapshotNotFound(id);
        if (!ExportContents.IsReadable(snapshot)) throw BlockStorageFaults.InvalidSnapshot($"Snapshot {id} must be available, but it is {snapshot.StatusName}.");
        return (snapshot.ProjectId, snapshot.SizeBytes);
    }

    private static async Task<(string ProjectId, long SizeBytes)> RequireBackupAsync(
        StateTransaction transaction, OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var backup = await transaction.GetAsync(Backup.Table, id, cancellationToken);
        if (backup is null || !operation.CanSee(backup.ProjectId)) throw BlockStorageFaults.BackupNotFound(id);
        if (!ExportContents.IsReadable(backup)) throw BlockStorageFaults.InvalidBackup($"Backup {id} must be available.");
        return (backup.ProjectId, backup.SizeBytes);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("volume:delete_export");
        await store.TransactAsync(
            async transaction =>
            {
                Visible(operation, await transaction.GetAsync(Export.Table, id, cancellationToken), id);
                transaction.Delete(Export.Table, id);
            },
            cancellationToken);
    }

    /// <summary>Deletes what has expired.</summary>
    /// <returns>How many there were.</returns>
    public async Task<int> ForgetAsync(CancellationToken cancellationToken)
    {
        var over = exports.List().Where(export => export.ExpiresAt <= time.GetUtcNow()).ToList();
        foreach (var export in over)
        {
            await store.TransactAsync(
                transaction =>
                {
                    transaction.Delete(Export.Table, export.Id);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
        return over.Count;
    }

    private Export Visible(OperationContext operation, Export? export, string id) =>
        export is not null && operation.CanSee(export.ProjectId) && export.ExpiresAt > time.GetUtcNow() ? export : throw Faults.NotFound("Export", id);
}

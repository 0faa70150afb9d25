using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.BlockStorage.Quotas;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Backups;

/// <summary>Records of backups as text: to make a backup known again whose record was lost, or a second time under another id.</summary>
internal sealed class BackupRecords(IStateStore store, IBackupObjects objects, BucketGates gates, QuotaService quotas, BlockStorageOptions options, TimeProvider time)
{
    /// <summary>What clients know the kind of the record by.</summary>
    public const string Service = "cinder.backup.drivers.nephos";

    private const int UrlCharsMax = 64 << 10;

    public async Task<string> ExportAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("backup:export-import");
        var backup = BackupService.Visible(operation, await store.GetAsync(Backup.Table, id, cancellationToken), id);
        if (!backup.Done || backup.Deleting) throw BlockStorageFaults.InvalidBackup("Backup status must be available to be exported.");
        if (backup.KeyId is not null) throw BlockStorageFaults.InvalidBackup("The content of the backup is encrypted, and its key can not be exported.");
        var record = new JsonObject
        {
            ["id"] = backup.Id,
            ["manifest"] = backup.Id,
            ["bucket"] = backup.Bucket,
            ["container"] = backup.Container,
            ["description"] = backup.Description,
            ["incremental"] = backup.Incremental,
        };
        return Convert.ToBase64String(Encoding.UTF8.GetBytes(record.ToJsonString()));
    }

    /// <summary>Makes a backup of the project of the caller from a record and the manifest that it names.</summary>
    /// <exception cref="FaultException">InvalidArgument; AlreadyExists when there is a backup with the id of the record.</exception>
    public async Task<Backup> ImportAsync(OperationContext operation, string service, string url, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("backup:export-import");
        if (service != Service) throw Faults.Invalid("backup_service", $"must be {Service}");
        var record = Parse(url);
        var (id, source, bucket) = (Text(record, "id"), Text(record, "manifest"), Text(record, "bucket"));
        if (!Ids.IsUuid(id) || !Ids.IsUuid(source)) throw Faults.Invalid("backup_url", "does not name a backup");
        if (await store.GetAsync(Backup.Table, id, cancellationToken) is not null) throw Exists();
        using var entered = await gates.EnterAsync(bucket, cancellationToken);
        var written = await objects.GetAsync(bucket, BackupManifest.KeyOf(source), cancellationToken)
            ?? throw Faults.Invalid("backup_url", $"there is no content of backup {source}");
        var manifest = BackupManifest.Parse(written) with { BackupId = id };
        var project = operation.RequireProject();
        var backup = new Backup
        {
            Id = id,
            ProjectId = project,
            UserId = operation.UserId,
            VolumeId = manifest.VolumeId,
            Name = manifest.Name,
            Description = record["description"] is JsonValue text && text.TryGetValue<string>(out var description) ? description : null,
            AvailabilityZone = options.AvailabilityZone,
            Container = BackupService.CheckContainer(Text(record, "container")),
            Bucket = bucket,
            SizeBytes = manifest.SizeBytes,
            Source = manifest.Source,
            Incremental = record["incremental"] is JsonValue flag && flag.TryGetValue<bool>(out var incremental) && incremental,
            DataAt = manifest.DataAt,
            CreatedAt = time.GetUtcNow(),
            Generation = 1,
            Done = true,
            ChunkCount = manifest.ChunkCount,
        };
        // Its own manifest, so that deleting one of several leaves the others whole.
        if (source != id) await objects.PutAsync(bucket, BackupManifest.KeyOf(id), manifest.ToBytes(), cancellationToken);
        try
        {
            await store.TransactAsync(
                async transaction =>
                {
                    transaction.Insert(Backup.Table, backup);
                    await quotas.ChangeAsync(transaction, project, QuotaChange.Backups(1, backup.SizeGib), cancellationToken);
                },
                cancellationToken);
        }
        catch (UniqueViolationException)
        {
            throw Exists();
        }
        return backup;

        static FaultException Exists() => BlockStorageFaults.InvalidBackup("Backup already exists in database.");
    }

    private static JsonObject Parse(string url)
    {
        if (url.Length is 0 or > UrlCharsMax) throw Faults.Invalid("backup_url", $"has 1 to {UrlCharsMax} characters");
        try
        {
            return JsonNode.Parse(Convert.FromBase64String(url)) as JsonObject ?? throw NoRecord();
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw NoRecord();
        }

        static FaultException NoRecord() => Faults.Invalid("backup_url", "is not a record of a backup");
    }

    private static string Text(JsonObject record, string field) =>
        record[field] is JsonValue value && value.TryGetValue<string>(out var text) && text.Length is > 0 and <= 255
            ? text
            : throw Faults.Invalid("backup_url", $"the record has no {field}");
}

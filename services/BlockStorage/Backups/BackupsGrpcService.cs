using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.Volumes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Backups;

/// <summary>Backups over gRPC.</summary>
internal sealed class BackupsGrpcService(
    BackupService backups, BackupRecords records, BackupRestorer restorer, TableCache<Backup> cache, TableCache<Volume> volumes) : Wire.Backups.BackupsBase
{
    public override async Task<Wire.Backup> CreateBackup(Wire.CreateBackupRequest request, ServerCallContext context)
    {
        var wish = new BackupWish
        {
            VolumeId = request.VolumeId,
            SnapshotId = Given(request.SnapshotId),
            Name = request.Name,
            Description = Given(request.Description),
            Container = Given(request.Container),
            Incremental = request.Incremental,
            Force = request.Force,
            Metadata = request.Metadata,
            IdempotencyKey = request.IdempotencyKey,
        };
        return ToWire(await backups.CreateAsync(context.GetOperation(), wish, context.CancellationToken));
    }

    public override async Task<Wire.Backup> GetBackup(Wire.GetBackupRequest request, ServerCallContext context) =>
        ToWire(await backups.GetAsync(context.GetOperation(), request.BackupId, context.CancellationToken));

    public override async Task<Wire.ListBackupsResponse> ListBackups(Wire.ListBackupsRequest request, ServerCallContext context)
    {
        var all = await backups.ListAsync(context.GetOperation(), FromWire(request.Filter), context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(view => view.Backup.Id, StringComparer.Ordinal), view => view.Backup.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListBackupsResponse { NextPageToken = page.NextToken ?? "" };
        response.Backups.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Wire.Backup> UpdateBackup(Wire.UpdateBackupRequest request, ServerCallContext context)
    {
        var wanted = request.Backup ?? throw Faults.Invalid("backup", "is required");
        var paths = request.UpdateMask?.Paths.ToHashSet() ?? [];
        if (paths.Count == 0) throw Faults.Invalid("update_mask", "names no field");
        if (paths.FirstOrDefault(path => path is not ("name" or "description" or "metadata")) is { } other)
            throw Faults.Invalid("update_mask", $"{other} can not be changed");
        return ToWire(await backups.UpdateAsync(
            context.GetOperation(), request.BackupId,
            backup => backup with
            {
                Name = paths.Contains("name") ? wanted.Name : backup.Name,
                Description = paths.Contains("description") ? wanted.Description : backup.Description,
                Metadata = paths.Contains("metadata") ? new Dictionary<string, string>(wanted.Metadata) : backup.Metadata,
            },
            context.CancellationToken));
    }

    public override async Task<Empty> DeleteBackup(Wire.DeleteBackupRequest request, ServerCallContext context)
    {
        await backups.DeleteAsync(context.GetOperation(), request.BackupId, request.Force, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.Volume> RestoreBackup(Wire.RestoreBackupRequest request, ServerCallContext context) =>
        (await backups.RestoreAsync(context.GetOperation(), request.BackupId, Given(request.VolumeId), Given(request.Name), context.CancellationToken)).ToWire();

    public override async Task<Wire.VerifyBackupResponse> VerifyBackup(Wire.VerifyBackupRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        operation.RequireMember("backup:verify");
        var view = await backups.GetAsync(operation, request.BackupId, context.CancellationToken);
        BackupService.RequireRestorable(view);
        var (chunks, bytes, damaged) = await restorer.VerifyAsync(view.Backup, context.CancellationToken);
        var response = new Wire.VerifyBackupResponse { Chunks = chunks, Bytes = bytes };
        response.DamagedOffsets.AddRange(damaged);
        return response;
    }

    public override async Task<Wire.BackupRecord> ExportBackup(Wire.ExportBackupRequest request, ServerCallContext context) => new()
    {
        Service = BackupRecords.Service,
        Url = await records.ExportAsync(context.GetOperation(), request.BackupId, context.CancellationToken),
    };

    public override async Task<Wire.Backup> ImportBackup(Wire.BackupRecord request, ServerCallContext context) =>
        ToWire(new BackupView(await records.ImportAsync(context.GetOperation(), request.Service, request.Url, context.CancellationToken), Restoring: false));

    public override Task WatchBackups(Wire.WatchBackupsRequest request, IServerStreamWriter<Wire.BackupEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var filter = FromWire(request.Filter);
        var project = operation.ListedProject(filter.AllProjects, filter.ProjectId);
        return Watching.TellAsync(
            cache, Show,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.BackupEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.BackupEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.BackupEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);

        Wire.Backup? Show(Backup backup)
        {
            var view = new BackupView(backup, volumes.List().Any(volume => volume.RestoreFrom == backup.Id));
            var matches = operation.CanSee(backup.ProjectId) && (project is null || backup.ProjectId == project)
                && (filter.Name is null || backup.Name == filter.Name) && (filter.VolumeId is null || backup.VolumeId == filter.VolumeId)
                && (filter.Status is null || view.Status == filter.Status);
            return matches ? ToWire(view) : null;
        }
    }

    private static Wire.Backup ToWire(BackupView view)
    {
        var backup = view.Backup;
        var wire = new Wire.Backup
        {
            Id = backup.Id,
            ProjectId = backup.ProjectId,
            UserId = backup.UserId,
            Name = backup.Name,
            Description = backup.Description ?? "",
            VolumeId = backup.VolumeId,
            SnapshotId = backup.SnapshotId ?? "",
            Status = ToWire(view.Status),
            StatusReason = view.Reason,
            Container = backup.Container,
            SizeBytes = backup.SizeBytes,
            Incremental = backup.Incremental,
            ChunkCount = backup.ChunkCount,
            AddedBytes = backup.AddedBytes,
            CreatedAt = backup.CreatedAt.ToTimestamp(),
            UpdatedAt = backup.UpdatedAt?.ToTimestamp(),
            DataAt = backup.DataAt.ToTimestamp(),
            Generation = backup.Generation,
        };
        foreach (var (key, value) in backup.Metadata) wire.Metadata[key] = value;
        return wire;
    }

    private static Wire.BackupStatus ToWire(BackupStatus status) => status switch
    {
        BackupStatus.Creating => Wire.BackupStatus.Creating,
        BackupStatus.Available => Wire.BackupStatus.Available,
        BackupStatus.Restoring => Wire.BackupStatus.Restoring,
        BackupStatus.Deleting => Wire.BackupStatus.Deleting,
        BackupStatus.Error => Wire.BackupStatus.Error,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "Not a status."),
    };

    private static BackupFilter FromWire(Wire.BackupFilter? filter) => filter is null ? new BackupFilter() : new BackupFilter
    {
        AllProjects = filter.AllProjects,
        ProjectId = Given(filter.ProjectId),
        Name = Given(filter.Name),
        VolumeId = Given(filter.VolumeId),
        Status = filter.Status == Wire.BackupStatus.Unspecified ? null : System.Enum.GetValues<BackupStatus>().First(own => ToWire(own) == filter.Status),
    };

    private static string? Given(string text) => text.Length > 0 ? text : null;
}

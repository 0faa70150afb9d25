using System.Text.Json.Nodes;
using Nephos.BlockStorage.Backups;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Backups over REST.</summary>
internal sealed class CinderBackups(BackupService backups, BackupRecords records)
{
    private static readonly Microversion Updates = new(3, 9), Projects = new(3, 18), Metadata = new(3, 43), Counts = new(3, 45), Users = new(3, 56);

    private static readonly Dictionary<string, Func<BackupView, IComparable?>> SortKeys = new()
    {
        ["id"] = view => view.Backup.Id,
        ["name"] = view => view.Backup.Name,
        ["status"] = view => view.StatusName,
        ["container"] = view => view.Backup.Container,
        ["size"] = view => view.Backup.SizeBytes,
        ["created_at"] = view => view.Backup.CreatedAt,
        ["updated_at"] = view => view.Backup.UpdatedAt,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/backups", call => ListAsync(call, detail: false));
        routes.Get("/backups/detail", call => ListAsync(call, detail: true));
        routes.Post("/backups", CreateAsync);
        routes.Post("/backups/import_record", ImportAsync);
        routes.Get("/backups/{id}", async call => RestResult.Json(200, new JsonObject { ["backup"] = Detail(call, await GetAsync(call)) }));
        routes.Put("/backups/{id}", UpdateAsync);
        routes.Delete("/backups/{id}", call => DeleteAsync(call, force: false));
        routes.Post("/backups/{id}/restore", RestoreAsync);
        routes.Get("/backups/{id}/export_record", ExportAsync);
        routes.Post("/backups/{id}/action", ActAsync);
    }

    private Task<BackupView> GetAsync(RestCall call) => backups.GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        var status = call.Query("status");
        BackupStatus? parsed = Enum.TryParse<BackupStatus>(status, ignoreCase: true, out var known) ? known : null;
        var filter = new BackupFilter
        {
            AllProjects = CinderRoutes.AsksForAllProjects(call),
            ProjectId = call.Operation.IsAdmin ? call.Query("project_id") : null,
            Name = call.Query("name"),
            VolumeId = call.Query("volume_id"),
            Status = parsed,
        };
        var all = status is not null && parsed is null ? [] : await backups.ListAsync(call.Operation, filter, call.Cancelled);
        var page = CinderList.Page(call, all, view => view.Backup.Id, SortKeys, BlockStorageFaults.BackupNotFound, out var more);
        var body = new JsonObject { ["backups"] = new JsonArray([.. page.Select(view => detail ? Detail(call, view) : Summary(call, view.Backup))]) };
        if (call.Version >= Counts && CinderInput.QueryFlag(call, "with_count") == true) body["count"] = all.Count;
        CinderList.AddNext(call, body, "backups", $"/v3/{call.Route("project")}/backups{(detail ? "/detail" : "")}", page.LastOrDefault()?.Backup.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "backup");
        var wish = new BackupWish
        {
            VolumeId = CinderInput.Text(body, "volume_id") ?? throw Faults.Invalid("volume_id", "is required"),
            SnapshotId = CinderInput.Text(body, "snapshot_id"),
            Name = CinderInput.Text(body, "name") ?? "",
            Description = CinderInput.Text(body, "description"),
            Container = CinderInput.Text(body, "container"),
            Incremental = CinderInput.Flag(body, "incremental") ?? false,
            Force = CinderInput.Flag(body, "force") ?? false,
            Metadata = call.Version >= Metadata ? CinderInput.Metadata(body["metadata"], "metadata") : [],
        };
        return Written(call, 202, (await backups.CreateAsync(call.Operation, wish, call.Cancelled)).Backup);
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        if (call.Version < Updates) throw Faults.NotFound("Resource", call.Http.Request.Path);
        await GetAsync(call);
        var body = await CinderInput.ReadAsync(call, "backup");
        var (name, description) = (CinderInput.Text(body, "name"), CinderInput.Text(body, "description"));
        var metadata = call.Version >= Metadata && body.ContainsKey("metadata") ? CinderInput.Metadata(body["metadata"], "metadata") : null;
        if (name is null && description is null && metadata is null) throw Faults.Invalid("backup", "at least one of name, description and metadata is required");
        var view = await backups.UpdateAsync(
            call.Operation, call.Route("id"),
            backup => backup with { Name = name ?? backup.Name, Description = description ?? backup.Description, Metadata = metadata ?? backup.Metadata },
            call.Cancelled);
        return Written(call, 200, view.Backup);
    }

    private async Task<RestResult> DeleteAsync(RestCall call, bool force)
    {
        await backups.DeleteAsync(call.Operation, call.Route("id"), force, call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> RestoreAsync(RestCall call)
    {
        var id = call.Route("id");
        var body = await CinderInput.ReadAsync(call, "restore");
        var view = await backups.RestoreAsync(call.Operation, id, CinderInput.Text(body, "volume_id"), CinderInput.Text(body, "name"), call.Cancelled);
        return RestResult.Json(202, new JsonObject
        {
            ["restore"] = new JsonObject { ["backup_id"] = id, ["volume_id"] = view.Volume.Id, ["volume_name"] = view.Volume.Name },
        });
    }

    private async Task<RestResult> ExportAsync(RestCall call) => RestResult.Json(200, new JsonObject
    {
        ["backup-record"] = new JsonObject
        {
            ["backup_service"] = BackupRecords.Service,
            ["backup_url"] = await records.ExportAsync(call.Operation, call.Route("id"), call.Cancelled),
        },
    });

    private async Task<RestResult> ImportAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "backup-record");
        var backup = await records.ImportAsync(
            call.Operation, CinderInput.Text(body, "backup_service") ?? "", CinderInput.Text(body, "backup_url") ?? "", call.Cancelled);
        return RestResult.Json(201, new JsonObject { ["backup"] = Summary(call, backup) });
    }

    private async Task<RestResult> ActAsync(RestCall call)
    {
        await GetAsync(call);
        var (action, input) = await CinderInput.ReadActionAsync(call);
        switch (action)
        {
            case "os-force_delete":
                return await DeleteAsync(call, force: true);
            case "os-reset_status":
                var status = CinderInput.Text(input, "status") ?? throw Faults.Invalid("status", "is required");
                await backups.ResetStatusAsync(call.Operation, call.Route("id"), status, call.Cancelled);
                return RestResult.Empty(202);
            default:
                throw CinderInput.NoSuchAction(action);
        }
    }

    private static JsonObject Summary(RestCall call, Backup backup) => new()
    {
        ["id"] = backup.Id,
        ["name"] = backup.Name.Length > 0 ? backup.Name : null,
        ["links"] = CinderViews.Links(call, call.Route("project"), $"backups/{backup.Id}"),
    };

    private static RestResult Written(RestCall call, int status, Backup backup)
    {
        var json = Summary(call, backup);
        if (call.Version >= Metadata) json["metadata"] = CinderViews.Map(backup.Metadata);
        return RestResult.Json(status, new JsonObject { ["backup"] = json });
    }

    private static JsonObject Detail(RestCall call, BackupView view)
    {
        var backup = view.Backup;
        var json = new JsonObject
        {
            ["id"] = backup.Id,
            ["status"] = view.StatusName,
            ["size"] = backup.SizeGib,
            ["object_count"] = backup.ChunkCount,
            ["availability_zone"] = backup.AvailabilityZone,
            ["container"] = backup.Container,
            ["created_at"] = CinderViews.Time(backup.CreatedAt),
            ["updated_at"] = CinderViews.Time(backup.UpdatedAt),
            ["name"] = backup.Name.Length > 0 ? backup.Name : null,
            ["description"] = backup.Description,
            ["fail_reason"] = backup.Failure,
            ["volume_id"] = backup.VolumeId,
            ["links"] = CinderViews.Links(call, call.Route("project"), $"backups/{backup.Id}"),
            ["is_incremental"] = backup.Incremental,
            // Each is complete; nothing hinders that one is deleted.
            ["has_dependent_backups"] = false,
            ["snapshot_id"] = backup.SnapshotId,
            ["data_timestamp"] = CinderViews.Time(backup.DataAt),
        };
        if (call.Version >= Projects && call.Operation.IsAdmin) json["os-backup-project-attr:project_id"] = backup.ProjectId;
        if (call.Version >= Metadata) json["metadata"] = CinderViews.Map(backup.Metadata);
        if (call.Version >= Users) json["user_id"] = backup.UserId;
        return json;
    }
}

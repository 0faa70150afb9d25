using System.Text.Json.Nodes;
using Nephos.BlockStorage.Snapshots;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Snapshots and their metadata over REST.</summary>
internal sealed class CinderSnapshots(SnapshotService snapshots)
{
    private static readonly Microversion Counts = new(3, 45);

    private static readonly Dictionary<string, Func<Snapshot, IComparable?>> SortKeys = new()
    {
        ["id"] = snapshot => snapshot.Id,
        ["name"] = snapshot => snapshot.Name,
        ["display_name"] = snapshot => snapshot.Name,
        ["created_at"] = snapshot => snapshot.CreatedAt,
        ["updated_at"] = snapshot => snapshot.UpdatedAt,
        ["status"] = snapshot => snapshot.Status.ToString(),
        ["volume_size"] = snapshot => snapshot.SizeBytes,
        ["volume_id"] = snapshot => snapshot.VolumeId,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/snapshots", call => ListAsync(call, detail: false));
        routes.Get("/snapshots/detail", call => ListAsync(call, detail: true));
        routes.Post("/snapshots", CreateAsync);
        routes.Get("/snapshots/{id}", async call => Answer(call, 200, await GetAsync(call), extended: true));
        routes.Put("/snapshots/{id}", UpdateAsync);
        routes.Delete("/snapshots/{id}", DeleteAsync);
        routes.Post("/snapshots/{id}/action", ActAsync);
        routes.Get("/snapshots/{id}/metadata", async call => Metadata(await GetAsync(call)));
        routes.Post("/snapshots/{id}/metadata", call => ChangeMetadataAsync(call, replace: false));
        routes.Put("/snapshots/{id}/metadata", call => ChangeMetadataAsync(call, replace: true));
        routes.Get("/snapshots/{id}/metadata/{key}", GetItemAsync);
        routes.Put("/snapshots/{id}/metadata/{key}", PutItemAsync);
        routes.Delete("/snapshots/{id}/metadata/{key}", DeleteItemAsync);
    }

    private Task<Snapshot> GetAsync(RestCall call) => snapshots.GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static RestResult Answer(RestCall call, int status, Snapshot snapshot, bool extended) =>
        RestResult.Json(status, new JsonObject { ["snapshot"] = CinderViews.Snapshot(call, snapshot, extended) });

    private async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        var status = call.Query("status");
        SnapshotStatus? parsed = Enum.TryParse<SnapshotStatus>(status, ignoreCase: true, out var known) ? known : null;
        var filter = new SnapshotFilter
        {
            AllProjects = CinderRoutes.AsksForAllProjects(call),
            ProjectId = call.Operation.IsAdmin ? call.Query("project_id") : null,
            Name = call.Query("name") ?? call.Query("display_name"),
            VolumeId = call.Query("volume_id"),
            Status = parsed,
        };
        var all = status is not null && parsed is null ? [] : await snapshots.ListAsync(call.Operation, filter, call.Cancelled);
        var page = CinderList.Page(call, all, snapshot => snapshot.Id, SortKeys, BlockStorageFaults.SnapshotNotFound, out var more);
        var body = new JsonObject { ["snapshots"] = new JsonArray([.. page.Select(snapshot => CinderViews.Snapshot(call, snapshot, extended: detail))]) };
        if (call.Version >= Counts && CinderInput.QueryFlag(call, "with_count") == true)
            body["count"] = all.Count;
        CinderList.AddNext(call, body, "snapshots", $"/v3/{call.Route("project")}/snapshots{(detail ? "/detail" : "")}", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "snapshot");
        var wish = new SnapshotWish
        {
            // Without a volume there is none to be found.
            VolumeId = CinderInput.Text(body, "volume_id") ?? throw BlockStorageFaults.VolumeNotFound("None"),
            Name = CinderInput.Text(body, "name") ?? CinderInput.Text(body, "display_name") ?? "",
            Description = CinderInput.Text(body, "description") ?? CinderInput.Text(body, "display_description"),
            Force = CinderInput.Flag(body, "force") ?? false,
            Metadata = CinderInput.Metadata(body["metadata"], "metadata"),
        };
        return Answer(call, 202, await snapshots.CreateAsync(call.Operation, wish, wait: false, call.Cancelled), extended: false);
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        await GetAsync(call);
        var body = await CinderInput.ReadAsync(call, "snapshot");
        var (name, description) = (
            CinderInput.Text(body, "name") ?? CinderInput.Text(body, "display_name"),
            CinderInput.Text(body, "description") ?? CinderInput.Text(body, "display_description"));
        if (name is null && description is null) throw Faults.Invalid("snapshot", "at least one of name and description is required");
        var snapshot = await snapshots.UpdateAsync(
            call.Operation, call.Route("id"),
            snapshot => snapshot with { Name = name ?? snapshot.Name, Description = description ?? snapshot.Description }, call.Cancelled);
        return Answer(call, 200, snapshot, extended: false);
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await snapshots.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> ActAsync(RestCall call)
    {
        await GetAsync(call);
        var (action, input) = await CinderInput.ReadActionAsync(call);
        switch (action)
        {
            case "os-reset_status":
                call.Operation.RequireAdmin("volume_extension:snapshot_admin_actions:reset_status");
                await SetStatusAsync(call, input, progress: null);
                return RestResult.Empty(202);
            case "os-update_snapshot_status":
                await SetStatusAsync(call, input, CinderInput.Text(input, "progress"));
                return RestResult.Empty(202);
            case "os-force_delete":
                call.Operation.RequireAdmin("volume_extension:snapshot_admin_actions:force_delete");
                await snapshots.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
                return RestResult.Empty(202);
            default:
                throw CinderInput.NoSuchAction(action);
        }
    }

    // "available" is what the facts say of a snapshot that was taken.
    private async Task SetStatusAsync(RestCall call, JsonObject input, string? progress)
    {
        var status = CinderInput.Text(input, "status") ?? throw Faults.Invalid("status", "is required");
        if (!Snapshot.AdminStatuses.Contains(status)) throw Faults.Invalid("status", "is not a status of a snapshot");
        if (progress is not null && !(progress.EndsWith('%') && int.TryParse(progress[..^1], out var percent) && percent is >= 0 and <= 100))
            throw Faults.Invalid("progress", "must be a percentage between 0% and 100%");
        await snapshots.UpdateAsync(
            call.Operation, call.Route("id"),
            snapshot => snapshot with { AdminStatus = status == "available" ? null : status, Progress = progress }, call.Cancelled);
    }

    private static RestResult Metadata(Snapshot snapshot) => RestResult.Json(200, new JsonObject { ["metadata"] = CinderViews.Map(snapshot.Metadata) });

    private async Task<RestResult> ChangeMetadataAsync(RestCall call, bool replace)
    {
        await GetAsync(call);
        var given = CinderInput.Metadata(await CinderInput.ReadAsync(call, "metadata"), "metadata");
        return Metadata(await snapshots.UpdateAsync(
            call.Operation, call.Route("id"),
            snapshot => snapshot with { Metadata = replace ? given : CinderVolumes.Merge(snapshot.Metadata, given) }, call.Cancelled));
    }

    private async Task<RestResult> GetItemAsync(RestCall call)
    {
        var key = call.Route("key");
        return (await GetAsync(call)).Metadata.TryGetValue(key, out var value)
            ? RestResult.Json(200, new JsonObject { ["meta"] = new JsonObject { [key] = value } })
            : throw CinderVolumes.NoItem(key);
    }

    private async Task<RestResult> PutItemAsync(RestCall call)
    {
        await GetAsync(call);
        var item = CinderInput.Metadata(await CinderInput.ReadAsync(call, "meta"), "meta");
        if (item.Count != 1 || !item.TryGetValue(call.Route("key"), out var value)) throw Faults.Invalid("meta", "Request body and URI mismatch");
        await snapshots.UpdateAsync(
            call.Operation, call.Route("id"), snapshot => snapshot with { Metadata = CinderVolumes.Merge(snapshot.Metadata, item) }, call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["meta"] = new JsonObject { [call.Route("key")] = value } });
    }

    private async Task<RestResult> DeleteItemAsync(RestCall call)
    {
        var key = call.Route("key");
        await snapshots.UpdateAsync(
            call.Operation, call.Route("id"),
            snapshot => snapshot.Metadata.ContainsKey(key)
                ? snapshot with { Metadata = snapshot.Metadata.Where(item => item.Key != key).ToDictionary() }
                : throw CinderVolumes.NoItem(key),
            call.Cancelled);
        return RestResult.Empty(200);
    }
}

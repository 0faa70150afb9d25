using System.Text.Json.Nodes;
using Nephos.BlockStorage.Groups;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Groups over REST from version 3.13 on, and their snapshots from 3.14 on.</summary>
internal sealed class CinderGroups(GroupService groups, GroupSnapshotService snapshots)
{
    private static readonly Microversion First = new(3, 13), Snapshots = new(3, 14), SnapshotResets = new(3, 19), Resets = new(3, 20), Members = new(3, 25),
        Replication = new(3, 38);

    private static readonly Dictionary<string, Func<GroupView, IComparable?>> SortKeys = new()
    {
        ["id"] = view => view.Group.Id,
        ["name"] = view => view.Group.Name,
        ["status"] = view => view.Status,
        ["created_at"] = view => view.Group.CreatedAt,
    };

    private static readonly Dictionary<string, Func<GroupSnapshot, IComparable?>> SnapshotSortKeys = new()
    {
        ["id"] = snapshot => snapshot.Id,
        ["name"] = snapshot => snapshot.Name,
        ["status"] = snapshot => snapshot.Status,
        ["created_at"] = snapshot => snapshot.CreatedAt,
        ["group_id"] = snapshot => snapshot.GroupId,
    };

    public void Map(CinderRoutes routes)
    {
        routes.Get("/groups", call => ListAsync(call, detail: false));
        routes.Get("/groups/detail", call => ListAsync(call, detail: true));
        routes.Post("/groups", CreateAsync);
        routes.Post("/groups/action", CopyAsync);
        routes.Get("/groups/{id}", async call => RestResult.Json(
            200, new JsonObject { ["group"] = Detail(call, await groups.GetAsync(Since(call, First).Operation, call.Route("id"), call.Cancelled)) }));
        routes.Put("/groups/{id}", UpdateAsync);
        routes.Post("/groups/{id}/action", ActAsync);
        routes.Get("/group_snapshots", call => ListSnapshotsAsync(call, detail: false));
        routes.Get("/group_snapshots/detail", call => ListSnapshotsAsync(call, detail: true));
        routes.Post("/group_snapshots", CreateSnapshotAsync);
        routes.Get("/group_snapshots/{id}", async call => RestResult.Json(
            200, new JsonObject { ["group_snapshot"] = Detail(await snapshots.GetAsync(Since(call, Snapshots).Operation, call.Route("id"), call.Cancelled)) }));
        routes.Put("/group_snapshots/{id}", UpdateSnapshotAsync);
        routes.Delete("/group_snapshots/{id}", DeleteSnapshotAsync);
        routes.Post("/group_snapshots/{id}/action", ActOnSnapshotAsync);
    }

    private static RestCall Since(RestCall call, Microversion version) =>
        call.Version >= version ? call : throw Faults.NotFound("Resource", call.Http.Request.Path);

    private async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        var all = await groups.ListAsync(Since(call, First).Operation, CinderRoutes.AsksForAllProjects(call), call.Cancelled);
        var matching = all.Where(view => call.Query("status") is not { } status || view.Status == status)
            .Where(view => call.Query("name") is not { } name || view.Group.Name == name);
        var page = CinderList.Page(call, matching, view => view.Group.Id, SortKeys, GroupService.NotFound, out var more);
        var body = new JsonObject { ["groups"] = new JsonArray([.. page.Select(view => detail ? Detail(call, view) : Summary(view.Group.Id, view.Group.Name))]) };
        CinderList.AddNext(call, body, "group", $"/v3/{call.Route("project")}/groups{(detail ? "/detail" : "")}", page.LastOrDefault()?.Group.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, First), "group");
        var wish = new GroupWish
        {
            Name = CinderInput.Text(body, "name") ?? "",
            Description = CinderInput.Text(body, "description"),
            GroupTypeId = CinderInput.Text(body, "group_type") ?? throw Faults.Invalid("group_type", "is required"),
            VolumeTypes = CinderInput.Texts(body["volume_types"], "volume_types"),
            AvailabilityZone = CinderInput.Text(body, "availability_zone"),
        };
        return Written((await groups.CreateAsync(call.Operation, wish, call.Cancelled)).Group);
    }

    private async Task<RestResult> CopyAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, Snapshots), "create-from-src");
        return Written((await groups.CopyAsync(
            call.Operation, CinderInput.Text(body, "source_group_id"), CinderInput.Text(body, "group_snapshot_id"), CinderInput.Text(body, "name") ?? "",
            CinderInput.Text(body, "description"), call.Cancelled)).Group);
    }

    private async Task<RestResult> UpdateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, First), "group");
        var (name, description) = (CinderInput.Text(body, "name"), CinderInput.Text(body, "description"));
        var (add, remove) = (Ids(body, "add_volumes"), Ids(body, "remove_volumes"));
        if (name is null && description is null && add.Length + remove.Length == 0)
            throw Faults.Invalid("group", "at least one of name, description, add_volumes and remove_volumes is required");
        await groups.UpdateAsync(call.Operation, call.Route("id"), name, description, add, remove, call.Cancelled);
        return RestResult.Empty(202);
    }

    private static string[] Ids(JsonObject body, string field) =>
        CinderInput.Text(body, field)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];

    private async Task<RestResult> ActAsync(RestCall call)
    {
        var id = call.Route("id");
        await groups.GetAsync(Since(call, First).Operation, id, call.Cancelled);
        var (action, input) = await CinderInput.ReadActionAsync(call);
        switch (action)
        {
            case "delete":
                await groups.DeleteAsync(call.Operation, id, CinderInput.Flag(input, "delete-volumes") ?? false, call.Cancelled);
                return RestResult.Empty(202);
            case "reset_status" when call.Version >= Resets:
                await groups.ResetStatusAsync(call.Operation, id, CinderInput.Text(input, "status") ?? throw Faults.Invalid("status", "is required"), call.Cancelled);
                return RestResult.Empty(202);
            default:
                throw CinderInput.NoSuchAction(action);
        }
    }

    private async Task<RestResult> ListSnapshotsAsync(RestCall call, bool detail)
    {
        var all = await snapshots.ListAsync(Since(call, Snapshots).Operation, CinderRoutes.AsksForAllProjects(call), call.Cancelled);
        var matching = all.Where(snapshot => call.Query("status") is not { } status || snapshot.Status == status)
            .Where(snapshot => call.Query("group_id") is not { } group || snapshot.GroupId == group);
        var page = CinderList.Page(call, matching, snapshot => snapshot.Id, SnapshotSortKeys, GroupSnapshotService.NotFound, out var more);
        var body = new JsonObject { ["group_snapshots"] = new JsonArray([.. page.Select(snapshot => detail ? Detail(snapshot) : Summary(snapshot.Id, snapshot.Name))]) };
        CinderList.AddNext(
            call, body, "group_snapshot", $"/v3/{call.Route("project")}/group_snapshots{(detail ? "/detail" : "")}", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateSnapshotAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, Snapshots), "group_snapshot");
        var made = await snapshots.CreateAsync(
            call.Operation, CinderInput.Text(body, "group_id") ?? throw Faults.Invalid("group_id", "is required"), CinderInput.Text(body, "name") ?? "",
            CinderInput.Text(body, "description"), call.Cancelled);
        var json = Summary(made.Id, made.Name);
        json["group_type_id"] = made.GroupTypeId;
        return RestResult.Json(202, new JsonObject { ["group_snapshot"] = json });
    }

    private async Task<RestResult> UpdateSnapshotAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(Since(call, Snapshots), "group_snapshot");
        var snapshot = await snapshots.UpdateAsync(
            call.Operation, call.Route("id"), CinderInput.Text(body, "name"), CinderInput.Text(body, "description"), call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["group_snapshot"] = Detail(snapshot) });
    }

    private async Task<RestResult> DeleteSnapshotAsync(RestCall call)
    {
        await snapshots.DeleteAsync(Since(call, Snapshots).Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> ActOnSnapshotAsync(RestCall call)
    {
        var (action, input) = await CinderInput.ReadActionAsync(Since(call, SnapshotResets));
        if (action != "reset_status") throw CinderInput.NoSuchAction(action);
        await snapshots.ResetStatusAsync(
            call.Operation, call.Route("id"), CinderInput.Text(input, "status") ?? throw Faults.Invalid("status", "is required"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static RestResult Written(VolumeGroup group) => RestResult.Json(202, new JsonObject { ["group"] = Summary(group.Id, group.Name) });

    private static JsonObject Summary(string id, string name) => new() { ["id"] = id, ["name"] = name };

    private static JsonObject Detail(RestCall call, GroupView view)
    {
        var group = view.Group;
        var json = new JsonObject
        {
            ["id"] = group.Id,
            ["status"] = view.Status,
            ["availability_zone"] = group.AvailabilityZone,
            ["created_at"] = CinderViews.Time(group.CreatedAt),
            ["name"] = group.Name,
            ["description"] = group.Description,
            ["group_type"] = group.GroupTypeId,
            ["volume_types"] = new JsonArray([.. group.VolumeTypeIds.Select(id => (JsonNode)id)]),
        };
        if (call.Version >= Snapshots)
        {
            json["group_snapshot_id"] = group.SourceSnapshotId;
            json["source_group_id"] = group.SourceGroupId;
        }
        if (call.Version >= Members && CinderInput.QueryFlag(call, "list_volume") == true)
            json["volumes"] = new JsonArray([.. view.Members.Select(volume => (JsonNode)volume.Id)]);
        if (call.Version >= Replication) json["replication_status"] = null;
        return json;
    }

    private static JsonObject Detail(GroupSnapshot snapshot) => new()
    {
        ["id"] = snapshot.Id,
        ["group_id"] = snapshot.GroupId,
        ["group_type_id"] = snapshot.GroupTypeId,
        ["status"] = snapshot.Status,
        ["created_at"] = CinderViews.Time(snapshot.CreatedAt),
        ["name"] = snapshot.Name,
        ["description"] = snapshot.Description,
    };
}

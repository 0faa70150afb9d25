using System.Text.Json.Nodes;
using Nephos.BlockStorage.Transfers;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Transfers of volumes over REST, under their old path and the one of version 3.55.</summary>
internal sealed class CinderTransfers(TransferService transfers)
{
    private static readonly Microversion Renamed = new(3, 55), Parties = new(3, 57);

    private static readonly Dictionary<string, Func<Transfer, IComparable?>> SortKeys = new()
    {
        ["id"] = transfer => transfer.Id,
        ["name"] = transfer => transfer.Name,
        ["created_at"] = transfer => transfer.CreatedAt,
        ["volume_id"] = transfer => transfer.VolumeId,
    };

    public void Map(CinderRoutes routes)
    {
        foreach (var (path, first) in new[] { ("os-volume-transfer", CinderDialect.Oldest), ("volume-transfers", Renamed) })
        {
            routes.Get($"/{path}", call => ListAsync(Since(call, first), path, detail: false));
            routes.Get($"/{path}/detail", call => ListAsync(Since(call, first), path, detail: true));
            routes.Post($"/{path}", call => CreateAsync(Since(call, first), path));
            routes.Get($"/{path}/{{id}}", async call => Answer(
                200, Detail(Since(call, first), path, await transfers.GetAsync(call.Operation, call.Route("id"), call.Cancelled))));
            routes.Delete($"/{path}/{{id}}", call => DeleteAsync(Since(call, first)));
            routes.Post($"/{path}/{{id}}/accept", call => AcceptAsync(Since(call, first), path));
        }
    }

    private static RestCall Since(RestCall call, Microversion version) =>
        call.Version >= version ? call : throw Faults.NotFound("Resource", call.Http.Request.Path);

    private static RestResult Answer(int status, JsonObject transfer) => RestResult.Json(status, new JsonObject { ["transfer"] = transfer });

    private async Task<RestResult> ListAsync(RestCall call, string path, bool detail)
    {
        var all = await transfers.ListAsync(call.Operation, CinderRoutes.AsksForAllProjects(call), call.Cancelled);
        var page = CinderList.Page(call, all, transfer => transfer.Id, SortKeys, id => Faults.NotFound("Transfer", id), out var more);
        var body = new JsonObject
        {
            ["transfers"] = new JsonArray([.. page.Select(transfer => detail ? Detail(call, path, transfer) : Summary(call, path, transfer))]),
        };
        CinderList.AddNext(call, body, "transfers", $"/v3/{call.Route("project")}/{path}{(detail ? "/detail" : "")}", page.LastOrDefault()?.Id ?? "", more);
        return RestResult.Json(200, body);
    }

    private async Task<RestResult> CreateAsync(RestCall call, string path)
    {
        var body = await CinderInput.ReadAsync(call, "transfer");
        var (transfer, key) = await transfers.CreateAsync(
            call.Operation, CinderInput.Text(body, "volume_id") ?? throw Faults.Invalid("volume_id", "is required"), CinderInput.Text(body, "name") ?? "",
            call.Version >= Renamed && (CinderInput.Flag(body, "no_snapshots") ?? false), call.Cancelled);
        var json = Detail(call, path, transfer);
        json["auth_key"] = key;
        return Answer(202, json);
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await transfers.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private async Task<RestResult> AcceptAsync(RestCall call, string path)
    {
        var body = await CinderInput.ReadAsync(call, "accept");
        var key = CinderInput.Text(body, "auth_key") ?? throw Faults.Invalid("auth_key", "is required");
        return Answer(202, Summary(call, path, await transfers.AcceptAsync(call.Operation, call.Route("id"), key, call.Cancelled)));
    }

    private static JsonObject Summary(RestCall call, string path, Transfer transfer) => new()
    {
        ["id"] = transfer.Id,
        ["volume_id"] = transfer.VolumeId,
        ["name"] = transfer.Name.Length > 0 ? transfer.Name : null,
        ["links"] = CinderViews.Links(call, call.Route("project"), $"{path}/{transfer.Id}"),
    };

    private static JsonObject Detail(RestCall call, string path, Transfer transfer)
    {
        var json = Summary(call, path, transfer);
        json["created_at"] = CinderViews.Time(transfer.CreatedAt);
        if (call.Version >= Renamed) json["no_snapshots"] = transfer.WithoutSnapshots;
        if (call.Version < Parties) return json;
        json["source_project_id"] = transfer.ProjectId;
        json["destination_project_id"] = transfer.AcceptedBy;
        json["accepted"] = transfer.AcceptedBy is not null;
        return json;
    }
}

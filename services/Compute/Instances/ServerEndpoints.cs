using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Instances;

/// <summary>Creating, listing, showing, changing and deleting servers.</summary>
internal static class ServerEndpoints
{
    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/servers", call => ListAsync(call, detail: false));
        rest.Get(root + "/servers/detail", call => ListAsync(call, detail: true));
        rest.Post(root + "/servers", CreateAsync);
        rest.Get(root + "/servers/{id}", async call =>
        {
            var details = await call.Service<InstanceService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["server"] = ServerJson.Full(call, details, ServerJson.Shape.Show) });
        });
        rest.Put(root + "/servers/{id}", UpdateAsync);
        rest.Delete(root + "/servers/{id}", async call =>
        {
            await call.Service<InstanceService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await call.ReadJsonAsync();
        var wish = ServerRequests.ToWish(call, body, out var password, out var reservationOnly);
        await MultiattachRule.CheckAsync(call, wish.Disks.Where(disk => disk.Source == DiskSource.Volume).Select(disk => disk.SourceId).OfType<string>());
        var made = await call.Service<InstanceCreation>().CreateAsync(call.Operation, wish, call.Cancelled);
        var first = made[0].Instance;
        if (reservationOnly)
        {
            return RestResult.Json(202, new JsonObject { ["reservation_id"] = first.ReservationId });
        }
        var server = new JsonObject
        {
            ["id"] = first.Id,
            ["links"] = call.Links($"servers/{first.Id}"),
            ["OS-DCF:diskConfig"] = first.AutoDiskConfig ? "AUTO" : "MANUAL",
            ["security_groups"] = RestParts.Array(first.SecurityGroups.Select(group => new JsonObject { ["name"] = group.Name })),
            ["adminPass"] = password,
        };
        return RestResult.Json(202, new JsonObject { ["server"] = server }).WithHeader("Location", $"{call.Root()}/servers/{first.Id}");
    }

    private static async Task<RestResult> UpdateAsync(RestCall call)
    {
        var fields = Fields.Root(await call.ReadJsonAsync(), "server");
        string[] names = ["name", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig"];
        if (call.From(19))
        {
            names = [.. names, "description"];
        }
        if (call.From(90))
        {
            names = [.. names, "hostname"];
        }
        fields.Only(names);
        if (fields.Has("name") && fields.Text("name") is { } name)
        {
            InstanceRules.Name(name);
        }
        var details = await call.Service<InstanceService>().UpdateAsync(
            call.Operation, call.Route("id"), fields.Text("name"), (fields.Has("description"), fields.TextOrNull("description")), fields.Text("hostname"),
            fields.Text("accessIPv4"), fields.Text("accessIPv6"), ServerRequests.DiskConfig(fields), call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["server"] = ServerJson.Full(call, details, ServerJson.Shape.Update) });
    }

    private static async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        call.Limit();
        // Here no limit is not the same as none: a page of no servers is empty.
        if (ServerQueries.ToQuery(call) is not { } query || call.Query("limit") == "0")
        {
            return RestResult.Json(200, new JsonObject { ["servers"] = new JsonArray() });
        }
        var found = ServerQueries.Sorted(call, await call.Service<InstanceList>().FindAsync(call.Operation, query, call.Cancelled));
        var (items, more) = call.Page(found, item => item.Instance.Id);
        var answer = new JsonObject
        {
            ["servers"] = RestParts.Array(items.Select(item =>
                detail ? ServerJson.Full(call, item, ServerJson.Shape.Detail) : ServerJson.Basic(call, item.Instance))),
        };
        if (more)
        {
            call.AddNext(answer, "servers_links", detail ? "servers/detail" : "servers", items[^1].Instance.Id);
        }
        return RestResult.Json(200, answer);
    }

}

using System.Text.Json.Nodes;
using Nephos.Compute.Actions;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <summary>Metadata, tags and the log of actions of servers.</summary>
internal static class ServerMetadataEndpoints
{
    private static readonly Dictionary<string, string> Nothing = [];

    public static void Map(RestRoutes rest, string root)
    {
        var server = root + "/servers/{id}";
        MapMetadata(rest, server);
        MapTags(rest, server);
        rest.Get(server + "/os-instance-actions", ListActionsAsync);
        rest.Get(server + "/os-instance-actions/{request}", async call =>
        {
            var action = await call.Service<ActionReader>().GetAsync(call.Operation, call.Route("id"), call.Route("request"), call.Cancelled);
            var json = Json(call, action);
            if (call.Operation.IsAdmin || call.From(51))
            {
                json["events"] = RestParts.Array(action.Events.Select(item => Json(call, action, item)));
            }
            return RestResult.Json(200, new JsonObject { ["instanceAction"] = json });
        });
    }

    private static void MapMetadata(RestRoutes rest, string server)
    {
        rest.Get(server + "/metadata", async call => Metadata(await FindAsync(call)));
        rest.Post(server + "/metadata", call => SetAsync(call, replace: false));
        rest.Put(server + "/metadata", call => SetAsync(call, replace: true));
        rest.Get(server + "/metadata/{key}", async call =>
        {
            var details = await FindAsync(call);
            return details.Instance.Metadata.TryGetValue(call.Route("key"), out var value)
                ? RestResult.Json(200, new JsonObject { ["meta"] = new JsonObject { [call.Route("key")] = value } })
                : throw new FaultException(ErrorReason.NotFound, "Metadata item was not found");
        });
        rest.Put(server + "/metadata/{key}", async call =>
        {
            var set = new Fields(await call.ReadJsonAsync()).Only("meta").Map("meta") ?? throw Missing("meta");
            if (set.Count != 1)
            {
                throw ComputeFaults.Refers("meta", "Invalid input for field/attribute meta. Exactly one item is needed");
            }
            if (!set.ContainsKey(call.Route("key")))
            {
                throw ComputeFaults.Refers("meta", "Request body and URI mismatch");
            }
            await Service(call).UpdateMetadataAsync(call.Operation, call.Route("id"), set, [], replace: false, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["meta"] = RestParts.Map(set) });
        });
        rest.Delete(server + "/metadata/{key}", async call =>
        {
            await Service(call).UpdateMetadataAsync(call.Operation, call.Route("id"), Nothing, [call.Route("key")], replace: false, call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapTags(RestRoutes rest, string server)
    {
        rest.Get(server + "/tags", async call =>
        {
            call.RequireFrom(26);
            return RestResult.Json(200, new JsonObject { ["tags"] = RestParts.Texts((await FindAsync(call)).Instance.Tags) });
        });
        rest.Put(server + "/tags", async call =>
        {
            call.RequireFrom(26);
            var tags = new Fields(await call.ReadJsonAsync()).Only("tags").Texts("tags") ?? throw Missing("tags");
            var details = await Service(call).UpdateTagsAsync(call.Operation, call.Route("id"), tags, [], replace: true, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["tags"] = RestParts.Texts(details.Instance.Tags) });
        });
        rest.Delete(server + "/tags", async call =>
        {
            call.RequireFrom(26);
            await Service(call).UpdateTagsAsync(call.Operation, call.Route("id"), [], [], replace: true, call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get(server + "/tags/{tag}", async call =>
        {
            call.RequireFrom(26);
            return (await FindAsync(call)).Instance.Tags.Contains(call.Route("tag"))
                ? RestResult.Empty(204)
                : throw new FaultException(ErrorReason.NotFound, $"Server {call.Route("id")} has no tag '{call.Route("tag")}'");
        });
        rest.Put(server + "/tags/{tag}", async call =>
        {
            call.RequireFrom(26);
            var had = (await FindAsync(call)).Instance.Tags.Contains(call.Route("tag"));
            await Service(call).UpdateTagsAsync(call.Operation, call.Route("id"), [call.Route("tag")], [], replace: false, call.Cancelled);
            return had
                ? RestResult.Empty(204)
                : RestResult.Empty(201).WithHeader("Location", $"{call.Root()}/servers/{call.Route("id")}/tags/{Uri.EscapeDataString(call.Route("tag"))}");
        });
        rest.Delete(server + "/tags/{tag}", async call =>
        {
            call.RequireFrom(26);
            await Service(call).UpdateTagsAsync(call.Operation, call.Route("id"), [], [call.Route("tag")], replace: false, call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static InstanceService Service(RestCall call) => call.Service<InstanceService>();

    private static Task<InstanceDetails> FindAsync(RestCall call) => Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static RestResult Metadata(InstanceDetails details) =>
        RestResult.Json(200, new JsonObject { ["metadata"] = RestParts.Map(details.Instance.Metadata) });

    private static async Task<RestResult> SetAsync(RestCall call, bool replace)
    {
        var set = new Fields(await call.ReadJsonAsync()).Only("metadata").Map("metadata") ?? throw Missing("metadata");
        return Metadata(await Service(call).UpdateMetadataAsync(call.Operation, call.Route("id"), set, [], replace, call.Cancelled));
    }

    private static async Task<RestResult> ListActionsAsync(RestCall call)
    {
        var all = await call.Service<ActionReader>().ListAsync(call.Operation, call.Route("id"), call.Cancelled);
        if (!call.From(58))
        {
            return RestResult.Json(200, new JsonObject { ["instanceActions"] = RestParts.Array(all.Select(action => Json(call, action))) });
        }
        var since = call.QueryTime("changes-since");
        var before = call.From(66) ? call.QueryTime("changes-before") : null;
        InstanceAction[] wanted = [.. all.Where(action => (since is null || action.UpdatedAt >= since) && (before is null || action.UpdatedAt <= before))];
        var (items, more) = call.Page(wanted, action => action.RequestId);
        var answer = new JsonObject { ["instanceActions"] = RestParts.Array(items.Select(action => Json(call, action))) };
        if (more)
        {
            call.AddNext(answer, "links", $"servers/{call.Route("id")}/os-instance-actions", items[^1].RequestId);
        }
        return RestResult.Json(200, answer);
    }

    private static JsonObject Json(RestCall call, InstanceAction action)
    {
        var json = new JsonObject
        {
            ["action"] = action.Action,
            ["instance_uuid"] = action.InstanceId,
            ["request_id"] = action.RequestId,
            ["user_id"] = action.UserId,
            ["project_id"] = action.ProjectId,
            ["start_time"] = RestParts.Micros(action.StartedAt),
            ["message"] = action.Message,
        };
        if (call.From(58))
        {
            json["updated_at"] = RestParts.Micros(action.UpdatedAt ?? action.StartedAt);
        }
        return json;
    }

    private static JsonObject Json(RestCall call, InstanceAction action, ActionEvent item)
    {
        var json = new JsonObject
        {
            ["event"] = item.Name,
            ["start_time"] = RestParts.Micros(item.StartedAt),
            ["finish_time"] = RestParts.MicrosOrNull(item.FinishedAt),
            ["result"] = item.Result,
        };
        if (call.Operation.IsAdmin)
        {
            json["traceback"] = null;
        }
        if (call.From(62))
        {
            if (call.Operation.IsAdmin)
            {
                json["host"] = item.NodeName;
            }
            json["hostId"] = item.NodeName is { } node ? ServerJson.HostId(action.ProjectId, node) : "";
        }
        if (call.From(84))
        {
            json["details"] = item.Details;
        }
        return json;
    }

    private static FaultException Missing(string name) =>
        ComputeFaults.Refers(name, $"Invalid input for field/attribute body. '{name}' is a required property");
}

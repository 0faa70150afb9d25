using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Aggregates;

internal static class AggregateEndpoints
{
    private static readonly Dictionary<string, string> Nothing = [];

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-aggregates", async call => RestResult.Json(200, new JsonObject
        {
            ["aggregates"] = RestParts.Array((await Service(call).ListAsync(call.Operation, call.Cancelled)).Select(item => Json(call, item))),
        }));
        rest.Post(root + "/os-aggregates", async call =>
        {
            var fields = Fields.Root(await call.ReadJsonAsync(), "aggregate").Only("name", "availability_zone");
            var made = await Service(call).CreateAsync(call.Operation, fields.Required("name"), fields.TextOrNull("availability_zone"), call.Cancelled);
            var json = Json(call, made);
            json.Remove("hosts");
            json.Remove("metadata");
            return RestResult.Json(200, new JsonObject { ["aggregate"] = json });
        });
        rest.Get(root + "/os-aggregates/{id}", async call => Answer(call, await Service(call).GetAsync(call.Operation, Id(call), call.Cancelled)));
        rest.Put(root + "/os-aggregates/{id}", async call =>
        {
            var fields = Fields.Root(await call.ReadJsonAsync(), "aggregate").Only("name", "availability_zone");
            var zone = fields.TextOrNull("availability_zone");
            return Answer(call, await Service(call).UpdateAsync(
                call.Operation, Id(call), fields.Text("name"), zone is null ? Nothing : new Dictionary<string, string> { [Aggregate.ZoneKey] = zone }, [], call.Cancelled));
        });
        rest.Delete(root + "/os-aggregates/{id}", async call =>
        {
            await Service(call).DeleteAsync(call.Operation, Id(call), call.Cancelled);
            return RestResult.Empty(200);
        });
        rest.Post(root + "/os-aggregates/{id}/action", ActAsync);
    }

    private static AggregateService Service(RestCall call) => call.Service<AggregateService>();

    private static async Task<RestResult> ActAsync(RestCall call)
    {
        var body = await call.ReadJsonAsync();
        if (body.ContainsKey("add_host"))
        {
            var host = Fields.Root(body, "add_host").Only("host").Required("host");
            return Answer(call, await Service(call).AddHostAsync(call.Operation, Id(call), host, call.Cancelled));
        }
        if (body.ContainsKey("remove_host"))
        {
            var host = Fields.Root(body, "remove_host").Only("host").Required("host");
            return Answer(call, await Service(call).RemoveHostAsync(call.Operation, Id(call), host, call.Cancelled));
        }
        if (body.ContainsKey("set_metadata"))
        {
            var metadata = Fields.Root(body, "set_metadata").Only("metadata").Object("metadata") ?? throw ComputeFaults.Refers("metadata", "'metadata' is a required property");
            var set = metadata.Names.Where(key => !metadata.IsNull(key)).ToDictionary(key => key, key => metadata.Required(key));
            return Answer(call, await Service(call).UpdateAsync(call.Operation, Id(call), null, set, [.. metadata.Names.Where(metadata.IsNull)], call.Cancelled));
        }
        throw ComputeFaults.Refers("body", "There is no such action.");
    }

    private static long Id(RestCall call) =>
        long.TryParse(call.Route("id"), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? id
            : throw new FaultException(ErrorReason.NotFound, $"Aggregate {call.Route("id")} could not be found.");

    private static RestResult Answer(RestCall call, Aggregate aggregate) => RestResult.Json(200, new JsonObject { ["aggregate"] = Json(call, aggregate) });

    private static JsonObject Json(RestCall call, Aggregate aggregate)
    {
        var json = new JsonObject
        {
            ["id"] = aggregate.Number,
            ["name"] = aggregate.Name,
            ["hosts"] = RestParts.Texts(aggregate.Hosts),
            ["availability_zone"] = aggregate.Zone,
            ["metadata"] = RestParts.Map(aggregate.Metadata),
            ["created_at"] = RestParts.Micros(aggregate.CreatedAt),
            ["updated_at"] = RestParts.MicrosOrNull(aggregate.UpdatedAt),
            ["deleted"] = false,
            ["deleted_at"] = null,
        };
        if (call.From(41))
        {
            json["uuid"] = aggregate.Uuid;
        }
        return json;
    }
}

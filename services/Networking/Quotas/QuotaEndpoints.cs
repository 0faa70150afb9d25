using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Networking.Rest;

namespace Nephos.Networking.Quotas;

internal static class QuotaEndpoints
{
    private const string Path = "/v2.0/quotas";

    public static void Map(RestRoutes rest, QuotaService quotas)
    {
        rest.Get(Path, async call =>
        {
            var list = new JsonArray();
            foreach (var project in await quotas.ListProjectsAsync(call.Operation, call.Cancelled))
            {
                var json = await LimitsAsync(call, quotas, project, defaults: false);
                json["project_id"] = project;
                json["tenant_id"] = project;
                list.Add(json);
            }

            return RestResult.Json(200, new JsonObject { ["quotas"] = list });
        });
        rest.Get(Path + "/{project}", async call => RestResult.Json(200,
            new JsonObject { ["quota"] = await LimitsAsync(call, quotas, call.Route("project"), defaults: false) }));
        rest.Get(Path + "/{project}/default", async call => RestResult.Json(200,
            new JsonObject { ["quota"] = await LimitsAsync(call, quotas, call.Route("project"), defaults: true) }));
        RestHandler details = async call =>
        {
            var json = new JsonObject();
            foreach (var (resource, item) in await quotas.GetAsync(call.Operation, call.Route("project"), defaults: false, call.Cancelled))
            {
                json[resource] = new JsonObject { ["limit"] = item.Limit, ["used"] = item.Used, ["reserved"] = 0 };
            }

            return RestResult.Json(200, new JsonObject { ["quota"] = json });
        };
        rest.Get(Path + "/{project}/details", details);
        rest.Get(Path + "/{project}/details.json", details);
        rest.Put(Path + "/{project}", async call =>
        {
            var body = await RestBody.OneAsync(call, "quota");
            var changes = body.Numbers();
            await quotas.UpdateAsync(call.Operation, call.Route("project"), changes, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["quota"] = await LimitsAsync(call, quotas, call.Route("project"), defaults: false) });
        });
        rest.Delete(Path + "/{project}", async call =>
        {
            await quotas.ResetAsync(call.Operation, call.Route("project"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<JsonObject> LimitsAsync(RestCall call, QuotaService quotas, string projectId, bool defaults)
    {
        var json = new JsonObject();
        foreach (var (resource, item) in await quotas.GetAsync(call.Operation, projectId, defaults, call.Cancelled))
        {
            json[resource] = item.Limit;
        }

        return json;
    }
}

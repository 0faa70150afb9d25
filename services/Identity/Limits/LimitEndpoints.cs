using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Limits;

/// <summary>/v3/registered_limits and /v3/limits.</summary>
internal static class LimitEndpoints
{
    private const string Registered = "/v3/registered_limits", Limits = "/v3/limits";

    public static void Map(RestRoutes rest)
    {
        MapRegistered(rest);
        rest.Get(Limits + "/model", call => Task.FromResult(RestResult.Json(200, new JsonObject
        {
            ["model"] = new JsonObject
            {
                ["name"] = "flat",
                ["description"] = "A limit holds for its own project or domain, whatever the limits above and below it.",
            },
        })));
        rest.Get(Limits, async call =>
        {
            IEnumerable<Limit> limits = await call.Service<LimitService>().ListAsync(call.Operation, call.Cancelled);
            limits = call.Where(limits, "service_id", limit => limit.ServiceId);
            limits = call.Where(limits, "region_id", limit => limit.RegionId);
            limits = call.Where(limits, "resource_name", limit => limit.ResourceName);
            limits = call.Where(limits, "project_id", limit => limit.ProjectId);
            limits = call.Where(limits, "domain_id", limit => limit.DomainId);
            return call.Collection("limits", limits, limit => limit.Id, limit => Json(limit, call));
        });
        rest.Post(Limits, async call =>
        {
            var drafts = (await ReadListAsync(call, "limits")).Select(body => new Limit
            {
                Id = "",
                ServiceId = body.RequiredText("service_id"),
                RegionId = body.Text("region_id"),
                ResourceName = body.RequiredText("resource_name"),
                ProjectId = body.Text("project_id"),
                DomainId = body.Text("domain_id"),
                ResourceLimit = Number(body, "resource_limit") ?? throw Faults.Invalid("resource_limit", "is required"),
                Description = body.Text("description"),
            }).ToList();
            var made = await call.Service<LimitService>().CreateAsync(call.Operation, drafts, call.Cancelled);
            return RestResult.Json(201, new JsonObject { ["limits"] = new JsonArray([.. made.Select(limit => Json(limit, call))]) });
        });
        rest.Get(Limits + "/{id}", async call =>
            One("limit", Json(await call.Service<LimitService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled), call)));
        rest.Patch(Limits + "/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "limit");
            return One("limit", Json(await call.Service<LimitService>().UpdateAsync(
                call.Operation, call.Route("id"), Number(body, "resource_limit"), body.TextChange("description"), call.Cancelled), call));
        });
        rest.Delete(Limits + "/{id}", async call =>
        {
            await call.Service<LimitService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapRegistered(RestRoutes rest)
    {
        rest.Get(Registered, async call =>
        {
            IEnumerable<RegisteredLimit> limits = await call.Service<LimitService>().ListRegisteredAsync(call.Operation, call.Cancelled);
            limits = call.Where(limits, "service_id", limit => limit.ServiceId);
            limits = call.Where(limits, "region_id", limit => limit.RegionId);
            limits = call.Where(limits, "resource_name", limit => limit.ResourceName);
            return call.Collection("registered_limits", limits, limit => limit.Id, limit => Json(limit, call));
        });
        rest.Post(Registered, async call =>
        {
            var drafts = (await ReadListAsync(call, "registered_limits")).Select(body => new RegisteredLimit
            {
                Id = "",
                ServiceId = body.RequiredText("service_id"),
                RegionId = body.Text("region_id"),
                ResourceName = body.RequiredText("resource_name"),
                DefaultLimit = Number(body, "default_limit") ?? throw Faults.Invalid("default_limit", "is required"),
                Description = body.Text("description"),
            }).ToList();
            var made = await call.Service<LimitService>().CreateRegisteredAsync(call.Operation, drafts, call.Cancelled);
            return RestResult.Json(201, new JsonObject { ["registered_limits"] = new JsonArray([.. made.Select(limit => Json(limit, call))]) });
        });
        rest.Get(Registered + "/{id}", async call => One(
            "registered_limit", Json(await call.Service<LimitService>().GetRegisteredAsync(call.Operation, call.Route("id"), call.Cancelled), call)));
        rest.Patch(Registered + "/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "registered_limit");
            return One("registered_limit", Json(await call.Service<LimitService>().UpdateRegisteredAsync(
                call.Operation, call.Route("id"), Number(body, "default_limit"), body.TextChange("description"), call.Cancelled), call));
        });
        rest.Delete(Registered + "/{id}", async call =>
        {
            await call.Service<LimitService>().DeleteRegisteredAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<IReadOnlyList<JsonBody>> ReadListAsync(RestCall call, string name) =>
        new JsonBody(await call.ReadJsonAsync(), "").Objects(name) ?? throw Faults.Invalid(name, "is a required list");

    private static long? Number(JsonBody body, string name) => body.Json[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out long number) => number,
        _ => throw Faults.Invalid(name, "must be a whole number"),
    };

    private static RestResult One(string name, JsonObject json) => RestResult.Json(200, new JsonObject { [name] = json });

    private static JsonObject Json(RegisteredLimit limit, RestCall call) => new()
    {
        ["id"] = limit.Id,
        ["service_id"] = limit.ServiceId,
        ["region_id"] = limit.RegionId,
        ["resource_name"] = limit.ResourceName,
        ["default_limit"] = limit.DefaultLimit,
        ["description"] = limit.Description,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}{Registered}/{limit.Id}" },
    };

    private static JsonObject Json(Limit limit, RestCall call) => new()
    {
        ["id"] = limit.Id,
        ["service_id"] = limit.ServiceId,
        ["region_id"] = limit.RegionId,
        ["resource_name"] = limit.ResourceName,
        ["project_id"] = limit.ProjectId,
        ["domain_id"] = limit.DomainId,
        ["resource_limit"] = limit.ResourceLimit,
        ["description"] = limit.Description,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}{Limits}/{limit.Id}" },
    };
}

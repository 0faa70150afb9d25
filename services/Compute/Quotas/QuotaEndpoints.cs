using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Quotas;

internal static class QuotaEndpoints
{
    private const int NumberMax = int.MaxValue;
    private const string DefaultClass = "default";

    /// <summary>May be set and is not shown.</summary>
    private const string Networks = "networks";

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-quota-sets/{id}", async call => RestResult.Json(200, Sets(
            call, call.Route("id"), await Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled), detail: false)));
        rest.Get(root + "/os-quota-sets/{id}/detail", async call => RestResult.Json(200, Sets(
            call, call.Route("id"), await Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled), detail: true)));
        rest.Get(root + "/os-quota-sets/{id}/defaults", async call => RestResult.Json(200, Sets(
            call, call.Route("id"), await Service(call).DefaultsAsync(call.Cancelled), detail: false)));
        rest.Get(root + "/os-quota-class-sets/{id}", async call =>
        {
            call.Operation.RequireAdmin("os_compute_api:os-quota-class-sets:show");
            return RestResult.Json(200, Class(call, call.Route("id"), await Service(call).DefaultsAsync(call.Cancelled)));
        });
        rest.Put(root + "/os-quota-class-sets/{id}", UpdateClassAsync);
        rest.Put(root + "/os-quota-sets/{id}", UpdateAsync);
        rest.Delete(root + "/os-quota-sets/{id}", async call =>
        {
            await Service(call).ResetAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Get(root + "/limits", LimitsAsync);
    }

    private static QuotaService Service(RestCall call) => call.Service<QuotaService>();

    private static JsonObject Sets(RestCall call, string? id, IReadOnlyList<QuotaEntry> entries, bool detail)
    {
        var all = entries.Where(entry => (!call.From(57) || !entry.Resource.StartsWith("injected", StringComparison.Ordinal))
            && entry.Resource != Networks && (!call.From(36) || !QuotaResource.Elsewhere.Contains(entry.Resource)));
        var set = new JsonObject();
        if (id is not null)
        {
            set["id"] = id;
        }
        foreach (var entry in all.OrderBy(entry => entry.Resource, StringComparer.Ordinal))
        {
            set[entry.Resource] = detail
                ? new JsonObject { ["limit"] = entry.Limit, ["in_use"] = entry.InUse, ["reserved"] = 0 }
                : entry.Limit;
        }
        return new JsonObject { ["quota_set"] = set };
    }

    /// <summary>There is one class, default: what projects have for which nothing was set.</summary>
    private static JsonObject Class(RestCall call, string? id, IReadOnlyList<QuotaEntry> entries)
    {
        var set = (JsonObject)Sets(call, id, entries, detail: false)["quota_set"]!.DeepClone();
        if (!call.From(50))
        {
            set.Remove(QuotaResource.ServerGroups);
            set.Remove(QuotaResource.ServerGroupMembers);
        }
        return new JsonObject { ["quota_class_set"] = set };
    }

    private static async Task<RestResult> UpdateClassAsync(RestCall call)
    {
        var limits = Limits(Fields.Root(await call.ReadJsonAsync(), "quota_class_set"));
        if (call.Route("id") != DefaultClass)
        {
            throw ComputeFaults.Refers("id", $"There is only the quota class '{DefaultClass}'.");
        }
        return RestResult.Json(200, Class(call, null, await Service(call).SetDefaultsAsync(call.Operation, limits, call.Cancelled)));
    }

    private static Dictionary<string, long> Limits(Fields fields, params string[] others)
    {
        string[] all = [.. QuotaResource.All, .. QuotaResource.Elsewhere];
        fields.Only([.. all, .. others]);
        var limits = new Dictionary<string, long>();
        foreach (var resource in all.Where(fields.Has))
        {
            limits[resource] = fields.Integer(resource, -1, NumberMax) ?? -1;
        }
        return limits;
    }

    private static async Task<RestResult> UpdateAsync(RestCall call)
    {
        var fields = Fields.Root(await call.ReadJsonAsync(), "quota_set");
        var limits = Limits(fields, "force", "tenant_id");
        var entries = await Service(call).SetAsync(call.Operation, call.Route("id"), limits, fields.Bool("force") ?? false, call.Cancelled);
        return RestResult.Json(200, Sets(call, null, entries, detail: false));
    }

    private static async Task<RestResult> LimitsAsync(RestCall call)
    {
        var project = call.Query("tenant_id") is { Length: > 0 } other ? other : call.Operation.RequireProject();
        var entries = (await Service(call).GetAsync(call.Operation, project, call.Cancelled)).ToDictionary(entry => entry.Resource);
        var absolute = new JsonObject
        {
            ["maxServerMeta"] = entries[QuotaResource.MetadataItems].Limit,
            ["maxTotalRAMSize"] = entries[QuotaResource.Ram].Limit,
            ["maxTotalInstances"] = entries[QuotaResource.Instances].Limit,
            ["maxTotalCores"] = entries[QuotaResource.Cores].Limit,
            ["maxTotalKeypairs"] = entries[QuotaResource.KeyPairs].Limit,
            ["maxServerGroups"] = entries[QuotaResource.ServerGroups].Limit,
            ["maxServerGroupMembers"] = entries[QuotaResource.ServerGroupMembers].Limit,
            ["totalRAMUsed"] = entries[QuotaResource.Ram].InUse,
            ["totalInstancesUsed"] = entries[QuotaResource.Instances].InUse,
            ["totalCoresUsed"] = entries[QuotaResource.Cores].InUse,
            ["totalServerGroupsUsed"] = entries[QuotaResource.ServerGroups].InUse,
        };
        if (!call.From(57))
        {
            absolute["maxPersonality"] = entries[QuotaResource.InjectedFiles].Limit;
            absolute["maxPersonalitySize"] = entries[QuotaResource.InjectedFileContentBytes].Limit;
        }
        if (!call.From(39))
        {
            absolute["maxImageMeta"] = entries[QuotaResource.MetadataItems].Limit;
        }
        if (!call.From(36))
        {
            foreach (var name in new[] { "maxSecurityGroups", "maxSecurityGroupRules", "maxTotalFloatingIps" })
            {
                absolute[name] = -1;
            }
            absolute["totalFloatingIpsUsed"] = 0;
            absolute["totalSecurityGroupsUsed"] = 0;
        }
        return RestResult.Json(200, new JsonObject { ["limits"] = new JsonObject { ["rate"] = new JsonArray(), ["absolute"] = absolute } });
    }
}

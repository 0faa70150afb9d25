using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Quotas;

internal static class QuotaEndpoints
{
    private const long ServerGroups = 10;
    private const int NumberMax = int.MaxValue;

    /// <summary>Resources that other services limit, and those that this API once had.</summary>
    private static readonly string[] Elsewhere = ["fixed_ips", "floating_ips", "security_group_rules", "security_groups"];

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-quota-sets/{id}", async call => RestResult.Json(200, Sets(
            call, call.Route("id"), await Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled), detail: false)));
        rest.Get(root + "/os-quota-sets/{id}/detail", async call => RestResult.Json(200, Sets(
            call, call.Route("id"), await Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled), detail: true)));
        rest.Get(root + "/os-quota-sets/{id}/defaults", call => Task.FromResult(RestResult.Json(200, Sets(
            call, call.Route("id"), Service(call).Defaults(), detail: false))));
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
        var all = entries.Where(entry => !call.From(57) || !entry.Resource.StartsWith("injected", StringComparison.Ordinal))
            .Append(new QuotaEntry("server_groups", ServerGroups, 0))
            .Append(new QuotaEntry("server_group_members", ServerGroups, 0));
        if (!call.From(36))
        {
            all = all.Concat(Elsewhere.Select(resource => new QuotaEntry(resource, -1, 0)));
        }
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

    private static async Task<RestResult> UpdateAsync(RestCall call)
    {
        var fields = Fields.Root(await call.ReadJsonAsync(), "quota_set");
        string[] ignored = [.. Elsewhere, "server_groups", "server_group_members", "networks"];
        fields.Only([.. QuotaResource.All, .. ignored, "force", "tenant_id"]);
        var limits = new Dictionary<string, long>();
        foreach (var resource in QuotaResource.All.Where(fields.Has))
        {
            limits[resource] = fields.Integer(resource, -1, NumberMax) ?? -1;
        }
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
            ["maxServerGroups"] = ServerGroups,
            ["maxServerGroupMembers"] = ServerGroups,
            ["totalRAMUsed"] = entries[QuotaResource.Ram].InUse,
            ["totalInstancesUsed"] = entries[QuotaResource.Instances].InUse,
            ["totalCoresUsed"] = entries[QuotaResource.Cores].InUse,
            ["totalServerGroupsUsed"] = 0,
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

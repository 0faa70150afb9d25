using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Usage;

internal static class UsageEndpoints
{
    private static readonly TimeSpan DefaultPeriod = TimeSpan.FromDays(28);

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-simple-tenant-usage", async call =>
        {
            var (start, end) = Period(call);
            var detailed = call.Query("detailed") == "1";
            var all = await call.Service<UsageReport>().ReadAsync(call.Operation, null, start, end, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["tenant_usages"] = RestParts.Array(all.Select(item => Json(item, start, end, detailed))) });
        });
        rest.Get(root + "/os-simple-tenant-usage/{id}", async call =>
        {
            var (start, end) = Period(call);
            var found = await call.Service<UsageReport>().ReadAsync(call.Operation, call.Route("id"), start, end, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["tenant_usage"] = found.Count == 0 ? new JsonObject() : Json(found[0], start, end, detailed: true) });
        });
    }

    private static (DateTimeOffset Start, DateTimeOffset End) Period(RestCall call)
    {
        var end = call.QueryTime("end") ?? call.Service<TimeProvider>().GetUtcNow();
        var start = call.QueryTime("start") ?? end - DefaultPeriod;
        return start <= end ? (start, end) : throw ComputeFaults.Refers("start", "Invalid start time. The start time cannot occur after the end time.");
    }

    private static JsonObject Json(ProjectUsage usage, DateTimeOffset start, DateTimeOffset end, bool detailed)
    {
        var json = new JsonObject
        {
            ["tenant_id"] = usage.ProjectId,
            ["start"] = RestParts.Micros(start),
            ["stop"] = RestParts.Micros(end),
            ["total_hours"] = usage.Hours,
            ["total_memory_mb_usage"] = usage.MemoryMibHours,
            ["total_vcpus_usage"] = usage.VcpuHours,
            ["total_local_gb_usage"] = usage.DiskGibHours,
        };
        if (detailed)
        {
            json["server_usages"] = RestParts.Array(usage.Instances.Select(item => new JsonObject
            {
                ["instance_id"] = item.Instance.Id,
                ["name"] = item.Instance.Name,
                ["tenant_id"] = item.Instance.ProjectId,
                ["state"] = item.State,
                ["flavor"] = item.Instance.Flavor.Name,
                ["vcpus"] = item.Instance.Flavor.Vcpus,
                ["memory_mb"] = item.Instance.Flavor.MemoryMib,
                ["local_gb"] = item.Instance.Flavor.RootGib + item.Instance.Flavor.EphemeralGib,
                ["started_at"] = RestParts.Micros(item.Start),
                ["ended_at"] = RestParts.MicrosOrNull(item.End),
                ["hours"] = item.Hours,
                ["uptime"] = (long)item.Uptime.TotalSeconds,
            }));
        }
        return json;
    }
}

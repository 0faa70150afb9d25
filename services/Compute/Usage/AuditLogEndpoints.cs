using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Compute.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Usage;

/// <summary>Which hosts have written down the usage of the last month. None has to here, as usage is counted from the records when it is asked
/// for; tools that wait for the audit see that it did not run.</summary>
internal static class AuditLogEndpoints
{
    private static readonly string[] Forms = ["yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss.FFFFFF", "yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss.FFFFFF"];

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-instance_usage_audit_log", call => AnswerAsync(call, "instance_usage_audit_logs", call.Service<TimeProvider>().GetUtcNow()));
        rest.Get(root + "/os-instance_usage_audit_log/{before}", call => AnswerAsync(
            call, "instance_usage_audit_log",
            DateTimeOffset.TryParseExact(call.Route("before"), Forms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var before)
                ? before
                : throw ComputeFaults.Refers("before", "Invalid timestamp for date: must be YYYY-MM-DD hh:mm:ss")));
    }

    private static async Task<RestResult> AnswerAsync(RestCall call, string name, DateTimeOffset before)
    {
        call.Operation.RequireAdmin("os_compute_api:os-instance-usage-audit-log:list");
        var nodes = call.Service<NodeRegistry>();
        await nodes.CatchUpAsync(call.Cancelled);
        var hosts = nodes.List().Select(node => node.HostName).Order(StringComparer.Ordinal).ToList();
        var end = new DateTimeOffset(before.Year, before.Month, 1, 0, 0, 0, TimeSpan.Zero);
        return RestResult.Json(200, new JsonObject
        {
            [name] = new JsonObject
            {
                ["hosts_not_run"] = RestParts.Texts(hosts),
                ["log"] = new JsonObject(),
                ["num_hosts"] = hosts.Count,
                ["num_hosts_done"] = 0,
                ["num_hosts_not_run"] = hosts.Count,
                ["num_hosts_running"] = 0,
                ["overall_status"] = $"0 of {hosts.Count} hosts done. 0 errors.",
                ["period_beginning"] = Time(end.AddMonths(-1)),
                ["period_ending"] = Time(end),
                ["total_errors"] = 0,
                ["total_instances"] = 0,
            },
        });
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
}

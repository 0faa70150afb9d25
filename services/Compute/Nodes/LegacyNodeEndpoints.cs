using System.Text.Json.Nodes;
using Nephos.Compute.Instances;
using Nephos.Compute.Placement;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Nodes;

/// <summary>How nodes were searched and switched up to microversion 2.52: by name.</summary>
internal static class LegacyNodeEndpoints
{
    private const int GoneFrom = 53;
    private const string Binary = "nova-compute";

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-hypervisors/{id}/search", call => SearchAsync(call, servers: false));
        rest.Get(root + "/os-hypervisors/{id}/servers", call => SearchAsync(call, servers: true));
        rest.Put(root + "/os-services/enable", call => SwitchAsync(call, enabled: true, withReason: false));
        rest.Put(root + "/os-services/disable", call => SwitchAsync(call, enabled: false, withReason: false));
        rest.Put(root + "/os-services/disable-log-reason", call => SwitchAsync(call, enabled: false, withReason: true));
    }

    private static async Task<RestResult> SearchAsync(RestCall call, bool servers)
    {
        call.RequireBefore(GoneFrom);
        call.Operation.RequireAdmin(servers ? "os_compute_api:os-hypervisors:servers" : "os_compute_api:os-hypervisors:search");
        var pattern = call.Route("id");
        var nodes = call.Service<NodeRegistry>();
        await nodes.CatchUpAsync(call.Cancelled);
        Candidate[] found = [.. nodes.Candidates().Where(item => item.Node.HostName.Contains(pattern, StringComparison.Ordinal)).OrderBy(item => item.Node.Number)];
        if (found.Length == 0)
        {
            throw new FaultException(ErrorReason.NotFound, $"No hypervisor matching '{(pattern.Length > 64 ? pattern[..64] : pattern)}' could be found.");
        }
        var instances = servers ? await call.Service<InstanceViews>().ListAsync(call.Cancelled) : [];
        return RestResult.Json(200, new JsonObject
        {
            ["hypervisors"] = RestParts.Array(found.Select(item =>
            {
                var json = new JsonObject
                {
                    ["id"] = item.Node.Number,
                    ["hypervisor_hostname"] = item.Node.HostName,
                    ["state"] = item.Up ? "up" : "down",
                    ["status"] = item.Node.Enabled ? "enabled" : "disabled",
                };
                var here = instances.Where(instance => instance.DeletedAt is null && instance.Claim?.NodeId == item.Node.Id).ToList();
                if (here.Count > 0)
                {
                    json["servers"] = RestParts.Array(here.Select(instance => new JsonObject
                    {
                        ["uuid"] = instance.Id, ["name"] = $"instance-{instance.Id[..8]}",
                    }));
                }
                return json;
            })),
        });
    }

    private static async Task<RestResult> SwitchAsync(RestCall call, bool enabled, bool withReason)
    {
        call.RequireBefore(GoneFrom);
        call.Operation.RequireAdmin("os_compute_api:os-services:update");
        var fields = new Fields(await call.ReadJsonAsync()).Only(withReason ? ["host", "binary", "disabled_reason"] : ["host", "binary"]);
        var (host, binary) = (fields.Required("host"), fields.Required("binary"));
        var reason = withReason ? fields.Required("disabled_reason") : "";
        var nodes = call.Service<NodeRegistry>();
        await nodes.CatchUpAsync(call.Cancelled);
        var node = nodes.List().FirstOrDefault(item => item.HostName == host && binary == Binary)
            ?? throw new FaultException(ErrorReason.NotFound, $"Could not find binary {(binary.Length > 64 ? binary[..64] : binary)} on host {(host.Length > 64 ? host[..64] : host)}.");
        await nodes.SetEnabledAsync(call.Operation, node.Id, enabled, reason, call.Cancelled);
        var json = new JsonObject { ["host"] = host, ["binary"] = binary, ["status"] = enabled ? "enabled" : "disabled" };
        if (withReason)
        {
            json["disabled_reason"] = reason;
        }
        return RestResult.Json(200, new JsonObject { ["service"] = json });
    }
}

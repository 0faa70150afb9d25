using System.Text.Json.Nodes;
using Nephos.Compute.Instances;
using Nephos.Compute.Placement;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Nodes;

/// <summary>Hosts as the compute API showed them up to microversion 2.42: the nodes, and the one that serves this API.</summary>
internal static class HostEndpoints
{
    private const int GoneFrom = 43;
    private const string ControllerZone = "internal";

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-hosts", ListAsync);
        rest.Get(root + "/os-hosts/{host}", ShowAsync);
        rest.Put(root + "/os-hosts/{host}", UpdateAsync);
        foreach (var action in new[] { "startup", "shutdown", "reboot" })
        {
            // A node is a machine of somebody's: nothing here switches machines.
            rest.Get($"{root}/os-hosts/{{host}}/{action}", async call =>
            {
                await FindAsync(call, action);
                throw new FaultException(ErrorReason.NotImplemented, "The hypervisor of this host does not switch its machine on or off.");
            });
        }
    }

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        call.RequireBefore(GoneFrom);
        call.Operation.RequireAdmin("os_compute_api:os-hosts:list");
        var zone = call.Query("zone") is { Length: > 0 } given ? given : null;
        var hosts = (await NodesAsync(call)).OrderBy(item => item.Node.Number)
            .Select(item => (Name: item.Node.HostName, Service: "compute", Zone: item.Node.AvailabilityZone))
            .Append((Name: Environment.MachineName, Service: "scheduler", Zone: ControllerZone))
            .Where(host => zone is null || host.Zone == zone);
        return RestResult.Json(200, new JsonObject
        {
            ["hosts"] = RestParts.Array(hosts.Select(host => new JsonObject { ["host_name"] = host.Name, ["service"] = host.Service, ["zone"] = host.Zone })),
        });
    }

    private static async Task<RestResult> ShowAsync(RestCall call)
    {
        var (node, usage, _) = await FindAsync(call, "show");
        var rows = new List<JsonObject>
        {
            Row(node.HostName, "(total)", node.Vcpus, node.MemoryMib, node.DiskGib),
            Row(node.HostName, "(used_now)", usage.Vcpus, usage.MemoryMib, usage.DiskGib),
        };
        var here = (await call.Service<InstanceViews>().ListAsync(call.Cancelled)).Where(instance => instance.DeletedAt is null && instance.Claim?.NodeId == node.Id).ToList();
        rows.Add(Sum(node.HostName, "(used_max)", here));
        rows.AddRange(here.GroupBy(instance => instance.ProjectId).Select(group => Sum(node.HostName, group.Key, group)));
        return RestResult.Json(200, new JsonObject { ["host"] = RestParts.Array(rows.Select(row => new JsonObject { ["resource"] = row })) });
    }

    private static async Task<RestResult> UpdateAsync(RestCall call)
    {
        call.RequireBefore(GoneFrom);
        call.Operation.RequireAdmin("os_compute_api:os-hosts:update");
        var fields = new Fields(await call.ReadJsonAsync()).Only("status", "maintenance_mode");
        var (status, maintenance) = (fields.Text("status")?.Trim().ToLowerInvariant(), fields.Text("maintenance_mode")?.Trim().ToLowerInvariant());
        if ((status, maintenance) is (null, null) || status is not (null or "enable" or "disable") || maintenance is not (null or "enable" or "disable"))
        {
            throw ComputeFaults.Refers("status", "Invalid input for field/attribute status: enable or disable is needed");
        }
        var (node, _, _) = await FindAsync(call, "update");
        if (maintenance is not null)
        {
            throw new FaultException(ErrorReason.NotImplemented, "The hypervisor of this host has no maintenance mode.");
        }
        await call.Service<NodeRegistry>().SetEnabledAsync(call.Operation, node.Id, status == "enable", "", call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["host"] = node.HostName, ["status"] = status + "d" });
    }

    private static async Task<Candidate> FindAsync(RestCall call, string action)
    {
        call.RequireBefore(GoneFrom);
        call.Operation.RequireAdmin($"os_compute_api:os-hosts:{action}");
        var name = call.Route("host");
        return (await NodesAsync(call)).FirstOrDefault(item => item.Node.HostName == name)
            ?? throw new FaultException(ErrorReason.NotFound, $"Compute host {(name.Length > 64 ? name[..64] : name)} could not be found.");
    }

    private static async Task<IReadOnlyList<Candidate>> NodesAsync(RestCall call)
    {
        var nodes = call.Service<NodeRegistry>();
        await nodes.CatchUpAsync(call.Cancelled);
        return nodes.Candidates();
    }

    private static JsonObject Sum(string host, string project, IEnumerable<Instance> instances)
    {
        var claims = instances.Select(instance => instance.Claim!).ToList();
        return Row(host, project, claims.Sum(claim => claim.Vcpus), claims.Sum(claim => claim.MemoryMib), claims.Sum(claim => claim.DiskGib));
    }

    private static JsonObject Row(string host, string project, long vcpus, long memoryMib, long diskGib) => new()
    {
        ["host"] = host, ["project"] = project, ["cpu"] = vcpus, ["memory_mb"] = memoryMib, ["disk_gb"] = diskGib,
    };
}

using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Operations;

namespace Nephos.Networking.AutoAllocation;

internal static class AutoAllocationEndpoints
{
    private const string Path = "/v2.0/auto-allocated-topology/{project}";

    public static void Map(RestRoutes rest, AutoAllocationService topologies)
    {
        rest.Get(Path, async call =>
        {
            var project = ProjectOf(call);
            var id = "dry-run=pass";
            if (call.Query("fields") == "dry-run")
            {
                await topologies.CheckAsync(call.Operation, project, call.Cancelled);
            }
            else
            {
                id = await topologies.EnsureAsync(call.Operation, project, call.Cancelled);
            }

            return RestResult.Json(200, new JsonObject
            {
                ["auto_allocated_topology"] = new JsonObject { ["id"] = id, ["tenant_id"] = project, ["project_id"] = project },
            });
        });
        rest.Delete(Path, async call =>
        {
            await topologies.DeleteAsync(call.Operation, ProjectOf(call), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    // Clients that name no project send the word None.
    private static string ProjectOf(RestCall call) =>
        call.Route("project") is "None" or "null" ? call.Operation.RequireProject() : call.Route("project");
}

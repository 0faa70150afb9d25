using System.Text.Json.Nodes;
using Nephos.Compute.Instances;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel;
using Nephos.Kernel.State;

namespace Nephos.Compute.Proxies;

/// <summary>What other services tell of things that servers use. Here the things are watched, so an event only makes sure that they are
/// looked at once more.</summary>
internal static class ExternalEventEndpoints
{
    private static readonly string[] Kinds =
    [
        "network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted", "volume-extended", "power-update",
        "accelerator-request-bound",
    ];

    public static void Map(RestRoutes rest, string root) => rest.Post(root + "/os-server-external-events", async call =>
    {
        call.Operation.RequireAdmin("os_compute_api:os-server-external-events:create");
        var events = new Fields(await call.ReadJsonAsync()).Only("events").Objects("events") ?? [];
        if (events.Count == 0)
        {
            throw ComputeFaults.Refers("events", "Invalid input for field/attribute events. [] is too short");
        }
        var answers = new JsonArray();
        var codes = new HashSet<int>();
        foreach (var item in events)
        {
            var fields = item.Only("name", "server_uuid", "status", "tag");
            var (name, server, status) = (fields.Required("name"), fields.Required("server_uuid"), fields.Text("status") ?? "completed");
            if (!Kinds.Contains(name) || !Ids.IsUuid(server) || status is not ("completed" or "failed" or "in-progress"))
            {
                throw ComputeFaults.Refers("events", "Invalid input for field/attribute events: a name, server_uuid or status that is not known");
            }
            var code = Take(call, name, server);
            codes.Add(code);
            var answer = new JsonObject { ["name"] = name, ["server_uuid"] = server, ["status"] = code == 200 ? status : "failed", ["code"] = code };
            if (fields.Text("tag") is { } tag)
            {
                answer["tag"] = tag;
            }
            answers.Add(answer);
        }
        var outcome = codes.Count > 1 ? 207 : codes.First();
        return RestResult.Json(outcome, new JsonObject { ["events"] = answers });
    });

    /// <returns>200; 404 for a server that is not there; 422 for one that is on no node.</returns>
    private static int Take(RestCall call, string name, string server)
    {
        if (call.Service<TableCache<Instance>>().Get(server) is not { DeletedAt: null } instance)
        {
            return 404;
        }
        if (instance.Claim is null)
        {
            return 422;
        }
        if (name.StartsWith("network-", StringComparison.Ordinal))
        {
            call.Service<InstanceWorker>().RefreshPorts(server);
        }
        else
        {
            call.Service<InstanceWorker>().Enqueue(server);
        }
        return 200;
    }
}

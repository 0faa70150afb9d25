using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.Nodes;

/// <summary>The nodes, as lists of agents show them.</summary>
internal static class AgentEndpoints
{
    private const string Path = "/v2.0/agents";

    public static void Map(RestRoutes rest, NetworkStore store, NetworkingOptions options, TimeProvider time)
    {
        rest.Get(Path, async call =>
        {
            // Others see an empty list, not a refusal.
            var view = await store.ViewAsync(call.Cancelled);
            var visible = call.Operation.IsPrivileged() ? view.Nodes.Values : [];
            return ListQuery.Answer(call, "agents", Path, visible.Select(node => ToJson(node, view, options, time)));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            call.Operation.RequireAdmin("get_agents");
            var view = await store.ViewAsync(call.Cancelled);
            var node = view.Nodes.Values.FirstOrDefault(node => node.AgentId == call.Route("id"))
                ?? throw NetworkFaults.AgentNotFound(Checks.Shown(call.Route("id")));
            return RestResult.Json(200, new JsonObject { ["agent"] = ListQuery.Fields(call, ToJson(node, view, options, time)) });
        });
    }

    private static JsonObject ToJson(NetworkNode node, NetworkView view, NetworkingOptions options, TimeProvider time) => new()
    {
        ["id"] = node.AgentId,
        ["agent_type"] = "Node agent",
        ["binary"] = "nephos",
        ["topic"] = "N/A",
        ["host"] = node.Name,
        ["admin_state_up"] = true,
        ["alive"] = node.IsAlive(time.GetUtcNow(), options.NodeDownAfter),
        ["availability_zone"] = null,
        ["created_at"] = Time(node.CreatedAt),
        ["started_at"] = Time(node.StartedAt),
        ["heartbeat_timestamp"] = Time(node.HeartbeatAt),
        ["description"] = node.UnavailableReason,
        ["configurations"] = new JsonObject
        {
            ["physical_networks"] = JsonParts.Strings(node.PhysicalNetworks),
            ["tunneling_ip"] = node.VtepAddress,
            ["ports"] = view.PortsOfHost(node.Name).Count(),
            ["routers"] = view.RouterPlacements.Values.Count(placement => placement.Node == node.Name),
        },
        ["resources_synced"] = null,
    };

    // Agents have times of their own kind.
    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
}

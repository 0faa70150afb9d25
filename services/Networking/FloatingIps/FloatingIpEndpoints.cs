using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.FloatingIps;

internal static class FloatingIpEndpoints
{
    private const string Path = "/v2.0/floatingips";

    public static void Map(RestRoutes rest, FloatingIpService floatingIps, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "floatingips", Path,
                view.FloatingIps.Values.Where(ip => call.Operation.Owns(ip.ProjectId)).Select(ip => ToJson(ip, view)));
        });
        rest.Post(Path, async call =>
        {
            var request = ReadNew(await RestBody.OneAsync(call, "floatingip"));
            return await AnswerAsync(call, 201, store, await floatingIps.CreateAsync(call.Operation, request, call.Cancelled));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            var ip = view.FloatingIp(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["floatingip"] = ListQuery.Fields(call, ToJson(ip, view)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "floatingip"));
            return await AnswerAsync(call, 200, store, await floatingIps.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled));
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await floatingIps.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.FloatingIp(operation, id).Tags,
            (operation, id, tags, cancelled) => floatingIps.UpdateAsync(operation, id, new FloatingIpChanges { Tags = new(true, tags) }, cancelled));
    }

    private static async Task<RestResult> AnswerAsync(RestCall call, int status, NetworkStore store, FloatingIp ip)
    {
        var view = await store.ViewAsync(call.Cancelled);
        return RestResult.Json(status, new JsonObject { ["floatingip"] = ToJson(ip, view) });
    }

    private static JsonObject ToJson(FloatingIp ip, NetworkView view) => new JsonObject
    {
        ["id"] = ip.Id,
        ["tenant_id"] = ip.ProjectId,
        ["floating_ip_address"] = ip.Address.ToString(),
        ["floating_network_id"] = ip.FloatingNetworkId,
        ["router_id"] = ip.RouterId,
        ["port_id"] = ip.Target?.PortId,
        ["fixed_ip_address"] = ip.Target?.FixedAddress.ToString(),
        ["status"] = view.StatusOf(ip),
        ["description"] = ip.Description,
        ["port_details"] = ip.Target is { } target && view.Ports.GetValueOrDefault(target.PortId) is { } port
            ? new JsonObject
            {
                ["name"] = port.Name,
                ["network_id"] = port.NetworkId,
                ["mac_address"] = port.MacAddress,
                ["admin_state_up"] = port.AdminStateUp,
                ["status"] = view.StatusOf(port),
                ["device_id"] = port.DeviceId,
                ["device_owner"] = port.DeviceOwner,
            }
            : null,
        ["port_forwardings"] = new JsonArray([.. ip.PortForwardings.Select(PortForwardingEndpoints.ToJson)]),
    }.WithCommon(ip);

    private static NewFloatingIp ReadNew(RestBody body)
    {
        var request = new NewFloatingIp
        {
            ProjectId = body.ProjectId(),
            Description = body.String("description"),
            NetworkId = body.Required("floating_network_id"),
            SubnetId = body.StringOrNull("subnet_id") is { Length: > 0 } subnet ? subnet : null,
            Address = JsonParts.ReadAddress(body, "floating_ip_address"),
            PortId = body.StringOrNull("port_id") is { Length: > 0 } port ? port : null,
            FixedAddress = JsonParts.ReadAddress(body, "fixed_ip_address"),
            Tags = body.Strings("tags"),
        };
        body.Done();
        return request;
    }

    private static FloatingIpChanges ReadChanges(RestBody body)
    {
        var changes = new FloatingIpChanges
        {
            Description = body.Optional("description", body.String),
            PortId = body.Optional("port_id", name => body.StringOrNull(name) is { Length: > 0 } port ? port : null),
            FixedAddress = JsonParts.ReadAddress(body, "fixed_ip_address"),
        };
        body.Done();
        return changes;
    }
}

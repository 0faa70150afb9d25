using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.FloatingIps;

internal static class PortForwardingEndpoints
{
    private const string Path = "/v2.0/floatingips/{ip}/port_forwardings";

    public static void Map(RestRoutes rest, PortForwardingService forwardings, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var ip = (await store.ViewAsync(call.Cancelled)).FloatingIp(call.Operation, call.Route("ip"));
            return ListQuery.Answer(call, "port_forwardings", Path.Replace("{ip}", ip.Id, StringComparison.Ordinal), ip.PortForwardings.Select(ToJson));
        });
        rest.Post(Path, async call =>
        {
            var request = ReadNew(await RestBody.OneAsync(call, "port_forwarding"));
            return Answer(201, ToJson((await forwardings.CreateAsync(call.Operation, call.Route("ip"), request, call.Cancelled)).Forwarding));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var (_, forwarding) = (await store.ViewAsync(call.Cancelled)).PortForwarding(call.Operation, call.Route("ip"), call.Route("id"));
            return Answer(200, ListQuery.Fields(call, ToJson(forwarding)));
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "port_forwarding"));
            var (_, forwarding) = await forwardings.UpdateAsync(call.Operation, call.Route("ip"), call.Route("id"), changes, call.Cancelled);
            return Answer(200, ToJson(forwarding));
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await forwardings.DeleteAsync(call.Operation, call.Route("ip"), call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    public static JsonObject ToJson(PortForwarding forwarding) => new()
    {
        ["id"] = forwarding.Id,
        ["protocol"] = forwarding.Protocol,
        ["external_port"] = forwarding.ExternalPort,
        ["internal_port_id"] = forwarding.PortId,
        ["internal_ip_address"] = forwarding.FixedAddress.ToString(),
        ["internal_port"] = forwarding.InternalPort,
        ["description"] = forwarding.Description,
    };

    private static RestResult Answer(int status, JsonObject forwarding) =>
        RestResult.Json(status, new JsonObject { ["port_forwarding"] = forwarding });

    private static NewPortForwarding ReadNew(RestBody body)
    {
        body.ProjectId();
        var request = new NewPortForwarding(
            body.Required("protocol").ToLowerInvariant(), ReadPort(body, "external_port"), body.Required("internal_port_id"),
            JsonParts.ReadAddress(body, "internal_ip_address"), ReadPort(body, "internal_port"), body.String("description"), IdempotencyKey: null);
        body.Done();
        return request;
    }

    private static PortForwardingChanges ReadChanges(RestBody body)
    {
        var changes = new PortForwardingChanges
        {
            Protocol = body.Optional("protocol", name => body.Required(name).ToLowerInvariant()),
            ExternalPort = body.Optional("external_port", name => ReadPort(body, name)),
            PortId = body.Optional("internal_port_id", body.Required),
            FixedAddress = body.Optional("internal_ip_address", name => JsonParts.ReadAddress(body, name)),
            InternalPort = body.Optional("internal_port", name => ReadPort(body, name)),
            Description = body.Optional("description", body.String),
        };
        body.Done();
        return changes;
    }

    private static int ReadPort(RestBody body, string name) => body.IntOrNull(name) ?? throw Faults.Invalid(name, "must be given");
}

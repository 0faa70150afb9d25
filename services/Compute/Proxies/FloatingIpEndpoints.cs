using System.Text.Json.Nodes;
using Nephos.Compute.Instances;
using Nephos.Compute.Rest;
using Nephos.Compute.Seams;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Proxies;

/// <summary>Floating IPs as the compute API showed them up to microversion 2.35, and gave them to servers up to 2.43.</summary>
internal static class FloatingIpEndpoints
{
    private const int GoneFrom = 36;
    private const int ActionsGoneFrom = 44;

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-floating-ip-pools", async call =>
        {
            call.RequireBefore(GoneFrom);
            var pools = await Proxy(call).ListPoolsAsync(call.Operation, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["floating_ip_pools"] = RestParts.Array(pools.Select(name => new JsonObject { ["name"] = name })) });
        });
        rest.Get(root + "/os-floating-ips", async call =>
        {
            call.RequireBefore(GoneFrom);
            var all = await Proxy(call).ListAsync(call.Operation, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["floating_ips"] = RestParts.Array(all.Select(Json)) });
        });
        rest.Post(root + "/os-floating-ips", async call =>
        {
            call.RequireBefore(GoneFrom);
            var fields = new Fields(await call.ReadJsonAsync());
            return Answer(await Proxy(call).CreateAsync(call.Operation, fields.TextOrNull("pool"), call.Cancelled));
        });
        rest.Get(root + "/os-floating-ips/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            return Answer(await Proxy(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled));
        });
        rest.Delete(root + "/os-floating-ips/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            await Proxy(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
    }

    /// <summary>Leads a floating IP to a server: to the address that is named, else to its first one.</summary>
    public static async Task<RestResult> AddAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        call.RequireBefore(ActionsGoneFrom);
        var fields = Fields.Root(body, "addFloatingIp").Only("address", "fixed_address");
        var (address, wanted) = (fields.Required("address"), fields.TextOrNull("fixed_address"));
        var details = await instances.GetAsync(call.Operation, id, call.Cancelled);
        var target = (details.Parts?.Ports ?? [])
            .SelectMany(port => (port.Details?.Addresses ?? []).Select(item => (port.PortId, item)))
            .FirstOrDefault(pair => pair.item.IpVersion == 4 && (wanted is null || pair.item.Address == wanted));
        if (target.PortId is null)
        {
            throw ComputeFaults.Refers("fixed_address", wanted is null
                ? "No fixed IPs associated to instance" : "Specified fixed address not assigned to instance");
        }
        var floating = await Proxy(call).FindAsync(call.Operation, address, call.Cancelled);
        await Proxy(call).LeadAsync(call.Operation, floating.Id, target.PortId, target.item.Address, call.Cancelled);
        return RestResult.Empty(202);
    }

    public static async Task<RestResult> RemoveAsync(RestCall call, InstanceService instances, string id, JsonObject body)
    {
        call.RequireBefore(ActionsGoneFrom);
        var address = Fields.Root(body, "removeFloatingIp").Only("address").Required("address");
        await instances.GetAsync(call.Operation, id, call.Cancelled);
        var floating = await Proxy(call).FindAsync(call.Operation, address, call.Cancelled);
        if (floating.InstanceId != id)
        {
            throw Faults.Conflict($"Floating IP {address} is not associated with instance {id}.");
        }
        await Proxy(call).LeadAsync(call.Operation, floating.Id, portId: null, fixedAddress: null, call.Cancelled);
        return RestResult.Empty(202);
    }

    private static FloatingIpProxy Proxy(RestCall call) => call.Service<FloatingIpProxy>();

    private static RestResult Answer(FloatingIpInfo floating) => RestResult.Json(200, new JsonObject { ["floating_ip"] = Json(floating) });

    private static JsonObject Json(FloatingIpInfo floating) => new()
    {
        ["id"] = floating.Id,
        ["ip"] = floating.Address,
        ["pool"] = floating.Pool,
        ["fixed_ip"] = floating.FixedAddress,
        ["instance_id"] = floating.InstanceId,
    };
}

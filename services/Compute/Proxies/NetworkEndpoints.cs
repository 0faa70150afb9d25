using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Compute.Seams;
using Nephos.Hosting.Rest;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Proxies;

/// <summary>Networks as the compute API showed them up to microversion 2.35: what they are called, and nothing of how they are made.</summary>
internal static class NetworkEndpoints
{
    private const int GoneFrom = 36;

    /// <summary>What only the networks of an earlier compute service had.</summary>
    private static readonly string[] Unset =
    [
        "bridge", "bridge_interface", "broadcast", "cidr", "cidr_v6", "created_at", "deleted", "deleted_at", "dhcp_server", "dhcp_start", "dns1", "dns2", "enable_dhcp",
        "gateway", "gateway_v6", "host", "injected", "mtu", "multi_host", "netmask", "netmask_v6", "priority", "project_id", "rxtx_base", "share_address", "updated_at",
        "vlan", "vpn_private_address", "vpn_public_address", "vpn_public_port",
    ];

    public static void Map(RestRoutes rest, string root)
    {
        MapAs(rest, root + "/os-networks", network =>
        {
            var json = new JsonObject { ["id"] = network.Id, ["label"] = network.Name };
            foreach (var name in Unset)
            {
                json[name] = null;
            }
            return json;
        });
        // The word is what clients of this old call compare with.
        MapAs(rest, root + "/os-tenant-networks", network => new JsonObject { ["id"] = network.Id, ["label"] = network.Name, ["cidr"] = "None" });
    }

    private static void MapAs(RestRoutes rest, string path, Func<NetworkRef, JsonObject> json)
    {
        rest.Get(path, async call =>
        {
            call.RequireBefore(GoneFrom);
            var networks = call.Service<INetworkApi>();
            var all = call.Operation.IsAdmin
                ? await networks.ListVisibleNetworksAsync(call.Operation, call.Cancelled)
                : await networks.ListUsableNetworksAsync(call.Operation, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["networks"] = RestParts.Array(all.Select(json)) });
        });
        rest.Get(path + "/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            var id = call.Route("id");
            var network = Ids.IsUuid(id)
                ? await call.Service<INetworkApi>().GetNetworkAsync(call.Operation, id, call.Cancelled)
                : throw new FaultException(ErrorReason.NotFound, "Network not found");
            return RestResult.Json(200, new JsonObject { ["network"] = json(network) });
        });
    }
}

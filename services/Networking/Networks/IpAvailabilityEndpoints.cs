using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Networking.Rest;
using Nephos.Networking.State;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.Networks;

/// <summary>How many addresses networks have and use.</summary>
internal static class IpAvailabilityEndpoints
{
    private const string Path = "/v2.0/network-ip-availabilities";

    public static void Map(RestRoutes rest, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            call.Operation.RequireAdmin("get_network_ip_availability");
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "network_ip_availabilities", Path, view.Networks.Values.Select(network => ToJson(network, view)));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            call.Operation.RequireAdmin("get_network_ip_availability");
            var view = await store.ViewAsync(call.Cancelled);
            return RestResult.Json(200, new JsonObject
            {
                ["network_ip_availability"] = ToJson(view.Network(call.Operation, call.Route("id")), view),
            });
        });
    }

    private static JsonObject ToJson(Network network, NetworkView view)
    {
        var used = view.PortsOn(network.Id).SelectMany(port => port.FixedIps).CountBy(ip => ip.SubnetId).ToDictionary();
        var subnets = view.SubnetsOf(network.Id).ToList();
        return new JsonObject
        {
            ["network_id"] = network.Id,
            ["network_name"] = network.Name,
            ["tenant_id"] = network.ProjectId,
            ["project_id"] = network.ProjectId,
            ["total_ips"] = Number(subnets.Aggregate(UInt128.Zero, (sum, subnet) => sum + Total(subnet))),
            ["used_ips"] = subnets.Sum(subnet => used.GetValueOrDefault(subnet.Id)),
            ["subnet_ip_availability"] = new JsonArray([.. subnets.Select(subnet => (JsonNode)new JsonObject
            {
                ["subnet_id"] = subnet.Id,
                ["subnet_name"] = subnet.Name,
                ["ip_version"] = subnet.IpVersion,
                ["cidr"] = subnet.Cidr.ToString(),
                ["total_ips"] = Number(Total(subnet)),
                ["used_ips"] = used.GetValueOrDefault(subnet.Id),
            })]),
        };
    }

    private static UInt128 Total(Subnet subnet) => subnet.AllocationPools.Aggregate(UInt128.Zero, (sum, pool) => sum + pool.Count);

    // JSON numbers have no upper end; those of .NET's nodes do.
    private static JsonNode Number(UInt128 number) => JsonNode.Parse(number.ToString(CultureInfo.InvariantCulture))!;
}

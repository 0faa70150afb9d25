using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Networking.Addressing;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.Subnets;

internal static class SubnetEndpoints
{
    private const string Path = "/v2.0/subnets";

    public static void Map(RestRoutes rest, SubnetService subnets, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "subnets", Path,
                view.Subnets.Values.Where(subnet => call.Operation.Sees(subnet, view)).Select(ToJson));
        });
        rest.Post(Path, async call =>
        {
            var (items, isBulk) = await RestBody.OneOrManyAsync(call, "subnet", "subnets");
            var made = await subnets.CreateAsync(call.Operation, [.. items.Select(ReadNew)], call.Cancelled);
            return RestResult.Json(201, isBulk
                ? new JsonObject { ["subnets"] = new JsonArray([.. made.Select(ToJson)]) }
                : new JsonObject { ["subnet"] = ToJson(made[0]) });
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var subnet = (await store.ViewAsync(call.Cancelled)).Subnet(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["subnet"] = ListQuery.Fields(call, ToJson(subnet)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "subnet"));
            var subnet = await subnets.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["subnet"] = ToJson(subnet) });
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await subnets.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.Subnet(operation, id).Tags,
            (operation, id, tags, cancelled) => subnets.UpdateAsync(operation, id, new SubnetChanges { Tags = new(true, tags) }, cancelled));
    }

    public static JsonObject ToJson(Subnet subnet) => new JsonObject
    {
        ["id"] = subnet.Id,
        ["name"] = subnet.Name,
        ["tenant_id"] = subnet.ProjectId,
        ["network_id"] = subnet.NetworkId,
        ["ip_version"] = subnet.IpVersion,
        ["subnetpool_id"] = subnet.SubnetPoolId,
        ["enable_dhcp"] = subnet.EnableDhcp,
        ["ipv6_ra_mode"] = subnet.RaMode?.ToName(),
        ["ipv6_address_mode"] = subnet.AddressMode?.ToName(),
        ["gateway_ip"] = subnet.GatewayIp?.ToString(),
        ["cidr"] = subnet.Cidr.ToString(),
        ["allocation_pools"] = new JsonArray([.. subnet.AllocationPools.Select(pool => (JsonNode)new JsonObject
        {
            ["start"] = pool.Start.ToString(),
            ["end"] = pool.End.ToString(),
        })]),
        ["host_routes"] = JsonParts.Routes(subnet.HostRoutes),
        ["dns_nameservers"] = JsonParts.Strings(subnet.DnsNameservers.Select(address => address.ToString())),
        ["description"] = subnet.Description,
        ["service_types"] = JsonParts.Strings(subnet.ServiceTypes),
    }.WithCommon(subnet);

    private static NewSubnet ReadNew(RestBody body)
    {
        var request = new NewSubnet
        {
            ProjectId = body.ProjectId(),
            NetworkId = body.Required("network_id"),
            Name = body.String("name"),
            Description = body.String("description"),
            IpVersion = ReadVersion(body.IntOrNull("ip_version")),
            Cidr = body.StringOrNull("cidr") is { Length: > 0 } cidr ? Checks.Block("cidr", cidr) : null,
            PrefixLength = body.IntOrNull("prefixlen"),
            SubnetPoolId = body.StringOrNull("subnetpool_id"),
            UseDefaultPool = body.Bool("use_default_subnetpool", otherwise: false),
            GatewayIp = body.Optional("gateway_ip", name => JsonParts.ReadAddress(body, name)),
            AllocationPools = body.ObjectsOrNull("allocation_pools", ReadPool),
            DnsNameservers = ReadNameservers(body),
            HostRoutes = JsonParts.ReadRoutes(body, "host_routes"),
            EnableDhcp = body.Bool("enable_dhcp", otherwise: true),
            RaMode = SubnetRules.ParseMode("ipv6_ra_mode", body.StringOrNull("ipv6_ra_mode")),
            AddressMode = SubnetRules.ParseMode("ipv6_address_mode", body.StringOrNull("ipv6_address_mode")),
            ServiceTypes = body.Strings("service_types"),
            Tags = body.Strings("tags"),
        };
        if (body.StringOrNull("segment_id") is not null)
        {
            throw Faults.Invalid("segment_id", "networks have no segments here");
        }

        body.Done();
        return request;
    }

    private static SubnetChanges ReadChanges(RestBody body)
    {
        var changes = new SubnetChanges
        {
            Name = body.Optional("name", body.String),
            Description = body.Optional("description", body.String),
            GatewayIp = body.Optional("gateway_ip", name => JsonParts.ReadAddress(body, name)),
            AllocationPools = body.Optional("allocation_pools", name => body.Objects(name, ReadPool)),
            DnsNameservers = body.Optional("dns_nameservers", _ => ReadNameservers(body)),
            HostRoutes = body.Optional("host_routes", name => JsonParts.ReadRoutes(body, name)),
            EnableDhcp = body.Optional("enable_dhcp", name => body.Bool(name, otherwise: true)),
            ServiceTypes = body.Optional("service_types", body.Strings),
        };
        body.Done();
        return changes;
    }

    private static AddressRange ReadPool(RestBody item)
    {
        var (start, end) = (item.Required("start"), item.Required("end"));
        return IpAddress.TryParse(start, out var first) && IpAddress.TryParse(end, out var last)
            ? new AddressRange(first, last)
            : throw NetworkFaults.BadPool($"{Checks.Shown(start)}-{Checks.Shown(end)}");
    }

    private static IReadOnlyList<IpAddress> ReadNameservers(RestBody body) =>
        [.. body.Strings("dns_nameservers").Select(text => Checks.Address("dns_nameservers", text))];

    private static int? ReadVersion(int? version) =>
        version is null or 4 or 6 ? version : throw Faults.Invalid("ip_version", $"'{version}' is not in [4, 6]");
}

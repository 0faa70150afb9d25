using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Rest;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.Networks;

internal static class NetworkEndpoints
{
    private const string Path = "/v2.0/networks";

    public static void Map(RestRoutes rest, NetworkService networks, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "networks", Path,
                view.Networks.Values.Where(call.Operation.Sees).Select(network => ToJson(network, view, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var (items, isBulk) = await RestBody.OneOrManyAsync(call, "network", "networks");
            var made = await networks.CreateAsync(call.Operation, [.. items.Select(ReadNew)], call.Cancelled);
            var view = await store.ViewAsync(call.Cancelled);
            var json = made.Select(network => ToJson(network, view, call.Operation));
            return RestResult.Json(201, isBulk
                ? new JsonObject { ["networks"] = new JsonArray([.. json]) }
                : new JsonObject { ["network"] = json.Single() });
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            var network = view.Network(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["network"] = ListQuery.Fields(call, ToJson(network, view, call.Operation)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "network"));
            var network = await networks.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled);
            var view = await store.ViewAsync(call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["network"] = ToJson(network, view, call.Operation) });
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await networks.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.Network(operation, id).Tags,
            (operation, id, tags, cancelled) => networks.UpdateAsync(operation, id, new NetworkChanges { Tags = new(true, tags) }, cancelled));
    }

    public static JsonObject ToJson(Network network, NetworkView view, OperationContext operation)
    {
        var json = new JsonObject
        {
            ["id"] = network.Id,
            ["name"] = network.Name,
            ["tenant_id"] = network.ProjectId,
            ["admin_state_up"] = network.AdminStateUp,
            ["mtu"] = network.MtuBytes,
            ["status"] = "ACTIVE",
            ["subnets"] = JsonParts.Strings(view.SubnetsOf(network.Id).Select(subnet => subnet.Id)),
            ["shared"] = network.Allows(GrantAction.Shared, operation.ProjectId),
            ["availability_zone_hints"] = new JsonArray(),
            ["availability_zones"] = new JsonArray(),
            ["ipv4_address_scope"] = view.AddressScopeOf(network.Id, 4),
            ["ipv6_address_scope"] = view.AddressScopeOf(network.Id, 6),
            ["router:external"] = network.External,
            ["description"] = network.Description,
            ["port_security_enabled"] = network.PortSecurityEnabled,
            ["dns_domain"] = network.DnsDomain,
            ["qos_policy_id"] = network.QosPolicyId,
        };
        if (network.External)
        {
            json["is_default"] = network.IsDefault;
        }

        if (operation.IsPrivileged())
        {
            json["provider:network_type"] = network.Kind == NetworkKind.Flat ? "flat" : "vxlan";
            json["provider:physical_network"] = network.PhysicalNetwork;
            json["provider:segmentation_id"] = network.SegmentationId;
        }

        return json.WithCommon(network);
    }

    private static NewNetwork ReadNew(RestBody body)
    {
        var request = new NewNetwork
        {
            ProjectId = body.ProjectId(),
            Name = body.String("name"),
            Description = body.String("description"),
            AdminStateUp = body.Bool("admin_state_up", otherwise: true),
            Shared = body.Bool("shared", otherwise: false),
            External = body.Bool("router:external", otherwise: false),
            IsDefault = body.Bool("is_default", otherwise: false),
            Kind = ReadKind(body.StringOrNull("provider:network_type")),
            PhysicalNetwork = body.StringOrNull("provider:physical_network"),
            SegmentationId = body.IntOrNull("provider:segmentation_id"),
            MtuBytes = body.IntOrNull("mtu"),
            PortSecurityEnabled = body.Bool("port_security_enabled", otherwise: true),
            DnsDomain = body.String("dns_domain"),
            QosPolicyId = body.Optional("qos_policy_id", body.StringOrNull),
            Tags = body.Strings("tags"),
        };
        body.Strings("availability_zone_hints");
        body.Done();
        return request;
    }

    private static NetworkChanges ReadChanges(RestBody body)
    {
        var changes = new NetworkChanges
        {
            Name = body.Optional("name", body.String),
            Description = body.Optional("description", body.String),
            AdminStateUp = body.Optional("admin_state_up", name => body.Bool(name, otherwise: true)),
            Shared = body.Optional("shared", name => body.Bool(name, otherwise: false)),
            External = body.Optional("router:external", name => body.Bool(name, otherwise: false)),
            IsDefault = body.Optional("is_default", name => body.Bool(name, otherwise: false)),
            MtuBytes = body.Optional("mtu", name => body.IntOrNull(name) ?? 0),
            PortSecurityEnabled = body.Optional("port_security_enabled", name => body.Bool(name, otherwise: true)),
            DnsDomain = body.Optional("dns_domain", body.String),
            QosPolicyId = body.Optional("qos_policy_id", body.StringOrNull),
        };
        body.Done();
        return changes;
    }

    private static NetworkKind? ReadKind(string? text) => text switch
    {
        null or "" => null,
        "flat" => NetworkKind.Flat,
        "vxlan" => NetworkKind.Vxlan,
        _ => throw NetworkFaults.Input($"Invalid input for provider:network_type: '{Checks.Shown(text)}'; flat and vxlan are supported."),
    };
}

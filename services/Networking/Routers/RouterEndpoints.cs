using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Operations;
using Nephos.Networking.Ports;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.Routers;

internal static class RouterEndpoints
{
    private const string Path = "/v2.0/routers";

    public static void Map(RestRoutes rest, RouterService routers, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "routers", Path,
                view.Routers.Values.Where(router => call.Operation.Owns(router.ProjectId)).Select(router => ToJson(router, view, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var request = ReadNew(await RestBody.OneAsync(call, "router"));
            return await AnswerAsync(call, 201, store, await routers.CreateAsync(call.Operation, request, call.Cancelled));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            var router = view.Router(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["router"] = ListQuery.Fields(call, ToJson(router, view, call.Operation)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "router"));
            return await AnswerAsync(call, 200, store, await routers.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled));
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await routers.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Put(Path + "/{id}/add_router_interface", async call =>
        {
            var (subnetId, portId) = await ReadInterfaceAsync(call);
            return Answer(await routers.AddInterfaceAsync(call.Operation, call.Route("id"), subnetId, portId, call.Cancelled));
        });
        rest.Put(Path + "/{id}/remove_router_interface", async call =>
        {
            var (subnetId, portId) = await ReadInterfaceAsync(call);
            return Answer(await routers.RemoveInterfaceAsync(call.Operation, call.Route("id"), subnetId, portId, call.Cancelled));
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.Router(operation, id).Tags,
            (operation, id, tags, cancelled) => routers.UpdateAsync(operation, id, new RouterChanges { Tags = new(true, tags) }, cancelled));
    }

    private static async Task<RestResult> AnswerAsync(RestCall call, int status, NetworkStore store, Router router)
    {
        var view = await store.ViewAsync(call.Cancelled);
        return RestResult.Json(status, new JsonObject { ["router"] = ToJson(router, view, call.Operation) });
    }

    private static RestResult Answer(RouterInterface change) => RestResult.Json(200, new JsonObject
    {
        ["id"] = change.Router.Id,
        ["tenant_id"] = change.Router.ProjectId,
        ["port_id"] = change.Port.Id,
        ["network_id"] = change.Port.NetworkId,
        ["subnet_id"] = change.SubnetIds.Count > 0 ? change.SubnetIds[0] : null,
        ["subnet_ids"] = JsonParts.Strings(change.SubnetIds),
    });

    private static JsonObject ToJson(Router router, NetworkView view, OperationContext operation)
    {
        var json = new JsonObject
        {
            ["id"] = router.Id,
            ["name"] = router.Name,
            ["tenant_id"] = router.ProjectId,
            ["admin_state_up"] = router.AdminStateUp,
            ["status"] = view.StatusOf(router),
            ["external_gateway_info"] = router.Gateway is { } gateway
                ? new JsonObject
                {
                    ["network_id"] = gateway.NetworkId,
                    ["external_fixed_ips"] = PortEndpoints.FixedIps(view.Ports.GetValueOrDefault(gateway.PortId)?.FixedIps ?? []),
                    ["enable_snat"] = gateway.EnableSnat,
                }
                : null,
            ["description"] = router.Description,
            ["availability_zones"] = new JsonArray(),
            ["availability_zone_hints"] = new JsonArray(),
            ["routes"] = JsonParts.Routes(router.Routes),
            ["flavor_id"] = null,
        };
        if (operation.IsPrivileged())
        {
            json["distributed"] = false;
            json["ha"] = false;
        }

        return json.WithCommon(router);
    }

    private static async Task<(string? SubnetId, string? PortId)> ReadInterfaceAsync(RestCall call)
    {
        var body = await RestBody.WholeAsync(call);
        var (subnetId, portId) = (body.StringOrNull("subnet_id"), body.StringOrNull("port_id"));
        body.Done();
        return (subnetId, portId);
    }

    private static NewRouter ReadNew(RestBody body)
    {
        var request = new NewRouter
        {
            ProjectId = body.ProjectId(),
            Name = body.String("name"),
            Description = body.String("description"),
            AdminStateUp = body.Bool("admin_state_up", otherwise: true),
            Gateway = ReadGateway(body),
            Tags = body.Strings("tags"),
        };
        RefuseUnsupported(body);
        body.Done();
        return request;
    }

    private static RouterChanges ReadChanges(RestBody body)
    {
        var changes = new RouterChanges
        {
            Name = body.Optional("name", body.String),
            Description = body.Optional("description", body.String),
            AdminStateUp = body.Optional("admin_state_up", name => body.Bool(name, otherwise: true)),
            Gateway = body.Optional("external_gateway_info", _ => ReadGateway(body)),
            Routes = body.Optional("routes", name => JsonParts.ReadRoutes(body, name)),
        };
        RefuseUnsupported(body);
        body.Done();
        return changes;
    }

    // Clients send these switched off; switched on they would have to do something.
    private static void RefuseUnsupported(RestBody body)
    {
        foreach (var name in new[] { "ha", "distributed" })
        {
            if (body.BoolOrNull(name) == true)
            {
                throw NetworkFaults.Bad("router", $"{name} routers are not available.");
            }
        }

        body.Strings("availability_zone_hints");
        body.StringOrNull("flavor_id");
    }

    // Null and {} both mean: no gateway.
    private static NewGateway? ReadGateway(RestBody body)
    {
        if (body.Object("external_gateway_info") is not { } info || !info.Has("network_id"))
        {
            return null;
        }

        var gateway = info.StringOrNull("network_id") is { Length: > 0 } networkId
            ? new NewGateway(networkId, info.BoolOrNull("enable_snat"), PortEndpoints.ReadWanted(info, "external_fixed_ips"))
            : null;
        if (gateway is not null)
        {
            info.Done();
        }

        return gateway;
    }
}

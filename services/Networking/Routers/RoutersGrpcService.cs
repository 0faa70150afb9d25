using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.Ports;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Routers;

internal sealed class RoutersGrpcService(RouterService routers, NetworkStore store, GrpcStreams streams) : Wire.Routers.RoutersBase
{
    public override async Task<Wire.Router> CreateRouter(Wire.CreateRouterRequest request, ServerCallContext context) =>
        await ShowAsync(await routers.CreateAsync(context.GetOperation(), request.ToNew(), context.CancellationToken), context);

    public override async Task<Wire.Router> GetRouter(Wire.GetRouterRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        return view.Router(context.GetOperation(), request.RouterId).ToWire(view);
    }

    public override async Task<Wire.ListRoutersResponse> ListRouters(Wire.ListRoutersRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), router => router.Id, request.PageToken, request.PageSize);
        return new Wire.ListRoutersResponse { Routers = { page.Items.Select(router => router.ToWire(view)) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Router> UpdateRouter(Wire.UpdateRouterRequest request, ServerCallContext context) => await ShowAsync(
        await routers.UpdateAsync(context.GetOperation(), request.Router?.Id ?? "", request.ToChanges(), context.CancellationToken), context);

    public override async Task<Empty> DeleteRouter(Wire.DeleteRouterRequest request, ServerCallContext context)
    {
        await routers.DeleteAsync(context.GetOperation(), request.RouterId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.RouterInterface> AddRouterInterface(Wire.RouterInterfaceRequest request, ServerCallContext context) =>
        (await routers.AddInterfaceAsync(
            context.GetOperation(), request.RouterId, request.SubnetId, request.PortId, context.CancellationToken)).ToWire();

    public override async Task<Wire.RouterInterface> RemoveRouterInterface(Wire.RouterInterfaceRequest request, ServerCallContext context) =>
        (await routers.RemoveInterfaceAsync(
            context.GetOperation(), request.RouterId, request.SubnetId, request.PortId, context.CancellationToken)).ToWire();

    public override Task WatchRouters(
        Wire.WatchRoutersRequest request, IServerStreamWriter<Wire.RouterEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(router => new Watched<Wire.Router>(router.Id, new Sources(null, null), () => router.ToWire(view))),
            (revision, router) => responseStream.WriteAsync(new Wire.RouterEvent { StoreRevision = revision, Changed = router }),
            (revision, id) => responseStream.WriteAsync(new Wire.RouterEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.RouterEvent { StoreRevision = revision, Synced = true }));
    }

    private async Task<Wire.Router> ShowAsync(Router router, ServerCallContext context) =>
        router.ToWire(await store.ViewAsync(context.CancellationToken));

    private static IEnumerable<Router> Matching(NetworkView view, OperationContext operation, Wire.RouterFilter? filter) =>
        view.Routers.Values.Where(router => operation.Owns(router.ProjectId) && (filter is null ||
            (filter.Ids.Allows(router.Id) && filter.Names.Allows(router.Name) && filter.ProjectIds.Allows(router.ProjectId))));
}

internal static class RouterMapping
{
    public static Wire.Router ToWire(this Router router, NetworkView view) => new()
    {
        Id = router.Id,
        ProjectId = router.ProjectId,
        Name = router.Name,
        Description = router.Description,
        AdminStateUp = router.AdminStateUp,
        Status = view.StatusOf(router),
        ExternalGateway = router.Gateway is { } gateway
            ? new Wire.ExternalGateway
            {
                NetworkId = gateway.NetworkId,
                EnableSnat = gateway.EnableSnat,
                ExternalFixedIps = { (view.Ports.GetValueOrDefault(gateway.PortId)?.FixedIps ?? []).Select(PortMapping.ToWire) },
            }
            : null,
        Routes = { router.Routes.Select(route => route.ToWire()) },
        HostName = view.RouterPlacements.GetValueOrDefault(router.Id)?.Node ?? "",
        Tags = { router.Tags },
        CreatedAt = router.CreatedAt.ToWire(),
        UpdatedAt = router.UpdatedAt.ToWire(),
        Revision = router.Revision,
    };

    public static Wire.RouterInterface ToWire(this RouterInterface change) => new()
    {
        RouterId = change.Router.Id,
        ProjectId = change.Router.ProjectId,
        PortId = change.Port.Id,
        NetworkId = change.Port.NetworkId,
        SubnetIds = { change.SubnetIds },
    };

    public static NewRouter ToNew(this Wire.CreateRouterRequest request) => new()
    {
        ProjectId = request.ProjectId,
        Name = request.Name,
        Description = request.Description,
        AdminStateUp = !request.HasAdminStateUp || request.AdminStateUp,
        Gateway = ToGateway(request.ExternalGateway),
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static RouterChanges ToChanges(this Wire.UpdateRouterRequest request)
    {
        var router = request.Router ?? new Wire.Router();
        var paths = request.UpdateMask.Paths("name", "description", "admin_state_up", "external_gateway", "routes", "tags");
        return new RouterChanges
        {
            Name = paths.When("name", () => router.Name),
            Description = paths.When("description", () => router.Description),
            AdminStateUp = paths.When("admin_state_up", () => router.AdminStateUp),
            Gateway = paths.When("external_gateway", () => ToGateway(router.ExternalGateway)),
            Routes = paths.When("routes", () => router.Routes.ToRoutes()),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. router.Tags]),
        };
    }

    private static NewGateway? ToGateway(Wire.ExternalGateway? gateway) => gateway is null || gateway.NetworkId.Length == 0
        ? null
        : new NewGateway(
            gateway.NetworkId,
            gateway.HasEnableSnat ? gateway.EnableSnat : null,
            gateway.ExternalFixedIps.Count == 0 ? null : PortMapping.ToWanted(gateway.ExternalFixedIps));
}

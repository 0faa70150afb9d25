using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Tokens;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Catalog;

internal sealed class CatalogGrpcService(IStateStore store, CatalogService catalog, TokenService tokens) : Wire.Catalog.CatalogBase
{
    public override async Task<Wire.GetCatalogResponse> GetCatalog(Wire.GetCatalogRequest request, ServerCallContext context)
    {
        var entries = await tokens.GetCatalogAsync(context.GetOperation(), context.CancellationToken);
        return new Wire.GetCatalogResponse
        {
            Entries =
            {
                entries.Select(entry => new Wire.CatalogEntry
                {
                    Service = ToWire(entry.Service),
                    Endpoints = { entry.Endpoints.Select(ToWire) },
                }),
            },
        };
    }

    public override async Task<Wire.Region> CreateRegion(Wire.CreateRegionRequest request, ServerCallContext context)
    {
        var region = request.Region ?? new Wire.Region();
        var draft = new Region
        {
            Id = region.Id,
            Description = region.Description,
            ParentRegionId = region.ParentRegionId.NullIfEmpty(),
            Extra = region.Extra.ToJson() ?? [],
        };
        return ToWire(await catalog.CreateRegionAsync(context.GetOperation(), draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Region> GetRegion(Wire.GetRegionRequest request, ServerCallContext context) =>
        ToWire(await catalog.GetRegionAsync(context.GetOperation(), request.RegionId, context.CancellationToken));

    public override async Task<Wire.ListRegionsResponse> ListRegions(Wire.ListRegionsRequest request, ServerCallContext context)
    {
        var found = (await catalog.ListRegionsAsync(context.GetOperation(), context.CancellationToken))
            .Where(region => request.ParentRegionId.Length == 0 || region.ParentRegionId == request.ParentRegionId);
        var page = Paging.Cut(found, region => region.Id, request.PageToken, request.PageSize);
        return new Wire.ListRegionsResponse { Regions = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Region> UpdateRegion(Wire.UpdateRegionRequest request, ServerCallContext context)
    {
        var region = request.Region ?? new Wire.Region();
        var mask = request.UpdateMask.ToMask("description", "parent_region_id", "extra");
        var patch = new RegionPatch(
            mask.Of("description", region.Description), mask.Of("parent_region_id", region.ParentRegionId.NullIfEmpty()),
            mask.Has("extra") ? region.Extra.ToJson() : null);
        return ToWire(await catalog.UpdateRegionAsync(context.GetOperation(), region.Id, patch, context.CancellationToken));
    }

    public override async Task<Empty> DeleteRegion(Wire.DeleteRegionRequest request, ServerCallContext context)
    {
        await catalog.DeleteRegionAsync(context.GetOperation(), request.RegionId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.Service> CreateService(Wire.CreateServiceRequest request, ServerCallContext context)
    {
        var service = request.Service ?? new Wire.Service();
        var draft = new Service
        {
            Id = "",
            Type = service.Type,
            Name = service.Name.NullIfEmpty(),
            Description = service.Description.NullIfEmpty(),
            Enabled = !service.HasEnabled || service.Enabled,
            Extra = service.Extra.ToJson() ?? [],
        };
        return ToWire(await catalog.CreateServiceAsync(context.GetOperation(), draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Service> GetService(Wire.GetServiceRequest request, ServerCallContext context) =>
        ToWire(await catalog.GetServiceAsync(context.GetOperation(), request.ServiceId, context.CancellationToken));

    public override async Task<Wire.ListServicesResponse> ListServices(Wire.ListServicesRequest request, ServerCallContext context)
    {
        var found = (await catalog.ListServicesAsync(context.GetOperation(), context.CancellationToken)).Where(service =>
            (request.Type.Length == 0 || service.Type == request.Type) && (request.Name.Length == 0 || service.Name == request.Name));
        var page = Paging.Cut(found, service => service.Id, request.PageToken, request.PageSize);
        return new Wire.ListServicesResponse { Services = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Service> UpdateService(Wire.UpdateServiceRequest request, ServerCallContext context)
    {
        var service = request.Service ?? new Wire.Service();
        var mask = request.UpdateMask.ToMask("type", "name", "description", "enabled", "extra");
        var patch = new ServicePatch(
            mask.Of("type", service.Type), mask.Of("name", service.Name.NullIfEmpty()),
            mask.Of("description", service.Description.NullIfEmpty()), mask.Of("enabled", service.Enabled),
            mask.Has("extra") ? service.Extra.ToJson() : null);
        return ToWire(await catalog.UpdateServiceAsync(context.GetOperation(), service.Id, patch, context.CancellationToken));
    }

    public override async Task<Empty> DeleteService(Wire.DeleteServiceRequest request, ServerCallContext context)
    {
        await catalog.DeleteServiceAsync(context.GetOperation(), request.ServiceId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.Endpoint> CreateEndpoint(Wire.CreateEndpointRequest request, ServerCallContext context)
    {
        var endpoint = request.Endpoint ?? new Wire.Endpoint();
        var draft = new Endpoint
        {
            Id = "",
            ServiceId = endpoint.ServiceId,
            RegionId = endpoint.RegionId.NullIfEmpty(),
            Interface = NameOf(endpoint.Interface),
            Url = endpoint.Url,
            Enabled = !endpoint.HasEnabled || endpoint.Enabled,
            Extra = endpoint.Extra.ToJson() ?? [],
        };
        return ToWire(await catalog.CreateEndpointAsync(context.GetOperation(), draft, makesRegion: false, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Endpoint> GetEndpoint(Wire.GetEndpointRequest request, ServerCallContext context) =>
        ToWire(await catalog.GetEndpointAsync(context.GetOperation(), request.EndpointId, context.CancellationToken));

    public override async Task<Wire.ListEndpointsResponse> ListEndpoints(Wire.ListEndpointsRequest request, ServerCallContext context)
    {
        var found = (await catalog.ListEndpointsAsync(context.GetOperation(), context.CancellationToken)).Where(endpoint =>
            (request.ServiceId.Length == 0 || endpoint.ServiceId == request.ServiceId) &&
            (request.RegionId.Length == 0 || endpoint.RegionId == request.RegionId) &&
            (request.Interface == Wire.EndpointInterface.Unspecified || endpoint.Interface == NameOf(request.Interface)));
        var page = Paging.Cut(found, endpoint => endpoint.Id, request.PageToken, request.PageSize);
        return new Wire.ListEndpointsResponse { Endpoints = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Endpoint> UpdateEndpoint(Wire.UpdateEndpointRequest request, ServerCallContext context)
    {
        var endpoint = request.Endpoint ?? new Wire.Endpoint();
        var mask = request.UpdateMask.ToMask("service_id", "region_id", "interface", "url", "enabled", "extra");
        var patch = new EndpointPatch(
            mask.Of("service_id", endpoint.ServiceId), mask.Of("region_id", endpoint.RegionId.NullIfEmpty()),
            mask.Has("interface") ? Shared.Change.To(NameOf(endpoint.Interface)) : default,
            mask.Of("url", endpoint.Url), default, mask.Of("enabled", endpoint.Enabled), mask.Has("extra") ? endpoint.Extra.ToJson() : null);
        return ToWire(await catalog.UpdateEndpointAsync(context.GetOperation(), endpoint.Id, patch, makesRegion: false, context.CancellationToken));
    }

    public override async Task<Empty> DeleteEndpoint(Wire.DeleteEndpointRequest request, ServerCallContext context)
    {
        await catalog.DeleteEndpointAsync(context.GetOperation(), request.EndpointId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchRegions(
        Wire.WatchRegionsRequest request, IServerStreamWriter<Wire.RegionEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.Regions.Name,
            async () => (await catalog.ListRegionsAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            region => region.Id,
            region => new Wire.RegionEvent { Changed = region },
            id => new Wire.RegionEvent { Deleted = id },
            () => new Wire.RegionEvent { Synchronized = true },
            context.CancellationToken);

    public override Task WatchServices(
        Wire.WatchServicesRequest request, IServerStreamWriter<Wire.ServiceEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.Services.Name,
            async () => (await catalog.ListServicesAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            service => service.Id,
            service => new Wire.ServiceEvent { Changed = service },
            id => new Wire.ServiceEvent { Deleted = id },
            () => new Wire.ServiceEvent { Synchronized = true },
            context.CancellationToken);

    public override Task WatchEndpoints(
        Wire.WatchEndpointsRequest request, IServerStreamWriter<Wire.EndpointEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.Endpoints.Name,
            async () => (await catalog.ListEndpointsAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            endpoint => endpoint.Id,
            endpoint => new Wire.EndpointEvent { Changed = endpoint },
            id => new Wire.EndpointEvent { Deleted = id },
            () => new Wire.EndpointEvent { Synchronized = true },
            context.CancellationToken);

    private static string NameOf(Wire.EndpointInterface value) => value switch
    {
        Wire.EndpointInterface.Public => Endpoint.Public,
        Wire.EndpointInterface.Internal => Endpoint.Internal,
        Wire.EndpointInterface.Admin => Endpoint.Admin,
        _ => throw Faults.Invalid("interface", "must be public, internal or admin"),
    };

    private static Wire.Region ToWire(Region region) => new()
    {
        Id = region.Id,
        Description = region.Description,
        ParentRegionId = region.ParentRegionId ?? "",
        Extra = region.Extra.ToStruct(),
    };

    private static Wire.Service ToWire(Service service) => new()
    {
        Id = service.Id,
        Type = service.Type,
        Name = service.Name ?? "",
        Description = service.Description ?? "",
        Enabled = service.Enabled,
        Extra = service.Extra.ToStruct(),
    };

    private static Wire.Endpoint ToWire(Endpoint endpoint) => new()
    {
        Id = endpoint.Id,
        ServiceId = endpoint.ServiceId,
        RegionId = endpoint.RegionId ?? "",
        Interface = endpoint.Interface switch
        {
            Endpoint.Public => Wire.EndpointInterface.Public,
            Endpoint.Internal => Wire.EndpointInterface.Internal,
            _ => Wire.EndpointInterface.Admin,
        },
        Url = endpoint.Url,
        Enabled = endpoint.Enabled,
        Extra = endpoint.Extra.ToStruct(),
    };
}

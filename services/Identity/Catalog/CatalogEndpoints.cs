using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;

namespace Nephos.Identity.Catalog;

/// <summary>/v3/regions, /v3/services and /v3/endpoints.</summary>
internal static class CatalogEndpoints
{
    private static readonly string[] RegionFields = ["description", "parent_region_id"];
    private static readonly string[] ServiceFields = ["type", "name", "description", "enabled"];
    private static readonly string[] EndpointFields =
        ["service_id", "region_id", "region", "interface", "url", "name", "enabled", "legacy_endpoint_id"];

    public static void Map(RestRoutes rest)
    {
        MapRegions(rest);
        MapServices(rest);
        MapEndpoints(rest);
    }

    private static void MapRegions(RestRoutes rest)
    {
        rest.Get("/v3/regions", async call =>
        {
            IEnumerable<Region> regions = await call.Service<CatalogService>().ListRegionsAsync(call.Operation, call.Cancelled);
            regions = call.Where(regions, "parent_region_id", region => region.ParentRegionId);
            return call.Collection("regions", regions, region => region.Id, region => Json(region, call));
        });
        rest.Post("/v3/regions", async call => await CreateRegionAsync(call, null));
        rest.Put("/v3/regions/{id}", async call => await CreateRegionAsync(call, call.Route("id")));
        rest.Get("/v3/regions/{id}", async call =>
            One(200, "region", Json(await call.Service<CatalogService>().GetRegionAsync(call.Operation, call.Route("id"), call.Cancelled), call)));
        rest.Patch("/v3/regions/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "region");
            var patch = new RegionPatch(body.TextChange("description"), body.TextChange("parent_region_id"), body.Extra(RegionFields));
            return One(200, "region", Json(
                await call.Service<CatalogService>().UpdateRegionAsync(call.Operation, call.Route("id"), patch, call.Cancelled), call));
        });
        rest.Delete("/v3/regions/{id}", async call =>
        {
            await call.Service<CatalogService>().DeleteRegionAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<RestResult> CreateRegionAsync(RestCall call, string? id)
    {
        var body = await JsonBody.ReadAsync(call, "region");
        if (id is not null && body.Text("id") is { } other && other != id)
        {
            throw Kernel.Errors.Faults.Invalid("id", "is not that of the path");
        }
        var draft = new Region
        {
            Id = id ?? body.Text("id") ?? "",
            Description = body.Text("description") ?? "",
            ParentRegionId = body.Text("parent_region_id"),
            Extra = body.Extra(RegionFields),
        };
        return One(201, "region", Json(await call.Service<CatalogService>().CreateRegionAsync(call.Operation, draft, "", call.Cancelled), call));
    }

    private static void MapServices(RestRoutes rest)
    {
        rest.Get("/v3/services", async call =>
        {
            IEnumerable<Service> services = await call.Service<CatalogService>().ListServicesAsync(call.Operation, call.Cancelled);
            services = call.Where(services, "type", service => service.Type);
            services = call.Where(services, "name", service => service.Name);
            return call.Collection("services", services, service => service.Id, service => Json(service, call));
        });
        rest.Post("/v3/services", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "service");
            var draft = new Service
            {
                Id = "",
                Type = body.RequiredText("type"),
                Name = body.Text("name"),
                Description = body.Text("description"),
                Enabled = body.Flag("enabled") ?? true,
                Extra = body.Extra(ServiceFields),
            };
            return One(201, "service", Json(await call.Service<CatalogService>().CreateServiceAsync(call.Operation, draft, "", call.Cancelled), call));
        });
        rest.Get("/v3/services/{id}", async call =>
            One(200, "service", Json(await call.Service<CatalogService>().GetServiceAsync(call.Operation, call.Route("id"), call.Cancelled), call)));
        rest.Patch("/v3/services/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "service");
            var patch = new ServicePatch(
                body.TextChange("type"), body.TextChange("name"), body.TextChange("description"), body.FlagChange("enabled"),
                body.Extra(ServiceFields));
            return One(200, "service", Json(
                await call.Service<CatalogService>().UpdateServiceAsync(call.Operation, call.Route("id"), patch, call.Cancelled), call));
        });
        rest.Delete("/v3/services/{id}", async call =>
        {
            await call.Service<CatalogService>().DeleteServiceAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapEndpoints(RestRoutes rest)
    {
        rest.Get("/v3/endpoints", async call =>
        {
            IEnumerable<Endpoint> endpoints = await call.Service<CatalogService>().ListEndpointsAsync(call.Operation, call.Cancelled);
            endpoints = call.Where(endpoints, "service_id", endpoint => endpoint.ServiceId);
            endpoints = call.Where(endpoints, "region_id", endpoint => endpoint.RegionId);
            endpoints = call.Where(endpoints, "region", endpoint => endpoint.RegionId);
            endpoints = call.Where(endpoints, "interface", endpoint => endpoint.Interface);
            return call.Collection("endpoints", endpoints, endpoint => endpoint.Id, endpoint => Json(endpoint, call));
        });
        rest.Post("/v3/endpoints", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "endpoint");
            var draft = new Endpoint
            {
                Id = "",
                ServiceId = body.RequiredText("service_id"),
                RegionId = body.Text("region_id") ?? body.Text("region"),
                Interface = body.RequiredText("interface"),
                Url = body.RequiredText("url"),
                Name = body.Text("name"),
                Enabled = body.Flag("enabled") ?? true,
                Extra = body.Extra(EndpointFields),
            };
            // The older name of the field also makes the region.
            var makesRegion = !body.Has("region_id");
            return One(201, "endpoint", Json(
                await call.Service<CatalogService>().CreateEndpointAsync(call.Operation, draft, makesRegion, "", call.Cancelled), call));
        });
        rest.Get("/v3/endpoints/{id}", async call =>
            One(200, "endpoint", Json(await call.Service<CatalogService>().GetEndpointAsync(call.Operation, call.Route("id"), call.Cancelled), call)));
        rest.Patch("/v3/endpoints/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "endpoint");
            var patch = new EndpointPatch(
                body.TextChange("service_id"), body.Has("region_id") ? body.TextChange("region_id") : body.TextChange("region"),
                body.TextChange("interface"), body.TextChange("url"), body.TextChange("name"), body.FlagChange("enabled"),
                body.Extra(EndpointFields));
            var makesRegion = !body.Has("region_id");
            return One(200, "endpoint", Json(
                await call.Service<CatalogService>().UpdateEndpointAsync(call.Operation, call.Route("id"), patch, makesRegion, call.Cancelled), call));
        });
        rest.Delete("/v3/endpoints/{id}", async call =>
        {
            await call.Service<CatalogService>().DeleteEndpointAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static RestResult One(int status, string name, JsonObject json) => RestResult.Json(status, new JsonObject { [name] = json });

    private static JsonObject Json(Region region, RestCall call) => Finish(
        new JsonObject { ["id"] = region.Id, ["description"] = region.Description, ["parent_region_id"] = region.ParentRegionId },
        region.Extra, call, "regions", Uri.EscapeDataString(region.Id));

    private static JsonObject Json(Service service, RestCall call)
    {
        var json = new JsonObject { ["id"] = service.Id, ["type"] = service.Type, ["enabled"] = service.Enabled };
        if (service.Name is { } name)
        {
            json["name"] = name;
        }
        if (service.Description is { } description)
        {
            json["description"] = description;
        }
        return Finish(json, service.Extra, call, "services", service.Id);
    }

    private static JsonObject Json(Endpoint endpoint, RestCall call)
    {
        var json = new JsonObject
        {
            ["id"] = endpoint.Id,
            ["interface"] = endpoint.Interface,
            ["region_id"] = endpoint.RegionId,
            ["region"] = endpoint.RegionId,
            ["service_id"] = endpoint.ServiceId,
            ["url"] = endpoint.Url,
            ["enabled"] = endpoint.Enabled,
        };
        if (endpoint.Name is { } name)
        {
            json["name"] = name;
        }
        return Finish(json, endpoint.Extra, call, "endpoints", endpoint.Id);
    }

    private static JsonObject Finish(JsonObject json, JsonObject extra, RestCall call, string collection, string id)
    {
        ProjectJson.AddExtra(json, extra);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/{collection}/{id}" };
        return json;
    }
}

using System.Text.Json.Nodes;
using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Catalog;

internal sealed record RegionPatch(Change<string> Description, Change<string> ParentRegionId, JsonObject? Extra);

internal sealed record ServicePatch(
    Change<string> Type, Change<string> Name, Change<string> Description, Change<bool> Enabled, JsonObject? Extra);

internal sealed record EndpointPatch(
    Change<string> ServiceId, Change<string> RegionId, Change<string> Interface, Change<string> Url, Change<string> Name,
    Change<bool> Enabled, JsonObject? Extra);

/// <summary>What can be done with regions, services and endpoints. Everybody may read them; administrators change them.</summary>
internal sealed class CatalogService(DirectoryView directory, IdentityWrites writes)
{
    public const int MaxUrlChars = 2048;

    private const string RegionKind = "region", ServiceKind = "service", EndpointKind = "endpoint";

    public async Task<Region> GetRegionAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return (Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.Regions, id, cancellationToken) : null) ??
            throw Faults.NotFound(RegionKind, id);
    }

    public async Task<IReadOnlyList<Region>> ListRegionsAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return await directory.ListAsync(directory.Caches.Regions, cancellationToken);
    }

    public async Task<Region> CreateRegionAsync(
        OperationContext operation, Region draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_region");
        var region = draft with
        {
            Id = draft.Id.Length == 0 ? Ids.NewHex() : CheckId(Names.Check(draft.Id, "id")),
            Description = Names.CheckDescription(draft.Description) ?? "",
            Extra = Names.CheckExtra(draft.Extra, RegionKind),
        };
        return await IdentityFaults.GuardNameAsync(RegionKind, region.Id, writes.CreateAsync(
            operation, RegionKind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Regions, id, cancellationToken),
            async change =>
            {
                await CheckParentAsync(change.State, region, cancellationToken);
                change.State.Insert(IdentityTables.Regions, region);
                return (region.Id, region);
            },
            cancellationToken));
    }

    public async Task<Region> UpdateRegionAsync(OperationContext operation, string id, RegionPatch patch, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_region");
        return await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, IdentityTables.Regions, RegionKind, id, cancellationToken);
                var after = before with
                {
                    Description = patch.Description.IsGiven ? Names.CheckDescription(patch.Description.Value) ?? "" : before.Description,
                    ParentRegionId = patch.ParentRegionId.Or(before.ParentRegionId),
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(ProjectService.Merge(before.Extra, patch.Extra), RegionKind),
                };
                await CheckParentAsync(change.State, after, cancellationToken);
                change.State.Put(IdentityTables.Regions, after);
                return after;
            },
            cancellationToken);
    }

    public async Task DeleteRegionAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_region");
        await writes.RunAsync(
            async change =>
            {
                await RequireAsync(change.State, IdentityTables.Regions, RegionKind, id, cancellationToken);
                if ((await change.State.ListAsync(IdentityTables.Regions, "", cancellationToken)).Any(region => region.ParentRegionId == id))
                {
                    throw IdentityFaults.Refused($"Unable to delete region {id} because it or its child regions have associated endpoints.");
                }
                if ((await change.State.ListAsync(IdentityTables.Endpoints, "", cancellationToken)).Any(endpoint => endpoint.RegionId == id))
                {
                    throw IdentityFaults.Refused($"Unable to delete region {id} because it or its child regions have associated endpoints.");
                }
                change.State.Delete<Region>(IdentityTables.Regions, id);
            },
            cancellationToken);
    }

    public async Task<Service> GetServiceAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireReader(operation, "identity:get_service");
        return (Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.Services, id, cancellationToken) : null) ??
            throw Faults.NotFound(ServiceKind, id);
    }

    public async Task<IReadOnlyList<Service>> ListServicesAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireReader(operation, "identity:list_services");
        return await directory.ListAsync(directory.Caches.Services, cancellationToken);
    }

    public async Task<Service> CreateServiceAsync(
        OperationContext operation, Service draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_service");
        var service = draft with
        {
            Id = Ids.NewHex(),
            Type = Names.Check(draft.Type, "type"),
            Description = Names.CheckDescription(draft.Description),
            Extra = Names.CheckExtra(draft.Extra, ServiceKind),
        };
        return await writes.CreateAsync(
            operation, ServiceKind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Services, id, cancellationToken),
            change =>
            {
                change.State.Insert(IdentityTables.Services, service);
                return Task.FromResult((service.Id, service));
            },
            cancellationToken);
    }

    public async Task<Service> UpdateServiceAsync(OperationContext operation, string id, ServicePatch patch, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_service");
        return await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, IdentityTables.Services, ServiceKind, id, cancellationToken);
                var after = before with
                {
                    Type = patch.Type.IsGiven ? Names.Check(patch.Type.Value, "type") : before.Type,
                    Name = patch.Name.Or(before.Name),
                    Description = patch.Description.IsGiven ? Names.CheckDescription(patch.Description.Value) : before.Description,
                    Enabled = patch.Enabled.Or(before.Enabled),
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(ProjectService.Merge(before.Extra, patch.Extra), ServiceKind),
                };
                change.State.Put(IdentityTables.Services, after);
                return after;
            },
            cancellationToken);
    }

    /// <summary>With its endpoints.</summary>
    public async Task DeleteServiceAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_service");
        await writes.RunAsync(
            async change =>
            {
                await RequireAsync(change.State, IdentityTables.Services, ServiceKind, id, cancellationToken);
                foreach (var endpoint in await change.State.ListAsync(IdentityTables.Endpoints, "", cancellationToken))
                {
                    if (endpoint.ServiceId == id)
                    {
                        change.State.Delete<Endpoint>(IdentityTables.Endpoints, endpoint.Id);
                    }
                }
                change.State.Delete<Service>(IdentityTables.Services, id);
            },
            cancellationToken);
    }

    public async Task<Endpoint> GetEndpointAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireReader(operation, "identity:get_endpoint");
        return (Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.Endpoints, id, cancellationToken) : null) ??
            throw Faults.NotFound(EndpointKind, id);
    }

    public async Task<IReadOnlyList<Endpoint>> ListEndpointsAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireReader(operation, "identity:list_endpoints");
        return await directory.ListAsync(directory.Caches.Endpoints, cancellationToken);
    }

    public async Task<Endpoint> CreateEndpointAsync(
        OperationContext operation, Endpoint draft, bool makesRegion, string idempotencyKey, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_endpoint");
        var endpoint = draft with
        {
            Id = Ids.NewHex(),
            IsManaged = false,
            Extra = Names.CheckExtra(draft.Extra, EndpointKind),
        };
        return await writes.CreateAsync(
            operation, EndpointKind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Endpoints, id, cancellationToken),
            async change =>
            {
                await CheckAsync(change.State, endpoint, makesRegion, cancellationToken);
                change.State.Insert(IdentityTables.Endpoints, endpoint);
                return (endpoint.Id, endpoint);
            },
            cancellationToken);
    }

    public async Task<Endpoint> UpdateEndpointAsync(
        OperationContext operation, string id, EndpointPatch patch, bool makesRegion, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_endpoint");
        return await writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, IdentityTables.Endpoints, EndpointKind, id, cancellationToken);
                var after = before with
                {
                    ServiceId = patch.ServiceId.Or(before.ServiceId) ?? "",
                    RegionId = patch.RegionId.Or(before.RegionId),
                    Interface = patch.Interface.Or(before.Interface) ?? "",
                    Url = patch.Url.Or(before.Url) ?? "",
                    Name = patch.Name.Or(before.Name),
                    Enabled = patch.Enabled.Or(before.Enabled),
                    IsManaged = before.IsManaged && !patch.Url.IsGiven,
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(ProjectService.Merge(before.Extra, patch.Extra), EndpointKind),
                };
                await CheckAsync(change.State, after, makesRegion, cancellationToken);
                change.State.Put(IdentityTables.Endpoints, after);
                return after;
            },
            cancellationToken);
    }

    public async Task DeleteEndpointAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_endpoint");
        await writes.RunAsync(
            async change =>
            {
                await RequireAsync(change.State, IdentityTables.Endpoints, EndpointKind, id, cancellationToken);
                change.State.Delete<Endpoint>(IdentityTables.Endpoints, id);
            },
            cancellationToken);
    }

    private static string CheckId(string id) => Names.IsId(id) ? id : throw Faults.Invalid("id", "must not have a slash");

    private static async Task<T> RequireAsync<T>(
        StateTransaction state, TableSchema<T> schema, string kind, string id, CancellationToken cancellationToken)
        where T : class => (Names.IsId(id) ? await state.GetAsync(schema, id, cancellationToken) : null) ?? throw Faults.NotFound(kind, id);

    private static async Task CheckParentAsync(StateTransaction state, Region region, CancellationToken cancellationToken)
    {
        var parentId = region.ParentRegionId;
        var seen = new HashSet<string>(StringComparer.Ordinal) { region.Id };
        while (parentId is not null)
        {
            if (!seen.Add(parentId))
            {
                throw Faults.Invalid("parent_region_id", "a region cannot be above itself");
            }
            parentId = (await RequireAsync(state, IdentityTables.Regions, RegionKind, parentId, cancellationToken)).ParentRegionId;
        }
    }

    private static async Task CheckAsync(StateTransaction state, Endpoint endpoint, bool makesRegion, CancellationToken cancellationToken)
    {
        if (endpoint.Interface is not (Endpoint.Public or Endpoint.Internal or Endpoint.Admin))
        {
            throw Faults.Invalid("interface", "must be public, internal or admin");
        }
        Names.Check(endpoint.Url, "url", MaxUrlChars);
        if (EndpointUrl.Fill(endpoint.Url, "p", "u") is not { } filled)
        {
            throw Faults.Invalid("url", "only project_id, tenant_id and user_id can be filled in");
        }
        if (!Uri.TryCreate(filled, UriKind.Absolute, out _))
        {
            throw Faults.Invalid("url", "must be an absolute URL");
        }
        if (!Names.IsId(endpoint.ServiceId) || await state.GetAsync(IdentityTables.Services, endpoint.ServiceId, cancellationToken) is null)
        {
            throw Faults.Invalid("service_id", $"there is no service {endpoint.ServiceId}");
        }
        if (endpoint.RegionId is { } regionId &&
            (!Names.IsId(regionId) || await state.GetAsync(IdentityTables.Regions, regionId, cancellationToken) is null))
        {
            if (!makesRegion)
            {
                throw Faults.Invalid("region_id", $"there is no region {regionId}");
            }
            state.Insert(IdentityTables.Regions, new Region { Id = CheckId(Names.Check(regionId, "region")) });
        }
    }
}

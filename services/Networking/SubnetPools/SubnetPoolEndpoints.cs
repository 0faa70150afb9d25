using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Networking.Addressing;
using Nephos.Kernel.Operations;
using Nephos.Networking.Rest;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.SubnetPools;

internal static class SubnetPoolEndpoints
{
    private const string Path = "/v2.0/subnetpools";

    public static void Map(RestRoutes rest, SubnetPoolService pools, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "subnetpools", Path, view.SubnetPools.Values.Where(call.Operation.Sees).Select(pool => ToJson(pool, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var pool = await pools.CreateAsync(call.Operation, ReadNew(await RestBody.OneAsync(call, "subnetpool")), call.Cancelled);
            return RestResult.Json(201, new JsonObject { ["subnetpool"] = ToJson(pool, call.Operation) });
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var pool = (await store.ViewAsync(call.Cancelled)).SubnetPool(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["subnetpool"] = ListQuery.Fields(call, ToJson(pool, call.Operation)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var changes = ReadChanges(await RestBody.OneAsync(call, "subnetpool"));
            var pool = await pools.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["subnetpool"] = ToJson(pool, call.Operation) });
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await pools.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        TagEndpoints.Map(rest, Path, store,
            (view, operation, id) => view.SubnetPool(operation, id).Tags,
            (operation, id, tags, cancelled) => pools.UpdateAsync(operation, id, new SubnetPoolChanges { Tags = new(true, tags) }, cancelled));
    }

    private static JsonObject ToJson(SubnetPool pool, OperationContext operation) => new JsonObject
    {
        ["id"] = pool.Id,
        ["name"] = pool.Name,
        ["tenant_id"] = pool.ProjectId,
        ["default_prefixlen"] = pool.DefaultPrefixLength,
        ["min_prefixlen"] = pool.MinPrefixLength,
        ["max_prefixlen"] = pool.MaxPrefixLength,
        ["is_default"] = pool.IsDefault,
        ["shared"] = pool.Allows(GrantAction.Shared, operation.ProjectId),
        ["prefixes"] = JsonParts.Strings(pool.Prefixes.Select(prefix => prefix.ToString())),
        ["ip_version"] = pool.IpVersion,
        ["default_quota"] = pool.DefaultQuota,
        ["address_scope_id"] = pool.AddressScopeId,
        ["description"] = pool.Description,
    }.WithCommon(pool);

    private static NewSubnetPool ReadNew(RestBody body)
    {
        var request = new NewSubnetPool
        {
            ProjectId = body.ProjectId(),
            Name = body.Required("name"),
            Description = body.String("description"),
            Prefixes = ReadPrefixes(body),
            DefaultPrefixLength = body.IntOrNull("default_prefixlen"),
            MinPrefixLength = body.IntOrNull("min_prefixlen"),
            MaxPrefixLength = body.IntOrNull("max_prefixlen"),
            Shared = body.Bool("shared", otherwise: false),
            IsDefault = body.Bool("is_default", otherwise: false),
            DefaultQuota = body.LongOrNull("default_quota"),
            AddressScopeId = ReadScope(body, "address_scope_id"),
            Tags = body.Strings("tags"),
        };
        body.Done();
        return request;
    }

    private static SubnetPoolChanges ReadChanges(RestBody body)
    {
        var changes = new SubnetPoolChanges
        {
            Name = body.Optional("name", body.String),
            Description = body.Optional("description", body.String),
            Prefixes = body.Optional("prefixes", _ => ReadPrefixes(body)),
            DefaultPrefixLength = body.Optional("default_prefixlen", name => body.IntOrNull(name) ?? 0),
            MinPrefixLength = body.Optional("min_prefixlen", name => body.IntOrNull(name) ?? 0),
            MaxPrefixLength = body.Optional("max_prefixlen", name => body.IntOrNull(name) ?? 0),
            IsDefault = body.Optional("is_default", name => body.Bool(name, otherwise: false)),
            DefaultQuota = body.Optional("default_quota", body.LongOrNull),
            AddressScopeId = body.Optional("address_scope_id", name => ReadScope(body, name)),
        };
        body.Done();
        return changes;
    }

    private static string? ReadScope(RestBody body, string name) => body.StringOrNull(name) is { Length: > 0 } scope ? scope : null;

    private static IReadOnlyList<Cidr> ReadPrefixes(RestBody body) =>
        [.. body.Strings("prefixes").Select(text => Checks.Block("prefixes", text))];
}

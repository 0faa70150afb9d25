using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Metadefs;

/// <summary>/v2/metadefs: namespaces and what is in them.</summary>
internal static class MetadefEndpoints
{
    private const string Root = "/v2/metadefs/namespaces", One = Root + "/{space}";
    private const int DefaultLimit = 25;

    /// <summary>What properties can be put on in any cloud of this kind.</summary>
    private static readonly string[] KnownTypes =
        ["OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server", "OS::Trove::Instance"];

    public static void Map(RestRoutes rest)
    {
        MapNamespaces(rest);
        MapItems(rest, MetadefKind.Property, "properties", (item, _) => MetadefJson.Property(item));
        MapItems(rest, MetadefKind.Object, "objects", MetadefJson.Object);
        MapTags(rest);
        MapResourceTypes(rest);
    }

    private static void MapNamespaces(RestRoutes rest)
    {
        rest.Get(Root, ListAsync);
        rest.Post(Root, async call =>
        {
            var body = await call.ReadJsonAsync();
            var empty = new MetadefNamespace { Name = "", Owner = "", CreatedAt = default, UpdatedAt = default };
            var made = await Service(call).CreateAsync(call.Operation, MetadefJson.ReadContent(body, MetadefJson.Read(body, empty)), call.Cancelled);
            return RestResult.Json(201, MetadefJson.Of(made, withContent: false)).WithHeader("Location", $"{call.BaseUrl}{Root}/{Uri.EscapeDataString(made.Name)}");
        });
        rest.Get(One, async call => RestResult.Json(200, MetadefJson.Of(await SpaceAsync(call), withContent: true)));
        rest.Put(One, async call =>
        {
            var body = await call.ReadJsonAsync();
            return RestResult.Json(200, MetadefJson.Of(
                await Service(call).UpdateAsync(call.Operation, call.Route("space"), before => MetadefJson.Read(body, before), call.Cancelled),
                withContent: false));
        });
        rest.Delete(One, async call =>
        {
            await Service(call).DeleteAsync(call.Operation, call.Route("space"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapItems(RestRoutes rest, MetadefKind kind, string collection, Func<MetadefItem, string, JsonObject> json)
    {
        var path = $"{One}/{collection}";
        rest.Get(path, async call =>
        {
            var space = await SpaceAsync(call);
            return RestResult.Json(200, new JsonObject
            {
                [collection] = kind == MetadefKind.Property
                    ? MetadefJson.Properties(space)
                    : new JsonArray([.. MetadefService.Items(space, kind).Select(item => json(item, space.Name))]),
                ["schema"] = $"/v2/schemas/metadefs/{collection}",
            });
        });
        rest.Post(path, async call =>
        {
            var draft = MetadefJson.ReadItem(await call.ReadJsonAsync(), kind);
            var made = await Service(call).AddItemAsync(call.Operation, call.Route("space"), kind, draft, call.Cancelled);
            return RestResult.Json(201, json(made, call.Route("space")));
        });
        rest.Get(path + "/{item}", async call => RestResult.Json(200, json(
            await Service(call).GetItemAsync(call.Operation, call.Route("space"), kind, call.Route("item"), call.Cancelled), call.Route("space"))));
        rest.Put(path + "/{item}", async call =>
        {
            var draft = MetadefJson.ReadItem(await call.ReadJsonAsync(), kind);
            return RestResult.Json(200, json(await Service(call).ReplaceItemAsync(
                call.Operation, call.Route("space"), kind, call.Route("item"), draft, call.Cancelled), call.Route("space")));
        });
        MapRemoval(rest, kind, path);
    }

    private static void MapTags(RestRoutes rest)
    {
        const string Path = One + "/tags";
        rest.Get(Path, async call => Tags(200, await SpaceAsync(call)));
        rest.Post(Path, async call =>
        {
            var tags = MetadefJson.Objects(await call.ReadJsonAsync(), "tags").Select(tag => MetadefJson.ReadItem(tag, MetadefKind.Tag)).ToList();
            var keeps = call.Header("X-Openstack-Append")?.Equals("true", StringComparison.OrdinalIgnoreCase) == true;
            var now = call.Service<TimeProvider>().GetUtcNow();
            return Tags(201, await Service(call).UpdateAsync(
                call.Operation, call.Route("space"),
                space => space with
                {
                    Tags =
                    [
                        .. keeps ? space.Tags.Where(old => !tags.Exists(tag => tag.Name == old.Name)) : [],
                        .. tags.Select(tag => tag with { CreatedAt = now, UpdatedAt = now }),
                    ],
                },
                call.Cancelled));
        });
        rest.Post(Path + "/{item}", async call => RestResult.Json(201, MetadefJson.Tag(await Service(call).AddItemAsync(
            call.Operation, call.Route("space"), MetadefKind.Tag, new MetadefItem(call.Route("item"), [], default, default), call.Cancelled))));
        rest.Get(Path + "/{item}", async call => RestResult.Json(200, MetadefJson.Tag(
            await Service(call).GetItemAsync(call.Operation, call.Route("space"), MetadefKind.Tag, call.Route("item"), call.Cancelled))));
        rest.Put(Path + "/{item}", async call =>
        {
            var draft = MetadefJson.ReadItem(await call.ReadJsonAsync(), MetadefKind.Tag);
            return RestResult.Json(200, MetadefJson.Tag(await Service(call).ReplaceItemAsync(
                call.Operation, call.Route("space"), MetadefKind.Tag, call.Route("item"), draft, call.Cancelled)));
        });
        MapRemoval(rest, MetadefKind.Tag, Path);
    }

    private static void MapRemoval(RestRoutes rest, MetadefKind kind, string path)
    {
        rest.Delete(path, async call =>
        {
            await Service(call).RemoveItemsAsync(call.Operation, call.Route("space"), kind, null, call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Delete(path + "/{item}", async call =>
        {
            await Service(call).RemoveItemsAsync(call.Operation, call.Route("space"), kind, call.Route("item"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapResourceTypes(RestRoutes rest)
    {
        const string Path = One + "/resource_types";
        rest.Get("/v2/metadefs/resource_types", async call =>
        {
            var named = (await Service(call).ListAsync(call.Operation, call.Cancelled)).SelectMany(space => space.ResourceTypes).Select(type => type.Name);
            return RestResult.Json(200, new JsonObject
            {
                ["resource_types"] = new JsonArray([.. KnownTypes.Union(named).Order(StringComparer.Ordinal).Select(name => new JsonObject { ["name"] = name })]),
                ["schema"] = "/v2/schemas/metadefs/resource_types",
            });
        });
        rest.Get(Path, async call => RestResult.Json(200, new JsonObject
        {
            ["resource_type_associations"] = new JsonArray([.. (await SpaceAsync(call)).ResourceTypes.Select(type => MetadefJson.Of(type, withTimes: true))]),
        }));
        rest.Post(Path, async call =>
        {
            var now = call.Service<TimeProvider>().GetUtcNow();
            var made = MetadefJson.ReadResourceType(await call.ReadJsonAsync()) with { CreatedAt = now, UpdatedAt = now };
            await Service(call).UpdateAsync(
                call.Operation, call.Route("space"),
                space => space.ResourceTypes.Any(type => type.Name == made.Name)
                    ? throw MetadefService.Duplicate("resource type association", made.Name)
                    : space with { ResourceTypes = [.. space.ResourceTypes, made] },
                call.Cancelled);
            return RestResult.Json(201, MetadefJson.Of(made, withTimes: true));
        });
        rest.Delete(Path + "/{item}", async call =>
        {
            var name = call.Route("item");
            await Service(call).UpdateAsync(
                call.Operation, call.Route("space"),
                space => space.ResourceTypes.Any(type => type.Name == name)
                    ? space with { ResourceTypes = [.. space.ResourceTypes.Where(type => type.Name != name)] }
                    : throw MetadefService.NotFound("resource type association", name),
                call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        var limit = call.Query("limit") is not { } text ? DefaultLimit
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var asked) ? Math.Min(asked, MetadefService.MaxNamespaces)
            : throw Faults.Invalid("limit", "must be a number");
        var types = call.Query("resource_types")?.Split(',');
        var found = (await Service(call).ListAsync(call.Operation, call.Cancelled)).Where(space =>
            (call.Query("visibility") is not { } visibility || visibility == (space.IsPublic ? "public" : "private")) &&
            (types is null || space.ResourceTypes.Any(type => types.Contains(type.Name)))).ToList();
        if (call.Query("marker") is { Length: > 0 } marker)
        {
            var at = found.FindIndex(space => space.Name == marker);
            found = at < 0 ? throw MetadefService.NotFound("namespace", marker) : found[(at + 1)..];
        }
        var page = found.Take(limit).ToList();
        var body = new JsonObject
        {
            ["namespaces"] = new JsonArray([.. page.Select(space => MetadefJson.Of(space, withContent: false))]),
            ["first"] = Root,
            ["schema"] = "/v2/schemas/metadefs/namespaces",
        };
        if (page.Count > 0 && page.Count < found.Count)
        {
            body["next"] = $"{Root}?limit={limit}&marker={Uri.EscapeDataString(page[^1].Name)}";
        }
        return RestResult.Json(200, body);
    }

    private static RestResult Tags(int status, MetadefNamespace space) => RestResult.Json(status, new JsonObject
    {
        ["tags"] = new JsonArray([.. space.Tags.Select(MetadefJson.Tag)]), ["schema"] = "/v2/schemas/metadefs/tags",
    });

    private static MetadefService Service(RestCall call) => call.Service<MetadefService>();

    private static Task<MetadefNamespace> SpaceAsync(RestCall call) => Service(call).GetAsync(call.Operation, call.Route("space"), call.Cancelled);
}

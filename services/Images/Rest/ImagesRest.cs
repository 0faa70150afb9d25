using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Images.Catalog;
using Nephos.Images.Metadefs;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Rest;

/// <summary>The routes of the Image API.</summary>
internal static class ImagesRest
{
    // Newest first; the versions between belong to clouds with several stores.
    private static readonly string[] Versions = ["v2.15", "v2.9", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"];

    public static void Map(RestRoutes rest)
    {
        rest.Get("", call => Result(RestResult.Json(300, VersionList(call)))).Anonymous();
        rest.Get("/versions", call => Result(RestResult.Json(200, VersionList(call)))).Anonymous();
        rest.Get("/v2", call => Result(call.Http.Request.Path.Value!.EndsWith('/')
            ? RestResult.Json(300, VersionList(call))
            : RestResult.Empty(302).WithHeader("Location", call.BaseUrl + "/v2/"))).Anonymous();

        rest.Post("/v2/images", CreateAsync);
        rest.Get("/v2/images", ListAsync);
        rest.Get("/v2/images/{id}", async call =>
            RestResult.Json(200, ImageRepresentation.Of(await Images(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled))));
        rest.Patch("/v2/images/{id}", PatchAsync);
        rest.Delete("/v2/images/{id}", async call =>
        {
            await Images(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Post("/v2/images/{id}/actions/deactivate", async call =>
        {
            await Images(call).DeactivateAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Post("/v2/images/{id}/actions/reactivate", async call =>
        {
            await Images(call).ReactivateAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Put("/v2/images/{id}/tags/{tag}", call => TagAsync(call, add: true));
        rest.Delete("/v2/images/{id}/tags/{tag}", call => TagAsync(call, add: false));
        ImageFiles.Map(rest);
        MemberEndpoints.Map(rest);
        Discovery.Map(rest);
        MetadefEndpoints.Map(rest);
        MetadefSchemas.Map(rest);
    }

    private static JsonObject VersionList(RestCall call) => new()
    {
        ["versions"] = new JsonArray([.. Versions.Select(version => new JsonObject
        {
            ["id"] = version,
            ["status"] = version == Versions[0] ? "CURRENT" : "SUPPORTED",
            ["links"] = new JsonArray(new JsonObject { ["rel"] = "self", ["href"] = call.BaseUrl + "/v2/" }),
        })]),
    };

    private static async Task<RestResult> CreateAsync(RestCall call)
    {
        var wanted = ImageBody.ReadNew(await call.ReadJsonAsync());
        var image = await Images(call).CreateAsync(call.Operation, wanted, call.Cancelled);
        return RestResult.Json(201, ImageRepresentation.Of(image)).WithHeader("Location", $"{call.BaseUrl}/v2/images/{image.Id}");
    }

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        var query = ImageQuery.Parse(call.Http.Request.Query);
        var (page, next) = query.Page(call.Operation, await Images(call).ListAsync(call.Operation, call.Cancelled));
        var body = new JsonObject
        {
            ["images"] = new JsonArray([.. page.Select(ImageRepresentation.Of)]),
            ["first"] = query.Link(null),
            ["schema"] = "/v2/schemas/images",
        };
        if (next is not null)
        {
            body["next"] = query.Link(next);
        }
        return RestResult.Json(200, body);
    }

    private static async Task<RestResult> PatchAsync(RestCall call)
    {
        if (ImagePatch.DialectOf(call.Http.Request.ContentType) is not { } dialect)
        {
            return RestResult.Json(415, ImagesDialect.Error(415, $"Expected a body of type {ImagePatch.AcceptPatch}."))
                .WithHeader("Accept-Patch", ImagePatch.AcceptPatch);
        }
        var changes = ImagePatch.Read(await call.ReadJsonNodeAsync(), dialect);
        var image = await Images(call).UpdateAsync(
            call.Operation, call.Route("id"), image => changes.Aggregate(image, (changed, change) => change.Apply(changed)), call.Cancelled);
        return RestResult.Json(200, ImageRepresentation.Of(image));
    }

    private static async Task<RestResult> TagAsync(RestCall call, bool add)
    {
        var tag = call.Route("tag");
        ImageRules.CheckTag(tag);
        await Images(call).UpdateAsync(call.Operation, call.Route("id"), image =>
        {
            var has = image.Tags.Contains(tag, StringComparer.Ordinal);
            return add switch
            {
                true => has ? image : image with { Tags = [.. image.Tags, tag] },
                false => has ? image with { Tags = [.. image.Tags.Where(other => other != tag)] } : throw ImageFaults.TagNotFound(),
            };
        }, call.Cancelled);
        return RestResult.Empty(204);
    }

    private static ImageService Images(RestCall call) => call.Service<ImageService>();

    private static Task<RestResult> Result(RestResult result) => Task.FromResult(result);
}

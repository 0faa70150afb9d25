using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Images.Catalog;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Images.Rest;

/// <summary>What clients ask to learn what this service can do.</summary>
internal static class Discovery
{
    private const long MiB = 1024 * 1024;

    public static void Map(RestRoutes rest)
    {
        rest.Get("/v2/schemas/image", _ => Task.FromResult(RestResult.Json(200, ImageSchemas.Image())));
        rest.Get("/v2/schemas/images", _ => Task.FromResult(RestResult.Json(200, ImageSchemas.Images())));
        rest.Get("/v2/schemas/member", _ => Task.FromResult(RestResult.Json(200, ImageSchemas.Member())));
        rest.Get("/v2/schemas/members", _ => Task.FromResult(RestResult.Json(200, ImageSchemas.Members())));
        rest.Get("/v2/info/import", _ => Task.FromResult(RestResult.Json(200, new JsonObject
        {
            ["import-methods"] = new JsonObject { ["description"] = "Import methods available.", ["type"] = "array", ["value"] = new JsonArray() },
        })));
        rest.Get("/v2/info/stores", _ => throw new FaultException(ErrorReason.NotFound, "Multi backend is not supported at this site."));
        rest.Get("/v2/info/usage", UsageAsync);
    }

    private static async Task<RestResult> UsageAsync(RestCall call)
    {
        var options = call.Service<ImagesOptions>();
        var project = call.Operation.RequireProject();
        var usage = await call.Service<IStateStore>().GetAsync(ImageTables.Usage, project, call.Cancelled) ?? new ProjectUsage(project, 0, 0);
        return RestResult.Json(200, new JsonObject
        {
            ["usage"] = new JsonObject
            {
                ["image_size_total"] = Of(options.QuotaBytes < 0 ? -1 : options.QuotaBytes / MiB, usage.Bytes / MiB),
                ["image_count_total"] = Of(options.QuotaImages, usage.Images),
            },
        });
    }

    private static JsonObject Of(long limit, long usage) => new() { ["limit"] = limit, ["usage"] = usage };
}

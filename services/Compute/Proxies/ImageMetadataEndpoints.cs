using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Compute.Seams;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Proxies;

/// <summary>Properties of images as the compute API changed them up to microversion 2.38.</summary>
internal static class ImageMetadataEndpoints
{
    private const int GoneFrom = 39;

    public static void Map(RestRoutes rest, string root)
    {
        var path = root + "/images/{id}/metadata";
        rest.Get(path, async call => Answer((await FindAsync(call)).Properties));
        rest.Post(path, async call => await SetAsync(call, replace: false));
        rest.Put(path, async call => await SetAsync(call, replace: true));
        rest.Get(path + "/{key}", async call =>
        {
            var (image, key) = (await FindAsync(call), call.Route("key"));
            return image.Properties.TryGetValue(key, out var value) ? Item(key, value) : throw Missing();
        });
        rest.Put(path + "/{key}", async call =>
        {
            var set = new Fields(await call.ReadJsonAsync()).Only("meta").Map("meta") ?? throw ComputeFaults.Refers("meta", "'meta' is a required property");
            var key = call.Route("key");
            if (set.Count != 1 || !set.TryGetValue(key, out var value))
            {
                throw ComputeFaults.Refers("meta", "Request body and URI mismatch");
            }
            await ReplaceAsync(call, await FindAsync(call), properties => properties[key] = value);
            return Item(key, value);
        });
        rest.Delete(path + "/{key}", async call =>
        {
            await ReplaceAsync(call, await FindAsync(call), properties =>
            {
                if (!properties.Remove(call.Route("key")))
                {
                    throw Missing();
                }
            });
            return RestResult.Empty(204);
        });
    }

    private static async Task<ImageRef> FindAsync(RestCall call)
    {
        call.RequireBefore(GoneFrom);
        return await call.Service<IImageApi>().GetImageAsync(call.Operation, call.Route("id"), call.Cancelled);
    }

    private static async Task<RestResult> SetAsync(RestCall call, bool replace)
    {
        var set = new Fields(await call.ReadJsonAsync()).Only("metadata").Map("metadata") ?? throw ComputeFaults.Refers("metadata", "'metadata' is a required property");
        return Answer(await ReplaceAsync(call, await FindAsync(call), properties =>
        {
            if (replace)
            {
                properties.Clear();
            }
            foreach (var (key, value) in set)
            {
                properties[key] = value;
            }
        }));
    }

    private static async Task<IReadOnlyDictionary<string, string>> ReplaceAsync(RestCall call, ImageRef image, Action<Dictionary<string, string>> change)
    {
        var properties = new Dictionary<string, string>(image.Properties);
        change(properties);
        await call.Service<IImageApi>().ReplacePropertiesAsync(call.Operation, image.Id, properties, call.Cancelled);
        return properties;
    }

    private static RestResult Answer(IReadOnlyDictionary<string, string> properties) =>
        RestResult.Json(200, new JsonObject { ["metadata"] = RestParts.Map(properties) });

    private static RestResult Item(string key, string value) => RestResult.Json(200, new JsonObject { ["meta"] = new JsonObject { [key] = value } });

    private static FaultException Missing() => new(ErrorReason.NotFound, "Metadata item was not found");
}

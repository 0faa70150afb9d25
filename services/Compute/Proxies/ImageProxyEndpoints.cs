using System.Text.Json.Nodes;
using Nephos.Compute.Seams;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Proxies;

/// <summary>Images as the compute API showed them up to microversion 2.35.</summary>
internal static class ImageProxyEndpoints
{
    private const int GoneFrom = 36;
    private static readonly string[] DiskConfigKeys = ["auto_disk_config"];

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/images", call => ListAsync(call, detail: false));
        rest.Get(root + "/images/detail", call => ListAsync(call, detail: true));
        rest.Get(root + "/images/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            var image = await Images(call).GetImageAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["image"] = Json(call, image) });
        });
        rest.Delete(root + "/images/{id}", async call =>
        {
            call.RequireBefore(GoneFrom);
            await Images(call).DeleteImageAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static IImageApi Images(RestCall call) => call.Service<IImageApi>();

    private static async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        call.RequireBefore(GoneFrom);
        var all = (await Images(call).ListImagesAsync(call.Operation, call.Cancelled)).Where(image =>
            (call.Query("name") is not { } name || image.Name == name)
            && (call.Query("status") is not { } status || Status(image) == status.ToUpperInvariant())
            && (call.Query("server") is not { } server || image.Properties.GetValueOrDefault("instance_uuid") == server[(server.LastIndexOf('/') + 1)..])
            && (call.Query("type") is not { } type || image.Properties.GetValueOrDefault("image_type", "base") == type)).ToList();
        var (items, more) = call.Page(all, image => image.Id);
        var answer = new JsonObject
        {
            ["images"] = RestParts.Array(items.Select(image => detail
                ? Json(call, image)
                : new JsonObject { ["id"] = image.Id, ["name"] = image.Name, ["links"] = Links(call, image.Id) })),
        };
        if (more)
        {
            call.AddNext(answer, "images_links", detail ? "images/detail" : "images", items[^1].Id);
        }
        return RestResult.Json(200, answer);
    }

    private static JsonObject Json(RestCall call, ImageRef image)
    {
        var json = new JsonObject
        {
            ["id"] = image.Id,
            ["name"] = image.Name,
            ["minRam"] = image.MinRamMib,
            ["minDisk"] = image.MinDiskGib,
            ["metadata"] = RestParts.Map(image.Properties),
            ["created"] = RestParts.Seconds(image.CreatedAt),
            ["updated"] = RestParts.Seconds(image.UpdatedAt),
            ["status"] = Status(image),
            ["progress"] = image.Status switch { "active" => 100, "saving" => 50, "queued" => 25, _ => 0 },
            ["OS-EXT-IMG-SIZE:size"] = image.SizeBytes,
            ["links"] = Links(call, image.Id),
        };
        if (image.Properties.GetValueOrDefault("instance_uuid") is { } server)
        {
            json["server"] = new JsonObject { ["id"] = server, ["links"] = call.Links($"servers/{server}") };
        }
        foreach (var key in DiskConfigKeys)
        {
            if (image.Properties.GetValueOrDefault(key) is { } value)
            {
                json["OS-DCF:diskConfig"] = value is "True" or "true" ? "AUTO" : "MANUAL";
            }
        }
        return json;
    }

    private static string Status(ImageRef image) => image.Status switch
    {
        "active" => "ACTIVE",
        "queued" or "saving" => "SAVING",
        "killed" => "ERROR",
        _ => "UNKNOWN",
    };

    private static JsonArray Links(RestCall call, string id)
    {
        var links = call.Links($"images/{id}");
        links.Add(new JsonObject
        {
            ["rel"] = "alternate",
            ["type"] = "application/vnd.openstack.image",
            ["href"] = $"{call.BaseUrl[..^ComputeDialect.Instance.Prefix.Length]}/image/images/{id}",
        });
        return links;
    }
}

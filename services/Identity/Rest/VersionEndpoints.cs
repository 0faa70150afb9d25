using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;

namespace Nephos.Identity.Rest;

/// <summary>What a client reads first: which versions there are.</summary>
internal static class VersionEndpoints
{
    public static void Map(RestRoutes rest)
    {
        rest.Get("", call => Task.FromResult(
            RestResult.Json(300, new JsonObject { ["versions"] = new JsonObject { ["values"] = new JsonArray(Version(call)) } })
                .WithHeader("Location", call.BaseUrl + "/v3/"))).Anonymous();
        rest.Get("/v3", call => Task.FromResult(RestResult.Json(200, new JsonObject { ["version"] = Version(call) }))).Anonymous();
    }

    private static JsonObject Version(RestCall call) => new()
    {
        ["id"] = "v3.14",
        ["status"] = "stable",
        ["updated"] = "2020-04-07T00:00:00Z",
        ["links"] = new JsonArray(new JsonObject { ["rel"] = "self", ["href"] = call.BaseUrl + "/v3/" }),
        ["media-types"] = new JsonArray(new JsonObject
        {
            ["base"] = "application/json",
            ["type"] = "application/vnd.openstack.identity-v3+json",
        }),
    };
}

using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Rest;

/// <summary>The documents that clients discover the API by; readable without a token.</summary>
internal static class VersionEndpoints
{
    private const string OldUpdated = "2011-01-21T11:33:21Z";
    private const string Updated = "2013-07-23T11:33:21Z";

    public static void Map(RestRoutes rest)
    {
        // Each also matches with a slash at the end.
        rest.Get("", List).Anonymous();
        rest.Get("/v2", call => Answer(Full(call, old: true))).Anonymous();
        rest.Get("/v2.1", call => Answer(Full(call, old: false))).Anonymous();
    }

    private static Task<RestResult> List(RestCall call) =>
        Task.FromResult(RestResult.Json(200, new JsonObject { ["versions"] = new JsonArray(Short(call, old: true), Short(call, old: false)) }));

    private static Task<RestResult> Answer(JsonObject version) => Task.FromResult(RestResult.Json(200, new JsonObject { ["version"] = version }));

    private static JsonObject Short(RestCall call, bool old) => new()
    {
        ["id"] = old ? "v2.0" : "v2.1",
        ["status"] = old ? "SUPPORTED" : "CURRENT",
        ["version"] = old ? "" : ComputeDialect.Maximum.ToString(),
        ["min_version"] = old ? "" : ComputeDialect.Minimum.ToString(),
        ["updated"] = old ? OldUpdated : Updated,
        ["links"] = new JsonArray(RestParts.Link("self", $"{call.BaseUrl}/{(old ? "v2" : "v2.1")}/")),
    };

    private static JsonObject Full(RestCall call, bool old)
    {
        var version = Short(call, old);
        version["links"] = new JsonArray(
            RestParts.Link("self", $"{call.BaseUrl}/{(old ? "v2" : "v2.1")}/"),
            new JsonObject { ["rel"] = "describedby", ["type"] = "text/html", ["href"] = "http://docs.openstack.org/" });
        version["media-types"] = new JsonArray(new JsonObject
        {
            ["base"] = "application/json", ["type"] = $"application/vnd.openstack.compute+json;version={(old ? "2" : "2.1")}",
        });
        return version;
    }
}

using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Proxies;

/// <summary>What the compute API has taken away in every microversion: it says so, and not that the address is wrong.</summary>
internal static class GoneEndpoints
{
    private static readonly string[] Names =
    [
        "os-agents", "os-cells", "os-certificates", "os-cloudpipe", "os-fixed-ips", "os-floating-ip-dns", "os-floating-ips-bulk", "os-fping",
        "os-security-group-default-rules",
    ];

    public static void Map(RestRoutes rest, string root)
    {
        foreach (var name in Names)
        {
            foreach (var path in new[] { $"{root}/{name}", $"{root}/{name}/{{id}}" })
            {
                rest.Get(path, Answer);
                rest.Post(path, Answer);
                rest.Put(path, Answer);
                rest.Delete(path, Answer);
            }
        }
    }

    private static Task<RestResult> Answer(RestCall call) => Task.FromResult(RestResult.Json(410, new JsonObject
    {
        ["gone"] = new JsonObject { ["code"] = 410, ["message"] = "This resource is no longer available. No forwarding address is given." },
    }));
}

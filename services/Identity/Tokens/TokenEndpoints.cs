using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;

namespace Nephos.Identity.Tokens;

/// <summary>/v3/auth.</summary>
internal static class TokenEndpoints
{
    private const string SubjectHeader = "X-Subject-Token";

    public static void Map(RestRoutes rest)
    {
        rest.Post("/v3/auth/tokens", IssueAsync).Anonymous();
        rest.Get("/v3/auth/tokens", ValidateAsync);
        rest.Delete("/v3/auth/tokens", async call =>
        {
            await call.Service<TokenService>().RevokeAsync(call.Operation, Subject(call), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get("/v3/auth/catalog", async call =>
        {
            var entries = await call.Service<TokenService>().GetCatalogAsync(call.Operation, call.Cancelled);
            return RestResult.Json(200, new JsonObject
            {
                ["catalog"] = TokenJson.Catalog(entries),
                ["links"] = new JsonObject { ["next"] = null, ["self"] = call.SelfLink(), ["previous"] = null },
            });
        });
        foreach (var root in (ReadOnlySpan<string>)["/v3/auth", "/v3/OS-FEDERATION"])
        {
            rest.Get(root + "/projects", async call => call.Collection(
                "projects", await call.Service<TokenService>().ListProjectsAsync(call.Operation, call.Cancelled), project => project.Id,
                project => ProjectJson.OfProject(project, call)));
            rest.Get(root + "/domains", async call => call.Collection(
                "domains", await call.Service<TokenService>().ListDomainsAsync(call.Operation, call.Cancelled), domain => domain.Id,
                domain => ProjectJson.OfDomain(domain, call)));
        }
        rest.Get("/v3/auth/system", async call =>
        {
            var may = await call.Service<TokenService>().MaySystemAsync(call.Operation, call.Cancelled);
            return RestResult.Json(200, new JsonObject
            {
                ["system"] = may ? new JsonArray(new JsonObject { ["all"] = true }) : [],
                ["links"] = new JsonObject { ["next"] = null, ["self"] = call.SelfLink(), ["previous"] = null },
            });
        });
    }

    private static async Task<RestResult> IssueAsync(RestCall call)
    {
        var request = TokenJson.Read(await JsonBody.ReadAsync(call, "auth"));
        var (token, description) = await call.Service<TokenService>().IssueAsync(request, call.Cancelled);
        return RestResult.Json(201, TokenJson.Of(description, WantsCatalog(call))).WithHeader(SubjectHeader, token);
    }

    private static async Task<RestResult> ValidateAsync(RestCall call)
    {
        var token = Subject(call);
        var description = await call.Service<TokenService>().ValidateAsync(
            call.Operation, token, allowExpired: call.Flag("allow_expired") == true,
            enforcesAccessRules: call.Header("OpenStack-Identity-Access-Rules") is { Length: > 0 }, call.Cancelled);
        return RestResult.Json(200, TokenJson.Of(description, WantsCatalog(call))).WithHeader(SubjectHeader, token);
    }

    private static bool WantsCatalog(RestCall call) => call.Flag("nocatalog") != true;

    private static string Subject(RestCall call) =>
        call.Header(SubjectHeader) is { Length: > 0 } token ? token : throw TokenService.NotValid();
}

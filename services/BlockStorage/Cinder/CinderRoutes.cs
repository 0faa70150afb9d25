using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>The routes below a project. The project in the path must be the one of the token.</summary>
internal sealed class CinderRoutes(RestRoutes routes)
{
    private const string Root = "/v3/{project}";

    public void Get(string pattern, RestHandler handler) => routes.Get(Root + pattern, Checked(handler));

    public void Post(string pattern, RestHandler handler) => routes.Post(Root + pattern, Checked(handler));

    public void Put(string pattern, RestHandler handler) => routes.Put(Root + pattern, Checked(handler));

    public void Delete(string pattern, RestHandler handler) => routes.Delete(Root + pattern, Checked(handler));

    private static RestHandler Checked(RestHandler handler) => call =>
        call.Route("project") == call.Operation.ProjectId || call.Operation.IsAdmin
            ? handler(call)
            : throw Faults.Invalid("url", "Malformed request url");

    /// <summary>Administrators may ask for the objects of all projects.</summary>
    public static bool AsksForAllProjects(RestCall call) =>
        call.Operation.IsAdmin && CinderInput.QueryFlag(call, "all_tenants") == true;

    public static void MapAll(WebApplication app)
    {
        var rest = app.MapRest(new CinderDialect());
        rest.Get("", call => Task.FromResult(Versions(call, status: 300))).Anonymous();
        rest.Get("/v3", call => Task.FromResult(Versions(call, status: 200))).Anonymous();
        var routes = new CinderRoutes(rest);
        ActivatorUtilities.CreateInstance<CinderVolumes>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderVolumeActions>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderSnapshots>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderTypes>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderAttachments>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderExports>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderOffers>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderQuotas>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderBackups>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderMessages>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderQos>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderTransfers>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderGroups>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderGroupTypes>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderOperators>(app.Services).Map(routes);
        ActivatorUtilities.CreateInstance<CinderTypeSettings>(app.Services).Map(routes, rest);
    }

    private static RestResult Versions(RestCall call, int status) => RestResult.Json(status, new JsonObject
    {
        ["versions"] = new JsonArray(new JsonObject
        {
            ["id"] = "v3.0",
            ["status"] = "CURRENT",
            ["version"] = CinderDialect.Newest.ToString(),
            ["min_version"] = CinderDialect.Oldest.ToString(),
            ["updated"] = "2022-08-31T00:00:00Z",
            ["links"] = new JsonArray(
                new JsonObject { ["rel"] = "describedby", ["type"] = "text/html", ["href"] = "https://docs.openstack.org/" },
                new JsonObject { ["rel"] = "self", ["href"] = $"{call.BaseUrl}/v3/" }),
            ["media-types"] = new JsonArray(
                new JsonObject { ["base"] = "application/json", ["type"] = "application/vnd.openstack.volume+json;version=3" }),
        }),
    });
}

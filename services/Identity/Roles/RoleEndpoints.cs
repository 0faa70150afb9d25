using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;

namespace Nephos.Identity.Roles;

/// <summary>/v3/roles, what they imply, and /v3/role_inferences.</summary>
internal static class RoleEndpoints
{
    private static readonly string[] Fields = ["name", "domain_id", "description", "options"];

    public static void Map(RestRoutes rest)
    {
        rest.Get("/v3/roles", ListAsync);
        rest.Post("/v3/roles", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "role");
            var draft = new RoleDraft(
                body.Text("name"), body.Text("domain_id"), body.Text("description"), body.Object("options")?.Json, body.Extra(Fields));
            return One(201, await call.Service<RoleService>().CreateAsync(call.Operation, draft, "", call.Cancelled), call);
        });
        rest.Get("/v3/roles/{id}", async call =>
            One(200, await call.Service<RoleService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled), call));
        rest.Patch("/v3/roles/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "role");
            var patch = new RolePatch(
                body.TextChange("name"), body.TextChange("domain_id"), body.TextChange("description"), body.ObjectChange("options"),
                body.Extra(Fields));
            return One(200, await call.Service<RoleService>().UpdateAsync(call.Operation, call.Route("id"), patch, call.Cancelled), call);
        });
        rest.Delete("/v3/roles/{id}", async call =>
        {
            await call.Service<RoleService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        MapImplications(rest);
    }

    public static JsonObject Json(Role role, RestCall call)
    {
        var json = JsonWithoutLinks(role);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/roles/{role.Id}" };
        return json;
    }

    public static JsonObject JsonWithoutLinks(Role role)
    {
        var json = new JsonObject
        {
            ["id"] = role.Id,
            ["name"] = role.Name,
            ["domain_id"] = role.DomainId,
            ["description"] = role.Description,
            ["options"] = role.Options.DeepClone(),
        };
        ProjectJson.AddExtra(json, role.Extra);
        return json;
    }

    private static void MapImplications(RestRoutes rest)
    {
        const string Root = "/v3/roles/{id}/implies";
        rest.Get(Root, async call =>
        {
            var prior = await call.Service<RoleService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);
            var implications = await call.Service<RoleService>().ListImplicationsAsync(call.Operation, call.Cancelled);
            return RestResult.Json(200, new JsonObject
            {
                ["role_inference"] = Inference(call, prior, implications),
                ["links"] = new JsonObject { ["self"] = call.SelfLink() },
            });
        });
        rest.Put(Root + "/{implied}", async call =>
        {
            await call.Service<RoleService>().ImplyAsync(call.Operation, call.Route("id"), call.Route("implied"), call.Cancelled);
            return await ImplicationAsync(call, 201);
        });
        rest.Get(Root + "/{implied}", async call =>
        {
            await call.Service<RoleService>().CheckImplicationAsync(call.Operation, call.Route("id"), call.Route("implied"), call.Cancelled);
            return await ImplicationAsync(call, 200);
        });
        rest.Delete(Root + "/{implied}", async call =>
        {
            await call.Service<RoleService>().DeleteImplicationAsync(call.Operation, call.Route("id"), call.Route("implied"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get("/v3/role_inferences", async call =>
        {
            var implications = await call.Service<RoleService>().ListImplicationsAsync(call.Operation, call.Cancelled);
            var graph = call.Service<DirectoryView>().Roles;
            var priors = implications.Select(implication => graph.Find(implication.PriorRoleId)).OfType<Role>().DistinctBy(role => role.Id);
            return RestResult.Json(200, new JsonObject
            {
                ["role_inferences"] = new JsonArray([.. priors.Select(prior => Inference(call, prior, implications))]),
                ["links"] = new JsonObject { ["self"] = call.SelfLink() },
            });
        });
    }

    private static async Task<RestResult> ImplicationAsync(RestCall call, int status)
    {
        if (Microsoft.AspNetCore.Http.HttpMethods.IsHead(call.Http.Request.Method))
        {
            return RestResult.Empty(204);
        }
        var service = call.Service<RoleService>();
        var prior = await service.GetAsync(call.Operation, call.Route("id"), call.Cancelled);
        var implied = await service.GetAsync(call.Operation, call.Route("implied"), call.Cancelled);
        return RestResult.Json(status, new JsonObject
        {
            ["role_inference"] = new JsonObject { ["prior_role"] = Short(prior, call), ["implies"] = Short(implied, call) },
            ["links"] = new JsonObject { ["self"] = call.SelfLink() },
        });
    }

    private static JsonObject Inference(RestCall call, Role prior, IReadOnlyList<Implication> implications)
    {
        var graph = call.Service<DirectoryView>().Roles;
        return new JsonObject
        {
            ["prior_role"] = Short(prior, call),
            ["implies"] = new JsonArray(
            [
                .. implications.Where(implication => implication.PriorRoleId == prior.Id)
                    .Select(implication => graph.Find(implication.ImpliedRoleId)).OfType<Role>().Select(role => Short(role, call)),
            ]),
        };
    }

    private static JsonObject Short(Role role, RestCall call) => new()
    {
        ["id"] = role.Id,
        ["name"] = role.Name,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/roles/{role.Id}" },
    };

    private static RestResult One(int status, Role role, RestCall call) => RestResult.Json(status, new JsonObject { ["role"] = Json(role, call) });

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        // Roles of domains are listed only when a domain is asked for.
        var domainId = call.Query("domain_id");
        var roles = (await call.Service<RoleService>().ListAsync(call.Operation, call.Cancelled)).Where(role => role.DomainId == domainId);
        roles = call.Where(roles, "name", role => role.Name);
        return call.Collection("roles", roles, role => role.Id, role => Json(role, call));
    }
}

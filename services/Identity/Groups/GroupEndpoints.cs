using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;
using Nephos.Identity.Users;

namespace Nephos.Identity.Groups;

/// <summary>/v3/groups and who is in them.</summary>
internal static class GroupEndpoints
{
    private static readonly string[] Fields = ["name", "domain_id", "description"];

    public static void Map(RestRoutes rest)
    {
        rest.Get("/v3/groups", async call =>
            List(call, await call.Service<GroupService>().ListAsync(call.Operation, call.Cancelled)));
        rest.Get("/v3/users/{user}/groups", async call =>
            List(call, await call.Service<GroupService>().ListOfUserAsync(call.Operation, call.Route("user"), call.Cancelled)));
        rest.Post("/v3/groups", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "group");
            var draft = new GroupDraft(body.Text("name"), body.Text("domain_id"), body.Text("description"), body.Extra(Fields));
            return One(201, await call.Service<GroupService>().CreateAsync(call.Operation, draft, "", call.Cancelled), call);
        });
        rest.Get("/v3/groups/{id}", async call =>
            One(200, await call.Service<GroupService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled), call));
        rest.Patch("/v3/groups/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "group");
            var patch = new GroupPatch(
                body.TextChange("name"), body.TextChange("domain_id"), body.TextChange("description"), body.Extra(Fields));
            return One(200, await call.Service<GroupService>().UpdateAsync(call.Operation, call.Route("id"), patch, call.Cancelled), call);
        });
        rest.Delete("/v3/groups/{id}", async call =>
        {
            await call.Service<GroupService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get("/v3/groups/{id}/users", async call =>
        {
            IEnumerable<User> users = await call.Service<GroupService>().ListMembersAsync(call.Operation, call.Route("id"), call.Cancelled);
            users = call.Where(users, "name", user => user.Name);
            return call.Collection("users", users, user => user.Id, user => UserJson.Of(user, call));
        });
        rest.Put("/v3/groups/{id}/users/{user}", async call =>
        {
            await call.Service<GroupService>().AddMemberAsync(call.Operation, call.Route("id"), call.Route("user"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get("/v3/groups/{id}/users/{user}", async call =>
        {
            await call.Service<GroupService>().CheckMemberAsync(call.Operation, call.Route("id"), call.Route("user"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Delete("/v3/groups/{id}/users/{user}", async call =>
        {
            await call.Service<GroupService>().RemoveMemberAsync(call.Operation, call.Route("id"), call.Route("user"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static RestResult List(RestCall call, IEnumerable<Group> groups)
    {
        groups = call.Where(groups, "name", group => group.Name);
        groups = call.Where(groups, "domain_id", group => group.DomainId);
        return call.Collection("groups", groups, group => group.Id, group => Json(group, call));
    }

    private static RestResult One(int status, Group group, RestCall call) =>
        RestResult.Json(status, new JsonObject { ["group"] = Json(group, call) });

    private static JsonObject Json(Group group, RestCall call)
    {
        var json = new JsonObject
        {
            ["id"] = group.Id,
            ["name"] = group.Name,
            ["domain_id"] = group.DomainId,
            ["description"] = group.Description,
        };
        ProjectJson.AddExtra(json, group.Extra);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/groups/{group.Id}" };
        return json;
    }
}

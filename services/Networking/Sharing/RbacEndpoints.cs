using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Networking.Rest;
using Nephos.Networking.State;

namespace Nephos.Networking.Sharing;

internal static class RbacEndpoints
{
    private const string Path = "/v2.0/rbac-policies";

    public static void Map(RestRoutes rest, RbacService policies, NetworkStore store)
    {
        rest.Get(Path, async call => ListQuery.Answer(call, "rbac_policies", Path,
            RbacService.Visible(await store.ViewAsync(call.Cancelled), call.Operation).Select(ToJson)));
        rest.Post(Path, async call =>
        {
            var body = await RestBody.OneAsync(call, "rbac_policy");
            var request = new NewRbacPolicy(
                body.ProjectId(), body.Required("object_type"), body.Required("object_id"), body.Required("action"), body.Required("target_tenant"));
            body.Done();
            return Answer(201, ToJson(await policies.CreateAsync(call.Operation, request, call.Cancelled)));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var policy = RbacService.Get(await store.ViewAsync(call.Cancelled), call.Operation, call.Route("id"));
            return Answer(200, ListQuery.Fields(call, ToJson(policy)));
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var body = await RestBody.OneAsync(call, "rbac_policy");
            var target = body.Required("target_tenant");
            body.Done();
            return Answer(200, ToJson(await policies.UpdateAsync(call.Operation, call.Route("id"), target, call.Cancelled)));
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await policies.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static RestResult Answer(int status, JsonObject policy) => RestResult.Json(status, new JsonObject { ["rbac_policy"] = policy });

    private static JsonObject ToJson(RbacPolicy policy) => new()
    {
        ["id"] = policy.Grant.Id,
        ["project_id"] = policy.Grant.ProjectId,
        ["tenant_id"] = policy.Grant.ProjectId,
        ["object_type"] = policy.Kind.Name,
        ["object_id"] = policy.Resource.Id,
        ["action"] = RbacService.NameOf(policy.Grant.Action),
        ["target_tenant"] = policy.Grant.Target,
    };
}

using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Identity.Roles;
using Nephos.Identity.Tokens;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Trusts;

/// <summary>/v3/OS-TRUST/trusts.</summary>
internal static class TrustEndpoints
{
    private const string Root = "/v3/OS-TRUST/trusts";

    public static void Map(RestRoutes rest)
    {
        rest.Get(Root, async call =>
        {
            var trusts = await call.Service<TrustService>().ListAsync(
                call.Operation, call.Query("trustor_user_id"), call.Query("trustee_user_id"), call.Cancelled);
            return call.Collection("trusts", trusts, trust => trust.Id, trust => Json(trust, call));
        });
        rest.Post(Root, async call =>
        {
            var draft = Read(await JsonBody.ReadAsync(call, "trust"));
            return One(201, await call.Service<TrustService>().CreateAsync(call.Operation, draft, "", call.Cancelled), call);
        });
        rest.Get(Root + "/{id}", async call => One(200, await GetAsync(call), call));
        rest.Delete(Root + "/{id}", async call =>
        {
            await call.Service<TrustService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get(Root + "/{id}/roles", async call =>
        {
            var trust = await GetAsync(call);
            return call.Collection("roles", RolesOf(trust, call), role => role.Id, role => RoleEndpoints.Json(role, call));
        });
        rest.Get(Root + "/{id}/roles/{role}", async call =>
        {
            var role = RolesOf(await GetAsync(call), call).FirstOrDefault(role => role.Id == call.Route("role")) ??
                throw Faults.NotFound("role", call.Route("role"));
            return RestResult.Json(200, new JsonObject { ["role"] = RoleEndpoints.Json(role, call) });
        });
    }

    private static Task<Trust> GetAsync(RestCall call) => call.Service<TrustService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static IEnumerable<Role> RolesOf(Trust trust, RestCall call) =>
        trust.RoleIds.Select(call.Service<DirectoryView>().Roles.Find).OfType<Role>();

    private static TrustDraft Read(JsonBody body)
    {
        // Lending on what was lent is not offered; a client that asks for it must not think it has it.
        if (body.Flag("allow_redelegation") == true || body.Json["redelegation_count"] is JsonValue count && count.ToString() != "0")
        {
            throw Faults.Invalid("allow_redelegation", "is not supported");
        }
        var uses = body.Json["remaining_uses"] switch
        {
            null => (int?)null,
            JsonValue value when value.TryGetValue(out int number) => number,
            _ => throw Faults.Invalid("remaining_uses", "must be a number"),
        };
        return new TrustDraft(
            body.RequiredText("trustor_user_id"), body.RequiredText("trustee_user_id"), body.Text("project_id"),
            body.Flag("impersonation") ?? throw Faults.Invalid("impersonation", "is required"),
            body.Objects("roles")?.Select(role => (role.Text("id"), role.Text("name"))).ToList() ?? [], body.Time("expires_at"), uses);
    }

    private static RestResult One(int status, Trust trust, RestCall call)
    {
        var json = Json(trust, call);
        json["roles"] = new JsonArray([.. RolesOf(trust, call).Select(role => RoleEndpoints.Json(role, call))]);
        json["roles_links"] = new JsonObject { ["self"] = $"{call.BaseUrl}{Root}/{trust.Id}/roles", ["next"] = null, ["previous"] = null };
        return RestResult.Json(status, new JsonObject { ["trust"] = json });
    }

    private static JsonObject Json(Trust trust, RestCall call) => new()
    {
        ["id"] = trust.Id,
        ["trustor_user_id"] = trust.TrustorUserId,
        ["trustee_user_id"] = trust.TrusteeUserId,
        ["project_id"] = trust.ProjectId,
        ["impersonation"] = trust.Impersonation,
        ["expires_at"] = trust.ExpiresAt is { } end ? TokenJson.Time(end) : null,
        ["remaining_uses"] = trust.RemainingUses,
        ["deleted_at"] = null,
        ["redelegation_count"] = 0,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}{Root}/{trust.Id}" },
    };
}

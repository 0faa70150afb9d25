using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Identity.Roles;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Identity.ApplicationCredentials;

/// <summary>Application credentials and access rules of a user.</summary>
internal static class ApplicationCredentialEndpoints
{
    public static void Map(RestRoutes rest)
    {
        const string Root = "/v3/users/{user}/application_credentials", Rules = "/v3/users/{user}/access_rules";
        rest.Get(Root, async call =>
        {
            IEnumerable<ApplicationCredential> credentials =
                await Service(call).ListAsync(call.Operation, call.Route("user"), call.Cancelled);
            credentials = call.Where(credentials, "name", credential => credential.Name);
            await call.Service<DirectoryView>().CatchUpAsync(call.Cancelled);
            return call.Collection("application_credentials", credentials, credential => credential.Id, credential => Json(credential, null, call));
        });
        rest.Post(Root, async call =>
        {
            var draft = Read(await JsonBody.ReadAsync(call, "application_credential"));
            var (credential, secret) = await Service(call).CreateAsync(call.Operation, call.Route("user"), draft, "", call.Cancelled);
            return One(201, Json(credential, secret, call));
        });
        rest.Get(Root + "/{id}", async call =>
        {
            var credential = await Service(call).GetAsync(call.Operation, call.Route("user"), call.Route("id"), call.Cancelled);
            await call.Service<DirectoryView>().CatchUpAsync(call.Cancelled);
            return One(200, Json(credential, null, call));
        });
        rest.Delete(Root + "/{id}", async call =>
        {
            await Service(call).DeleteAsync(call.Operation, call.Route("user"), call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Get(Rules, async call =>
        {
            IEnumerable<AccessRuleRecord> rules = await Service(call).ListRulesAsync(call.Operation, call.Route("user"), call.Cancelled);
            rules = call.Where(rules, "service", rule => rule.Rule.Service);
            rules = call.Where(rules, "path", rule => rule.Rule.Path);
            rules = call.Where(rules, "method", rule => rule.Rule.Method);
            return call.Collection("access_rules", rules, rule => rule.Id, rule => Json(rule, call));
        });
        rest.Get(Rules + "/{id}", async call =>
        {
            var rule = await Service(call).GetRuleAsync(call.Operation, call.Route("user"), call.Route("id"), call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["access_rule"] = Json(rule, call) });
        });
        rest.Delete(Rules + "/{id}", async call =>
        {
            await Service(call).DeleteRuleAsync(call.Operation, call.Route("user"), call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static ApplicationCredentialService Service(RestCall call) => call.Service<ApplicationCredentialService>();

    private static RestResult One(int status, JsonObject json) => RestResult.Json(status, new JsonObject { ["application_credential"] = json });

    private static ApplicationCredentialDraft Read(JsonBody body) => new()
    {
        Name = body.Text("name"),
        Description = body.Text("description"),
        Secret = body.Text("secret"),
        ExpiresAt = body.Time("expires_at"),
        Unrestricted = body.Flag("unrestricted"),
        Roles = body.Objects("roles")?.Select(role => (role.Text("id"), role.Text("name"))).ToList() is { Count: > 0 } roles ? roles : null,
        AccessRules = body.Objects("access_rules")?.Select(ReadRule).ToList(),
    };

    private static (string? Id, AccessRule? Rule) ReadRule(JsonBody rule)
    {
        if (rule.Text("id") is { } id)
        {
            return rule.Json.Count == 1 ? (id, null) : throw Faults.Invalid("access_rules", "a rule is given by its id alone, or complete without id");
        }
        return (null, new AccessRule(rule.RequiredText("service"), rule.RequiredText("method"), rule.RequiredText("path")));
    }

    private static JsonObject Json(ApplicationCredential credential, string? secret, RestCall call)
    {
        var roles = call.Service<DirectoryView>().Roles;
        var json = new JsonObject
        {
            ["id"] = credential.Id,
            ["name"] = credential.Name,
            ["description"] = credential.Description,
            ["user_id"] = credential.UserId,
            ["project_id"] = credential.ProjectId,
            ["system"] = null,
            // This API alone writes the time without a zone.
            ["expires_at"] = credential.ExpiresAt?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff", CultureInfo.InvariantCulture),
            ["unrestricted"] = credential.Unrestricted,
            ["roles"] = new JsonArray([.. credential.RoleIds.Select(roles.Find).OfType<Role>().Select(RoleEndpoints.JsonWithoutLinks)]),
        };
        if (credential.AccessRuleIds is { } ruleIds)
        {
            json["access_rules"] = new JsonArray([.. credential.AccessRules.Select((rule, index) => new JsonObject
            {
                ["id"] = ruleIds[index],
                ["service"] = rule.Service,
                ["path"] = rule.Path,
                ["method"] = rule.Method,
            })]);
        }
        if (secret is not null)
        {
            json["secret"] = secret;
        }
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/application_credentials/{credential.Id}" };
        return json;
    }

    private static JsonObject Json(AccessRuleRecord rule, RestCall call) => new()
    {
        ["id"] = rule.Id,
        ["service"] = rule.Rule.Service,
        ["path"] = rule.Rule.Path,
        ["method"] = rule.Rule.Method,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/users/{rule.UserId}/access_rules/{rule.Id}" },
    };
}

using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Catalog;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Tokens;

/// <summary>Tokens as the REST API writes and reads them.</summary>
internal static class TokenJson
{
    public static JsonObject Of(TokenDescription description, bool withCatalog)
    {
        var claims = description.Claims;
        var token = new JsonObject
        {
            ["methods"] = Texts(claims.Methods),
            ["user"] = new JsonObject
            {
                ["domain"] = Reference(description.UserDomain),
                ["id"] = description.User.Id,
                ["name"] = description.User.Name,
                ["password_expires_at"] = description.User.Password?.ExpiresAt is { } expiry ? Time(expiry) : null,
            },
            ["audit_ids"] = Texts(description.AuditIds),
            ["expires_at"] = Time(claims.ExpiresAt),
            ["issued_at"] = Time(claims.IssuedAt),
        };
        if (description is { Project: { } project, ProjectDomain: { } projectDomain })
        {
            token["project"] = new JsonObject { ["domain"] = Reference(projectDomain), ["id"] = project.Id, ["name"] = project.Name };
            token["is_domain"] = project.IsDomain;
        }
        if (description.Domain is { } domain)
        {
            token["domain"] = Reference(domain);
        }
        if (claims.Scope == TokenScopeKind.System)
        {
            token["system"] = new JsonObject { ["all"] = true };
        }
        if (claims.Scope != TokenScopeKind.Unscoped)
        {
            token["roles"] = new JsonArray(
                [.. description.Roles.Select(role => new JsonObject { ["id"] = role.Id, ["name"] = role.Name })]);
            if (withCatalog)
            {
                token["catalog"] = Catalog(description.Catalog);
            }
        }
        if (description.ApplicationCredential is { } credential)
        {
            var json = new JsonObject { ["id"] = credential.Id, ["name"] = credential.Name, ["restricted"] = credential.Unrestricted != true };
            if (credential.AccessRules.Count > 0)
            {
                json["access_rules"] = new JsonArray([.. credential.AccessRules.Select((rule, index) => new JsonObject
                {
                    ["id"] = credential.AccessRuleIds?[index],
                    ["service"] = rule.Service,
                    ["method"] = rule.Method,
                    ["path"] = rule.Path,
                })]);
            }
            token["application_credential"] = json;
        }
        if (description.Trust is { } trust)
        {
            token["OS-TRUST:trust"] = new JsonObject
            {
                ["id"] = trust.Id,
                ["impersonation"] = trust.Impersonation,
                ["trustor_user"] = new JsonObject { ["id"] = trust.TrustorUserId },
                ["trustee_user"] = new JsonObject { ["id"] = trust.TrusteeUserId },
            };
        }
        return new JsonObject { ["token"] = token };
    }

    public static JsonArray Catalog(IReadOnlyList<CatalogEntry> entries) => new([.. entries.Select(entry => new JsonObject
    {
        ["endpoints"] = new JsonArray([.. entry.Endpoints.Select(endpoint => new JsonObject
        {
            ["id"] = endpoint.Id,
            ["interface"] = endpoint.Interface,
            ["region_id"] = endpoint.RegionId,
            ["url"] = endpoint.Url,
            ["region"] = endpoint.RegionId,
        })]),
        ["id"] = entry.Service.Id,
        ["type"] = entry.Service.Type,
        ["name"] = entry.Service.Name ?? "",
    })]);

    /// <summary>Microseconds and Z, as clients parse it.</summary>
    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    /// <exception cref="FaultException">InvalidArgument: the body is not of the form. Unauthenticated: a method is not known.</exception>
    public static TokenRequest Read(JsonBody auth)
    {
        var identity = auth.RequiredObject("identity");
        var methods = identity.Texts("methods") ?? throw Faults.Invalid("auth.identity.methods", "is required");
        var request = new TokenRequest { Scope = ReadScope(auth) };
        foreach (var method in methods.Distinct())
        {
            request = method switch
            {
                "password" => request with { Password = ReadPassword(identity.RequiredObject("password").RequiredObject("user")) },
                "token" => request with { Token = identity.RequiredObject("token").RequiredText("id") },
                "application_credential" => request with
                {
                    ApplicationCredential = ReadApplicationCredential(identity.RequiredObject("application_credential")),
                },
                _ => throw Faults.Unauthenticated("Attempted to authenticate with an unsupported method."),
            };
        }
        return request;
    }

    public static JsonObject Reference(Project domain) => new() { ["id"] = domain.Id, ["name"] = domain.Name };

    private static JsonArray Texts(IReadOnlyList<string> texts) => new([.. texts.Select(text => JsonValue.Create(text))]);

    private static PasswordProof ReadPassword(JsonBody user) => new(ReadReference(user), user.RequiredText("password"));

    private static ApplicationCredentialProof ReadApplicationCredential(JsonBody credential) => new(
        credential.Text("id"), credential.Text("name"), credential.Object("user") is { } user ? ReadReference(user) : null,
        credential.RequiredText("secret"));

    private static ScopeRequest ReadScope(JsonBody auth)
    {
        if (!auth.Has("scope"))
        {
            return new ScopeRequest.Default();
        }
        if (auth.Json["scope"] is System.Text.Json.Nodes.JsonValue text && text.TryGetValue(out string? word) && word == "unscoped")
        {
            return new ScopeRequest.Unscoped();
        }
        var scope = auth.RequiredObject("scope");
        if (scope.Json.Count != 1)
        {
            throw Faults.Invalid("auth.scope", "must have exactly one of project, domain, system, unscoped and OS-TRUST:trust");
        }
        return scope.Json.First().Key switch
        {
            "project" => new ScopeRequest.Project(ReadReference(scope.RequiredObject("project"))),
            "domain" => new ScopeRequest.Domain(ReadDomain(scope.RequiredObject("domain"))),
            "system" when scope.RequiredObject("system").Flag("all") == true => new ScopeRequest.System(),
            "unscoped" => new ScopeRequest.Unscoped(),
            "OS-TRUST:trust" => new ScopeRequest.Trust(scope.RequiredObject("OS-TRUST:trust").RequiredText("id")),
            _ => throw Faults.Invalid("auth.scope", "must have exactly one of project, domain, system, unscoped and OS-TRUST:trust"),
        };
    }

    private static NamedRef ReadReference(JsonBody json) =>
        new(json.Text("id"), json.Text("name"), json.Object("domain") is { } domain ? ReadDomain(domain) : null);

    private static DomainRef ReadDomain(JsonBody json) => new(json.Text("id"), json.Text("name"));
}

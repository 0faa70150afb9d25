using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;
using Nephos.Identity.Tokens;

namespace Nephos.Identity.Users;

/// <summary>Users as the REST API writes and reads them. No answer ever holds a password or its hash.</summary>
internal static class UserJson
{
    private static readonly string[] Fields =
        ["name", "domain_id", "description", "enabled", "default_project_id", "password", "options", "password_expires_at", "original_password"];

    public static JsonObject Of(User user, RestCall call)
    {
        var json = new JsonObject { ["id"] = user.Id, ["name"] = user.Name, ["domain_id"] = user.DomainId, ["enabled"] = user.Enabled };
        if (user.Description is { } description)
        {
            json["description"] = description;
        }
        if (user.DefaultProjectId is { } projectId)
        {
            json["default_project_id"] = projectId;
        }
        json["password_expires_at"] = user.Password?.ExpiresAt is { } expiry ? TokenJson.Time(expiry) : null;
        json["options"] = user.Options.DeepClone();
        ProjectJson.AddExtra(json, user.Extra);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/users/{user.Id}" };
        return json;
    }

    public static UserDraft ReadDraft(JsonBody body) => new()
    {
        Name = body.Text("name"),
        DomainId = body.Text("domain_id"),
        Description = body.Text("description"),
        Enabled = body.Flag("enabled") ?? true,
        DefaultProjectId = body.Text("default_project_id"),
        Password = body.Text("password"),
        Options = body.Object("options")?.Json,
        Extra = body.Extra(Fields),
    };

    public static UserPatch ReadPatch(JsonBody body) => new()
    {
        Name = body.TextChange("name"),
        DomainId = body.TextChange("domain_id"),
        Description = body.TextChange("description"),
        Enabled = body.FlagChange("enabled"),
        DefaultProjectId = body.TextChange("default_project_id"),
        Password = body.TextChange("password"),
        Options = body.ObjectChange("options"),
        Extra = body.Extra(Fields),
    };
}

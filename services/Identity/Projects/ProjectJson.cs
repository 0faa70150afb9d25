using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Identity.Shared;

namespace Nephos.Identity.Projects;

/// <summary>Projects and domains as the REST API writes and reads them.</summary>
internal static class ProjectJson
{
    private static readonly string[] DomainFields = ["name", "description", "enabled", "tags", "options"];

    private static readonly string[] ProjectFields = [.. DomainFields, "domain_id", "parent_id", "is_domain"];

    public static JsonObject OfProject(Project project, RestCall call)
    {
        var json = new JsonObject
        {
            ["id"] = project.Id,
            ["name"] = project.Name,
            ["domain_id"] = project.DomainId,
            ["description"] = project.Description,
            ["enabled"] = project.Enabled,
            ["parent_id"] = project.ParentId,
            ["is_domain"] = project.IsDomain,
            ["tags"] = OfTags(project),
            ["options"] = project.Options.DeepClone(),
        };
        AddExtra(json, project.Extra);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/projects/{project.Id}" };
        return json;
    }

    public static JsonObject OfDomain(Project domain, RestCall call)
    {
        var json = new JsonObject
        {
            ["id"] = domain.Id,
            ["name"] = domain.Name,
            ["description"] = domain.Description,
            ["enabled"] = domain.Enabled,
            ["tags"] = OfTags(domain),
            ["options"] = domain.Options.DeepClone(),
        };
        AddExtra(json, domain.Extra);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/domains/{domain.Id}" };
        return json;
    }

    public static JsonArray OfTags(Project project) => new([.. project.Tags.Select(tag => JsonValue.Create(tag))]);

    /// <summary>Attributes of the client's own stand beside ours and never in their place.</summary>
    public static void AddExtra(JsonObject json, JsonObject extra)
    {
        foreach (var (name, value) in extra)
        {
            if (!json.ContainsKey(name))
            {
                json[name] = value?.DeepClone();
            }
        }
    }

    public static ProjectDraft ReadDraft(JsonBody body, bool isDomain) => new()
    {
        Name = body.Text("name"),
        DomainId = isDomain ? null : body.Text("domain_id"),
        ParentId = isDomain ? null : body.Text("parent_id"),
        Description = body.Text("description"),
        Enabled = body.Flag("enabled") ?? true,
        IsDomain = isDomain || body.Flag("is_domain") == true,
        Tags = body.Texts("tags") ?? [],
        Options = body.Object("options")?.Json,
        Extra = body.Extra(isDomain ? DomainFields : ProjectFields),
    };

    public static ProjectPatch ReadPatch(JsonBody body, bool isDomain) => new()
    {
        Name = body.TextChange("name"),
        Description = body.TextChange("description"),
        Enabled = body.FlagChange("enabled"),
        DomainId = isDomain ? default : body.TextChange("domain_id"),
        ParentId = isDomain ? default : body.TextChange("parent_id"),
        IsDomain = isDomain ? default : body.FlagChange("is_domain"),
        Tags = body.Has("tags") ? Change.To(body.Texts("tags")) : default,
        Options = body.ObjectChange("options"),
        Extra = body.Extra(isDomain ? DomainFields : ProjectFields),
    };
}

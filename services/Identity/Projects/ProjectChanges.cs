using System.Text.Json.Nodes;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Projects;

/// <summary>A project or domain to be made.</summary>
internal sealed record ProjectDraft
{
    public string? Name { get; init; }

    /// <summary>Null: that of the caller, or of the parent.</summary>
    public string? DomainId { get; init; }

    public string? ParentId { get; init; }

    public string? Description { get; init; }

    public bool Enabled { get; init; } = true;

    public bool IsDomain { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public JsonObject? Options { get; init; }

    public JsonObject? Extra { get; init; }
}

internal sealed record ProjectPatch
{
    public Change<string> Name { get; init; }

    public Change<string> Description { get; init; }

    public Change<bool> Enabled { get; init; }

    public Change<string> DomainId { get; init; }

    public Change<string> ParentId { get; init; }

    public Change<bool> IsDomain { get; init; }

    public Change<IReadOnlyList<string>> Tags { get; init; }

    public Change<JsonObject> Options { get; init; }

    /// <summary>Attributes to set; the others stay.</summary>
    public JsonObject? Extra { get; init; }
}

/// <summary>The rules of tags.</summary>
internal static class Tags
{
    public const int MaxTags = 80, MaxTagChars = 255;

    /// <exception cref="FaultException">InvalidArgument.</exception>
    public static IReadOnlyList<string> Check(IReadOnlyList<string> tags)
    {
        if (tags.Count > MaxTags)
        {
            throw Faults.Invalid("tags", $"{tags.Count} tags are too many, at most {MaxTags} are allowed");
        }
        foreach (var tag in tags)
        {
            CheckOne(tag);
        }
        return tags.Distinct(StringComparer.Ordinal).Count() == tags.Count ? tags : throw Faults.Invalid("tags", "must not repeat");
    }

    public static string CheckOne(string tag)
    {
        Names.Check(tag, "tags", MaxTagChars);
        return tag.AsSpan().IndexOfAny('/', ',') < 0 ? tag : throw Faults.Invalid("tags", "must not have a slash or a comma");
    }
}

/// <summary>The options that roles, projects and domains have: immutable.</summary>
internal static class ResourceOptions
{
    /// <summary>The options with a change applied; null takes one away.</summary>
    /// <exception cref="FaultException">InvalidArgument.</exception>
    public static JsonObject Apply(JsonObject current, JsonObject? change)
    {
        var options = (JsonObject)current.DeepClone();
        foreach (var (name, value) in change ?? [])
        {
            if (name != "immutable")
            {
                throw Faults.Invalid("options", $"there is no option '{(name.Length > 64 ? name[..64] : name)}'");
            }
            if (value is null)
            {
                options.Remove(name);
            }
            else
            {
                options[name] = value is JsonValue flag && flag.TryGetValue(out bool isSet)
                    ? isSet
                    : throw Faults.Invalid("options", $"{name} must be true, false or null");
            }
        }
        return options;
    }
}

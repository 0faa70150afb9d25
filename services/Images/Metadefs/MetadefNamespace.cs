using System.Text.Json.Nodes;
using Nephos.Kernel.State;

namespace Nephos.Images.Metadefs;

/// <summary>A kind of resource that the properties of a namespace may be put on.</summary>
/// <param name="Prefix">Stands before the names of the properties there; null for none.</param>
/// <param name="PropertiesTarget">Where on the resource they go, such as <c>image</c> for a volume; null for the resource itself.</param>
internal sealed record MetadefResourceType(
    string Name, string? Prefix, string? PropertiesTarget, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A property, an object or a tag: a name, and what the client says of it.</summary>
/// <param name="Body">The definition without its name; JSON schema for a property.</param>
internal sealed record MetadefItem(string Name, JsonObject Body, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>Definitions that tools show when somebody describes an image, a flavor or a volume. One record, so that it changes as a whole.</summary>
internal sealed record MetadefNamespace
{
    public required string Name { get; init; }

    public string? DisplayName { get; init; }

    public string? Description { get; init; }

    /// <summary>Seen by everybody; else by its project.</summary>
    public bool IsPublic { get; init; }

    public bool Protected { get; init; }

    public required string Owner { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    public IReadOnlyList<MetadefResourceType> ResourceTypes { get; init; } = [];

    public IReadOnlyList<MetadefItem> Properties { get; init; } = [];

    public IReadOnlyList<MetadefItem> Objects { get; init; } = [];

    public IReadOnlyList<MetadefItem> Tags { get; init; } = [];
}

internal static class MetadefTables
{
    public static readonly TableSchema<MetadefNamespace> Namespaces =
        new("image/metadefs", space => space.Name, ImagesJson.Default.MetadefNamespace);
}

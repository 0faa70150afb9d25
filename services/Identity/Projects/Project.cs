using System.Text.Json.Nodes;

namespace Nephos.Identity.Projects;

/// <summary>A project, or a domain: a project that acts as one. They share ids and tables.</summary>
internal sealed record Project
{
    public const string DefaultDomainId = "default";

    public required string Id { get; init; }

    public required string Name { get; init; }

    /// <summary>Null for a domain.</summary>
    public string? DomainId { get; init; }

    /// <summary>A project, or the domain for the first level; null for a domain.</summary>
    public string? ParentId { get; init; }

    public string Description { get; init; } = "";

    public bool Enabled { get; init; } = true;

    public bool IsDomain { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public JsonObject Options { get; init; } = [];

    /// <summary>Attributes of the client's own.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>The domain whose users and roles it belongs to: itself for a domain.</summary>
    public string OwnerDomainId => DomainId ?? Id;

    public bool IsImmutable => Options["immutable"] is JsonValue value && value.TryGetValue(out bool immutable) && immutable;
}

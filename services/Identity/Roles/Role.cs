using System.Text.Json.Nodes;

namespace Nephos.Identity.Roles;

internal sealed record Role
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    /// <summary>Null: a role of the whole cloud. A role of a domain only stands for the roles it implies.</summary>
    public string? DomainId { get; init; }

    public string? Description { get; init; }

    public JsonObject Options { get; init; } = [];

    public JsonObject Extra { get; init; } = [];

    public bool IsImmutable => Options["immutable"] is JsonValue value && value.TryGetValue(out bool immutable) && immutable;
}

/// <summary>Whoever has the prior role has the implied one too.</summary>
internal sealed record Implication(string PriorRoleId, string ImpliedRoleId);

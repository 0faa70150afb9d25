using System.Text.Json.Nodes;

namespace Nephos.Identity.Catalog;

internal sealed record Region
{
    public required string Id { get; init; }

    public string Description { get; init; } = "";

    public string? ParentRegionId { get; init; }

    public JsonObject Extra { get; init; } = [];
}

internal sealed record Service
{
    public required string Id { get; init; }

    public required string Type { get; init; }

    public string? Name { get; init; }

    public string? Description { get; init; }

    public bool Enabled { get; init; } = true;

    public JsonObject Extra { get; init; } = [];
}

internal sealed record Endpoint
{
    public const string Public = "public", Internal = "internal", Admin = "admin";

    public required string Id { get; init; }

    public required string ServiceId { get; init; }

    public string? RegionId { get; init; }

    /// <summary>public, internal or admin.</summary>
    public required string Interface { get; init; }

    public required string Url { get; init; }

    public string? Name { get; init; }

    public bool Enabled { get; init; } = true;

    /// <summary>Made by the cloud itself: its URL follows the address of the cloud until somebody changes it.</summary>
    public bool IsManaged { get; init; }

    public JsonObject Extra { get; init; } = [];
}

using System.Text.Json.Nodes;

namespace Nephos.Identity.Groups;

internal sealed record Group
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string DomainId { get; init; }

    public string Description { get; init; } = "";

    public JsonObject Extra { get; init; } = [];
}

internal sealed record Membership(string UserId, string GroupId);

namespace Nephos.Identity.Limits;

/// <summary>How much of a resource every project may use unless a <see cref="Limit"/> says otherwise.</summary>
internal sealed record RegisteredLimit
{
    public required string Id { get; init; }

    public required string ServiceId { get; init; }

    /// <summary>Null: every region.</summary>
    public string? RegionId { get; init; }

    public required string ResourceName { get; init; }

    /// <summary>-1 for any amount.</summary>
    public required long DefaultLimit { get; init; }

    public string? Description { get; init; }

    public string Subject => LimitSubject.Of(ServiceId, RegionId, ResourceName);
}

/// <summary>How much of a resource one project or domain may use.</summary>
internal sealed record Limit
{
    public required string Id { get; init; }

    public required string ServiceId { get; init; }

    public string? RegionId { get; init; }

    public required string ResourceName { get; init; }

    /// <summary>A limit is of a project or of a domain.</summary>
    public string? ProjectId { get; init; }

    public string? DomainId { get; init; }

    /// <summary>-1 for any amount.</summary>
    public required long ResourceLimit { get; init; }

    public string? Description { get; init; }

    public string OwnerId => ProjectId ?? DomainId ?? "";

    public string Subject => LimitSubject.Of(ServiceId, RegionId, ResourceName);
}

internal static class LimitSubject
{
    /// <summary>What is limited. Ids have no slash; the name of the resource comes last.</summary>
    public static string Of(string serviceId, string? regionId, string resourceName) => $"{serviceId}/{regionId}/{resourceName}";
}

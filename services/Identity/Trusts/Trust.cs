namespace Nephos.Identity.Trusts;

/// <summary>One user lends another some of their roles in one project. Only its uses change after it was made.</summary>
internal sealed record Trust
{
    public required string Id { get; init; }

    public required string TrustorUserId { get; init; }

    public required string TrusteeUserId { get; init; }

    public required string ProjectId { get; init; }

    /// <summary>Tokens are in the name of the trustor.</summary>
    public required bool Impersonation { get; init; }

    public required IReadOnlyList<string> RoleIds { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Tokens that may still be made; null for any number.</summary>
    public int? RemainingUses { get; init; }

    /// <summary>Neither used up nor over.</summary>
    public bool IsUsable(DateTimeOffset now) => RemainingUses is not 0 && (ExpiresAt is null || ExpiresAt > now);
}

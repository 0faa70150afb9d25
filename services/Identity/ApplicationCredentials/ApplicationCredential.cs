using Nephos.Kernel.Operations;

namespace Nephos.Identity.ApplicationCredentials;

/// <summary>One project and some roles of its owner, behind a secret. Never changes after it was made.</summary>
internal sealed record ApplicationCredential
{
    public required string Id { get; init; }

    public required string UserId { get; init; }

    public required string ProjectId { get; init; }

    public required string Name { get; init; }

    public string? Description { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Null as false; clients see which of the two it was.</summary>
    public bool? Unrestricted { get; init; }

    public required IReadOnlyList<string> RoleIds { get; init; }

    /// <summary>Ids of <see cref="AccessRuleRecord"/>; null when the client spoke of none.</summary>
    public IReadOnlyList<string>? AccessRuleIds { get; init; }

    /// <summary>The rules themselves, which outlive nothing: a rule cannot change or go while it is used.</summary>
    public IReadOnlyList<AccessRule> AccessRules { get; init; } = [];

    /// <summary>As <see cref="Passwords.PasswordHasher"/> makes it.</summary>
    public required string SecretHash { get; init; }
}

/// <summary>An access rule of a user, shared by the application credentials that name it.</summary>
internal sealed record AccessRuleRecord(string Id, string UserId, AccessRule Rule);

using System.Collections.Frozen;
using Nephos.Kernel.Operations;

namespace Nephos.Hosting.Authentication;

public enum TokenScopeKind
{
    Unscoped,
    Project,
    Domain,
    System,
}

/// <summary>What a credential leaves of its owner's rights. No token made from such a token may hold more.</summary>
/// <param name="Kind"><see cref="ApplicationCredential"/>, <see cref="Ec2Credential"/> or <see cref="Trust"/>.</param>
/// <param name="CredentialId">The credential that was shown.</param>
/// <param name="Unrestricted">It may manage credentials.</param>
/// <param name="AccessRules">When not empty, only REST calls that match one of them are allowed.</param>
public sealed record TokenDelegation(string Kind, string CredentialId, bool Unrestricted, IReadOnlyList<AccessRule> AccessRules)
{
    public const string ApplicationCredential = "ac";
    public const string Ec2Credential = "ec2";
    public const string Trust = "tr";

    /// <summary>Of a trust: trustor or trustee, whichever the token is not in the name of. The token dies with either.</summary>
    public string? OtherUserId { get; init; }
}

/// <summary>What a token says. Signed by the identity service, read by every service.</summary>
public sealed record TokenClaims
{
    /// <summary>22 characters of URL-safe base64: 16 random bytes.</summary>
    public required string TokenId { get; init; }

    /// <summary>The first token of the chain this one was made from, or null for a first one.</summary>
    public string? ChainId { get; init; }

    public required string UserId { get; init; }

    /// <summary>The domain that owns the user.</summary>
    public required string UserDomainId { get; init; }

    /// <summary>Whole seconds.</summary>
    public required DateTimeOffset IssuedAt { get; init; }

    /// <summary>Whole seconds.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>password, token, application_credential, ec2credential.</summary>
    public required IReadOnlyList<string> Methods { get; init; }

    public TokenScopeKind Scope { get; init; }

    /// <summary>The project or domain of the scope, else null.</summary>
    public string? ScopeId { get; init; }

    /// <summary>The domain that owns the project of the scope, else null.</summary>
    public string? ScopeDomainId { get; init; }

    /// <summary>Effective role names.</summary>
    public IReadOnlyList<string> Roles { get; init; } = [];

    public TokenDelegation? Delegation { get; init; }

    /// <summary>The epochs of <see cref="Subjects"/> when the token was made, in that order; those at the end that are 0 may be missing.</summary>
    public IReadOnlyList<long> Epochs { get; init; } = [];

    /// <summary>What this token dies with: it is dead when one of these has a higher epoch than it was born under.</summary>
    public IReadOnlyList<string> Subjects()
    {
        var subjects = new List<string>(8)
        {
            RevocationSubject.Everything, RevocationSubject.User(UserId), RevocationSubject.Domain(UserDomainId),
        };
        switch (Scope)
        {
            case TokenScopeKind.Project:
                subjects.Add(RevocationSubject.Access(UserId, ScopeId!));
                subjects.Add(RevocationSubject.Project(ScopeId!));
                subjects.Add(RevocationSubject.Domain(ScopeDomainId!));
                break;
            case TokenScopeKind.Domain:
                subjects.Add(RevocationSubject.Access(UserId, ScopeId!));
                subjects.Add(RevocationSubject.Domain(ScopeId!));
                break;
            case TokenScopeKind.System:
                subjects.Add(RevocationSubject.Access(UserId, RevocationSubject.System));
                break;
            default:
                break;
        }
        if (Delegation is { } delegation)
        {
            subjects.Add(RevocationSubject.Credential(delegation.CredentialId));
            if (delegation.OtherUserId is { } other)
            {
                subjects.Add(RevocationSubject.User(other));
                subjects.Add(RevocationSubject.Access(other, ScopeId!));
            }
        }
        subjects.Add(RevocationSubject.Token(TokenId));
        return subjects;
    }

    internal OperationContext ToOperation(string token) => new()
    {
        RequestId = "",
        UserId = UserId,
        UserDomainId = UserDomainId,
        ProjectId = Scope == TokenScopeKind.Project ? ScopeId : null,
        DomainId = Scope == TokenScopeKind.Domain ? ScopeId : null,
        IsSystemScoped = Scope == TokenScopeKind.System,
        Roles = Roles.Select(role => role.ToLowerInvariant()).ToFrozenSet(StringComparer.Ordinal),
        IsService = Roles.Contains("service"),
        Token = token,
        ExpiresAt = ExpiresAt,
        Methods = Methods,
        ApplicationCredentialId = Delegation is { Kind: TokenDelegation.ApplicationCredential } delegation ? delegation.CredentialId : null,
        IsRestricted = Delegation is { Unrestricted: false },
        AccessRules = Delegation?.AccessRules ?? [],
    };
}

/// <summary>The names of what tokens die with. The prefix keeps kinds apart.</summary>
public static class RevocationSubject
{
    public const string Everything = "*";
    public const string System = "system";

    public static string User(string userId) => "u/" + userId;

    public static string Project(string projectId) => "p/" + projectId;

    public static string Domain(string domainId) => "d/" + domainId;

    /// <summary>The roles of one user in one project or domain, or in the system.</summary>
    public static string Access(string userId, string targetId) => $"a/{userId}/{targetId}";

    public static string Credential(string id) => "c/" + id;

    public static string Token(string tokenId) => "t/" + tokenId;
}

using Nephos.Hosting.Authentication;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Catalog;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Trusts;
using Nephos.Identity.Users;

namespace Nephos.Identity.Tokens;

/// <summary>A token with the names of everything it speaks of.</summary>
internal sealed record TokenDescription
{
    public required TokenClaims Claims { get; init; }

    public required User User { get; init; }

    public required Project UserDomain { get; init; }

    /// <summary>The project of the scope, with its domain; null for another scope.</summary>
    public Project? Project { get; init; }

    public Project? ProjectDomain { get; init; }

    /// <summary>The domain of the scope.</summary>
    public Project? Domain { get; init; }

    public IReadOnlyList<Role> Roles { get; init; } = [];

    public ApplicationCredential? ApplicationCredential { get; init; }

    /// <summary>The trust behind the token.</summary>
    public Trust? Trust { get; init; }

    /// <summary>Empty for an unscoped token.</summary>
    public IReadOnlyList<CatalogEntry> Catalog { get; init; } = [];

    /// <summary>This token and, when it was made from another, the first of the chain.</summary>
    public IReadOnlyList<string> AuditIds => Claims.ChainId is { } chain ? [Claims.TokenId, chain] : [Claims.TokenId];
}

internal sealed record CatalogEntry(Service Service, IReadOnlyList<Endpoint> Endpoints);

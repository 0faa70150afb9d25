using Nephos.Hosting.Authentication;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Catalog;
using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Identity.Tokens;

/// <summary>What can be done with tokens.</summary>
internal sealed class TokenService(
    TokenIssuer issuer,
    DirectoryView directory,
    EffectiveRoles effective,
    LocalTokenAuthority authority,
    SigningKeyring keyring,
    CatalogBuilder catalog,
    IdentityWrites writes,
    TimeProvider time)
{
    public static FaultException NotValid() => new(ErrorReason.NotFound, "Failed to validate token");

    /// <inheritdoc cref="TokenIssuer.IssueAsync"/>
    public async Task<(string Token, TokenDescription Description)> IssueAsync(TokenRequest request, CancellationToken cancellationToken)
    {
        var issued = await issuer.IssueAsync(request, cancellationToken);
        return (issued.Token, await DescribeAsync(issued.Claims, cancellationToken) ?? throw PasswordAuthentication.Failed());
    }

    /// <summary>For the user of the token, administrators, services and system readers.</summary>
    /// <param name="operation">The caller.</param>
    /// <param name="token">The token to describe.</param>
    /// <param name="allowExpired">Also one that expired within <see cref="SigningKeyring.ExpiredWindow"/>.</param>
    /// <param name="enforcesAccessRules">The caller knows what access rules are; to others a token with rules does not exist.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="FaultException">NotFound: the token is not valid. Forbidden.</exception>
    public async Task<TokenDescription> ValidateAsync(
        OperationContext operation, string token, bool allowExpired, bool enforcesAccessRules, CancellationToken cancellationToken)
    {
        var claims = await ReadAsync(token, allowExpired, cancellationToken);
        var maySee = claims.UserId == operation.UserId || operation.IsAdmin || operation.IsService ||
            (operation.IsSystemScoped && operation.HasRole("reader"));
        if (!maySee)
        {
            throw Faults.Forbidden("identity:validate_token");
        }
        if (claims.Delegation is { AccessRules.Count: > 0 } && !enforcesAccessRules)
        {
            throw NotValid();
        }
        return await DescribeAsync(claims, cancellationToken) ?? throw NotValid();
    }

    /// <summary>For the user of the token, administrators and services.</summary>
    public async Task RevokeAsync(OperationContext operation, string token, CancellationToken cancellationToken)
    {
        var claims = await ReadAsync(token, allowExpired: false, cancellationToken);
        if (claims.UserId != operation.UserId && !operation.IsAdmin && !operation.IsService)
        {
            throw Faults.Forbidden("identity:revoke_token");
        }
        await writes.RunAsync(
            change =>
            {
                change.Revoke(RevocationSubject.Token(claims.TokenId));
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    /// <summary>Ends all sessions of a user, in a project, of a domain, or of a credential.</summary>
    /// <param name="operation">An administrator.</param>
    /// <param name="subject">See <see cref="RevocationSubject"/>.</param>
    /// <param name="cancellationToken">Gives up before the commit.</param>
    public async Task RevokeAllAsync(OperationContext operation, string subject, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:revoke_tokens");
        await writes.RunAsync(
            change =>
            {
                change.Revoke(subject);
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    public async Task RotateSigningKeyAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:rotate_signing_key");
        await keyring.RotateAsync(now: true, cancellationToken);
        await keyring.CatchUpAsync(cancellationToken);
    }

    /// <summary>The enabled projects the caller may ask a token for.</summary>
    public async Task<IReadOnlyList<Project>> ListProjectsAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        var bound = await BoundProjectAsync(operation, cancellationToken);
        var targets = await effective.TargetsOfAsync(operation.UserId, cancellationToken);
        return [.. targets.Where(project => project is { IsDomain: false, Enabled: true } && (bound is null || bound == project.Id))];
    }

    /// <summary>The enabled domains the caller may ask a token for.</summary>
    public async Task<IReadOnlyList<Project>> ListDomainsAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        if (await BoundProjectAsync(operation, cancellationToken) is not null)
        {
            return [];
        }
        var targets = await effective.TargetsOfAsync(operation.UserId, cancellationToken);
        return [.. targets.Where(project => project is { IsDomain: true, Enabled: true })];
    }

    public async Task<bool> MaySystemAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        return await BoundProjectAsync(operation, cancellationToken) is null &&
            (await effective.InSystemAsync(operation.UserId, cancellationToken)).Count > 0;
    }

    public async Task<IReadOnlyList<CatalogEntry>> GetCatalogAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        if (operation.ProjectId is null && operation.DomainId is null && !operation.IsSystemScoped)
        {
            throw Faults.Forbidden("identity:get_auth_catalog");
        }
        await directory.CatchUpAsync(cancellationToken);
        return catalog.Build(operation.ProjectId, operation.UserId);
    }

    /// <summary>Names for claims; null when something they speak of is gone.</summary>
    public async ValueTask<TokenDescription?> DescribeAsync(TokenClaims claims, CancellationToken cancellationToken)
    {
        var user = await directory.FindUserAsync(claims.UserId, cancellationToken);
        var userDomain = await directory.FindDomainAsync(claims.UserDomainId, cancellationToken);
        if (user is null || userDomain is null)
        {
            return null;
        }
        var description = new TokenDescription { Claims = claims, User = user, UserDomain = userDomain };
        if (claims.Delegation is { Kind: TokenDelegation.ApplicationCredential } delegation)
        {
            var credential = await directory.Store.GetAsync(IdentityTables.ApplicationCredentials, delegation.CredentialId, cancellationToken);
            if (credential is null)
            {
                return null;
            }
            description = description with { ApplicationCredential = credential };
        }
        if (claims.Delegation is { Kind: TokenDelegation.Trust } lent)
        {
            var trust = await directory.Store.GetAsync(IdentityTables.Trusts, lent.CredentialId, cancellationToken);
            if (trust is null)
            {
                return null;
            }
            description = description with { Trust = trust };
        }
        if (claims.Scope == TokenScopeKind.Unscoped)
        {
            return description;
        }
        var graph = directory.Roles;
        description = description with
        {
            Roles = [.. claims.Roles.Select(graph.FindByName).OfType<Roles.Role>()],
            Catalog = catalog.Build(claims.Scope == TokenScopeKind.Project ? claims.ScopeId : null, claims.UserId),
        };
        switch (claims.Scope)
        {
            case TokenScopeKind.Project:
                var project = await directory.FindProjectAsync(claims.ScopeId, cancellationToken);
                var domain = claims.ScopeDomainId == claims.UserDomainId
                    ? userDomain
                    : await directory.FindDomainAsync(claims.ScopeDomainId, cancellationToken);
                return project is null || domain is null ? null : description with { Project = project, ProjectDomain = domain };
            case TokenScopeKind.Domain:
                return await directory.FindDomainAsync(claims.ScopeId, cancellationToken) is { } scope ? description with { Domain = scope } : null;
            default:
                return description;
        }
    }

    private async Task<TokenClaims> ReadAsync(string token, bool allowExpired, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        var claims = keyring.Decode(token);
        var window = allowExpired ? SigningKeyring.ExpiredWindow : TimeSpan.Zero;
        return claims is not null && claims.ExpiresAt + window > time.GetUtcNow() && !authority.IsRevoked(claims) ? claims : throw NotValid();
    }

    /// <summary>The one project that what stands behind the caller's token is good for; null when nothing does.</summary>
    private async ValueTask<string?> BoundProjectAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        return operation.ApplicationCredentialId is { } id &&
            await directory.Store.GetAsync(IdentityTables.ApplicationCredentials, id, cancellationToken) is { } credential
                ? credential.ProjectId
                : operation.IsRestricted ? operation.ProjectId : null;
    }
}

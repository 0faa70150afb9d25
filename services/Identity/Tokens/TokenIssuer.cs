using System.Buffers.Text;
using System.Security.Cryptography;
using Nephos.Hosting.Authentication;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Passwords;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Users;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Identity.Tokens;

internal sealed record IssuedToken(string Token, TokenClaims Claims);

/// <summary>Makes tokens out of proofs.</summary>
/// <remarks>
/// The epochs go into the token as they were before anything else was read, so whatever is revoked while a token is being made
/// kills it. A delegation (a credential behind the proof) bounds project, roles and lifetime of every token made from it.
/// </remarks>
internal sealed class TokenIssuer(
    DirectoryView directory,
    EffectiveRoles effective,
    PasswordAuthentication passwords,
    PasswordHasher hasher,
    SigningKeyring keyring,
    LocalTokenAuthority authority,
    IdentityOptions options,
    TimeProvider time)
{
    private const string PasswordMethod = "password", TokenMethod = "token", ApplicationCredentialMethod = "application_credential";

    /// <summary>How a token says that an access key was shown; the identity service itself takes no such token.</summary>
    public const string Ec2Method = "ec2credential";

    /// <exception cref="FaultException">
    /// Unauthenticated: a proof is wrong, or the user has nothing to do in the scope. NotFound: the token shown is not valid.
    /// InvalidArgument: no proof, or one that says too little.
    /// </exception>
    public async Task<IssuedToken> IssueAsync(TokenRequest request, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        var epochs = new Epochs(directory.Revocations);
        var proven = await AuthenticateAsync(request, cancellationToken);
        if (proven.Delegation is not null)
        {
            return await IssueDelegatedAsync(proven, request.Scope, epochs, cancellationToken);
        }
        if (request.Scope is ScopeRequest.Trust asked)
        {
            return await IssueLentAsync(proven, asked.Id, epochs, cancellationToken);
        }
        var claims = await ScopeAsync(proven, request.Scope, cancellationToken);
        return Sign(claims, epochs);
    }

    /// <summary>A token in the name of the owner of an access key, whose signature has been checked.</summary>
    public async Task<IssuedToken> IssueForEc2Async(Credentials.Credential credential, CancellationToken cancellationToken)
    {
        await directory.CatchUpAsync(cancellationToken);
        var epochs = new Epochs(directory.Revocations);
        var user = await directory.FindUserAsync(credential.UserId, cancellationToken);
        var project = await directory.FindProjectAsync(credential.ProjectId, cancellationToken);
        if (user is null || project is null || !await IsUsableAsync(user, cancellationToken))
        {
            throw PasswordAuthentication.Failed();
        }
        // The key itself may be gone since it was read; its epoch above is older than that.
        if (await directory.Store.GetAsync(IdentityTables.Credentials, credential.Id, cancellationToken) is null)
        {
            throw PasswordAuthentication.Failed();
        }
        var bound = credential.ApplicationCredentialId is { } id
            ? await FindUsableAsync(id, cancellationToken) ?? throw PasswordAuthentication.Failed()
            : null;
        var proven = new Proven(user, [Ec2Method], bound?.ExpiresAt, null)
        {
            Delegation = new TokenDelegation(TokenDelegation.Ec2Credential, credential.Id, Unrestricted: false, bound?.AccessRules ?? []),
            ProjectId = project.Id,
            RoleIds = bound?.RoleIds,
        };
        return await IssueDelegatedAsync(proven, new ScopeRequest.Default(), epochs, cancellationToken);
    }

    private async Task<Proven> AuthenticateAsync(TokenRequest request, CancellationToken cancellationToken)
    {
        Proven? proven = null;
        if (request.Password is { } password)
        {
            proven = new Proven(await passwords.CheckAsync(password, cancellationToken), [PasswordMethod], null, null);
        }
        if (request.ApplicationCredential is { } credential)
        {
            proven = Merge(proven, await CheckAsync(credential, cancellationToken));
        }
        if (request.Token is { } token)
        {
            proven = Merge(proven, await CheckAsync(token, cancellationToken));
        }
        return proven ?? throw Faults.Invalid("identity", "at least one method of authentication is needed");
    }

    private static Proven Merge(Proven? first, Proven second)
    {
        if (first is null)
        {
            return second;
        }
        // A delegation beside another proof would leave open which of the two bounds the token.
        return first.User.Id == second.User.Id && first.Delegation is null && second.Delegation is null
            ? second with { Methods = [.. first.Methods.Union(second.Methods)] }
            : throw PasswordAuthentication.Failed();
    }

    private async Task<Proven> CheckAsync(string token, CancellationToken cancellationToken)
    {
        var claims = keyring.Decode(token);
        if (claims is null || claims.ExpiresAt <= time.GetUtcNow() || authority.IsRevoked(claims) ||
            await directory.FindUserAsync(claims.UserId, cancellationToken) is not { } user || !await IsUsableAsync(user, cancellationToken))
        {
            throw TokenNotFound();
        }
        if (claims.Delegation is { Kind: not TokenDelegation.ApplicationCredential })
        {
            throw PasswordAuthentication.Failed();
        }
        var proven = new Proven(user, [.. claims.Methods.Append(TokenMethod).Distinct()], claims.ExpiresAt, claims.ChainId ?? claims.TokenId);
        if (claims.Delegation is not { } delegation)
        {
            return proven;
        }
        var credential = await FindUsableAsync(delegation.CredentialId, cancellationToken) ?? throw TokenNotFound();
        return Delegated(proven, credential, delegation);
    }

    private async Task<Proven> CheckAsync(ApplicationCredentialProof proof, CancellationToken cancellationToken)
    {
        var credential = await FindAsync(proof, cancellationToken);
        if (credential is null)
        {
            await hasher.VerifyNobodyAsync(proof.Secret, cancellationToken);
            throw PasswordAuthentication.Failed();
        }
        if (!await hasher.VerifyAsync(credential.SecretHash, proof.Secret, cancellationToken) || credential.ExpiresAt <= time.GetUtcNow() ||
            await directory.FindUserAsync(credential.UserId, cancellationToken) is not { } user || !await IsUsableAsync(user, cancellationToken))
        {
            throw PasswordAuthentication.Failed();
        }
        var delegation = new TokenDelegation(
            TokenDelegation.ApplicationCredential, credential.Id, credential.Unrestricted == true, credential.AccessRules);
        return Delegated(new Proven(user, [ApplicationCredentialMethod], null, null), credential, delegation);
    }

    private static Proven Delegated(Proven proven, ApplicationCredential credential, TokenDelegation delegation) => proven with
    {
        ExpiresAt = Earlier(proven.ExpiresAt, credential.ExpiresAt),
        Delegation = delegation,
        ProjectId = credential.ProjectId,
        RoleIds = credential.RoleIds,
    };

    private async ValueTask<ApplicationCredential?> FindAsync(ApplicationCredentialProof proof, CancellationToken cancellationToken)
    {
        if (proof.Id is { } id)
        {
            return Shared.Names.IsId(id)
                ? await directory.Store.GetAsync(IdentityTables.ApplicationCredentials, id, cancellationToken)
                : null;
        }
        if (proof.Name is null || proof.User is null)
        {
            throw Faults.Invalid("application_credential", "needs an id, or a name and a user");
        }
        return proof.Name.Length <= Shared.Names.MaxNameChars && await passwords.FindAsync(proof.User, cancellationToken) is { } user
            ? await directory.Store.FindAsync(
                IdentityTables.ApplicationCredentials, "name", IdentityTables.ScopedName(user.Id, proof.Name), cancellationToken)
            : null;
    }

    private async ValueTask<ApplicationCredential?> FindUsableAsync(string id, CancellationToken cancellationToken) =>
        await directory.Store.GetAsync(IdentityTables.ApplicationCredentials, id, cancellationToken) is { } credential &&
        (credential.ExpiresAt is null || credential.ExpiresAt > time.GetUtcNow())
            ? credential
            : null;

    private async ValueTask<bool> IsUsableAsync(User user, CancellationToken cancellationToken) =>
        user.Enabled && await directory.FindDomainAsync(user.DomainId, cancellationToken) is { Enabled: true };

    /// <summary>The project of the delegation and nothing else; its roles, all of which the user must still have.</summary>
    private async Task<IssuedToken> IssueDelegatedAsync(
        Proven proven, ScopeRequest scope, Epochs epochs, CancellationToken cancellationToken)
    {
        var isSameScope = scope switch
        {
            ScopeRequest.Default => true,
            // A credential carries its scope; only a token made from it may repeat it.
            ScopeRequest.Project asked when proven.ChainId is not null =>
                (await passwords.FindProjectAsync(asked.Reference, cancellationToken))?.Id == proven.ProjectId,
            _ => false,
        };
        if (!isSameScope || await directory.FindProjectAsync(proven.ProjectId, cancellationToken) is not { } project)
        {
            throw PasswordAuthentication.Failed();
        }
        var held = await RolesInAsync(proven.User, project, cancellationToken);
        var roles = held;
        if (proven.RoleIds is { } roleIds)
        {
            roles = directory.Roles.Effective(roleIds);
            var heldIds = held.Select(role => role.Id).ToHashSet(StringComparer.Ordinal);
            if (!roles.All(role => heldIds.Contains(role.Id)) || !roleIds.All(heldIds.Contains))
            {
                throw PasswordAuthentication.Failed();
            }
        }
        return Sign(InProject(proven, project, roles), epochs);
    }

    /// <summary>What a trust lends: its roles, all of which the trustor must still have, in its project. Takes one of its uses.</summary>
    private async Task<IssuedToken> IssueLentAsync(Proven proven, string trustId, Epochs epochs, CancellationToken cancellationToken)
    {
        var trust = Shared.Names.IsId(trustId) ? await directory.Store.GetAsync(IdentityTables.Trusts, trustId, cancellationToken) : null;
        if (trust is null || trust.TrusteeUserId != proven.User.Id ||
            await directory.FindUserAsync(trust.TrustorUserId, cancellationToken) is not { } trustor ||
            !await IsUsableAsync(trustor, cancellationToken) ||
            await directory.FindProjectAsync(trust.ProjectId, cancellationToken) is not { } project)
        {
            throw PasswordAuthentication.Failed();
        }
        var held = (await FindRolesInAsync(trustor, project, cancellationToken)).Select(role => role.Id).ToHashSet(StringComparer.Ordinal);
        if (!trust.RoleIds.All(held.Contains))
        {
            throw PasswordAuthentication.Failed();
        }
        await TakeUseAsync(trust.Id, cancellationToken);
        var lent = proven with
        {
            User = trust.Impersonation ? trustor : proven.User,
            ExpiresAt = Earlier(proven.ExpiresAt, trust.ExpiresAt),
            Delegation = new TokenDelegation(TokenDelegation.Trust, trust.Id, Unrestricted: false, [])
            {
                OtherUserId = trust.Impersonation ? proven.User.Id : trustor.Id,
            },
        };
        return Sign(InProject(lent, project, directory.Roles.Effective(trust.RoleIds)), epochs);
    }

    private Task TakeUseAsync(string trustId, CancellationToken cancellationToken) => directory.Store.TransactAsync(
        async transaction =>
        {
            var trust = await transaction.GetAsync(IdentityTables.Trusts, trustId, cancellationToken);
            if (trust is null || !trust.IsUsable(time.GetUtcNow()))
            {
                throw PasswordAuthentication.Failed();
            }
            if (trust.RemainingUses is { } uses)
            {
                transaction.Put(IdentityTables.Trusts, trust with { RemainingUses = uses - 1 });
            }
        },
        cancellationToken);

    private async Task<TokenClaims> ScopeAsync(Proven proven, ScopeRequest scope, CancellationToken cancellationToken)
    {
        switch (scope)
        {
            case ScopeRequest.Project asked:
            {
                var project = await passwords.FindProjectAsync(asked.Reference, cancellationToken) ?? throw PasswordAuthentication.Failed();
                return InProject(proven, project, await RolesInAsync(proven.User, project, cancellationToken));
            }
            case ScopeRequest.Domain asked:
            {
                var domain = await passwords.FindDomainAsync(asked.Reference, cancellationToken);
                if (domain is not { Enabled: true })
                {
                    throw PasswordAuthentication.Failed();
                }
                return InDomain(proven, domain, await effective.InDomainAsync(proven.User.Id, domain.Id, cancellationToken));
            }
            case ScopeRequest.System:
                return InSystem(proven, await effective.InSystemAsync(proven.User.Id, cancellationToken));
            case ScopeRequest.Default when await directory.FindProjectAsync(proven.User.DefaultProjectId, cancellationToken) is { } project:
            {
                var roles = await FindRolesInAsync(proven.User, project, cancellationToken);
                return roles.Count > 0 ? InProject(proven, project, roles) : Unscoped(proven);
            }
            default:
                return Unscoped(proven);
        }
    }

    private async ValueTask<IReadOnlyList<Role>> RolesInAsync(User user, Project project, CancellationToken cancellationToken)
    {
        var roles = await FindRolesInAsync(user, project, cancellationToken);
        return roles.Count > 0 ? roles : throw PasswordAuthentication.Failed();
    }

    /// <summary>None as well when the project or its domain is disabled.</summary>
    private async ValueTask<IReadOnlyList<Role>> FindRolesInAsync(User user, Project project, CancellationToken cancellationToken)
    {
        if (!project.Enabled || (project.DomainId is { } domainId && await directory.FindDomainAsync(domainId, cancellationToken) is not { Enabled: true }))
        {
            return [];
        }
        return await effective.InProjectAsync(user.Id, project, cancellationToken);
    }

    private TokenClaims Unscoped(Proven proven)
    {
        var now = DateTimeOffset.FromUnixTimeSeconds(time.GetUtcNow().ToUnixTimeSeconds());
        var expiresAt = Earlier(proven.ExpiresAt, now + options.TokenLifetime)!.Value;
        return new TokenClaims
        {
            TokenId = NewTokenId(),
            ChainId = proven.ChainId,
            UserId = proven.User.Id,
            UserDomainId = proven.User.DomainId,
            IssuedAt = now,
            ExpiresAt = DateTimeOffset.FromUnixTimeSeconds(expiresAt.ToUnixTimeSeconds()),
            Methods = proven.Methods,
            Delegation = proven.Delegation,
        };
    }

    private TokenClaims InProject(Proven proven, Project project, IReadOnlyList<Role> roles) => WithRoles(proven, roles) with
    {
        Scope = TokenScopeKind.Project,
        ScopeId = project.Id,
        ScopeDomainId = project.OwnerDomainId,
    };

    private TokenClaims InDomain(Proven proven, Project domain, IReadOnlyList<Role> roles) =>
        WithRoles(proven, roles) with { Scope = TokenScopeKind.Domain, ScopeId = domain.Id };

    private TokenClaims InSystem(Proven proven, IReadOnlyList<Role> roles) =>
        WithRoles(proven, roles) with { Scope = TokenScopeKind.System };

    private TokenClaims WithRoles(Proven proven, IReadOnlyList<Role> roles) => roles.Count > 0
        ? Unscoped(proven) with { Roles = [.. roles.Select(role => role.Name)] }
        : throw PasswordAuthentication.Failed();

    private IssuedToken Sign(TokenClaims claims, Epochs epochs)
    {
        claims = claims with { Epochs = epochs.Of(claims.Subjects()) };
        return new IssuedToken(TokenCodec.Encode(claims, keyring.Current), claims);
    }

    private static FaultException TokenNotFound() => TokenService.NotValid();

    private static DateTimeOffset? Earlier(DateTimeOffset? left, DateTimeOffset? right) =>
        left is null ? right : right is null ? left : left < right ? left : right;

    private static string NewTokenId() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));

    /// <summary>Who was authenticated, and what bounds the tokens made from it.</summary>
    /// <param name="User">Enabled, of an enabled domain.</param>
    /// <param name="ExpiresAt">No token of this may live longer.</param>
    /// <param name="ChainId">The first token of the chain, when a token was shown.</param>
    private sealed record Proven(User User, IReadOnlyList<string> Methods, DateTimeOffset? ExpiresAt, string? ChainId)
    {
        public TokenDelegation? Delegation { get; init; }

        /// <summary>Of the delegation.</summary>
        public string? ProjectId { get; init; }

        /// <summary>Of the delegation; null leaves all the user has.</summary>
        public IReadOnlyList<string>? RoleIds { get; init; }
    }

    /// <summary>The epochs at the moment that the making of a token began.</summary>
    private readonly struct Epochs(System.Collections.Immutable.IImmutableDictionary<string, RevocationRecord> known)
    {
        public IReadOnlyList<long> Of(IReadOnlyList<string> subjects)
        {
            var epochs = new long[subjects.Count];
            var used = 0;
            for (var index = 0; index < epochs.Length; index++)
            {
                epochs[index] = known.TryGetValue(subjects[index], out var record) ? record.Epoch : 0;
                used = epochs[index] == 0 ? used : index + 1;
            }
            return epochs.AsSpan(0, used).ToArray();
        }
    }
}

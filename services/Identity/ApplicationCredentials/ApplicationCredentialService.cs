using System.Buffers.Text;
using System.Security.Cryptography;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Assignments;
using Nephos.Identity.Passwords;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.ApplicationCredentials;

/// <summary>An application credential to be made.</summary>
internal sealed record ApplicationCredentialDraft
{
    public string? Name { get; init; }

    public string? Description { get; init; }

    /// <summary>Null: one is made up.</summary>
    public string? Secret { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public bool? Unrestricted { get; init; }

    /// <summary>By id or by name; null: all roles of the token.</summary>
    public IReadOnlyList<(string? Id, string? Name)>? Roles { get; init; }

    /// <summary>Complete, or the id of one the user has; null when the client spoke of none.</summary>
    public IReadOnlyList<(string? Id, AccessRule? Rule)>? AccessRules { get; init; }
}

/// <summary>What can be done with application credentials: made by their owner for the project of the token, never changed.</summary>
/// <remarks>
/// A credential holds what its owner has in the project of the token that made it, or less. When a credential stands behind that token,
/// the new one holds no more than the token and ends no later, and one with access rules makes none at all, so that no chain of
/// credentials grows.
/// </remarks>
internal sealed class ApplicationCredentialService(
    DirectoryView directory, EffectiveRoles effective, IdentityWrites writes, PasswordHasher hasher, IdentityOptions options, TimeProvider time)
{
    private const string Kind = "application_credential", RuleKind = "access_rule";

    /// <summary>Rules travel in tokens, which have to fit into a header.</summary>
    private const int MaxRuleChars = 2048;

    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "COPY"];

    public async Task<ApplicationCredential> GetAsync(OperationContext operation, string userId, string id, CancellationToken cancellationToken)
    {
        await AuthorizeReadAsync(operation, userId, "identity:get_application_credential", cancellationToken);
        return await FindAsync(userId, id, cancellationToken);
    }

    public async Task<IReadOnlyList<ApplicationCredential>> ListAsync(
        OperationContext operation, string userId, CancellationToken cancellationToken)
    {
        await AuthorizeReadAsync(operation, userId, "identity:list_application_credentials", cancellationToken);
        return await directory.Store.ListByAsync(IdentityTables.ApplicationCredentials, "user", userId, cancellationToken);
    }

    /// <returns>The credential and its secret, which nobody can read again.</returns>
    /// <exception cref="FaultException">
    /// Forbidden: for somebody else, or a restricted credential stands behind the token. InvalidArgument: no project in the token, a role
    /// the token has not, an expiry in the past.
    /// </exception>
    public async Task<(ApplicationCredential Credential, string Secret)> CreateAsync(
        OperationContext operation, string userId, ApplicationCredentialDraft draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        const string Action = "identity:create_application_credential";
        Policy.RequireSelf(operation, userId, Action);
        Policy.RequireUnrestricted(operation, Action);
        if (operation.AccessRules.Count > 0)
        {
            throw Faults.Forbidden(Action);
        }
        var projectId = operation.ProjectId ?? throw Faults.Invalid("project", "a project-scoped token is needed to make an application credential");
        await directory.CatchUpAsync(cancellationToken);
        var secret = draft.Secret ?? Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(64));
        var credential = new ApplicationCredential
        {
            Id = Ids.NewHex(),
            UserId = userId,
            ProjectId = projectId,
            Name = Names.Check(draft.Name, "name"),
            Description = Names.CheckDescription(draft.Description),
            ExpiresAt = await BoundExpiryAsync(operation, draft.ExpiresAt, cancellationToken),
            Unrestricted = draft.Unrestricted,
            RoleIds = [.. (await RolesOfAsync(operation, projectId, draft, cancellationToken)).Select(role => role.Id)],
            SecretHash = draft.Secret is null
                ? hasher.HashRandom(secret)
                : await hasher.HashAsync(draft.Secret, cancellationToken),
        };
        var made = await IdentityFaults.GuardNameAsync(Kind, credential.Name, writes.CreateAsync(
            operation, Kind, idempotencyKey,
            // The secret is gone, so a repetition cannot be answered as the first call was.
            (_, _) => throw Faults.AlreadyExists(Kind, credential.Name),
            async change =>
            {
                var others = await change.State.ListByAsync(IdentityTables.ApplicationCredentials, "user", userId, cancellationToken);
                if (others.Count >= options.MaxApplicationCredentials)
                {
                    throw IdentityFaults.Refused($"Unable to create additional application credentials, maximum of {options.MaxApplicationCredentials} already exceeded.");
                }
                var rules = draft.AccessRules is null ? null : await RulesAsync(change.State, userId, draft.AccessRules, cancellationToken);
                var complete = credential with
                {
                    AccessRuleIds = rules is null ? null : [.. rules.Select(rule => rule.Id)],
                    AccessRules = rules is null ? [] : [.. rules.Select(rule => rule.Rule)],
                };
                change.State.Insert(IdentityTables.ApplicationCredentials, complete);
                return (complete.Id, complete);
            },
            cancellationToken));
        return (made, secret);
    }

    /// <summary>With the access keys that were made with it.</summary>
    public async Task DeleteAsync(OperationContext operation, string userId, string id, CancellationToken cancellationToken)
    {
        const string Action = "identity:delete_application_credential";
        if (!Policy.IsAdmin(operation))
        {
            Policy.RequireSelf(operation, userId, Action);
        }
        Policy.RequireUnrestricted(operation, Action);
        await FindAsync(userId, id, cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                if (await change.State.GetAsync(IdentityTables.ApplicationCredentials, id, cancellationToken) is null)
                {
                    throw Faults.NotFound(Kind, id);
                }
                foreach (var key in await change.State.ListByAsync(
                    IdentityTables.Credentials, "application-credential", id, cancellationToken))
                {
                    change.State.Delete<Credentials.Credential>(IdentityTables.Credentials, key.Id);
                    change.Revoke(RevocationSubject.Credential(key.Id));
                }
                change.State.Delete<ApplicationCredential>(IdentityTables.ApplicationCredentials, id);
                change.Revoke(RevocationSubject.Credential(id));
            },
            cancellationToken);
    }

    public async Task<AccessRuleRecord> GetRuleAsync(OperationContext operation, string userId, string id, CancellationToken cancellationToken)
    {
        await AuthorizeReadAsync(operation, userId, "identity:get_access_rule", cancellationToken);
        return await FindRuleAsync(userId, id, cancellationToken);
    }

    public async Task<IReadOnlyList<AccessRuleRecord>> ListRulesAsync(OperationContext operation, string userId, CancellationToken cancellationToken)
    {
        await AuthorizeReadAsync(operation, userId, "identity:list_access_rules", cancellationToken);
        return await directory.Store.ListAsync(IdentityTables.AccessRules, userId + "/", cancellationToken);
    }

    public async Task DeleteRuleAsync(OperationContext operation, string userId, string id, CancellationToken cancellationToken)
    {
        const string Action = "identity:delete_access_rule";
        if (!Policy.IsAdmin(operation))
        {
            Policy.RequireSelf(operation, userId, Action);
        }
        Policy.RequireUnrestricted(operation, Action);
        await FindRuleAsync(userId, id, cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                var credentials = await change.State.ListByAsync(IdentityTables.ApplicationCredentials, "user", userId, cancellationToken);
                if (credentials.Any(credential => credential.AccessRuleIds?.Contains(id) == true))
                {
                    throw IdentityFaults.Refused($"Access rule {id} is in use by an application credential.");
                }
                change.State.Delete<AccessRuleRecord>(IdentityTables.AccessRules, $"{userId}/{id}");
            },
            cancellationToken);
    }

    private async Task<IReadOnlyList<Role>> RolesOfAsync(
        OperationContext operation, string projectId, ApplicationCredentialDraft draft, CancellationToken cancellationToken)
    {
        var held = directory.Roles.Source.Roles
            .Where(role => role.DomainId is null && operation.HasRole(role.Name.ToLowerInvariant())).ToList();
        if (draft.Roles is null)
        {
            return held;
        }
        if (draft.Roles.Count == 0)
        {
            throw Faults.Invalid("roles", "at least one is needed");
        }
        if (operation.ApplicationCredentialId is null && await directory.FindProjectAsync(projectId, cancellationToken) is { } project)
        {
            // The user may have got a role after the token was made.
            held = [.. await effective.InProjectAsync(operation.UserId, project, cancellationToken)];
        }
        return
        [
            .. draft.Roles.Select(asked =>
                held.Find(role => asked.Id is null ? role.Name == asked.Name : role.Id == asked.Id) ??
                throw Faults.Invalid("roles", $"the user has no role {asked.Id ?? asked.Name} in the project")).DistinctBy(role => role.Id),
        ];
    }

    private async Task<DateTimeOffset?> BoundExpiryAsync(OperationContext operation, DateTimeOffset? asked, CancellationToken cancellationToken)
    {
        if (asked <= time.GetUtcNow())
        {
            throw Faults.Invalid("expires_at", "must be in the future");
        }
        if (operation.ApplicationCredentialId is not { } parentId)
        {
            return asked;
        }
        var parent = await directory.Store.GetAsync(IdentityTables.ApplicationCredentials, parentId, cancellationToken) ??
            throw Faults.Forbidden("identity:create_application_credential");
        return asked is null || asked > parent.ExpiresAt ? parent.ExpiresAt ?? asked : asked;
    }

    private static async Task<IReadOnlyList<AccessRuleRecord>> RulesAsync(
        StateTransaction state, string userId, IReadOnlyList<(string? Id, AccessRule? Rule)> asked, CancellationToken cancellationToken)
    {
        var rules = new List<AccessRuleRecord>(asked.Count);
        foreach (var (id, rule) in asked)
        {
            if (id is not null)
            {
                rules.Add((Names.IsId(id) ? await state.GetAsync(IdentityTables.AccessRules, $"{userId}/{id}", cancellationToken) : null) ??
                    throw Faults.NotFound(RuleKind, id));
                continue;
            }
            var checkedRule = Check(rule!);
            var same = await state.FindAsync(
                IdentityTables.AccessRules, "rule", $"{userId}/{checkedRule.Service} {checkedRule.Method} {checkedRule.Path}", cancellationToken);
            var record = same ?? new AccessRuleRecord(Ids.NewHex(), userId, checkedRule);
            state.Put(IdentityTables.AccessRules, record);
            rules.Add(record);
        }
        var chars = rules.Sum(rule => rule.Rule.Service.Length + rule.Rule.Method.Length + rule.Rule.Path.Length);
        return chars <= MaxRuleChars ? rules : throw Faults.Invalid("access_rules", $"have {chars} characters together, at most {MaxRuleChars} are allowed");
    }

    private static AccessRule Check(AccessRule rule)
    {
        Names.Check(rule.Service, "access_rules.service", 64);
        Names.Check(rule.Path, "access_rules.path", 512);
        var method = rule.Method.ToUpperInvariant();
        return Methods.Contains(method) && rule.Path[0] == '/'
            ? rule with { Method = method }
            : throw Faults.Invalid("access_rules", $"a rule has a path that begins with a slash and one of the methods {string.Join(", ", Methods)}");
    }

    private async Task<ApplicationCredential> FindAsync(string userId, string id, CancellationToken cancellationToken) =>
        Names.IsId(id) && await directory.Store.GetAsync(IdentityTables.ApplicationCredentials, id, cancellationToken) is { } credential &&
        credential.UserId == userId
            ? credential
            : throw Faults.NotFound(Kind, id);

    private async Task<AccessRuleRecord> FindRuleAsync(string userId, string id, CancellationToken cancellationToken) =>
        (Names.IsId(id) && Names.IsId(userId)
            ? await directory.Store.GetAsync(IdentityTables.AccessRules, $"{userId}/{id}", cancellationToken)
            : null) ?? throw Faults.NotFound(RuleKind, id);

    private async Task AuthorizeReadAsync(OperationContext operation, string userId, string action, CancellationToken cancellationToken)
    {
        if (operation.UserId == userId)
        {
            Policy.RequireOwnProof(operation);
            return;
        }
        Policy.RequireReader(operation, action);
        if (await directory.FindUserAsync(userId, cancellationToken) is null)
        {
            throw Faults.NotFound("user", userId);
        }
    }
}

using Nephos.Hosting.Authentication;
using Nephos.Identity.Assignments;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Trusts;

/// <summary>A trust to be made.</summary>
/// <param name="Roles">By id or by name.</param>
internal sealed record TrustDraft(
    string TrustorUserId, string TrusteeUserId, string? ProjectId, bool Impersonation, IReadOnlyList<(string? Id, string? Name)> Roles,
    DateTimeOffset? ExpiresAt, int? RemainingUses);

/// <summary>What can be done with trusts. A token that a credential or a trust stands behind can do nothing with them.</summary>
internal sealed class TrustService(DirectoryView directory, EffectiveRoles effective, IdentityWrites writes, TimeProvider time)
{
    /// <summary>Trusts of one trustor.</summary>
    public const int MaxTrusts = 1000;

    private const string Kind = "trust";

    public async Task<Trust> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        RequireOwnToken(operation, "identity:get_trust");
        return await FindAsync(id, cancellationToken) is { } trust && MaySee(operation, trust) ? trust : throw Faults.NotFound(Kind, id);
    }

    public async Task<IReadOnlyList<Trust>> ListAsync(
        OperationContext operation, string? trustorUserId, string? trusteeUserId, CancellationToken cancellationToken)
    {
        RequireOwnToken(operation, "identity:list_trusts");
        if (trustorUserId != operation.UserId && trusteeUserId != operation.UserId)
        {
            Policy.RequireReader(operation, "identity:list_trusts");
        }
        var found = trustorUserId is not null
            ? await directory.Store.ListByAsync(IdentityTables.Trusts, "trustor", trustorUserId, cancellationToken)
            : trusteeUserId is not null
                ? await directory.Store.ListByAsync(IdentityTables.Trusts, "trustee", trusteeUserId, cancellationToken)
                : await directory.Store.ListAsync(IdentityTables.Trusts, "", cancellationToken);
        var now = time.GetUtcNow();
        return [.. found.Where(trust => trust.IsUsable(now) && (trusteeUserId is null || trust.TrusteeUserId == trusteeUserId))];
    }

    /// <exception cref="FaultException">
    /// Forbidden: the caller is not the trustor, or no roles are given. NotFound: the trustee, the project, or a role that the trustor has
    /// not. InvalidArgument: an end in the past, no uses.
    /// </exception>
    public async Task<Trust> CreateAsync(OperationContext operation, TrustDraft draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        const string Action = "identity:create_trust";
        Policy.RequireSelf(operation, draft.TrustorUserId, Action);
        RequireOwnToken(operation, Action);
        if (draft.ExpiresAt <= time.GetUtcNow())
        {
            throw Faults.Invalid("expires_at", "must be in the future");
        }
        if (draft.RemainingUses < 1)
        {
            throw Faults.Invalid("remaining_uses", "must be at least 1");
        }
        var trust = new Trust
        {
            Id = Ids.NewHex(),
            TrustorUserId = draft.TrustorUserId,
            TrusteeUserId = draft.TrusteeUserId,
            ProjectId = draft.ProjectId ?? throw Faults.Invalid("project_id", "is required"),
            Impersonation = draft.Impersonation,
            RoleIds = await RolesAsync(draft, cancellationToken),
            ExpiresAt = draft.ExpiresAt,
            RemainingUses = draft.RemainingUses,
        };
        return await writes.CreateAsync(
            operation, Kind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Trusts, id, cancellationToken),
            async change =>
            {
                if (!Names.IsId(trust.TrusteeUserId) ||
                    await change.State.GetAsync(IdentityTables.Users, trust.TrusteeUserId, cancellationToken) is null)
                {
                    throw Faults.NotFound("user", trust.TrusteeUserId);
                }
                var others = await change.State.ListByAsync(IdentityTables.Trusts, "trustor", trust.TrustorUserId, cancellationToken);
                if (others.Count >= MaxTrusts)
                {
                    throw IdentityFaults.Refused($"User {trust.TrustorUserId} has {others.Count} trusts, which is the most allowed.");
                }
                change.State.Insert(IdentityTables.Trusts, trust);
                return (trust.Id, trust);
            },
            cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var trust = await GetAsync(operation, id, cancellationToken);
        if (!Policy.IsAdmin(operation))
        {
            Policy.RequireSelf(operation, trust.TrustorUserId, "identity:delete_trust");
        }
        await writes.RunAsync(
            async change =>
            {
                if (await change.State.GetAsync(IdentityTables.Trusts, id, cancellationToken) is null)
                {
                    throw Faults.NotFound(Kind, id);
                }
                change.State.Delete<Trust>(IdentityTables.Trusts, id);
                change.Revoke(RevocationSubject.Credential(id));
            },
            cancellationToken);
    }

    private static void RequireOwnToken(OperationContext operation, string action)
    {
        Policy.RequireOwnProof(operation);
        if (operation.ApplicationCredentialId is not null || operation.IsRestricted)
        {
            throw Faults.Forbidden(action);
        }
    }

    private static bool MaySee(OperationContext operation, Trust trust) =>
        Policy.MayReadAll(operation) || trust.TrustorUserId == operation.UserId || trust.TrusteeUserId == operation.UserId;

    private async ValueTask<Trust?> FindAsync(string id, CancellationToken cancellationToken) =>
        Names.IsId(id) && await directory.Store.GetAsync(IdentityTables.Trusts, id, cancellationToken) is { } trust &&
        trust.IsUsable(time.GetUtcNow())
            ? trust
            : null;

    private async Task<IReadOnlyList<string>> RolesAsync(TrustDraft draft, CancellationToken cancellationToken)
    {
        if (draft.Roles.Count == 0)
        {
            throw Faults.Forbidden("identity:create_trust without roles");
        }
        await directory.CatchUpAsync(cancellationToken);
        var project = await directory.FindProjectAsync(draft.ProjectId, cancellationToken) ?? throw Faults.NotFound("project", draft.ProjectId ?? "");
        IReadOnlyList<Role> held = await effective.InProjectAsync(draft.TrustorUserId, project, cancellationToken);
        return
        [
            .. draft.Roles.Select(asked =>
                held.FirstOrDefault(role => asked.Id is null ? role.Name == asked.Name : role.Id == asked.Id) ??
                throw Faults.NotFound("role", asked.Id ?? asked.Name ?? "")).Select(role => role.Id).Distinct(),
        ];
    }
}

using System.Text.Json.Nodes;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Roles;

/// <summary>A role to be made.</summary>
internal sealed record RoleDraft(string? Name, string? DomainId, string? Description, JsonObject? Options, JsonObject? Extra);

internal sealed record RolePatch(
    Change<string> Name, Change<string> DomainId, Change<string> Description, Change<JsonObject> Options, JsonObject? Extra);

/// <summary>What can be done with roles and what they imply.</summary>
/// <remarks>Taking an implication or a role away revokes every token: who held it is known only by looking everywhere.</remarks>
internal sealed class RoleService(DirectoryView directory, IdentityWrites writes, Leftovers leftovers)
{
    private const string Kind = "role";

    public async Task<Role> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        RequireReader(operation, "identity:get_role");
        return await FindAsync(id, cancellationToken) ?? throw Faults.NotFound(Kind, id);
    }

    /// <summary>All roles, in the order of ids.</summary>
    public async Task<IReadOnlyList<Role>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        RequireReader(operation, "identity:list_roles");
        return await directory.ListAsync(directory.Caches.Roles, cancellationToken);
    }

    public async Task<Role> CreateAsync(OperationContext operation, RoleDraft draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_role");
        var role = new Role
        {
            Id = Ids.NewHex(),
            Name = Names.Check(draft.Name, "name"),
            DomainId = draft.DomainId,
            Description = Names.CheckDescription(draft.Description),
            Options = ResourceOptions.Apply([], draft.Options),
            Extra = Names.CheckExtra(draft.Extra, Kind),
        };
        var made = await IdentityFaults.GuardNameAsync(Kind, role.Name, writes.CreateAsync(
            operation, Kind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Roles, id, cancellationToken),
            async change =>
            {
                if (role.DomainId is { } domainId &&
                    (!Names.IsId(domainId) || await change.State.GetAsync(IdentityTables.Projects, domainId, cancellationToken) is not { IsDomain: true }))
                {
                    throw Faults.NotFound("domain", domainId);
                }
                change.State.Insert(IdentityTables.Roles, role);
                return (role.Id, role);
            },
            cancellationToken));
        await directory.Caches.Roles.CatchUpAsync(cancellationToken);
        return made;
    }

    public async Task<Role> UpdateAsync(OperationContext operation, string id, RolePatch patch, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:update_role");
        var name = patch.Name.IsGiven ? Names.Check(patch.Name.Value, "name") : null;
        var updated = await IdentityFaults.GuardNameAsync(Kind, name ?? "", writes.RunAsync(
            async change =>
            {
                var before = await RequireAsync(change.State, id, cancellationToken);
                if (patch.DomainId.IsGiven && patch.DomainId.Value != before.DomainId)
                {
                    throw Faults.Invalid("domain_id", "a role cannot move to another domain");
                }
                var after = before with
                {
                    Name = name ?? before.Name,
                    Description = patch.Description.IsGiven ? Names.CheckDescription(patch.Description.Value) : before.Description,
                    Options = patch.Options.IsGiven ? ResourceOptions.Apply(before.Options, patch.Options.Value) : before.Options,
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(ProjectService.Merge(before.Extra, patch.Extra), Kind),
                };
                RequireMutable(before, after.IsImmutable, "modify");
                if (after.Name != before.Name)
                {
                    // Tokens carry names.
                    await RoleHolders.RevokeAsync(change, id, cancellationToken);
                }
                change.State.Put(IdentityTables.Roles, after);
                return after;
            },
            cancellationToken));
        await directory.Caches.Roles.CatchUpAsync(cancellationToken);
        return updated;
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_role");
        var removal = new Removal(Removal.Role, id);
        await writes.RunAsync(
            async change =>
            {
                RequireMutable(await RequireAsync(change.State, id, cancellationToken), willBeImmutable: true, "delete");
                await RoleHolders.RevokeAsync(change, id, cancellationToken);
                var implications = await change.State.ListAsync(IdentityTables.Implications, "", cancellationToken);
                foreach (var implication in implications.Where(implication => implication.PriorRoleId == id || implication.ImpliedRoleId == id))
                {
                    change.State.Delete<Implication>(IdentityTables.Implications, IdentityTables.Implications.KeyOf(implication));
                }
                change.State.Delete<Role>(IdentityTables.Roles, id);
                change.State.Put(IdentityTables.Removals, removal);
            },
            cancellationToken);
        await leftovers.SweepAsync(removal, cancellationToken);
        await directory.Caches.Roles.CatchUpAsync(cancellationToken);
    }

    public async Task<Implication> ImplyAsync(OperationContext operation, string priorId, string impliedId, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:create_implied_role");
        var implication = new Implication(priorId, impliedId);
        await writes.RunAsync(
            async change =>
            {
                var prior = await RequireAsync(change.State, priorId, cancellationToken);
                var implied = await RequireAsync(change.State, impliedId, cancellationToken);
                if (implied is { Name: "admin", DomainId: null })
                {
                    throw IdentityFaults.Refused("The role admin cannot be implied.");
                }
                if (prior.DomainId is null && implied.DomainId is not null)
                {
                    throw IdentityFaults.Refused("A role of the whole cloud cannot imply one of a domain.");
                }
                change.State.Put(IdentityTables.Implications, implication);
            },
            cancellationToken);
        await directory.Caches.Implications.CatchUpAsync(cancellationToken);
        return implication;
    }

    /// <exception cref="FaultException">NotFound: the prior role does not imply the other.</exception>
    public async Task CheckImplicationAsync(OperationContext operation, string priorId, string impliedId, CancellationToken cancellationToken)
    {
        RequireReader(operation, "identity:get_implied_role");
        var implications = await directory.ListAsync(directory.Caches.Implications, cancellationToken);
        if (!implications.Contains(new Implication(priorId, impliedId)))
        {
            throw Faults.NotFound("implied_role", $"{priorId} implies {impliedId}");
        }
    }

    public async Task<IReadOnlyList<Implication>> ListImplicationsAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        RequireReader(operation, "identity:list_implied_roles");
        return await directory.ListAsync(directory.Caches.Implications, cancellationToken);
    }

    public async Task DeleteImplicationAsync(OperationContext operation, string priorId, string impliedId, CancellationToken cancellationToken)
    {
        Policy.RequireAdmin(operation, "identity:delete_implied_role");
        await CheckImplicationAsync(operation, priorId, impliedId, cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                await RoleHolders.RevokeAsync(change, priorId, cancellationToken);
                change.State.Delete<Implication>(IdentityTables.Implications, $"{priorId}/{impliedId}");
            },
            cancellationToken);
        await directory.Caches.Implications.CatchUpAsync(cancellationToken);
    }

    /// <summary>Names of roles are no secret among those who administer a domain.</summary>
    private static void RequireReader(OperationContext operation, string action)
    {
        if (operation.DomainId is { } domainId && Policy.IsManagerOf(operation, domainId))
        {
            Policy.RequireOwnProof(operation);
        }
        else
        {
            Policy.RequireReader(operation, action);
        }
    }

    private static void RequireMutable(Role before, bool willBeImmutable, string verb)
    {
        if (before.IsImmutable && willBeImmutable)
        {
            throw IdentityFaults.Refused($"Cannot {verb} immutable role {before.Id}.");
        }
    }

    private static async Task<Role> RequireAsync(StateTransaction state, string id, CancellationToken cancellationToken) =>
        (Names.IsId(id) ? await state.GetAsync(IdentityTables.Roles, id, cancellationToken) : null) ?? throw Faults.NotFound(Kind, id);

    private async ValueTask<Role?> FindAsync(string id, CancellationToken cancellationToken) =>
        Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.Roles, id, cancellationToken) : null;
}

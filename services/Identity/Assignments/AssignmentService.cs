using Nephos.Hosting.Authentication;
using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Assignments;

/// <summary>Who has which role where: granting, checking, taking away.</summary>
internal sealed class AssignmentService(DirectoryView directory, IdentityWrites writes)
{
    /// <summary>What a manager of a domain may give away.</summary>
    private static readonly string[] ManageableRoles = ["manager", "member", "reader"];

    /// <summary>Granting what is granted already changes nothing.</summary>
    public async Task GrantAsync(OperationContext operation, Assignment assignment, CancellationToken cancellationToken)
    {
        await AuthorizeAsync(operation, assignment, "identity:create_grant", cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                var role = await RequireAsync(change.State, IdentityTables.Roles, "role", assignment.RoleId, cancellationToken);
                await RequireActorAsync(change.State, assignment.Actor, cancellationToken);
                var domainId = await RequireTargetAsync(change.State, assignment.Target, cancellationToken);
                if (role.DomainId is { } roleDomain && roleDomain != domainId)
                {
                    throw IdentityFaults.Refused($"Role {role.Id} belongs to domain {roleDomain} and cannot be granted outside of it.");
                }
                if (assignment is { Inherited: true, Target.Kind: TargetKind.System })
                {
                    throw Faults.Invalid("inherited", "nothing is below the system");
                }
                change.State.Put(IdentityTables.Assignments, assignment);
            },
            cancellationToken);
    }

    /// <exception cref="FaultException">NotFound: it is not granted, or one of the objects does not exist.</exception>
    public async Task CheckAsync(OperationContext operation, Assignment assignment, CancellationToken cancellationToken)
    {
        await AuthorizeReadAsync(operation, assignment.Target, "identity:check_grant", cancellationToken);
        if (await FindAsync(assignment, cancellationToken) is null)
        {
            throw NotGranted(assignment);
        }
    }

    public async Task RevokeAsync(OperationContext operation, Assignment assignment, CancellationToken cancellationToken)
    {
        await AuthorizeAsync(operation, assignment, "identity:revoke_grant", cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                if (!HasValidIds(assignment) ||
                    await change.State.GetAsync(IdentityTables.Assignments, assignment.Key, cancellationToken) is null)
                {
                    throw NotGranted(assignment);
                }
                change.State.Delete<Assignment>(IdentityTables.Assignments, assignment.Key);
                await RoleHolders.RevokeAsync(change, assignment, cancellationToken);
            },
            cancellationToken);
    }

    /// <summary>The roles granted to an actor right on a target, inherited ones or direct ones.</summary>
    public async Task<IReadOnlyList<Role>> ListGrantsAsync(
        OperationContext operation, Actor actor, Target target, bool inherited, CancellationToken cancellationToken)
    {
        await AuthorizeReadAsync(operation, target, "identity:list_grants", cancellationToken);
        await RequireActorAsync(actor, cancellationToken);
        await directory.CatchUpAsync(cancellationToken);
        var granted = await directory.Store.ListAsync(
            IdentityTables.Assignments, Assignment.KeyPrefix(actor, target, inherited), cancellationToken);
        return [.. granted.Select(assignment => directory.Roles.Find(assignment.RoleId)).OfType<Role>()];
    }

    private static bool HasValidIds(Assignment assignment) =>
        Names.IsId(assignment.Actor.Id) && Names.IsId(assignment.Target.Id) && Names.IsId(assignment.RoleId);

    private static FaultException NotGranted(Assignment assignment) =>
        Faults.NotFound("role assignment", $"{assignment.Actor} {assignment.Target} {assignment.RoleId}");

    private static async Task<T> RequireAsync<T>(
        StateTransaction state, TableSchema<T> schema, string kind, string id, CancellationToken cancellationToken)
        where T : class => (Names.IsId(id) ? await state.GetAsync(schema, id, cancellationToken) : null) ?? throw Faults.NotFound(kind, id);

    private static async Task RequireActorAsync(StateTransaction state, Actor actor, CancellationToken cancellationToken)
    {
        if (actor.Kind == ActorKind.User)
        {
            await RequireAsync(state, IdentityTables.Users, "user", actor.Id, cancellationToken);
        }
        else
        {
            await RequireAsync(state, IdentityTables.Groups, "group", actor.Id, cancellationToken);
        }
    }

    /// <summary>The domain of the target, or null for the system.</summary>
    private static async Task<string?> RequireTargetAsync(StateTransaction state, Target target, CancellationToken cancellationToken)
    {
        if (target.Kind == TargetKind.System)
        {
            return null;
        }
        var project = await RequireAsync(
            state, IdentityTables.Projects, target.Kind == TargetKind.Domain ? "domain" : "project", target.Id, cancellationToken);
        return target.Kind == TargetKind.Domain && !project.IsDomain ? throw Faults.NotFound("domain", target.Id) : project.OwnerDomainId;
    }

    private async ValueTask<Assignment?> FindAsync(Assignment assignment, CancellationToken cancellationToken) =>
        HasValidIds(assignment) ? await directory.Store.GetAsync(IdentityTables.Assignments, assignment.Key, cancellationToken) : null;

    private async Task RequireActorAsync(Actor actor, CancellationToken cancellationToken)
    {
        var exists = Names.IsId(actor.Id) && (actor.Kind == ActorKind.User
            ? await directory.FindUserAsync(actor.Id, cancellationToken) is not null
            : await directory.Store.GetAsync(IdentityTables.Groups, actor.Id, cancellationToken) is not null);
        if (!exists)
        {
            throw Faults.NotFound(actor.Kind == ActorKind.User ? "user" : "group", actor.Id);
        }
    }

    private async Task AuthorizeReadAsync(OperationContext operation, Target target, string action, CancellationToken cancellationToken)
    {
        var project = target.Kind == TargetKind.System ? null : await directory.FindProjectAsync(target.Id, cancellationToken);
        if (project is null)
        {
            Policy.RequireReader(operation, action);
            if (target.Kind != TargetKind.System)
            {
                throw Faults.NotFound(target.Kind == TargetKind.Domain ? "domain" : "project", target.Id);
            }
            return;
        }
        Policy.RequireReader(operation, project.OwnerDomainId, action);
    }

    /// <summary>Administrators, and managers of the domain for its own users, groups and projects and the roles that are not theirs to fear.</summary>
    private async Task AuthorizeAsync(OperationContext operation, Assignment assignment, string action, CancellationToken cancellationToken)
    {
        if (Policy.IsAdmin(operation))
        {
            Policy.RequireAdmin(operation, action);
            return;
        }
        await directory.CatchUpAsync(cancellationToken);
        var domainId = assignment.Target.Kind == TargetKind.System
            ? null
            : (await directory.FindProjectAsync(assignment.Target.Id, cancellationToken))?.OwnerDomainId;
        var actorDomainId = assignment.Actor.Kind == ActorKind.User
            ? (await directory.FindUserAsync(assignment.Actor.Id, cancellationToken))?.DomainId
            : Names.IsId(assignment.Actor.Id)
                ? (await directory.Store.GetAsync(IdentityTables.Groups, assignment.Actor.Id, cancellationToken))?.DomainId
                : null;
        var role = directory.Roles.Find(assignment.RoleId);
        if (domainId is null || actorDomainId != domainId || role is null || role.DomainId is not null || !ManageableRoles.Contains(role.Name))
        {
            throw Faults.Forbidden(action);
        }
        Policy.RequireManager(operation, domainId, action);
    }
}

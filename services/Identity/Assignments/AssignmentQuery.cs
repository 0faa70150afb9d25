using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Assignments;

/// <summary>Which assignments to list. Null means any.</summary>
internal sealed record AssignmentFilter
{
    public string? UserId { get; init; }

    public string? GroupId { get; init; }

    public string? RoleId { get; init; }

    public string? ProjectId { get; init; }

    public string? DomainId { get; init; }

    public bool System { get; init; }

    public bool InheritedOnly { get; init; }

    /// <summary>As tokens have them: groups become their users, inherited and implied roles are spelled out.</summary>
    public bool Effective { get; init; }

    /// <summary>Also the projects below <see cref="ProjectId"/>.</summary>
    public bool IncludeSubtree { get; init; }
}

/// <summary>An assignment and, when it is an effective one, why it holds.</summary>
internal sealed record AssignmentRow(Assignment Assignment, string? ThroughGroupId = null, string? PriorRoleId = null, Target? InheritedFrom = null)
{
    /// <summary>Unique among the rows of one list, and their order.</summary>
    public string Key => $"{Assignment.Key}/{ThroughGroupId}/{PriorRoleId}/{InheritedFrom}";
}

/// <summary>Lists assignments as they were made, or as they take effect.</summary>
internal sealed class AssignmentQuery(DirectoryView directory, EffectiveRoles effective)
{
    /// <exception cref="FaultException">InvalidArgument: the filters exclude each other. Forbidden.</exception>
    public async Task<IReadOnlyList<AssignmentRow>> ListAsync(
        OperationContext operation, AssignmentFilter filter, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        if (!Policy.MayReadAll(operation) && (operation.DomainId is not { } domainId || !Policy.MayRead(operation, domainId)) &&
            filter.UserId != operation.UserId)
        {
            throw Faults.Forbidden("identity:list_role_assignments");
        }
        CheckFilter(filter);
        await directory.CatchUpAsync(cancellationToken);
        var projects = await ProjectsAsync(filter, cancellationToken);
        var rows = new SortedDictionary<string, AssignmentRow>(StringComparer.Ordinal);
        foreach (var assignment in await CandidatesAsync(filter, cancellationToken))
        {
            await foreach (var row in filter.Effective ? ExpandAsync(assignment, projects, cancellationToken) : AsMadeAsync(assignment))
            {
                if (Matches(row, filter, projects) && await MaySeeAsync(operation, row, cancellationToken))
                {
                    rows[row.Key] = row;
                }
            }
        }
        return [.. rows.Values];
    }

    private static void CheckFilter(AssignmentFilter filter)
    {
        if (filter.IncludeSubtree && filter.ProjectId is null)
        {
            throw Faults.Invalid("include_subtree", "needs scope.project.id");
        }
        if (filter.Effective && filter.GroupId is not null)
        {
            throw Faults.Invalid("effective", "excludes group.id: effective assignments are of users");
        }
        if (filter.Effective && filter.InheritedOnly)
        {
            throw Faults.Invalid("effective", "excludes scope.OS-INHERIT:inherited_to");
        }
        if (filter.UserId is not null && filter.GroupId is not null)
        {
            throw Faults.Invalid("group.id", "excludes user.id");
        }
        if ((filter.ProjectId is not null ? 1 : 0) + (filter.DomainId is not null ? 1 : 0) + (filter.System ? 1 : 0) > 1)
        {
            throw Faults.Invalid("scope", "only one of project, domain and system can be asked for");
        }
    }

    private static async IAsyncEnumerable<AssignmentRow> AsMadeAsync(Assignment assignment)
    {
        await ValueTask.CompletedTask;
        yield return new AssignmentRow(assignment);
    }

    private static bool Matches(AssignmentRow row, AssignmentFilter filter, IReadOnlyList<Project>? projects)
    {
        var (actor, target, roleId, inherited) = row.Assignment;
        return (filter.UserId is null || actor == Actor.User(filter.UserId)) &&
            (filter.GroupId is null || actor == Actor.Group(filter.GroupId)) &&
            (filter.RoleId is null || roleId == filter.RoleId) &&
            (filter.DomainId is null || target == Target.Domain(filter.DomainId)) &&
            (!filter.System || target == Target.System) &&
            (!filter.InheritedOnly || inherited) &&
            (projects is null || (target.Kind == TargetKind.Project && projects.Any(project => project.Id == target.Id)));
    }

    /// <summary>The projects that were asked for, or null when any will do.</summary>
    private async Task<IReadOnlyList<Project>?> ProjectsAsync(AssignmentFilter filter, CancellationToken cancellationToken)
    {
        if (filter.ProjectId is null)
        {
            return null;
        }
        if (await directory.FindProjectAsync(filter.ProjectId, cancellationToken) is not { } project)
        {
            return [];
        }
        return filter.IncludeSubtree ? [project, .. await effective.BelowAsync(project, cancellationToken)] : [project];
    }

    /// <summary>A superset of what can match, read by the most selective way there is.</summary>
    private async Task<IReadOnlyList<Assignment>> CandidatesAsync(AssignmentFilter filter, CancellationToken cancellationToken)
    {
        var store = directory.Store;
        if (filter.GroupId is { } groupId)
        {
            return Names.IsId(groupId)
                ? await store.ListAsync(IdentityTables.Assignments, Assignment.KeyPrefix(Actor.Group(groupId)), cancellationToken)
                : [];
        }
        if (filter.UserId is { } userId)
        {
            if (!Names.IsId(userId))
            {
                return [];
            }
            var found = new List<Assignment>(
                await store.ListAsync(IdentityTables.Assignments, Assignment.KeyPrefix(Actor.User(userId)), cancellationToken));
            foreach (var membership in filter.Effective ? await store.ListAsync(IdentityTables.Memberships, userId + "/", cancellationToken) : [])
            {
                found.AddRange(await store.ListAsync(
                    IdentityTables.Assignments, Assignment.KeyPrefix(Actor.Group(membership.GroupId)), cancellationToken));
            }
            return found;
        }
        return await store.ListAsync(IdentityTables.Assignments, "", cancellationToken);
    }

    private async IAsyncEnumerable<AssignmentRow> ExpandAsync(
        Assignment assignment, IReadOnlyList<Project>? projects,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var users = await UsersAsync(assignment.Actor, cancellationToken);
        var targets = await TargetsAsync(assignment, projects, cancellationToken);
        foreach (var (roleId, prior) in directory.Roles.Expand([assignment.RoleId]))
        {
            if (directory.Roles.Find(roleId) is not { DomainId: null })
            {
                continue;
            }
            foreach (var userId in users)
            {
                foreach (var target in targets)
                {
                    yield return new AssignmentRow(
                        new Assignment(Actor.User(userId), target, roleId, Inherited: false),
                        assignment.Actor.Kind == ActorKind.Group ? assignment.Actor.Id : null,
                        prior,
                        assignment.Inherited ? assignment.Target : null);
                }
            }
        }
    }

    private async Task<IReadOnlyList<string>> UsersAsync(Actor actor, CancellationToken cancellationToken) => actor.Kind == ActorKind.User
        ? [actor.Id]
        : [.. (await directory.Store.ListByAsync(IdentityTables.Memberships, "group", actor.Id, cancellationToken)).Select(member => member.UserId)];

    private async Task<IReadOnlyList<Target>> TargetsAsync(
        Assignment assignment, IReadOnlyList<Project>? projects, CancellationToken cancellationToken)
    {
        if (!assignment.Inherited)
        {
            return [assignment.Target];
        }
        if (projects is null)
        {
            var top = await directory.FindProjectAsync(assignment.Target.Id, cancellationToken);
            return top is null ? [] : [.. (await effective.BelowAsync(top, cancellationToken)).Select(project => Target.Project(project.Id))];
        }
        var below = new List<Target>();
        foreach (var project in projects)
        {
            var lineage = await directory.LineageAsync(project, cancellationToken);
            if (lineage.Skip(1).Any(above => above.Id == assignment.Target.Id))
            {
                below.Add(Target.Project(project.Id));
            }
        }
        return below;
    }

    private async ValueTask<bool> MaySeeAsync(OperationContext operation, AssignmentRow row, CancellationToken cancellationToken)
    {
        if (Policy.MayReadAll(operation) || row.Assignment.Actor == Actor.User(operation.UserId))
        {
            return true;
        }
        return row.Assignment.Target.Kind != TargetKind.System && operation.DomainId is { } domainId &&
            (await directory.FindProjectAsync(row.Assignment.Target.Id, cancellationToken))?.OwnerDomainId == domainId;
    }
}

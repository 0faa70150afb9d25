using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Kernel.State;

namespace Nephos.Identity.Assignments;

/// <summary>Which roles a user really has somewhere: direct, by group, inherited and implied.</summary>
internal sealed class EffectiveRoles(DirectoryView directory)
{
    /// <param name="userId">The user.</param>
    /// <param name="project">The project, enabled or not.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Empty: the user has nothing to do there.</returns>
    public async ValueTask<IReadOnlyList<Role>> InProjectAsync(string userId, Project project, CancellationToken cancellationToken)
    {
        var lineage = await directory.LineageAsync(project, cancellationToken);
        if (lineage.Count == 0)
        {
            return [];
        }
        var wanted = new List<(Target, bool Inherited)> { (Target.Project(project.Id), false) };
        wanted.AddRange(lineage.Skip(1).Select(above => (above.IsDomain ? Target.Domain(above.Id) : Target.Project(above.Id), true)));
        return await CollectAsync(userId, wanted, cancellationToken);
    }

    public ValueTask<IReadOnlyList<Role>> InDomainAsync(string userId, string domainId, CancellationToken cancellationToken) =>
        CollectAsync(userId, [(Target.Domain(domainId), false)], cancellationToken);

    public ValueTask<IReadOnlyList<Role>> InSystemAsync(string userId, CancellationToken cancellationToken) =>
        CollectAsync(userId, [(Target.System, false)], cancellationToken);

    /// <summary>The projects and domains on which the user has a role, disabled ones too.</summary>
    public async Task<IReadOnlyList<Project>> TargetsOfAsync(string userId, CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, Project>(StringComparer.Ordinal);
        foreach (var actor in await ActorsAsync(userId, cancellationToken))
        {
            foreach (var assignment in await directory.Store.ListAsync(
                IdentityTables.Assignments, Assignment.KeyPrefix(actor), cancellationToken))
            {
                if (assignment.Target.Kind == TargetKind.System || directory.Roles.Find(assignment.RoleId) is null)
                {
                    continue;
                }
                if (await directory.FindProjectAsync(assignment.Target.Id, cancellationToken) is not { } target)
                {
                    continue;
                }
                foreach (var project in assignment.Inherited ? await BelowAsync(target, cancellationToken) : [target])
                {
                    found[project.Id] = project;
                }
            }
        }
        return [.. found.Values.OrderBy(project => project.Id, StringComparer.Ordinal)];
    }

    /// <summary>All projects below a project or domain, nearest first.</summary>
    public async Task<IReadOnlyList<Project>> BelowAsync(Project top, CancellationToken cancellationToken)
    {
        var below = new List<Project>();
        var queue = new Queue<Project>([top]);
        while (queue.TryDequeue(out var next))
        {
            foreach (var child in await directory.Store.ListByAsync(IdentityTables.Projects, "parent", next.Id, cancellationToken))
            {
                below.Add(child);
                queue.Enqueue(child);
            }
        }
        return below;
    }

    private async ValueTask<IReadOnlyList<Role>> CollectAsync(
        string userId, List<(Target Target, bool Inherited)> wanted, CancellationToken cancellationToken)
    {
        var roleIds = new HashSet<string>(StringComparer.Ordinal);
        foreach (var actor in await ActorsAsync(userId, cancellationToken))
        {
            foreach (var (target, inherited) in wanted)
            {
                foreach (var assignment in await directory.Store.ListAsync(
                    IdentityTables.Assignments, Assignment.KeyPrefix(actor, target, inherited), cancellationToken))
                {
                    roleIds.Add(assignment.RoleId);
                }
            }
        }
        return roleIds.Count == 0 ? [] : directory.Roles.Effective(roleIds);
    }

    private async ValueTask<IReadOnlyList<Actor>> ActorsAsync(string userId, CancellationToken cancellationToken)
    {
        IReadOnlyList<Membership> memberships =
            await directory.Store.ListAsync(IdentityTables.Memberships, userId + "/", cancellationToken);
        var actors = new List<Actor>(memberships.Count + 1) { Actor.User(userId) };
        foreach (var membership in memberships)
        {
            // A group that is gone may have left members behind for a moment.
            if (await directory.Store.GetAsync(IdentityTables.Groups, membership.GroupId, cancellationToken) is not null)
            {
                actors.Add(Actor.Group(membership.GroupId));
            }
        }
        return actors;
    }
}

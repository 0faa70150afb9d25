using Nephos.Hosting.Authentication;
using Nephos.Identity.Assignments;
using Nephos.Identity.Groups;
using Nephos.Identity.Tokens;

namespace Nephos.Identity.Roles;

/// <summary>Ends the tokens that a change of a role makes untrue, and no others: tools make and delete roles all the time.</summary>
internal static class RoleHolders
{
    /// <summary>Beyond so many assignments of a role every token of the cloud ends instead.</summary>
    private const int MaxAssignments = 200;

    /// <summary>Revokes the tokens of everybody who has the role, by itself or by one that implies it, where they have it.</summary>
    public static async Task RevokeAsync(IdentityTransaction change, string roleId, CancellationToken cancellationToken)
    {
        var implications = await change.State.ListAsync(IdentityTables.Implications, "", cancellationToken);
        var roleIds = new HashSet<string>(StringComparer.Ordinal) { roleId };
        var queue = new Queue<string>([roleId]);
        while (queue.TryDequeue(out var implied))
        {
            foreach (var implication in implications.Where(implication => implication.ImpliedRoleId == implied))
            {
                if (roleIds.Add(implication.PriorRoleId))
                {
                    queue.Enqueue(implication.PriorRoleId);
                }
            }
        }
        var count = 0;
        foreach (var id in roleIds)
        {
            var held = await change.State.ListByAsync(IdentityTables.Assignments, "role", id, cancellationToken);
            count += held.Count;
            if (count > MaxAssignments)
            {
                change.Revoke(RevocationSubject.Everything);
                return;
            }
            foreach (var assignment in held)
            {
                await RevokeAsync(change, assignment, cancellationToken);
            }
        }
    }

    /// <summary>Revokes the tokens that an assignment is in.</summary>
    public static async Task RevokeAsync(IdentityTransaction change, Assignment assignment, CancellationToken cancellationToken)
    {
        if (assignment.Actor.Kind == ActorKind.Group)
        {
            await GroupMembers.RevokeAsync(change, assignment.Actor.Id, cancellationToken);
            return;
        }
        change.Revoke(assignment.Inherited
            ? RevocationSubject.User(assignment.Actor.Id)
            : RevocationSubject.Access(
                assignment.Actor.Id, assignment.Target.Kind == TargetKind.System ? RevocationSubject.System : assignment.Target.Id));
    }
}

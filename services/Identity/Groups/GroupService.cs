using System.Text.Json.Nodes;
using Nephos.Hosting.Authentication;
using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Groups;

/// <summary>A group to be made.</summary>
internal sealed record GroupDraft(string? Name, string? DomainId, string? Description, JsonObject? Extra);

internal sealed record GroupPatch(Change<string> Name, Change<string> DomainId, Change<string> Description, JsonObject? Extra);

/// <summary>What can be done with groups.</summary>
internal sealed class GroupService(DirectoryView directory, IdentityWrites writes, Leftovers leftovers)
{
    private const string Kind = "group";

    public async Task<Group> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var group = await FindAsync(id, cancellationToken);
        if (group is null)
        {
            Policy.RequireReader(operation, "identity:get_group");
            throw Faults.NotFound(Kind, id);
        }
        Policy.RequireReader(operation, group.DomainId, "identity:get_group");
        return group;
    }

    public async Task<IReadOnlyList<Group>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        if (!Policy.MayReadAll(operation) && (operation.DomainId is not { } domainId || !Policy.MayRead(operation, domainId)))
        {
            throw Faults.Forbidden("identity:list_groups");
        }
        var all = await directory.ListAsync(directory.Caches.Groups, cancellationToken);
        return [.. all.Where(group => Policy.MayRead(operation, group.DomainId))];
    }

    public async Task<IReadOnlyList<Group>> ListOfUserAsync(OperationContext operation, string userId, CancellationToken cancellationToken)
    {
        var user = await directory.FindUserAsync(userId, cancellationToken) ?? throw Faults.NotFound("user", userId);
        Policy.RequireSelfOrReader(operation, user.Id, user.DomainId, "identity:list_groups_for_user");
        var groups = new List<Group>();
        foreach (var membership in await directory.Store.ListAsync(IdentityTables.Memberships, userId + "/", cancellationToken))
        {
            if (await FindAsync(membership.GroupId, cancellationToken) is { } group)
            {
                groups.Add(group);
            }
        }
        return groups;
    }

    public async Task<IReadOnlyList<User>> ListMembersAsync(OperationContext operation, string groupId, CancellationToken cancellationToken)
    {
        await GetAsync(operation, groupId, cancellationToken);
        var users = new List<User>();
        foreach (var membership in await directory.Store.ListByAsync(IdentityTables.Memberships, "group", groupId, cancellationToken))
        {
            if (await directory.FindUserAsync(membership.UserId, cancellationToken) is { } user)
            {
                users.Add(user);
            }
        }
        return users;
    }

    public async Task<Group> CreateAsync(OperationContext operation, GroupDraft draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        var domainId = draft.DomainId ?? operation.DomainId ?? operation.UserDomainId;
        Policy.RequireManager(operation, domainId, "identity:create_group");
        var group = new Group
        {
            Id = Ids.NewHex(),
            Name = Names.Check(draft.Name, "name", Names.MaxProjectNameChars),
            DomainId = domainId,
            Description = Names.CheckDescription(draft.Description) ?? "",
            Extra = Names.CheckExtra(draft.Extra, Kind),
        };
        return await IdentityFaults.GuardNameAsync(Kind, group.Name, writes.CreateAsync(
            operation, Kind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Groups, id, cancellationToken),
            async change =>
            {
                if (!Names.IsId(domainId) || await change.State.GetAsync(IdentityTables.Projects, domainId, cancellationToken) is not { IsDomain: true })
                {
                    throw Faults.NotFound("domain", domainId);
                }
                change.State.Insert(IdentityTables.Groups, group);
                return (group.Id, group);
            },
            cancellationToken));
    }

    public async Task<Group> UpdateAsync(OperationContext operation, string id, GroupPatch patch, CancellationToken cancellationToken)
    {
        var name = patch.Name.IsGiven ? Names.Check(patch.Name.Value, "name", Names.MaxProjectNameChars) : null;
        await RequireForWriteAsync(operation, id, "identity:update_group", cancellationToken);
        return await IdentityFaults.GuardNameAsync(Kind, name ?? "", writes.RunAsync(
            async change =>
            {
                var before = await change.State.GetAsync(IdentityTables.Groups, id, cancellationToken) ?? throw Faults.NotFound(Kind, id);
                if (patch.DomainId.IsGiven && patch.DomainId.Value != before.DomainId)
                {
                    throw Faults.Invalid("domain_id", "a group cannot move to another domain");
                }
                var after = before with
                {
                    Name = name ?? before.Name,
                    Description = patch.Description.IsGiven ? Names.CheckDescription(patch.Description.Value) ?? "" : before.Description,
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(ProjectService.Merge(before.Extra, patch.Extra), Kind),
                };
                change.State.Put(IdentityTables.Groups, after);
                return after;
            },
            cancellationToken));
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        await RequireForWriteAsync(operation, id, "identity:delete_group", cancellationToken);
        var removal = new Removal(Removal.Group, id);
        await writes.RunAsync(
            async change =>
            {
                if (await change.State.GetAsync(IdentityTables.Groups, id, cancellationToken) is null)
                {
                    throw Faults.NotFound(Kind, id);
                }
                await GroupMembers.RevokeAsync(change, id, cancellationToken);
                change.State.Delete<Group>(IdentityTables.Groups, id);
                change.State.Put(IdentityTables.Removals, removal);
            },
            cancellationToken);
        await leftovers.SweepAsync(removal, cancellationToken);
    }

    public async Task AddMemberAsync(OperationContext operation, string groupId, string userId, CancellationToken cancellationToken)
    {
        await RequireForWriteAsync(operation, groupId, "identity:add_user_to_group", cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                if (await change.State.GetAsync(IdentityTables.Groups, groupId, cancellationToken) is null)
                {
                    throw Faults.NotFound(Kind, groupId);
                }
                if (!Names.IsId(userId) || await change.State.GetAsync(IdentityTables.Users, userId, cancellationToken) is null)
                {
                    throw Faults.NotFound("user", userId);
                }
                change.State.Put(IdentityTables.Memberships, new Membership(userId, groupId));
            },
            cancellationToken);
    }

    /// <exception cref="FaultException">NotFound: the group, the user, or the membership does not exist.</exception>
    public async Task CheckMemberAsync(OperationContext operation, string groupId, string userId, CancellationToken cancellationToken)
    {
        if (operation.UserId != userId)
        {
            await GetAsync(operation, groupId, cancellationToken);
        }
        if (!Names.IsId(userId) || !Names.IsId(groupId) ||
            await directory.Store.GetAsync(IdentityTables.Memberships, $"{userId}/{groupId}", cancellationToken) is null)
        {
            throw Faults.NotFound("user", userId);
        }
    }

    public async Task RemoveMemberAsync(OperationContext operation, string groupId, string userId, CancellationToken cancellationToken)
    {
        await RequireForWriteAsync(operation, groupId, "identity:remove_user_from_group", cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                var key = $"{userId}/{groupId}";
                if (!Names.IsId(userId) || await change.State.GetAsync(IdentityTables.Memberships, key, cancellationToken) is null)
                {
                    throw Faults.NotFound("user", userId);
                }
                change.State.Delete<Membership>(IdentityTables.Memberships, key);
                change.Revoke(RevocationSubject.User(userId));
            },
            cancellationToken);
    }

    private async ValueTask<Group?> FindAsync(string id, CancellationToken cancellationToken) =>
        Names.IsId(id) ? await directory.Store.GetAsync(IdentityTables.Groups, id, cancellationToken) : null;

    private async Task RequireForWriteAsync(OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        var group = await FindAsync(id, cancellationToken);
        if (group is null)
        {
            Policy.RequireAdmin(operation, action);
            throw Faults.NotFound(Kind, id);
        }
        Policy.RequireManager(operation, group.DomainId, action);
    }
}

/// <summary>What happens to the tokens of the members when a group loses something.</summary>
internal static class GroupMembers
{
    /// <summary>Most members revoked one by one in a commit; with more it is simpler to revoke every token there is.</summary>
    private const int MaxRevokedMembers = 300;

    public static async Task RevokeAsync(IdentityTransaction change, string groupId, CancellationToken cancellationToken)
    {
        var members = await change.State.ListByAsync(IdentityTables.Memberships, "group", groupId, cancellationToken);
        if (members.Count > MaxRevokedMembers)
        {
            change.Revoke(RevocationSubject.Everything);
            return;
        }
        foreach (var member in members)
        {
            change.Revoke(RevocationSubject.User(member.UserId));
        }
    }
}

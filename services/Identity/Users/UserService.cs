using Nephos.Hosting.Authentication;
using Nephos.Identity.Passwords;
using Nephos.Identity.Projects;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Identity.Users;

/// <summary>What can be done with users.</summary>
internal sealed class UserService(
    DirectoryView directory, PasswordAuthentication authentication, PasswordRules rules, IdentityWrites writes, Leftovers leftovers)
{
    private const string Kind = "user";

    public async Task<User> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var user = await directory.FindUserAsync(id, cancellationToken);
        if (user is null)
        {
            // Whoever may not read users does not learn which ids there are.
            Policy.RequireReader(operation, "identity:get_user");
            throw Faults.NotFound(Kind, id);
        }
        Policy.RequireSelfOrReader(operation, user.Id, user.DomainId, "identity:get_user");
        return user;
    }

    /// <summary>All users the caller may list, in the order of ids.</summary>
    public async Task<IReadOnlyList<User>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        Policy.RequireOwnProof(operation);
        if (!Policy.MayReadAll(operation) && (operation.DomainId is not { } domainId || !Policy.MayRead(operation, domainId)))
        {
            throw Faults.Forbidden("identity:list_users");
        }
        var all = await directory.ListAsync(directory.Caches.Users, cancellationToken);
        return Policy.MayReadAll(operation) ? all : [.. all.Where(user => user.DomainId == operation.DomainId)];
    }

    public async Task<User> CreateAsync(OperationContext operation, UserDraft draft, string idempotencyKey, CancellationToken cancellationToken)
    {
        var domainId = draft.DomainId ?? await DomainOfAsync(operation, cancellationToken);
        Policy.RequireManager(operation, domainId, "identity:create_user");
        var user = new User
        {
            Id = Ids.NewHex(),
            Name = Names.Check(draft.Name, "name"),
            DomainId = domainId,
            Description = Names.CheckDescription(draft.Description),
            Enabled = draft.Enabled,
            DefaultProjectId = CheckProjectId(draft.DefaultProjectId),
            Options = UserOptions.Apply([], draft.Options),
            Extra = Names.CheckExtra(draft.Extra, Kind),
        };
        if (draft.Password is { } password)
        {
            user = await rules.SetAsync(user, password, byOwner: false, cancellationToken);
        }
        return await IdentityFaults.GuardNameAsync(Kind, user.Name, writes.CreateAsync(
            operation, Kind, idempotencyKey,
            async (change, id) => await change.State.GetAsync(IdentityTables.Users, id, cancellationToken),
            async change =>
            {
                if (!Names.IsId(domainId) || await change.State.GetAsync(IdentityTables.Projects, domainId, cancellationToken) is not { IsDomain: true })
                {
                    throw Faults.NotFound("domain", domainId);
                }
                change.State.Insert(IdentityTables.Users, user);
                return (user.Id, user);
            },
            cancellationToken));
    }

    public async Task<User> UpdateAsync(OperationContext operation, string id, UserPatch patch, CancellationToken cancellationToken)
    {
        var name = patch.Name.IsGiven ? Names.Check(patch.Name.Value, "name") : null;
        var seen = await FindForWriteAsync(operation, id, "identity:update_user", cancellationToken);
        // Hashing takes longer than a transaction should: it is done first, and again only if the password changed meanwhile.
        var hashed = patch.Password.IsGiven ? await rules.SetAsync(seen, patch.Password.Value, byOwner: false, cancellationToken) : seen;
        return await IdentityFaults.GuardNameAsync(Kind, name ?? "", writes.RunAsync(
            async change =>
            {
                var before = await change.State.GetAsync(IdentityTables.Users, id, cancellationToken) ?? throw Faults.NotFound(Kind, id);
                if (patch.DomainId.IsGiven && patch.DomainId.Value != before.DomainId)
                {
                    throw Faults.Invalid("domain_id", "a user cannot move to another domain");
                }
                var after = before with
                {
                    Name = name ?? before.Name,
                    Description = patch.Description.IsGiven ? Names.CheckDescription(patch.Description.Value) : before.Description,
                    Enabled = patch.Enabled.Or(before.Enabled),
                    DefaultProjectId = patch.DefaultProjectId.IsGiven ? CheckProjectId(patch.DefaultProjectId.Value) : before.DefaultProjectId,
                    Options = patch.Options.IsGiven ? UserOptions.Apply(before.Options, patch.Options.Value) : before.Options,
                    Extra = patch.Extra is null ? before.Extra : Names.CheckExtra(ProjectService.Merge(before.Extra, patch.Extra), Kind),
                };
                if (patch.Password.IsGiven)
                {
                    if (before.Password?.Hash != seen.Password?.Hash)
                    {
                        throw Faults.Aborted($"The password of user {id} was changed by another call; read the user and try again.");
                    }
                    after = after with { Password = hashed.Password, PasswordHistory = hashed.PasswordHistory };
                }
                if (patch.Password.IsGiven || (before.Enabled && !after.Enabled))
                {
                    change.Revoke(RevocationSubject.User(id));
                    change.State.Delete<LoginFailures>(IdentityTables.LoginFailures, id);
                }
                change.State.Put(IdentityTables.Users, after);
                return after;
            },
            cancellationToken));
    }

    /// <summary>The user's own change. Needs no token, so that a password that has ended can be changed.</summary>
    /// <exception cref="FaultException">Unauthenticated: the old password is wrong. InvalidArgument: the new one breaks a rule.</exception>
    public async Task ChangePasswordAsync(string id, string originalPassword, string password, CancellationToken cancellationToken)
    {
        var seen = await authentication.CheckPasswordAsync(new PasswordProof(new NamedRef(id, null, null), originalPassword), cancellationToken);
        if (seen.HasOption(UserOptions.LockPassword))
        {
            throw IdentityFaults.Refused("The password of this user can only be changed by an administrator.");
        }
        var hashed = await rules.SetAsync(seen, password, byOwner: true, cancellationToken);
        await writes.RunAsync(
            async change =>
            {
                var before = await change.State.GetAsync(IdentityTables.Users, id, cancellationToken);
                if (before?.Password?.Hash != seen.Password!.Hash)
                {
                    throw PasswordAuthentication.Failed();
                }
                change.State.Put(IdentityTables.Users, before with { Password = hashed.Password, PasswordHistory = hashed.PasswordHistory });
                change.Revoke(RevocationSubject.User(id));
            },
            cancellationToken);
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        await FindForWriteAsync(operation, id, "identity:delete_user", cancellationToken);
        var removal = new Removal(Removal.User, id);
        await writes.RunAsync(
            async change =>
            {
                if (await change.State.GetAsync(IdentityTables.Users, id, cancellationToken) is null)
                {
                    throw Faults.NotFound(Kind, id);
                }
                change.State.Delete<User>(IdentityTables.Users, id);
                change.State.Put(IdentityTables.Removals, removal);
                change.Revoke(RevocationSubject.User(id));
            },
            cancellationToken);
        await leftovers.SweepAsync(removal, cancellationToken);
    }

    private static string? CheckProjectId(string? id) => id is null or { Length: > 0 and <= Names.MaxIdChars }
        ? id
        : throw Faults.Invalid("default_project_id", $"must be an id of at most {Names.MaxIdChars} characters, or null");

    private async Task<User> FindForWriteAsync(OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        var user = await directory.FindUserAsync(id, cancellationToken);
        if (user is null)
        {
            Policy.RequireAdmin(operation, action);
            throw Faults.NotFound(Kind, id);
        }
        Policy.RequireManager(operation, user.DomainId, action);
        return user;
    }

    private async Task<string> DomainOfAsync(OperationContext operation, CancellationToken cancellationToken) =>
        operation.DomainId ?? (operation.ProjectId is { } projectId && await directory.FindProjectAsync(projectId, cancellationToken) is { } project
            ? project.OwnerDomainId
            : Project.DefaultDomainId);
}

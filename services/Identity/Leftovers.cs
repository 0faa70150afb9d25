using Microsoft.Extensions.Logging;
using Nephos.Hosting.Authentication;
using Nephos.Identity.ApplicationCredentials;
using Nephos.Identity.Assignments;
using Nephos.Identity.Credentials;
using Nephos.Identity.DomainSettings;
using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Shared;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.Reconciliation;
using Nephos.Kernel.State;

namespace Nephos.Identity;

/// <summary>Deletes what an object leaves behind: assignments, memberships, credentials, and for a domain everything in it.</summary>
/// <remarks>
/// Deleting an object writes a removal in the same commit, so a crash between the two leaves nothing for ever. What is left behind
/// has no effect meanwhile: whatever names a missing object grants nothing.
/// </remarks>
internal sealed class Leftovers(IStateStore store, IdentityWrites writes)
{
    /// <summary>Records deleted in one commit; each has a few index entries.</summary>
    private const int RecordsPerCommit = 150;

    public async Task SweepAsync(Removal removal, CancellationToken cancellationToken)
    {
        switch (removal.Kind)
        {
            case Removal.User:
                await SweepUserAsync(removal.Id, cancellationToken);
                break;
            case Removal.Group:
                await DeleteAllAsync(IdentityTables.Assignments, await AssignmentsOfAsync(Actor.Group(removal.Id), cancellationToken), cancellationToken);
                await DeleteAllAsync(
                    IdentityTables.Memberships,
                    await store.ListByAsync(IdentityTables.Memberships, "group", removal.Id, cancellationToken), cancellationToken);
                break;
            case Removal.Project:
                await SweepTargetAsync(Target.Project(removal.Id), removal.Id, cancellationToken);
                break;
            case Removal.Domain:
                await SweepDomainAsync(removal.Id, cancellationToken);
                break;
            case Removal.Role:
                await DeleteAllAsync(
                    IdentityTables.Assignments,
                    await store.ListByAsync(IdentityTables.Assignments, "role", removal.Id, cancellationToken), cancellationToken);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(removal), removal.Kind, "The kind of removal is not known.");
        }
        await DeleteAllAsync(IdentityTables.Removals, [removal], cancellationToken);
    }

    private async Task SweepUserAsync(string userId, CancellationToken cancellationToken)
    {
        await DeleteAllAsync(IdentityTables.Assignments, await AssignmentsOfAsync(Actor.User(userId), cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Memberships, await store.ListAsync(IdentityTables.Memberships, userId + "/", cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.ApplicationCredentials,
            await store.ListByAsync(IdentityTables.ApplicationCredentials, "user", userId, cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.AccessRules, await store.ListAsync(IdentityTables.AccessRules, userId + "/", cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Credentials, await store.ListByAsync(IdentityTables.Credentials, "user", userId, cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Trusts, await store.ListByAsync(IdentityTables.Trusts, "trustor", userId, cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Trusts, await store.ListByAsync(IdentityTables.Trusts, "trustee", userId, cancellationToken), cancellationToken);
        await store.TransactAsync(
            transaction =>
            {
                transaction.Delete<LoginFailures>(IdentityTables.LoginFailures, userId);
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    private async Task SweepTargetAsync(Target target, string projectId, CancellationToken cancellationToken)
    {
        await DeleteAllAsync(
            IdentityTables.Assignments,
            await store.ListByAsync(IdentityTables.Assignments, "target", target.ToString(), cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.ApplicationCredentials,
            await store.ListByAsync(IdentityTables.ApplicationCredentials, "project", projectId, cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Credentials,
            await store.ListByAsync(IdentityTables.Credentials, "project", projectId, cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Trusts, await store.ListByAsync(IdentityTables.Trusts, "project", projectId, cancellationToken), cancellationToken);
        await DeleteAllAsync(
            IdentityTables.Limits, await store.ListByAsync(IdentityTables.Limits, "owner", projectId, cancellationToken), cancellationToken);
    }

    private async Task SweepDomainAsync(string domainId, CancellationToken cancellationToken)
    {
        await SweepTargetAsync(Target.Domain(domainId), domainId, cancellationToken);
        await store.TransactAsync(
            transaction =>
            {
                transaction.Delete<SettingsOfDomain>(IdentityTables.DomainSettings, domainId);
                return Task.CompletedTask;
            },
            cancellationToken);
        await SweepTargetAsync(Target.Project(domainId), domainId, cancellationToken);
        foreach (var user in await store.ListByAsync(IdentityTables.Users, "domain", domainId, cancellationToken))
        {
            await RemoveAsync(IdentityTables.Users, user.Id, new Removal(Removal.User, user.Id), RevocationSubject.User(user.Id), cancellationToken);
        }
        foreach (var group in await store.ListByAsync(IdentityTables.Groups, "domain", domainId, cancellationToken))
        {
            await RemoveAsync(
                IdentityTables.Groups, group.Id, new Removal(Removal.Group, group.Id), null, cancellationToken,
                change => GroupMembers.RevokeAsync(change, group.Id, cancellationToken));
        }
        foreach (var project in await store.ListByAsync(IdentityTables.Projects, "domain", domainId, cancellationToken))
        {
            await RemoveAsync(
                IdentityTables.Projects, project.Id, new Removal(Removal.Project, project.Id), RevocationSubject.Project(project.Id), cancellationToken);
        }
        foreach (var role in await store.ListAsync(IdentityTables.Roles, "", cancellationToken))
        {
            if (role.DomainId == domainId)
            {
                await RemoveAsync(IdentityTables.Roles, role.Id, new Removal(Removal.Role, role.Id), RevocationSubject.Domain(domainId), cancellationToken);
            }
        }
    }

    private async Task RemoveAsync<T>(
        TableSchema<T> schema, string key, Removal removal, string? revoked, CancellationToken cancellationToken,
        Func<IdentityTransaction, Task>? first = null)
        where T : class
    {
        await writes.RunAsync(
            async change =>
            {
                if (first is not null)
                {
                    await first(change);
                }
                change.State.Delete<T>(schema, key);
                change.State.Put(IdentityTables.Removals, removal);
                if (revoked is not null)
                {
                    change.Revoke(revoked);
                }
            },
            cancellationToken);
        await SweepAsync(removal, cancellationToken);
    }

    private ValueTask<IReadOnlyList<Assignment>> AssignmentsOfAsync(Actor actor, CancellationToken cancellationToken) =>
        store.ListAsync(IdentityTables.Assignments, Assignment.KeyPrefix(actor), cancellationToken);

    private async Task DeleteAllAsync<T>(TableSchema<T> schema, IReadOnlyList<T> records, CancellationToken cancellationToken)
        where T : class
    {
        foreach (var chunk in records.Chunk(RecordsPerCommit))
        {
            await store.TransactAsync(
                transaction =>
                {
                    foreach (var record in chunk)
                    {
                        transaction.Delete<T>(schema, schema.KeyOf(record));
                    }
                    return Task.CompletedTask;
                },
                cancellationToken);
        }
    }
}

/// <summary>Ends removals that a crash interrupted, and forgets revocations and repeated creates whose time is over.</summary>
internal sealed class LeftoversReconciler(
    IStateStore store, Leftovers leftovers, TimeProvider time, ReconcilerRegistry registry, ILogger<LeftoversReconciler> logger)
    : Reconciler("identity/leftovers", TimeSpan.FromMinutes(1), time, registry, logger)
{
    private const int MaxForgottenPerPass = 500;

    private readonly TimeProvider _time = time;

    protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
    {
        var removals = await store.ListAsync(IdentityTables.Removals, "", cancellationToken);
        foreach (var removal in removals)
        {
            await leftovers.SweepAsync(removal, cancellationToken);
        }
        var now = _time.GetUtcNow();
        var revocations = await store.ListAsync(IdentityTables.Revocations, "", cancellationToken);
        var creates = await store.ListAsync(IdentityTables.IdempotentCreates, "", cancellationToken);
        var forgotten =
            await ForgetAsync(IdentityTables.Revocations, revocations.Where(record => record.Until < now), cancellationToken) +
            await ForgetAsync(IdentityTables.IdempotentCreates, creates.Where(record => record.Until < now), cancellationToken);
        return new ReconcileResult(removals.Count + revocations.Count + creates.Count, removals.Count + forgotten, 0);
    }

    private async Task<int> ForgetAsync<T>(TableSchema<T> schema, IEnumerable<T> ended, CancellationToken cancellationToken)
        where T : class
    {
        var records = ended.Take(MaxForgottenPerPass).ToList();
        if (records.Count == 0)
        {
            return 0;
        }
        await store.TransactAsync(
            async transaction =>
            {
                foreach (var record in records)
                {
                    // One that was renewed meanwhile stays.
                    if (Equals(await transaction.GetAsync(schema, schema.KeyOf(record), cancellationToken), record))
                    {
                        transaction.Delete<T>(schema, schema.KeyOf(record));
                    }
                }
            },
            cancellationToken);
        return records.Count;
    }
}

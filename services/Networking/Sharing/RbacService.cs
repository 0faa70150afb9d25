using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.State;

namespace Nephos.Networking.Sharing;

/// <summary>A grant with the object it is of.</summary>
internal sealed record RbacPolicy(SharedKind Kind, SharedResource Resource, Grant Grant);

/// <param name="Target">A project, or <see cref="Grant.Everyone"/>.</param>
internal sealed record NewRbacPolicy(string ProjectId, string ObjectType, string ObjectId, string Action, string Target);

/// <summary>Shares objects among projects. A grant that is in use can be neither taken away nor given to others.</summary>
internal sealed class RbacService(NetworkStore store, TimeProvider time)
{
    /// <summary>An object with all its grants is one record.</summary>
    public const int MaxGrantsPerObject = 500;

    private const string SharedAction = "access_as_shared";
    private const string ExternalAction = "access_as_external";

    public static string NameOf(GrantAction action) => action == GrantAction.External ? ExternalAction : SharedAction;

    /// <summary>The policies that a caller made, and those of the objects that it owns; all for administrators.</summary>
    public static IEnumerable<RbacPolicy> Visible(NetworkView view, OperationContext operation) => SharedKinds.All
        .SelectMany(kind => kind.List(view), (kind, resource) => (kind, resource))
        .SelectMany(pair => pair.resource.Grants, (pair, grant) => new RbacPolicy(pair.kind, pair.resource, grant))
        .Where(policy => Sees(operation, policy))
        .OrderBy(policy => policy.Grant.Id, StringComparer.Ordinal);

    /// <exception cref="FaultException">RbacPolicyNotFound.</exception>
    public static RbacPolicy Get(NetworkView view, OperationContext operation, string id) =>
        Visible(view, operation).FirstOrDefault(policy => policy.Grant.Id == id) ?? throw NetworkFaults.RbacPolicyNotFound(Checks.Shown(id));

    public Task<RbacPolicy> CreateAsync(OperationContext operation, NewRbacPolicy request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        var kind = SharedKinds.Named(request.ObjectType);
        var action = ReadAction(kind, request.Action);
        CheckTarget(operation, request.Target);
        return store.ChangeAsync(
            projectId,
            async transaction =>
            {
                var before = await kind.GetAsync(transaction, request.ObjectId, cancellationToken);
                if (before is null || !operation.Sees(before))
                {
                    throw NetworkFaults.SharedObjectNotFound(kind.Name, Checks.Shown(request.ObjectId));
                }

                operation.RequireOwner(before.ProjectId, "create_rbac_policy");
                RequireNew(before, action, request.Target, except: null);
                if (before.Grants.Count >= MaxGrantsPerObject)
                {
                    throw NetworkFaults.OverQuota("rbac_policy", MaxGrantsPerObject);
                }

                var grant = new Grant(Ids.NewUuid(), projectId, action, request.Target);
                return new RbacPolicy(kind, Put(transaction, kind, before, [.. before.Grants, grant]), grant);
            },
            cancellationToken);
    }

    /// <summary>Gives a policy to another project.</summary>
    public Task<RbacPolicy> UpdateAsync(OperationContext operation, string id, string target, CancellationToken cancellationToken)
    {
        CheckTarget(operation, target);
        return store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (kind, before, grant) = await GetOwnAsync(transaction, operation, id, "update_rbac_policy", cancellationToken);
                RequireNew(before, grant.Action, target, except: grant);
                var after = grant with { Target = target };
                var resource = Put(transaction, kind, before, [.. before.Grants.Select(other => other == grant ? after : other)]);
                await RequireUsersKeepAsync(transaction, kind, before, resource, cancellationToken);
                return new RbacPolicy(kind, resource, after);
            },
            cancellationToken);
    }

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var (kind, before, grant) = await GetOwnAsync(transaction, operation, id, "delete_rbac_policy", cancellationToken);
                var after = Put(transaction, kind, before, [.. before.Grants.Where(other => other != grant)]);
                await RequireUsersKeepAsync(transaction, kind, before, after, cancellationToken);
                return true;
            },
            cancellationToken);

    /// <summary>A project that a change leaves with a use of the object to which it had the right, and has no more; null when there is none.</summary>
    public static async Task<string?> LosesUserAsync(
        StateTransaction transaction, SharedKind kind, SharedResource before, SharedResource after, CancellationToken cancellationToken)
    {
        foreach (var action in before.Grants.Except(after.Grants).Select(grant => grant.Action).Distinct())
        {
            foreach (var project in await kind.UsersAsync(transaction, before, action, cancellationToken))
            {
                if (project != before.ProjectId && before.Allows(action, project) && !after.Allows(action, project))
                {
                    return project;
                }
            }
        }

        return null;
    }

    /// <exception cref="FaultException">RbacPolicyInUse: a project would lose the right to what it uses.</exception>
    public static async Task RequireUsersKeepAsync(
        StateTransaction transaction, SharedKind kind, SharedResource before, SharedResource after, CancellationToken cancellationToken)
    {
        if (await LosesUserAsync(transaction, kind, before, after, cancellationToken) is { } project)
        {
            throw NetworkFaults.RbacPolicyInUse(before.Id, $"project {project} uses the {kind.Name}");
        }
    }

    private SharedResource Put(StateTransaction transaction, SharedKind kind, SharedResource before, IReadOnlyList<Grant> grants)
    {
        var after = before with { Grants = grants, UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
        kind.Put(transaction, after);
        return after;
    }

    private static async Task<RbacPolicy> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        foreach (var kind in Ids.IsUuid(id) ? SharedKinds.All : [])
        {
            if (await kind.FindByGrantAsync(transaction, id, cancellationToken) is not { } resource)
            {
                continue;
            }

            var policy = new RbacPolicy(kind, resource, resource.Grants.First(grant => grant.Id == id));
            if (Sees(operation, policy))
            {
                operation.RequireMember(action);
                return policy;
            }
        }

        throw NetworkFaults.RbacPolicyNotFound(Checks.Shown(id));
    }

    private static bool Sees(OperationContext operation, RbacPolicy policy) =>
        operation.Owns(policy.Grant.ProjectId) || operation.Owns(policy.Resource.ProjectId);

    private static GrantAction ReadAction(SharedKind kind, string action) => action switch
    {
        SharedAction => GrantAction.Shared,
        ExternalAction when kind == SharedKinds.Networks => GrantAction.External,
        _ => throw NetworkFaults.Input($"Invalid action '{Checks.Shown(action)}' for object type '{kind.Name}'. Valid actions: " +
            (kind == SharedKinds.Networks ? $"{SharedAction}, {ExternalAction}" : SharedAction)),
    };

    private static void CheckTarget(OperationContext operation, string target)
    {
        if (target == Grant.Everyone)
        {
            operation.RequirePrivileged(needed: true, "create_rbac_policy:target_tenant");
        }
        else
        {
            Checks.ProjectId(target);
        }
    }

    private static void RequireNew(SharedResource resource, GrantAction action, string target, Grant? except)
    {
        if (resource.Grants.Any(grant => grant != except && grant.Action == action && grant.Target == target))
        {
            throw NetworkFaults.RbacPolicyExists();
        }
    }
}

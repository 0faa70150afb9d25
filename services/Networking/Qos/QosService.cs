using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Qos;

internal sealed record NewQosPolicy(
    string ProjectId, string Name, string Description, bool Shared, bool IsDefault, IReadOnlyList<string> Tags, string? IdempotencyKey);

internal sealed record QosPolicyChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<bool> Shared { get; init; }

    public Optional<bool> IsDefault { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

/// <summary>Policies are made by administrators, as they bind what the cloud gives; projects use those that are shared with them.</summary>
internal sealed class QosService(NetworkStore store, TimeProvider time)
{
    /// <summary>The marks that mean something: class selectors, assured and expedited forwarding, voice admit.</summary>
    public static readonly IReadOnlyList<int> DscpMarks =
        [0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56];

    public Task<QosPolicy> CreateAsync(OperationContext operation, NewQosPolicy request, CancellationToken cancellationToken)
    {
        operation.RequirePrivileged(needed: true, "create_policy");
        var projectId = operation.ProjectFor(request.ProjectId);
        var now = time.GetUtcNow();
        var policy = new QosPolicy
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            Grants = SharedResource.WithEveryone([], GrantAction.Shared, projectId, request.Shared),
            IsDefault = request.IsDefault,
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
        return store.CreateAsync(Tables.QosPolicies, policy, cancellationToken);
    }

    public Task<QosPolicy> UpdateAsync(OperationContext operation, string id, QosPolicyChanges changes, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, "update_policy", async (transaction, before) =>
        {
            var after = before with
            {
                Name = Checks.Name(changes.Name.Or(before.Name)),
                Description = Checks.Description(changes.Description.Or(before.Description)),
                Grants = SharedResource.WithEveryone(before.Grants, GrantAction.Shared, before.ProjectId, changes.Shared.Or(before.Shared)),
                IsDefault = changes.IsDefault.Or(before.IsDefault),
                Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
            };
            await RbacService.RequireUsersKeepAsync(transaction, SharedKinds.QosPolicies, before, after, cancellationToken);
            return after;
        }, cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            await GetOwnAsync(transaction, operation, id, "delete_policy", cancellationToken);
            Resource? user = (await transaction.ListByAsync(Tables.Ports, Tables.ByQosPolicy, id, cancellationToken)).FirstOrDefault();
            var kind = user is null ? "network" : "port";
            user ??= (await transaction.ListByAsync(Tables.Networks, Tables.ByQosPolicy, id, cancellationToken)).FirstOrDefault();
            if (user is not null)
            {
                throw NetworkFaults.Of(ErrorReason.QosPolicyInUse, $"QoS Policy {id} is used by {kind} {user.Id}.");
            }

            transaction.Delete(Tables.QosPolicies, id);
            return true;
        },
        cancellationToken);

    public async Task<QosRule> AddRuleAsync(
        OperationContext operation, string policyId, QosRule draft, CancellationToken cancellationToken)
    {
        var rule = Check(draft with { Id = Ids.NewUuid() });
        await ChangeAsync(operation, policyId, "create_policy_rule",
            (_, before) => Task.FromResult(before with { Rules = [.. RequireOther(before.Rules, rule), rule] }), cancellationToken);
        return rule;
    }

    /// <param name="change">Gives the rule its new values.</param>
    public async Task<QosRule> UpdateRuleAsync(
        OperationContext operation, string policyId, QosRuleKind kind, string id, Func<QosRule, QosRule> change, CancellationToken cancellationToken)
    {
        QosRule? after = null;
        await ChangeAsync(operation, policyId, "update_policy_rule", (_, before) =>
        {
            var rule = RuleOf(before, kind, id);
            after = Check(change(rule));
            RequireOther(before.Rules.Where(other => other != rule), after);
            return Task.FromResult(before with { Rules = [.. before.Rules.Select(other => other == rule ? after : other)] });
        }, cancellationToken);
        return after!;
    }

    public Task DeleteRuleAsync(
        OperationContext operation, string policyId, QosRuleKind kind, string id, CancellationToken cancellationToken) =>
        ChangeAsync(operation, policyId, "delete_policy_rule", (_, before) =>
        {
            var rule = RuleOf(before, kind, id);
            return Task.FromResult(before with { Rules = [.. before.Rules.Where(other => other != rule)] });
        }, cancellationToken);

    /// <exception cref="FaultException">QosRuleNotFound.</exception>
    public static QosRule RuleOf(QosPolicy policy, QosRuleKind kind, string id) =>
        policy.Rules.FirstOrDefault(rule => rule.Kind == kind && rule.Id == id)
        ?? throw NetworkFaults.Of(ErrorReason.QosRuleNotFound, $"QoS rule {Checks.Shown(id)} for policy {policy.Id} could not be found.");

    /// <summary>The id of a policy that the caller may put on its networks and ports.</summary>
    /// <exception cref="FaultException">QosPolicyNotFound.</exception>
    public static async Task<string?> UsableAsync(
        StateTransaction transaction, OperationContext operation, string? id, CancellationToken cancellationToken) =>
        string.IsNullOrEmpty(id) ? null
        : await transaction.ByIdAsync(Tables.QosPolicies, id, cancellationToken) is { } policy && operation.Sees(policy) ? policy.Id
        : throw NetworkFaults.QosPolicyNotFound(Checks.Shown(id));

    private Task<QosPolicy> ChangeAsync(
        OperationContext operation, string id, string action, Func<StateTransaction, QosPolicy, Task<QosPolicy>> change,
        CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var before = await GetOwnAsync(transaction, operation, id, action, cancellationToken);
            var after = await change(transaction, before) with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
            transaction.Put(Tables.QosPolicies, after);
            return after;
        },
        cancellationToken);

    private static async Task<QosPolicy> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.QosPolicies, id, cancellationToken) is not { } policy || !operation.Sees(policy))
        {
            throw NetworkFaults.QosPolicyNotFound(Checks.Shown(id));
        }

        operation.RequirePrivileged(needed: true, action);
        return policy;
    }

    private static QosRule Check(QosRule rule) => rule switch
    {
        { Kind: QosRuleKind.DscpMarking } when !DscpMarks.Contains(rule.DscpMark) =>
            throw Faults.Invalid("dscp_mark", $"'{rule.DscpMark}' is not in [{string.Join(", ", DscpMarks)}]"),
        { Kind: QosRuleKind.DscpMarking } => rule,
        { Kind: QosRuleKind.BandwidthLimit, Kbps: < 1 } => throw Faults.Invalid("max_kbps", $"must be 1 to {int.MaxValue}"),
        { Kbps: < 0 } => throw Faults.Invalid("min_kbps", $"must be 0 to {int.MaxValue}"),
        { BurstKbits: < 0 } => throw Faults.Invalid("max_burst_kbps", $"must be 0 to {int.MaxValue}"),
        _ => rule,
    };

    private static IEnumerable<QosRule> RequireOther(IEnumerable<QosRule> others, QosRule rule)
    {
        var all = others.ToList();
        return all.FirstOrDefault(other => other.Kind == rule.Kind && other.Direction == rule.Direction) is { } same
            ? throw NetworkFaults.Of(ErrorReason.QosRuleConflict, $"Rule conflicts with rule {same.Id} of the same type and direction that the policy has.")
            : all;
    }
}

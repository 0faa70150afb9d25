using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Firewalls;

internal sealed class FirewallPolicyService(NetworkStore store, TimeProvider time)
{
    /// <summary>Each is a line in the router's packet rules.</summary>
    public const int MaxRules = 256;

    /// <param name="draft">Its id, project and times are set here.</param>
    public Task<FirewallPolicy> CreateAsync(
        OperationContext operation, string projectId, FirewallPolicy draft, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var policy = draft with
        {
            Id = Ids.NewUuid(),
            ProjectId = operation.ProjectFor(projectId),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(draft.IdempotencyKey),
        };
        operation.RequirePrivileged(policy.Shared, "create_firewall_policy:shared");
        return store.CreateAsync(
            Tables.FirewallPolicies, policy,
            async transaction =>
            {
                await CheckAsync(transaction, operation, policy, policy.RuleIds, cancellationToken);
                return policy;
            },
            cancellationToken);
    }

    /// <param name="change">Gives the policy its new values; may run several times.</param>
    public Task<FirewallPolicy> UpdateAsync(
        OperationContext operation, string id, Func<FirewallPolicy, FirewallPolicy> change, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var before = await transaction.OwnAsync(Tables.FirewallPolicies, "Policy", operation, id, "update_firewall_policy", cancellationToken);
            var after = change(before) with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
            if (!after.RuleIds.SequenceEqual(before.RuleIds) && after.Audited == before.Audited)
            {
                after = after with { Audited = false };
            }

            operation.RequirePrivileged(after.Shared != before.Shared, "update_firewall_policy:shared");
            await CheckAsync(transaction, operation, after, after.RuleIds.Except(before.RuleIds), cancellationToken);
            transaction.Put(Tables.FirewallPolicies, after);
            return after;
        },
        cancellationToken);

    /// <summary>Puts a rule before or after another one, at the front when neither is named, or elsewhere when it is there already.</summary>
    public Task<FirewallPolicy> InsertRuleAsync(
        OperationContext operation, string id, string ruleId, string? before, string? after, CancellationToken cancellationToken) =>
        UpdateAsync(operation, id, policy =>
        {
            var rules = policy.RuleIds.Where(rule => rule != ruleId).ToList();
            var at = 0;
            if ((before ?? after) is { } neighbour)
            {
                at = rules.IndexOf(neighbour);
                if (at < 0)
                {
                    throw NotInPolicy(policy, neighbour);
                }

                at += before is null ? 1 : 0;
            }

            rules.Insert(at, ruleId);
            return policy with { RuleIds = rules };
        }, cancellationToken);

    public Task<FirewallPolicy> RemoveRuleAsync(OperationContext operation, string id, string ruleId, CancellationToken cancellationToken) =>
        UpdateAsync(operation, id, policy => policy.RuleIds.Contains(ruleId)
            ? policy with { RuleIds = [.. policy.RuleIds.Where(rule => rule != ruleId)] }
            : throw NotInPolicy(policy, ruleId), cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            await transaction.OwnAsync(Tables.FirewallPolicies, "Policy", operation, id, "delete_firewall_policy", cancellationToken);
            if ((await transaction.ListByAsync(Tables.FirewallGroups, Tables.ByPolicy, id, cancellationToken)).Count > 0)
            {
                throw NetworkFaults.Of(ErrorReason.FirewallPolicyInUse, $"Firewall policy {id} is being used.");
            }

            transaction.Delete(Tables.FirewallPolicies, id);
            return true;
        },
        cancellationToken);

    private static async Task CheckAsync(
        StateTransaction transaction, OperationContext operation, FirewallPolicy policy, IEnumerable<string> added, CancellationToken cancellationToken)
    {
        Checks.Name(policy.Name);
        Checks.Description(policy.Description);
        if (policy.RuleIds.Count > MaxRules || policy.RuleIds.Distinct().Count() != policy.RuleIds.Count)
        {
            throw NetworkFaults.Input($"firewall_rules must be at most {MaxRules}, each once.");
        }

        foreach (var ruleId in added)
        {
            await transaction.SeenAsync(Tables.FirewallRules, "Rule", operation, ruleId, cancellationToken);
        }
    }

    private static Kernel.Errors.FaultException NotInPolicy(FirewallPolicy policy, string ruleId) => NetworkFaults.Of(
        ErrorReason.FirewallRuleNotInPolicy, $"Firewall rule {Checks.Shown(ruleId)} is not associated with firewall policy {policy.Id}.");
}

using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Firewalls;

internal sealed class FirewallRuleService(NetworkStore store, TimeProvider time)
{
    private static readonly string[] Protocols = ["tcp", "udp", "icmp"];

    /// <param name="draft">Its id, project and times are set here.</param>
    public Task<FirewallRule> CreateAsync(OperationContext operation, string projectId, FirewallRule draft, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var rule = Check(draft with
        {
            Id = Ids.NewUuid(),
            ProjectId = operation.ProjectFor(projectId),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(draft.IdempotencyKey),
        });
        operation.RequirePrivileged(rule.Shared, "create_firewall_rule:shared");
        return store.CreateAsync(Tables.FirewallRules, rule, cancellationToken);
    }

    /// <param name="change">Gives the rule its new values; may run several times.</param>
    public Task<FirewallRule> UpdateAsync(
        OperationContext operation, string id, Func<FirewallRule, FirewallRule> change, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var before = await transaction.OwnAsync(Tables.FirewallRules, "Rule", operation, id, "update_firewall_rule", cancellationToken);
            var after = Check(change(before) with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 });
            operation.RequirePrivileged(after.Shared != before.Shared, "update_firewall_rule:shared");
            transaction.Put(Tables.FirewallRules, after);
            return after;
        },
        cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            await transaction.OwnAsync(Tables.FirewallRules, "Rule", operation, id, "delete_firewall_rule", cancellationToken);
            if ((await transaction.ListByAsync(Tables.FirewallPolicies, Tables.ByRule, id, cancellationToken)).Count > 0)
            {
                throw NetworkFaults.Of(ErrorReason.FirewallRuleInUse, $"Firewall rule {id} is being used.");
            }

            transaction.Delete(Tables.FirewallRules, id);
            return true;
        },
        cancellationToken);

    private static FirewallRule Check(FirewallRule rule)
    {
        Checks.Name(rule.Name);
        Checks.Description(rule.Description);
        if (rule.Protocol is { } protocol && !Protocols.Contains(protocol))
        {
            throw NetworkFaults.Of(ErrorReason.FirewallRuleInvalid,
                $"Firewall rule protocol {Checks.Shown(protocol)} is not supported. Only protocol values ['any', 'tcp', 'udp', 'icmp'] are supported.");
        }

        if (rule.IpVersion is not (4 or 6))
        {
            throw Faults.Invalid("ip_version", $"'{rule.IpVersion}' is not in [4, 6]");
        }

        if ((rule.SourcePorts is not null || rule.DestinationPorts is not null) && rule.Protocol is not ("tcp" or "udp"))
        {
            throw NetworkFaults.Of(ErrorReason.FirewallRuleInvalid,
                $"Source/destination port requires a protocol with ports, and it is {rule.Protocol ?? "None"}.");
        }

        return new[] { rule.Source, rule.Destination }.Any(cidr => cidr is { } address && address.Version != rule.IpVersion)
            ? throw NetworkFaults.Of(ErrorReason.FirewallRuleInvalid, $"Source and destination addresses must be of IP version {rule.IpVersion}.")
            : rule;
    }
}

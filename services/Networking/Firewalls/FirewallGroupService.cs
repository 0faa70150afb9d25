using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Ports;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.Firewalls;

internal sealed class FirewallGroupService(IStateStore state, NetworkStore store, TimeProvider time)
{
    private const int MaxPorts = 256;

    /// <param name="draft">Its id, project and times are set here.</param>
    public Task<FirewallGroup> CreateAsync(OperationContext operation, string projectId, FirewallGroup draft, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var group = draft with
        {
            Id = Ids.NewUuid(),
            ProjectId = operation.ProjectFor(projectId),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(draft.IdempotencyKey),
        };
        operation.RequirePrivileged(group.Shared, "create_firewall_group:shared");
        if (group.Name == FirewallGroup.DefaultName)
        {
            throw NetworkFaults.Of(ErrorReason.FirewallDefaultGroup, "Default firewall group already exists.");
        }

        return store.CreateAsync(
            Tables.FirewallGroups, group,
            async transaction =>
            {
                await CheckAsync(transaction, operation, group, before: null, cancellationToken);
                return group;
            },
            cancellationToken);
    }

    /// <param name="change">Gives the group its new values; may run several times.</param>
    public Task<FirewallGroup> UpdateAsync(
        OperationContext operation, string id, Func<FirewallGroup, FirewallGroup> change, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var before = await transaction.OwnAsync(Tables.FirewallGroups, "Group", operation, id, "update_firewall_group", cancellationToken);
            var after = change(before) with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
            operation.RequirePrivileged(after.Shared != before.Shared, "update_firewall_group:shared");
            if (after.Name != before.Name && new[] { after.Name, before.Name }.Contains(FirewallGroup.DefaultName))
            {
                throw NetworkFaults.Of(ErrorReason.FirewallDefaultGroup, "The default firewall group cannot be renamed, nor another take its name.");
            }

            await CheckAsync(transaction, operation, after, before, cancellationToken);
            transaction.Put(Tables.FirewallGroups, after);
            return after;
        },
        cancellationToken);

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) => store.ChangeAsync(
        "",
        async transaction =>
        {
            var group = await transaction.OwnAsync(Tables.FirewallGroups, "Group", operation, id, "delete_firewall_group", cancellationToken);
            if (group.PortIds.Count > 0)
            {
                throw NetworkFaults.Of(ErrorReason.FirewallGroupInUse, $"Firewall group {id} is still active.");
            }

            if (group.Name == FirewallGroup.DefaultName && !operation.IsPrivileged())
            {
                throw NetworkFaults.Of(ErrorReason.FirewallDefaultGroup, "Deleting default firewall group not allowed.");
            }

            transaction.Delete(Tables.FirewallGroups, id);
            return true;
        },
        cancellationToken);

    /// <summary>The default group of a project, made when it is first looked for: nothing in, everything out.</summary>
    public async Task EnsureDefaultAsync(string projectId, CancellationToken cancellationToken)
    {
        if (await state.FindAsync(Tables.FirewallGroups, Tables.ByDefault, projectId, cancellationToken) is not null)
        {
            return;
        }

        await store.ChangeAsync(
            projectId,
            async transaction =>
            {
                if (await transaction.FindAsync(Tables.FirewallGroups, Tables.ByDefault, projectId, cancellationToken) is null)
                {
                    InsertDefault(transaction, projectId);
                }

                return true;
            },
            cancellationToken);
    }

    private void InsertDefault(StateTransaction transaction, string projectId)
    {
        var now = time.GetUtcNow();
        var policies = new List<string>();
        foreach (var (direction, action) in new[] { ("ingress", FirewallAction.Deny), ("egress", FirewallAction.Allow) })
        {
            var rules = new[] { 4, 6 }.Select(version => new FirewallRule
            {
                Id = Ids.NewUuid(), ProjectId = projectId, Name = $"default {direction} ipv{version}", Action = action, IpVersion = version,
                CreatedAt = now, UpdatedAt = now,
            }).ToList();
            rules.ForEach(rule => transaction.Insert(Tables.FirewallRules, rule));
            var policy = new FirewallPolicy
            {
                Id = Ids.NewUuid(), ProjectId = projectId, Name = $"default {direction}", RuleIds = [.. rules.Select(rule => rule.Id)],
                CreatedAt = now, UpdatedAt = now,
            };
            transaction.Insert(Tables.FirewallPolicies, policy);
            policies.Add(policy.Id);
        }

        transaction.Insert(Tables.FirewallGroups, new FirewallGroup
        {
            Id = Ids.NewUuid(), ProjectId = projectId, Name = FirewallGroup.DefaultName, Description = "Default firewall group",
            IngressPolicyId = policies[0], EgressPolicyId = policies[1], CreatedAt = now, UpdatedAt = now,
        });
    }

    private static async Task CheckAsync(
        StateTransaction transaction, OperationContext operation, FirewallGroup group, FirewallGroup? before, CancellationToken cancellationToken)
    {
        Checks.Name(group.Name);
        Checks.Description(group.Description);
        foreach (var policyId in new[] { group.IngressPolicyId, group.EgressPolicyId }.OfType<string>())
        {
            await transaction.SeenAsync(Tables.FirewallPolicies, "Policy", operation, policyId, cancellationToken);
        }

        if (group.PortIds.Count > MaxPorts || group.PortIds.Distinct().Count() != group.PortIds.Count)
        {
            throw NetworkFaults.Input($"ports must be at most {MaxPorts}, each once.");
        }

        foreach (var portId in group.PortIds.Except(before?.PortIds ?? []))
        {
            var port = await transaction.ByIdAsync(Tables.Ports, portId, cancellationToken);
            if (port is null || !operation.Owns(port.ProjectId))
            {
                throw NetworkFaults.PortNotFound(Checks.Shown(portId));
            }

            if (port.DeviceOwner != DeviceOwners.RouterInterface || port.ProjectId != group.ProjectId)
            {
                throw NetworkFaults.Of(ErrorReason.FirewallGroupPortInvalid,
                    $"Firewall Group port {portId} is invalid: it must be a router interface of the group's project.");
            }

            if (await transaction.FindAsync(Tables.FirewallGroups, Tables.ByPort, portId, cancellationToken) is { } other && other.Id != group.Id)
            {
                throw NetworkFaults.Of(ErrorReason.FirewallGroupPortInUse, $"Port(s) {portId} already associated with other Firewall Group(s).");
            }
        }
    }
}

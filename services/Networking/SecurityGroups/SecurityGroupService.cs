using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.Quotas;
using Nephos.Networking.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Networking.SecurityGroups;

internal sealed record NewSecurityGroup
{
    public string ProjectId { get; init; } = "";

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    public bool Stateful { get; init; } = true;

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record SecurityGroupChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<bool> Stateful { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

internal sealed record NewRule
{
    public required string SecurityGroupId { get; init; }

    public required RuleDirection Direction { get; init; }

    public int IpVersion { get; init; } = 4;

    public string? Protocol { get; init; }

    public int? PortRangeMin { get; init; }

    public int? PortRangeMax { get; init; }

    public string? RemoteIpPrefix { get; init; }

    public string? RemoteGroupId { get; init; }

    public string? RemoteAddressGroupId { get; init; }

    public string Description { get; init; } = "";

    /// <summary>Repeating a request with the same key finds the rule it made.</summary>
    public string? IdempotencyKey { get; init; }
}

internal sealed class SecurityGroupService(
    NetworkStore store, DefaultGroups defaultGroups, QuotaService quotas, TimeProvider time)
{
    public const int MaxRulesPerRequest = 100;

    /// <summary>A group with all its rules is one record.</summary>
    public const int MaxRulesPerGroup = 500;

    public async Task<SecurityGroup> CreateAsync(OperationContext operation, NewSecurityGroup request, CancellationToken cancellationToken)
    {
        var projectId = operation.ProjectFor(request.ProjectId);
        await defaultGroups.EnsureAsync(projectId, cancellationToken);
        var now = time.GetUtcNow();
        var group = new SecurityGroup
        {
            Id = Ids.NewUuid(),
            ProjectId = projectId,
            Name = Checks.Name(request.Name),
            Description = Checks.Description(request.Description),
            Stateful = request.Stateful,
            Rules = [DefaultGroups.Rule(RuleDirection.Egress, 4, null, now), DefaultGroups.Rule(RuleDirection.Egress, 6, null, now)],
            Tags = Checks.Tags(request.Tags),
            CreatedAt = now,
            UpdatedAt = now,
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        };
        if (group.Name == SecurityGroup.DefaultName)
        {
            throw NetworkFaults.DefaultGroupExists();
        }

        return await store.CreateAsync(
            Tables.SecurityGroups, group,
            async transaction =>
            {
                await quotas.CountAsync(transaction, projectId, QuotaResources.SecurityGroup, 1, cancellationToken);
                await quotas.CountAsync(transaction, projectId, QuotaResources.SecurityGroupRule, group.Rules.Count, cancellationToken);
                return group;
            },
            cancellationToken);
    }

    public Task<SecurityGroup> UpdateAsync(
        OperationContext operation, string id, SecurityGroupChanges changes, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var before = await GetOwnAsync(transaction, operation, id, "update_security_group", cancellationToken);
                var name = Checks.Name(changes.Name.Or(before.Name));
                if (name != before.Name && (name == SecurityGroup.DefaultName || before.Name == SecurityGroup.DefaultName))
                {
                    throw NetworkFaults.CannotUpdateDefaultGroup();
                }

                var stateful = changes.Stateful.Or(before.Stateful);
                if (stateful != before.Stateful)
                {
                    await RequireUnusedAsync(transaction, id, cancellationToken);
                }

                var after = before with
                {
                    Name = name,
                    Description = Checks.Description(changes.Description.Or(before.Description)),
                    Stateful = stateful,
                    Tags = changes.Tags.IsSet ? Checks.Tags(changes.Tags.Value) : before.Tags,
                };
                return Put(transaction, before, after);
            },
            cancellationToken);

    /// <summary>Deletes a group that no port has; rules of other groups that name it go too.</summary>
    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var group = await GetOwnAsync(transaction, operation, id, "delete_security_group", cancellationToken);
                await RequireUnusedAsync(transaction, id, cancellationToken);
                if (group.Name == SecurityGroup.DefaultName && !operation.IsPrivileged())
                {
                    throw NetworkFaults.CannotRemoveDefaultGroup();
                }

                foreach (var other in await transaction.ListByAsync(Tables.SecurityGroups, Tables.ByRemoteGroup, id, cancellationToken))
                {
                    var left = other.Rules.Where(rule => rule.RemoteGroupId != id).ToArray();
                    await quotas.CountAsync(
                        transaction, other.ProjectId, QuotaResources.SecurityGroupRule, left.Length - other.Rules.Count, cancellationToken);
                    Put(transaction, other, other with { Rules = left });
                }

                transaction.Delete(Tables.SecurityGroups, id);
                await quotas.CountAsync(transaction, group.ProjectId, QuotaResources.SecurityGroup, -1, cancellationToken);
                await quotas.CountAsync(transaction, group.ProjectId, QuotaResources.SecurityGroupRule, -group.Rules.Count, cancellationToken);
                return true;
            },
            cancellationToken);

    /// <summary>All or none.</summary>
    /// <returns>Each rule with its group.</returns>
    public Task<IReadOnlyList<(SecurityGroup Group, SecurityGroupRule Rule)>> AddRulesAsync(
        OperationContext operation, IReadOnlyList<NewRule> requests, CancellationToken cancellationToken)
    {
        Checks.Bulk("security_group_rules", requests, MaxRulesPerRequest);
        if (requests.Any(request => request.SecurityGroupId != requests[0].SecurityGroupId))
        {
            throw NetworkFaults.Of(ErrorReason.RulesOfSeveralGroups, "Only allowed to update rules for one security profile at a time");
        }

        return store.ChangeAsync<IReadOnlyList<(SecurityGroup, SecurityGroupRule)>>(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var group = await GetOwnAsync(transaction, operation, requests[0].SecurityGroupId, "create_security_group_rule", cancellationToken);
                var rules = new List<SecurityGroupRule>(group.Rules);
                var added = new List<(SecurityGroup, SecurityGroupRule)>();
                foreach (var request in requests)
                {
                    var key = Checks.RequestKey(request.IdempotencyKey);
                    if (key is not null && rules.FirstOrDefault(rule => rule.IdempotencyKey == key) is { } earlier)
                    {
                        added.Add((group, earlier));
                        continue;
                    }

                    var rule = await NewRuleAsync(transaction, operation, group, request, cancellationToken);
                    if (rules.FirstOrDefault(other => other.Identity.Equals(rule.Identity)) is { } same)
                    {
                        throw NetworkFaults.RuleExists(same.Id);
                    }

                    rules.Add(rule);
                    added.Add((group, rule));
                }

                if (rules.Count > MaxRulesPerGroup)
                {
                    throw NetworkFaults.OverQuota(QuotaResources.SecurityGroupRule, MaxRulesPerGroup);
                }

                await quotas.CountAsync(
                    transaction, group.ProjectId, QuotaResources.SecurityGroupRule, rules.Count - group.Rules.Count, cancellationToken);
                Put(transaction, group, group with { Rules = rules });
                return added;
            },
            cancellationToken);
    }

    public Task DeleteRuleAsync(OperationContext operation, string ruleId, CancellationToken cancellationToken) =>
        store.ChangeAsync(
            operation.ProjectId ?? "",
            async transaction =>
            {
                var group = Ids.IsUuid(ruleId)
                    ? await transaction.FindAsync(Tables.SecurityGroups, Tables.ByRule, ruleId, cancellationToken)
                    : null;
                if (group is null || !operation.Owns(group.ProjectId))
                {
                    throw NetworkFaults.SecurityGroupRuleNotFound(Checks.Shown(ruleId));
                }

                operation.RequireMember("delete_security_group_rule");
                Put(transaction, group, group with { Rules = [.. group.Rules.Where(rule => rule.Id != ruleId)] });
                await quotas.CountAsync(transaction, group.ProjectId, QuotaResources.SecurityGroupRule, -1, cancellationToken);
                return true;
            },
            cancellationToken);

    private async Task<SecurityGroupRule> NewRuleAsync(
        StateTransaction transaction, OperationContext operation, SecurityGroup group, NewRule request, CancellationToken cancellationToken)
    {
        var rule = RuleRules.Check(new SecurityGroupRule
        {
            Id = Ids.NewUuid(),
            Direction = request.Direction,
            IpVersion = request.IpVersion,
            Protocol = request.Protocol?.ToLowerInvariant(),
            PortRangeMin = request.PortRangeMin,
            PortRangeMax = request.PortRangeMax,
            RemoteIpPrefix = request.RemoteIpPrefix,
            RemoteGroupId = request.RemoteGroupId,
            RemoteAddressGroupId = request.RemoteAddressGroupId,
            Description = request.Description,
            CreatedAt = time.GetUtcNow(),
            IdempotencyKey = Checks.RequestKey(request.IdempotencyKey),
        });
        if (rule.RemoteGroupId is { } remoteId && remoteId != group.Id)
        {
            var remote = await transaction.ByIdAsync(Tables.SecurityGroups, remoteId, cancellationToken);
            if (remote is null || !(operation.Sees(remote) || remote.ProjectId == group.ProjectId))
            {
                throw NetworkFaults.SecurityGroupNotFound(Checks.Shown(remoteId));
            }
        }

        if (rule.RemoteAddressGroupId is { } addressesId &&
            (await transaction.ByIdAsync(Tables.AddressGroups, addressesId, cancellationToken) is not { } addresses || !operation.Sees(addresses)))
        {
            throw NetworkFaults.AddressGroupNotFound(Checks.Shown(addressesId));
        }

        return rule;
    }

    private SecurityGroup Put(StateTransaction transaction, SecurityGroup before, SecurityGroup after)
    {
        after = after with { UpdatedAt = time.GetUtcNow(), Revision = before.Revision + 1 };
        transaction.Put(Tables.SecurityGroups, after);
        return after;
    }

    private static async Task RequireUnusedAsync(StateTransaction transaction, string id, CancellationToken cancellationToken)
    {
        if ((await transaction.ListByAsync(Tables.Ports, Tables.BySecurityGroup, id, cancellationToken)).Count > 0)
        {
            throw NetworkFaults.SecurityGroupInUse(id);
        }
    }

    private static async Task<SecurityGroup> GetOwnAsync(
        StateTransaction transaction, OperationContext operation, string id, string action, CancellationToken cancellationToken)
    {
        if (await transaction.ByIdAsync(Tables.SecurityGroups, id, cancellationToken) is not { } group || !operation.Sees(group))
        {
            throw NetworkFaults.SecurityGroupNotFound(Checks.Shown(id));
        }

        operation.RequireOwner(group.ProjectId, action);
        return group;
    }
}

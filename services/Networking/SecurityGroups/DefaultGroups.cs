using Nephos.Kernel;
using Nephos.Kernel.State;
using Nephos.Networking.Quotas;
using Nephos.Networking.State;

namespace Nephos.Networking.SecurityGroups;

/// <summary>Makes the default group of a project when it is first needed.</summary>
internal sealed class DefaultGroups(IStateStore state, NetworkStore store, QuotaService quotas, TimeProvider time)
{
    /// <summary>The default group: everything out, and everything in from its own members.</summary>
    public async Task<SecurityGroup> EnsureAsync(string projectId, CancellationToken cancellationToken) =>
        await state.FindAsync(Tables.SecurityGroups, Tables.ByDefault, projectId, cancellationToken)
        ?? await store.ChangeAsync(
            projectId,
            async transaction =>
            {
                if (await transaction.FindAsync(Tables.SecurityGroups, Tables.ByDefault, projectId, cancellationToken) is { } other)
                {
                    return other;
                }

                var now = time.GetUtcNow();
                var id = Ids.NewUuid();
                var group = new SecurityGroup
                {
                    Id = id,
                    ProjectId = projectId,
                    Name = SecurityGroup.DefaultName,
                    Description = "Default security group",
                    Rules =
                    [
                        Rule(RuleDirection.Ingress, 4, id, now), Rule(RuleDirection.Egress, 4, null, now),
                        Rule(RuleDirection.Ingress, 6, id, now), Rule(RuleDirection.Egress, 6, null, now),
                    ],
                    CreatedAt = now,
                    UpdatedAt = now,
                };
                await quotas.CountAsync(transaction, projectId, QuotaResources.SecurityGroup, 1, cancellationToken);
                await quotas.CountAsync(transaction, projectId, QuotaResources.SecurityGroupRule, group.Rules.Count, cancellationToken);
                transaction.Insert(Tables.SecurityGroups, group);
                return group;
            },
            cancellationToken);

    public static SecurityGroupRule Rule(RuleDirection direction, int ipVersion, string? remoteGroupId, DateTimeOffset now) => new()
    {
        Id = Ids.NewUuid(),
        Direction = direction,
        IpVersion = ipVersion,
        RemoteGroupId = remoteGroupId,
        CreatedAt = now,
    };
}

using Nephos.Compute.Instances;
using Nephos.Compute.Placement;
using Nephos.Kernel.State;

namespace Nephos.Compute.Groups;

/// <summary>What a group and the hints of a request ask of the place of one instance. Read inside the commit that places it, so that two
/// instances of a group that are placed at the same time see each other.</summary>
/// <param name="policy">Null: no group.</param>
/// <param name="counts">Members of the group by node, without the instance itself.</param>
/// <param name="apart">Nodes that are not to be taken.</param>
/// <param name="together">The only nodes that may be taken; null: any.</param>
internal sealed class PlaceRule(
    GroupPolicy? policy, int maxPerHost, IReadOnlyDictionary<string, int> counts, IReadOnlySet<string> apart, IReadOnlySet<string>? together)
{
    public static readonly PlaceRule None = new(null, 0, new Dictionary<string, int>(), new HashSet<string>(), null);

    /// <param name="groupId">Null: no group.</param>
    /// <param name="exceptId">The instance that is placed; what it has now does not count.</param>
    /// <param name="avoid">A node that the instance is to leave; null: none.</param>
    public static async Task<PlaceRule> ReadAsync(
        StateTransaction transaction, string? groupId, string exceptId, PlaceHints? hints, string? avoid, CancellationToken cancellationToken)
    {
        if (groupId is null && hints is null && avoid is null)
        {
            return None;
        }
        var apart = new HashSet<string>(StringComparer.Ordinal);
        if (avoid is not null)
        {
            apart.Add(avoid);
        }
        apart.UnionWith(await NodesOfAsync(transaction, hints?.DifferentHost ?? [], cancellationToken));
        var together = hints is { SameHost.Count: > 0 } ? await NodesOfAsync(transaction, hints.SameHost, cancellationToken) : null;
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        var group = groupId is null ? null : await transaction.GetAsync(ServerGroup.Table, groupId, cancellationToken);
        if (group is not null)
        {
            foreach (var member in await transaction.ListByAsync(Instance.Table, Instance.GroupIndex, group.Id, cancellationToken))
            {
                // Got as well as listed: a member that moves meanwhile makes this commit fail.
                var now = await transaction.GetAsync(Instance.Table, member.Id, cancellationToken);
                if (now is { DeletedAt: null, Claim: { } claim } && now.Id != exceptId)
                {
                    counts[claim.NodeId] = counts.GetValueOrDefault(claim.NodeId) + 1;
                }
            }
        }
        return new PlaceRule(group?.Policy, group?.MaxPerHost ?? 0, counts, apart, together);
    }

    /// <summary>Those candidates that the rule allows, those that it likes best first.</summary>
    public IReadOnlyList<Candidate> Order(IReadOnlyList<Candidate> candidates)
    {
        if (ReferenceEquals(this, None))
        {
            return candidates;
        }
        var allowed = candidates.Where(candidate => Allows(candidate.Node.Id));
        return policy switch
        {
            GroupPolicy.SoftAffinity => [.. allowed.OrderByDescending(candidate => counts.GetValueOrDefault(candidate.Node.Id))],
            GroupPolicy.SoftAntiAffinity => [.. allowed.OrderBy(candidate => counts.GetValueOrDefault(candidate.Node.Id))],
            _ => [.. allowed],
        };
    }

    public override string ToString() => policy is null ? "hints" : $"group policy {GroupPolicies.NameOf(policy.Value)}";

    private bool Allows(string nodeId) =>
        !apart.Contains(nodeId)
        && (together is null || together.Contains(nodeId))
        && policy switch
        {
            GroupPolicy.Affinity => counts.Count == 0 || counts.ContainsKey(nodeId),
            GroupPolicy.AntiAffinity => counts.GetValueOrDefault(nodeId) < maxPerHost,
            _ => true,
        };

    private static async Task<HashSet<string>> NodesOfAsync(StateTransaction transaction, IReadOnlyList<string> instanceIds, CancellationToken cancellationToken)
    {
        var nodes = new HashSet<string>(StringComparer.Ordinal);
        foreach (var id in instanceIds)
        {
            if (await transaction.GetAsync(Instance.Table, id, cancellationToken) is { DeletedAt: null, Claim: { } claim })
            {
                nodes.Add(claim.NodeId);
            }
        }
        return nodes;
    }
}

/// <summary>Where an instance should be, as seen from others.</summary>
/// <param name="SameHost">Instances of the caller; on one of their nodes.</param>
/// <param name="DifferentHost">Instances of the caller; on none of their nodes.</param>
internal sealed record PlaceHints(string? GroupId, IReadOnlyList<string> SameHost, IReadOnlyList<string> DifferentHost);

internal static class GroupPolicies
{
    public static string NameOf(GroupPolicy policy) => policy switch
    {
        GroupPolicy.Affinity => "affinity",
        GroupPolicy.AntiAffinity => "anti-affinity",
        GroupPolicy.SoftAffinity => "soft-affinity",
        GroupPolicy.SoftAntiAffinity => "soft-anti-affinity",
        _ => throw new ArgumentOutOfRangeException(nameof(policy), policy, null),
    };

    public static GroupPolicy? Parse(string name) => name switch
    {
        "affinity" => GroupPolicy.Affinity,
        "anti-affinity" => GroupPolicy.AntiAffinity,
        "soft-affinity" => GroupPolicy.SoftAffinity,
        "soft-anti-affinity" => GroupPolicy.SoftAntiAffinity,
        _ => null,
    };
}

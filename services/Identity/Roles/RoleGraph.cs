using System.Collections.Frozen;

namespace Nephos.Identity.Roles;

/// <summary>All roles and what they imply, at one moment.</summary>
internal sealed class RoleGraph
{
    private readonly FrozenDictionary<string, Role> _roles;
    private readonly FrozenDictionary<string, Role> _byName;
    private readonly ILookup<string, string> _implied;

    public RoleGraph(IReadOnlyList<Role> roles, IReadOnlyList<Implication> implications)
    {
        Source = (roles, implications);
        _roles = roles.ToFrozenDictionary(role => role.Id, StringComparer.Ordinal);
        _byName = roles.Where(role => role.DomainId is null).ToFrozenDictionary(role => role.Name, StringComparer.Ordinal);
        _implied = implications.ToLookup(implication => implication.PriorRoleId, implication => implication.ImpliedRoleId, StringComparer.Ordinal);
    }

    public (IReadOnlyList<Role> Roles, IReadOnlyList<Implication> Implications) Source { get; }

    public Role? Find(string id) => _roles.GetValueOrDefault(id);

    /// <summary>A role of the whole cloud by its name.</summary>
    public Role? FindByName(string name) => _byName.GetValueOrDefault(name);

    public IEnumerable<string> ImpliedBy(string roleId) => _implied[roleId];

    /// <summary>The roles and all they imply, each once, with the role that brought it first; unknown ids are left out.</summary>
    public IReadOnlyDictionary<string, string?> Expand(IEnumerable<string> roleIds)
    {
        var found = new Dictionary<string, string?>(StringComparer.Ordinal);
        var queue = new Queue<(string Id, string? Prior)>(roleIds.Select(id => (id, (string?)null)));
        while (queue.TryDequeue(out var next))
        {
            if (!_roles.ContainsKey(next.Id) || !found.TryAdd(next.Id, next.Prior))
            {
                continue;
            }
            foreach (var implied in _implied[next.Id])
            {
                queue.Enqueue((implied, next.Id));
            }
        }
        return found;
    }

    /// <summary>What a token holds for these roles: everything implied, roles of domains hidden, in the order of names.</summary>
    public IReadOnlyList<Role> Effective(IEnumerable<string> roleIds) =>
        [.. Expand(roleIds).Keys.Select(id => _roles[id]).Where(role => role.DomainId is null).OrderBy(role => role.Name, StringComparer.Ordinal)];
}

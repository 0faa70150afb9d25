using System.Text.Json.Serialization;
using Nephos.Kernel;

namespace Nephos.Networking.Sharing;

[JsonConverter(typeof(JsonStringEnumConverter<GrantAction>))]
internal enum GrantAction
{
    /// <summary>The object may be used as if it were the project's own, and not be changed.</summary>
    Shared = 1,

    /// <summary>Networks only: routers may have their gateway there, and floating IPs come from it.</summary>
    External = 2,
}

/// <summary>What clients know as an RBAC policy: a project, or every one, may use an object of another project.</summary>
/// <param name="Id">A UUID.</param>
/// <param name="ProjectId">The project that made it.</param>
/// <param name="Target">The project that it is for, or <see cref="Everyone"/>.</param>
internal sealed record Grant(string Id, string ProjectId, GrantAction Action, string Target)
{
    public const string Everyone = "*";

    public bool Covers(string? projectId) => Target == Everyone || (projectId is { Length: > 0 } && Target == projectId);
}

/// <summary>An object that projects may share. Its grants are in its record, so that it and they cannot disagree.</summary>
internal abstract record SharedResource : Resource
{
    /// <summary>In the order they were made; no two with the same action and target.</summary>
    public IReadOnlyList<Grant> Grants { get; init; } = [];

    /// <summary>Every project may use it.</summary>
    [JsonIgnore]
    public bool Shared => Grants.Any(grant => grant is { Action: GrantAction.Shared, Target: Grant.Everyone });

    /// <summary>Whether a project may use it by a grant; the owner needs none.</summary>
    public bool Allows(GrantAction action, string? projectId) => Grants.Any(grant => grant.Action == action && grant.Covers(projectId));

    /// <summary>The grants with or without the one for everyone, which older attributes of resources switch.</summary>
    public static IReadOnlyList<Grant> WithEveryone(IReadOnlyList<Grant> grants, GrantAction action, string projectId, bool wanted)
    {
        bool IsIt(Grant grant) => grant.Action == action && grant.Target == Grant.Everyone;
        if (grants.Any(IsIt) == wanted)
        {
            return grants;
        }

        return wanted ? [.. grants, new Grant(Ids.NewUuid(), projectId, action, Grant.Everyone)] : [.. grants.Where(grant => !IsIt(grant))];
    }
}

using Nephos.Kernel.State;

namespace Nephos.Compute.Groups;

internal enum GroupPolicy { Affinity, AntiAffinity, SoftAffinity, SoftAntiAffinity }

/// <summary>A group of instances that should share nodes, or should not. Who is in it says the record of each instance.</summary>
/// <param name="MaxPerHost">Of anti-affinity: how many may share a node.</param>
/// <param name="IdempotencyKey">Led by the project.</param>
internal sealed record ServerGroup(
    string Id, string ProjectId, string UserId, string Name, GroupPolicy Policy, int MaxPerHost, string? IdempotencyKey, DateTimeOffset CreatedAt)
{
    public static readonly TableSchema<ServerGroup> Table =
        new TableSchema<ServerGroup>("compute/server-groups", group => group.Id, ComputeJson.Default.ServerGroup)
            .Index("project", group => group.ProjectId)
            .Unique("idempotency", group => group.IdempotencyKey);
}

using Nephos.Compute.Instances;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Compute.Usage;

/// <param name="Hours">Within the period.</param>
internal sealed record InstanceUsage(Instance Instance, string State, DateTimeOffset Start, DateTimeOffset? End, double Hours, TimeSpan Uptime);

internal sealed record ProjectUsage(string ProjectId, IReadOnlyList<InstanceUsage> Instances)
{
    public double Hours => Instances.Sum(item => item.Hours);

    public double MemoryMibHours => Instances.Sum(item => item.Hours * item.Instance.Flavor.MemoryMib);

    public double VcpuHours => Instances.Sum(item => item.Hours * item.Instance.Flavor.Vcpus);

    public double DiskGibHours => Instances.Sum(item => item.Hours * (item.Instance.Flavor.RootGib + item.Instance.Flavor.EphemeralGib));
}

/// <summary>What projects had of the cloud in a period. Deleted instances are known for as long as they are kept.</summary>
internal sealed class UsageReport(InstanceViews views, TimeProvider time)
{
    /// <param name="projectId">Null: every project, for administrators.</param>
    public async Task<IReadOnlyList<ProjectUsage>> ReadAsync(
        OperationContext operation, string? projectId, DateTimeOffset start, DateTimeOffset end, CancellationToken cancellationToken)
    {
        if (projectId is null || !operation.CanSee(projectId))
        {
            operation.RequireAdmin(projectId is null ? "os_compute_api:os-simple-tenant-usage:list" : "os_compute_api:os-simple-tenant-usage:show");
        }
        var now = time.GetUtcNow();
        var instances = (await views.ListAsync(cancellationToken)).Where(instance => projectId is null || instance.ProjectId == projectId);
        return
        [
            .. instances.Select(instance => Of(instance, start, end, now)).OfType<InstanceUsage>()
                .GroupBy(item => item.Instance.ProjectId).OrderBy(group => group.Key, StringComparer.Ordinal)
                .Select(group => new ProjectUsage(group.Key, [.. group])),
        ];
    }

    private InstanceUsage? Of(Instance instance, DateTimeOffset start, DateTimeOffset end, DateTimeOffset now)
    {
        if ((instance.LaunchedAt ?? views.DetailsOf(instance).Seen?.FirstRunningAt) is not { } launched)
        {
            return null;
        }
        var from = launched > start ? launched : start;
        var stopped = instance.DeletedAt ?? now;
        var to = stopped < end ? stopped : end;
        return to <= from
            ? null
            : new InstanceUsage(
                instance, instance.DeletedAt is null ? Wordings.Of(views.Of(instance).VmState) : "terminated", launched, instance.DeletedAt,
                (to - from).TotalHours, stopped - launched);
    }
}

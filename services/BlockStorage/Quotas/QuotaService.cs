using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Quotas;

/// <summary>A limit and what is used of it.</summary>
internal readonly record struct QuotaEntry(long Limit, long Used);

internal sealed record ProjectQuota(string ProjectId, QuotaEntry Volumes, QuotaEntry Gigabytes, QuotaEntry Snapshots);

internal sealed class QuotaService(IStateStore store, BlockStorageOptions options)
{
    private const int ProjectCharsMax = 64;

    public async Task<ProjectQuota> GetAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        CheckProject(projectId);
        if (!operation.CanSee(projectId)) throw Faults.Forbidden("volume_extension:quotas:show");
        var limits = await store.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
        var usage = await store.GetAsync(QuotaUsage.Table, projectId, cancellationToken) ?? new QuotaUsage(projectId, 0, 0, 0);
        return Make(projectId, limits, usage);
    }

    public ProjectQuota Defaults(string projectId) => Make(projectId, null, new QuotaUsage(projectId, 0, 0, 0));

    /// <summary>Sets the limits that are given; the others stay.</summary>
    public async Task<ProjectQuota> SetAsync(
        OperationContext operation, string projectId, long? volumes, long? gigabytes, long? snapshots, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:quotas:update");
        CheckProject(projectId);
        Check("volumes", volumes);
        Check("gigabytes", gigabytes);
        Check("snapshots", snapshots);
        await store.TransactAsync(
            async transaction =>
            {
                var old = await transaction.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
                transaction.Put(
                    QuotaLimits.Table,
                    new QuotaLimits(projectId, volumes ?? old?.Volumes, gigabytes ?? old?.Gigabytes, snapshots ?? old?.Snapshots));
            },
            cancellationToken);
        return await GetAsync(operation, projectId, cancellationToken);
    }

    /// <summary>Back to the defaults.</summary>
    public Task ResetAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:quotas:delete");
        CheckProject(projectId);
        return store.TransactAsync(
            transaction =>
            {
                transaction.Delete(QuotaLimits.Table, projectId);
                return Task.CompletedTask;
            },
            cancellationToken);
    }

    /// <summary>Takes or gives back, inside the commit that writes the volume or snapshot.</summary>
    /// <exception cref="FaultException">QuotaExceeded.</exception>
    public async Task ChangeAsync(
        StateTransaction transaction, string projectId, long volumes, long gigabytes, long snapshots, CancellationToken cancellationToken)
    {
        var usage = await transaction.GetAsync(QuotaUsage.Table, projectId, cancellationToken) ?? new QuotaUsage(projectId, 0, 0, 0);
        if (volumes > 0 || gigabytes > 0 || snapshots > 0)
        {
            var limits = await transaction.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
            var quota = Make(projectId, limits, usage);
            Take("volumes", volumes, quota.Volumes);
            Take("snapshots", snapshots, quota.Snapshots);
            Take("gigabytes", gigabytes, quota.Gigabytes);
        }
        transaction.Put(
            QuotaUsage.Table,
            usage with
            {
                Volumes = Math.Max(0, usage.Volumes + volumes),
                Gigabytes = Math.Max(0, usage.Gigabytes + gigabytes),
                Snapshots = Math.Max(0, usage.Snapshots + snapshots),
            });
    }

    private static void Take(string resource, long wanted, QuotaEntry entry)
    {
        if (wanted > 0 && entry.Limit >= 0 && entry.Used + wanted > entry.Limit)
            throw BlockStorageFaults.OverQuota(resource, wanted, entry.Used, entry.Limit);
    }

    private ProjectQuota Make(string projectId, QuotaLimits? limits, QuotaUsage usage) => new(
        projectId,
        new QuotaEntry(limits?.Volumes ?? options.QuotaVolumes, usage.Volumes),
        new QuotaEntry(limits?.Gigabytes ?? options.QuotaGigabytes, usage.Gigabytes),
        new QuotaEntry(limits?.Snapshots ?? options.QuotaSnapshots, usage.Snapshots));

    private static void Check(string resource, long? limit)
    {
        if (limit is < -1 or > int.MaxValue) throw Faults.Invalid(resource, $"must be between -1 and {int.MaxValue}");
    }

    private static void CheckProject(string projectId)
    {
        if (projectId.Length is 0 or > ProjectCharsMax) throw Faults.Invalid("project_id", "must be the id of a project");
    }
}

using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Networking.State;

namespace Nephos.Networking.Quotas;

/// <param name="Limit">-1 for none.</param>
internal readonly record struct QuotaItem(long Limit, long Used);

/// <summary>Counts what projects have, in the commits that change it.</summary>
internal sealed class QuotaService(IStateStore state, NetworkStore store, NetworkingOptions options)
{
    /// <summary>Counts new objects of a project, or deleted ones when negative, within the transaction that makes or deletes them.</summary>
    /// <exception cref="FaultException">NetworkQuotaExceeded.</exception>
    public async Task CountAsync(
        StateTransaction transaction, string projectId, string resource, int change, CancellationToken cancellationToken)
    {
        if (projectId.Length == 0 || change == 0)
        {
            return;
        }

        var key = QuotaUsage.KeyOf(projectId, resource);
        var usage = await transaction.GetAsync(Tables.QuotaUsages, key, cancellationToken) ?? new QuotaUsage(projectId, resource, 0);
        var used = usage.Used + change;
        if (change > 0)
        {
            var limits = await transaction.GetAsync(Tables.QuotaLimits, projectId, cancellationToken);
            var limit = LimitOf(limits, resource);
            if (limit >= 0 && used > limit)
            {
                throw NetworkFaults.OverQuota(resource, limit);
            }
        }

        transaction.Put(Tables.QuotaUsages, usage with { Used = used });
    }

    public async Task<IReadOnlyDictionary<string, QuotaItem>> GetAsync(
        OperationContext operation, string projectId, bool defaults, CancellationToken cancellationToken)
    {
        if (!operation.Owns(projectId))
        {
            throw Faults.Forbidden("see the quota of another project");
        }

        Checks.ProjectId(projectId);

        var limits = defaults ? null : await state.GetAsync(Tables.QuotaLimits, projectId, cancellationToken);
        var usages = await state.ListAsync(Tables.QuotaUsages, QuotaUsage.KeyOf(projectId, ""), cancellationToken);
        var used = usages.ToDictionary(usage => usage.Resource, usage => usage.Used);
        return QuotaResources.All.ToDictionary(
            resource => resource, resource => new QuotaItem(LimitOf(limits, resource), used.GetValueOrDefault(resource)));
    }

    /// <summary>The projects that have limits of their own.</summary>
    public async Task<IReadOnlyList<string>> ListProjectsAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("list quotas");
        return [.. (await state.ListAsync(Tables.QuotaLimits, "", cancellationToken)).Select(limits => limits.ProjectId)];
    }

    public async Task UpdateAsync(
        OperationContext operation, string projectId, IReadOnlyDictionary<string, long> changes, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("change quotas");
        Checks.ProjectId(projectId);
        foreach (var (resource, limit) in changes)
        {
            if (!QuotaResources.All.Contains(resource))
            {
                throw Faults.Invalid(resource, "is not a resource with a quota");
            }

            if (limit is < -1 or > int.MaxValue)
            {
                throw Faults.Invalid(resource, $"must be -1 to {int.MaxValue}");
            }
        }

        await store.ChangeAsync(
            projectId,
            async transaction =>
            {
                var before = await transaction.GetAsync(Tables.QuotaLimits, projectId, cancellationToken);
                var limits = new Dictionary<string, long>(before?.Limits ?? new Dictionary<string, long>());
                foreach (var (resource, limit) in changes)
                {
                    limits[resource] = limit;
                }

                transaction.Put(Tables.QuotaLimits, new QuotaLimits(projectId, limits));
                return true;
            },
            cancellationToken);
    }

    public async Task ResetAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("change quotas");
        Checks.ProjectId(projectId);
        await store.ChangeAsync(
            projectId,
            transaction =>
            {
                transaction.Delete(Tables.QuotaLimits, projectId);
                return Task.FromResult(true);
            },
            cancellationToken);
    }

    private long LimitOf(QuotaLimits? limits, string resource) =>
        limits is not null && limits.Limits.TryGetValue(resource, out var limit) ? limit : options.Quota.DefaultOf(resource);
}

using Nephos.Compute.Groups;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Quotas;

/// <summary>The names that clients know.</summary>
internal static class QuotaResource
{
    public const string Instances = "instances";
    public const string Cores = "cores";
    public const string Ram = "ram";
    public const string KeyPairs = "key_pairs";
    public const string MetadataItems = "metadata_items";
    public const string InjectedFiles = "injected_files";
    public const string InjectedFileContentBytes = "injected_file_content_bytes";
    public const string InjectedFilePathBytes = "injected_file_path_bytes";
    public const string ServerGroups = "server_groups";
    public const string ServerGroupMembers = "server_group_members";

    public static readonly IReadOnlyList<string> All =
        [Cores, InjectedFileContentBytes, InjectedFilePathBytes, InjectedFiles, Instances, KeyPairs, MetadataItems, Ram, ServerGroupMembers, ServerGroups];

    /// <summary>Resources that other services limit: what is set here is remembered for clients that read it back, and holds for nothing.</summary>
    public static readonly IReadOnlyList<string> Elsewhere = ["fixed_ips", "floating_ips", "networks", "security_group_rules", "security_groups"];
}

internal sealed record QuotaEntry(string Resource, long Limit, long InUse);

internal sealed class QuotaService(IStateStore store, ComputeOptions options)
{
    private const long PathBytes = 255;

    /// <summary>Every limit of a project with what is used of it.</summary>
    public async Task<IReadOnlyList<QuotaEntry>> GetAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        RequireSight(operation, projectId);
        var limits = await LimitsAsync(projectId, cancellationToken);
        var usage = await store.GetAsync(QuotaUsage.Table, projectId, cancellationToken) ?? new QuotaUsage(projectId, 0, 0, 0);
        var groups = (await store.ListByAsync(ServerGroup.Table, "project", projectId, cancellationToken)).Count;
        return [.. QuotaResource.All.Concat(QuotaResource.Elsewhere).Select(resource => new QuotaEntry(resource, LimitOf(limits, resource), resource switch
        {
            QuotaResource.Instances => usage.Instances,
            QuotaResource.Cores => usage.Cores,
            QuotaResource.Ram => usage.RamMib,
            QuotaResource.ServerGroups => groups,
            _ => 0,
        }))];
    }

    /// <summary>What a project has for which nothing was set.</summary>
    public async Task<IReadOnlyList<QuotaEntry>> DefaultsAsync(CancellationToken cancellationToken)
    {
        var limits = await LimitsAsync(null, cancellationToken);
        return [.. QuotaResource.All.Concat(QuotaResource.Elsewhere).Select(resource => new QuotaEntry(resource, LimitOf(limits, resource), 0))];
    }

    /// <summary>Sets the defaults of all projects.</summary>
    public async Task<IReadOnlyList<QuotaEntry>> SetDefaultsAsync(
        OperationContext operation, IReadOnlyDictionary<string, long> limits, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-quota-class-sets:update");
        CheckLimits(limits);
        await store.TransactAsync(transaction => MergeAsync(transaction, QuotaLimits.Everyone, limits, cancellationToken), cancellationToken);
        return await DefaultsAsync(cancellationToken);
    }

    public async Task<IReadOnlyList<QuotaEntry>> SetAsync(
        OperationContext operation, string projectId, IReadOnlyDictionary<string, long> limits, bool force, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-quota-sets:update");
        CheckProject(projectId);
        CheckLimits(limits);
        await store.TransactAsync(async transaction =>
        {
            var usage = await transaction.GetAsync(QuotaUsage.Table, projectId, cancellationToken) ?? new QuotaUsage(projectId, 0, 0, 0);
            foreach (var (resource, used) in new[] { (QuotaResource.Instances, usage.Instances), (QuotaResource.Cores, usage.Cores), (QuotaResource.Ram, usage.RamMib) })
            {
                if (!force && limits.TryGetValue(resource, out var limit) && limit >= 0 && limit < used)
                {
                    throw ComputeFaults.Refers(resource, $"Quota limit {limit} for {resource} must be greater than or equal to already used and reserved {used}.");
                }
            }
            await MergeAsync(transaction, projectId, limits, cancellationToken);
        }, cancellationToken);
        return await GetAsync(operation, projectId, cancellationToken);
    }

    /// <summary>Back to the defaults.</summary>
    public Task ResetAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-quota-sets:delete");
        CheckProject(projectId);
        return store.TransactAsync(transaction =>
        {
            transaction.Delete(QuotaLimits.Table, projectId);
            return Task.CompletedTask;
        }, cancellationToken);
    }

    /// <summary>One limit; -1 is without limit.</summary>
    public async Task<long> LimitAsync(string? projectId, string resource, CancellationToken cancellationToken) =>
        LimitOf(await LimitsAsync(projectId, cancellationToken), resource);

    /// <summary>Takes or gives back what instances use, inside the commit that writes them.</summary>
    /// <exception cref="FaultException">QuotaExceeded.</exception>
    public async Task ChangeAsync(
        StateTransaction transaction, string projectId, long instances, long cores, long ramMib, CancellationToken cancellationToken)
    {
        var usage = await transaction.GetAsync(QuotaUsage.Table, projectId, cancellationToken) ?? new QuotaUsage(projectId, 0, 0, 0);
        if (instances > 0 || cores > 0 || ramMib > 0)
        {
            var limits = (await transaction.GetAsync(QuotaLimits.Table, projectId, cancellationToken), await transaction.GetAsync(QuotaLimits.Table, QuotaLimits.Everyone, cancellationToken));
            Check(limits, QuotaResource.Instances, instances, usage.Instances);
            Check(limits, QuotaResource.Cores, cores, usage.Cores);
            Check(limits, QuotaResource.Ram, ramMib, usage.RamMib);
        }
        transaction.Put(QuotaUsage.Table, usage.Plus(instances, cores, ramMib));
    }

    /// <summary>Takes quota for as many instances as it allows, inside the commit that writes them.</summary>
    /// <returns>Between the two counts.</returns>
    /// <exception cref="FaultException">QuotaExceeded: there is not enough for <paramref name="minCount"/>.</exception>
    public async Task<int> TakeInstancesAsync(
        StateTransaction transaction, string projectId, long cores, long ramMib, int minCount, int maxCount, CancellationToken cancellationToken)
    {
        for (var count = maxCount; count > minCount; count--)
        {
            try
            {
                await ChangeAsync(transaction, projectId, count, count * cores, count * ramMib, cancellationToken);
                return count;
            }
            catch (FaultException fault) when (fault.Reason == Protos.Errors.V1.ErrorReason.QuotaExceeded)
            {
                // Fewer may fit.
            }
        }
        await ChangeAsync(transaction, projectId, minCount, minCount * cores, minCount * ramMib, cancellationToken);
        return minCount;
    }

    internal static void RequireSight(OperationContext operation, string projectId)
    {
        CheckProject(projectId);
        if (!operation.CanSee(projectId))
        {
            throw Faults.Forbidden("os_compute_api:os-quota-sets:show");
        }
    }

    private static void CheckProject(string projectId)
    {
        if (projectId.Length is 0 or > 64)
        {
            throw Faults.Invalid("project_id", "must be the id of a project");
        }
    }

    private static void CheckLimits(IReadOnlyDictionary<string, long> limits)
    {
        foreach (var (resource, limit) in limits)
        {
            if (!QuotaResource.All.Contains(resource) && !QuotaResource.Elsewhere.Contains(resource))
            {
                throw Faults.Invalid(resource, "is not a resource with a quota");
            }
            if (limit is < -1 or > int.MaxValue)
            {
                throw Faults.Invalid(resource, $"must be between -1 and {int.MaxValue}");
            }
        }
    }

    private static async Task MergeAsync(
        StateTransaction transaction, string projectId, IReadOnlyDictionary<string, long> limits, CancellationToken cancellationToken)
    {
        var have = await transaction.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
        var merged = new SortedDictionary<string, long>((have?.Limits ?? new Dictionary<string, long>()).ToDictionary(), StringComparer.Ordinal);
        foreach (var (resource, limit) in limits)
        {
            merged[resource] = limit;
        }
        transaction.Put(QuotaLimits.Table, new QuotaLimits(projectId, merged));
    }

    private async Task<(QuotaLimits? Own, QuotaLimits? Everyone)> LimitsAsync(string? projectId, CancellationToken cancellationToken) =>
        (projectId is null ? null : await store.GetAsync(QuotaLimits.Table, projectId, cancellationToken),
            await store.GetAsync(QuotaLimits.Table, QuotaLimits.Everyone, cancellationToken));

    private void Check((QuotaLimits? Own, QuotaLimits? Everyone) limits, string resource, long requested, long used)
    {
        var limit = LimitOf(limits, resource);
        if (requested > 0 && limit >= 0 && used + requested > limit)
        {
            throw ComputeFaults.OverQuota(resource, requested, used, limit);
        }
    }

    private long LimitOf((QuotaLimits? Own, QuotaLimits? Everyone) limits, string resource) =>
        limits.Own is not null && limits.Own.Limits.TryGetValue(resource, out var set) ? set
        : limits.Everyone is not null && limits.Everyone.Limits.TryGetValue(resource, out var general) ? general : resource switch
        {
            QuotaResource.Instances => options.QuotaInstances,
            QuotaResource.Cores => options.QuotaCores,
            QuotaResource.Ram => options.QuotaRamMib,
            QuotaResource.KeyPairs => options.QuotaKeyPairs,
            QuotaResource.MetadataItems => options.QuotaMetadataItems,
            QuotaResource.InjectedFiles => options.QuotaInjectedFiles,
            QuotaResource.InjectedFileContentBytes => options.QuotaInjectedFileBytes,
            QuotaResource.InjectedFilePathBytes => PathBytes,
            QuotaResource.ServerGroups => options.QuotaServerGroups,
            QuotaResource.ServerGroupMembers => options.QuotaServerGroupMembers,
            _ when QuotaResource.Elsewhere.Contains(resource) => -1,
            _ => throw new ArgumentOutOfRangeException(nameof(resource), resource, "Not a resource with a quota."),
        };
}

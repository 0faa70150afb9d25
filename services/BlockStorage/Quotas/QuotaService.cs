using Nephos.BlockStorage.VolumeTypes;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Quotas;

/// <summary>A limit and what is used of it.</summary>
internal readonly record struct QuotaEntry(long Limit, long Used);

/// <param name="Entries">By the names that users know: those of types end with the name of the type.</param>
internal sealed record ProjectQuota(string ProjectId, IReadOnlyDictionary<string, QuotaEntry> Entries)
{
    public QuotaEntry this[string resource] => Entries[resource];
}

internal sealed class QuotaService(IStateStore store, BlockStorageOptions options)
{
    /// <summary>The class whose limits hold for projects that have none of their own.</summary>
    public const string DefaultClass = "default";

    private const int ProjectCharsMax = 64, ClassCharsMax = 255;

    public async Task<ProjectQuota> GetAsync(OperationContext operation, string projectId, CancellationToken cancellationToken)
    {
        CheckProject(projectId);
        if (!operation.CanSee(projectId)) throw Faults.Forbidden("volume_extension:quotas:show");
        var limits = await store.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
        var usage = await store.GetAsync(QuotaUsage.Table, projectId, cancellationToken);
        return await MakeAsync(projectId, [limits, await store.GetAsync(QuotaLimits.Classes, DefaultClass, cancellationToken)], usage, cancellationToken);
    }

    public async Task<ProjectQuota> GetDefaultsAsync(string projectId, CancellationToken cancellationToken) =>
        await MakeAsync(projectId, [await store.GetAsync(QuotaLimits.Classes, DefaultClass, cancellationToken)], null, cancellationToken);

    /// <summary>Sets the limits that are given; the others stay.</summary>
    /// <param name="limits">By the names that users know.</param>
    public async Task<ProjectQuota> SetAsync(
        OperationContext operation, string projectId, IReadOnlyDictionary<string, long> limits, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:quotas:update");
        CheckProject(projectId);
        await PutAsync(QuotaLimits.Table, projectId, limits, cancellationToken);
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

    /// <summary>The limits of a class. Only those of <see cref="DefaultClass"/> have an effect.</summary>
    public async Task<ProjectQuota> GetClassAsync(OperationContext operation, string name, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:quota_classes");
        CheckClass(name);
        return await MakeAsync(name, [await store.GetAsync(QuotaLimits.Classes, name, cancellationToken)], null, cancellationToken);
    }

    public async Task<ProjectQuota> SetClassAsync(
        OperationContext operation, string name, IReadOnlyDictionary<string, long> limits, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:quota_classes");
        CheckClass(name);
        await PutAsync(QuotaLimits.Classes, name, limits, cancellationToken);
        return await GetClassAsync(operation, name, cancellationToken);
    }

    /// <summary>Takes or gives back, inside the commit that writes what is counted.</summary>
    /// <exception cref="FaultException">QuotaExceeded.</exception>
    public async Task ChangeAsync(StateTransaction transaction, string projectId, QuotaChange change, CancellationToken cancellationToken)
    {
        var usage = await transaction.GetAsync(QuotaUsage.Table, projectId, cancellationToken) ?? new QuotaUsage { ProjectId = projectId };
        var used = new Dictionary<string, long>(usage.Used);
        if (change.Counts.Any(count => count.Count > 0))
        {
            var limits = await transaction.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
            var defaults = await transaction.GetAsync(QuotaLimits.Classes, DefaultClass, cancellationToken);
            foreach (var (resource, count) in change.Counts)
            {
                var (limit, have) = (LimitOf(resource, [limits, defaults]), used.GetValueOrDefault(resource));
                if (count > 0 && limit >= 0 && have + count > limit) throw BlockStorageFaults.OverQuota(resource.Split(':')[0], count, have, limit);
            }
        }
        foreach (var (resource, count) in change.Counts) used[resource] = Math.Max(0, used.GetValueOrDefault(resource) + count);
        transaction.Put(QuotaUsage.Table, usage with { Used = used });
    }

    /// <summary>Refuses a volume that is larger than one volume of the project may be.</summary>
    public async Task CheckSizeAsync(string projectId, long gigabytes, CancellationToken cancellationToken)
    {
        var limits = await store.GetAsync(QuotaLimits.Table, projectId, cancellationToken);
        var limit = LimitOf(QuotaResources.PerVolumeGigabytes, [limits, await store.GetAsync(QuotaLimits.Classes, DefaultClass, cancellationToken)]);
        if (limit >= 0 && gigabytes > limit) throw BlockStorageFaults.OverQuota(QuotaResources.PerVolumeGigabytes, gigabytes, 0, limit);
    }

    private async Task PutAsync(TableSchema<QuotaLimits> table, string key, IReadOnlyDictionary<string, long> limits, CancellationToken cancellationToken)
    {
        var types = (await store.ListAsync(VolumeType.Table, "", cancellationToken)).ToDictionary(type => type.Name, type => type.Id);
        var given = limits.Select(limit => (Resource: Resolve(limit.Key, types), limit.Value)).ToList();
        await store.TransactAsync(
            async transaction =>
            {
                var old = await transaction.GetAsync(table, key, cancellationToken) ?? new QuotaLimits { ProjectId = key };
                var merged = new Dictionary<string, long>(old.Limits);
                foreach (var (resource, value) in given) merged[resource] = value;
                transaction.Put(table, old with { Limits = merged });
            },
            cancellationToken);
    }

    private static string Resolve(string name, Dictionary<string, string> types)
    {
        if (QuotaResources.Fixed.Contains(name)) return name;
        foreach (var resource in QuotaResources.PerType)
            if (name.StartsWith(resource + "_", StringComparison.Ordinal) && types.TryGetValue(name[(resource.Length + 1)..], out var id)) return QuotaResources.OfType(resource, id);
        throw Faults.Invalid("quota_set", $"there is no resource '{(name.Length > 64 ? name[..64] : name)}'");
    }

    private async Task<ProjectQuota> MakeAsync(string projectId, QuotaLimits?[] limits, QuotaUsage? usage, CancellationToken cancellationToken)
    {
        var entries = new Dictionary<string, QuotaEntry>();
        foreach (var resource in QuotaResources.Fixed) entries[resource] = Entry(resource);
        foreach (var type in await store.ListAsync(VolumeType.Table, "", cancellationToken))
            foreach (var resource in QuotaResources.PerType) entries[$"{resource}_{type.Name}"] = Entry(QuotaResources.OfType(resource, type.Id));
        return new ProjectQuota(projectId, entries);

        QuotaEntry Entry(string resource) => new(LimitOf(resource, limits), usage?.Used.GetValueOrDefault(resource) ?? 0);
    }

    // The first that names the resource counts.
    private long LimitOf(string resource, QuotaLimits?[] limits)
    {
        foreach (var own in limits)
            if (own is not null && own.Limits.TryGetValue(resource, out var limit)) return limit;
        return resource switch
        {
            QuotaResources.Volumes => options.QuotaVolumes,
            QuotaResources.Gigabytes => options.QuotaGigabytes,
            QuotaResources.Snapshots => options.QuotaSnapshots,
            QuotaResources.Backups => options.QuotaBackups,
            QuotaResources.BackupGigabytes => options.QuotaBackupGigabytes,
            QuotaResources.Groups => options.QuotaGroups,
            _ => -1,
        };
    }

    /// <summary>Refuses what is no limit.</summary>
    public static long CheckLimit(string resource, long limit) =>
        limit is < -1 or > int.MaxValue ? throw Faults.Invalid(resource, $"must be between -1 and {int.MaxValue}") : limit;

    private static void CheckProject(string projectId)
    {
        if (projectId.Length is 0 or > ProjectCharsMax) throw Faults.Invalid("project_id", "must be the id of a project");
    }

    private static void CheckClass(string name)
    {
        if (name.Length is 0 or > ClassCharsMax) throw Faults.Invalid("class", $"has 1 to {ClassCharsMax} characters");
    }
}

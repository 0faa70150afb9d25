using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Quotas;

/// <summary>The limits set for a project; null has the default, -1 is without limit.</summary>
internal sealed record QuotaLimits(string ProjectId, long? Volumes, long? Gigabytes, long? Snapshots)
{
    public static readonly TableSchema<QuotaLimits> Table =
        new("block-storage/quota-limits", limits => limits.ProjectId, BlockStorageJson.Default.QuotaLimits);
}

/// <summary>What a project uses; written in the commits that write volumes and snapshots.</summary>
internal sealed record QuotaUsage(string ProjectId, long Volumes, long Gigabytes, long Snapshots)
{
    public static readonly TableSchema<QuotaUsage> Table =
        new("block-storage/quota-usage", usage => usage.ProjectId, BlockStorageJson.Default.QuotaUsage);
}

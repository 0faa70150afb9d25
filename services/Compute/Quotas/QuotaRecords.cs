using Nephos.Kernel.State;

namespace Nephos.Compute.Quotas;

/// <summary>The limits set for one project; a resource that is absent has the default. -1 is without limit.</summary>
internal sealed record QuotaLimits(string ProjectId, IReadOnlyDictionary<string, long> Limits)
{
    /// <summary>In place of a project: the defaults that an administrator set for all of them.</summary>
    public const string Everyone = "*";

    public static readonly TableSchema<QuotaLimits> Table = new("compute/quota-limits", limits => limits.ProjectId, ComputeJson.Default.QuotaLimits);
}

/// <summary>What the instances of a project use; written in the commit that writes the instance.</summary>
internal sealed record QuotaUsage(string ProjectId, long Instances, long Cores, long RamMib)
{
    public static readonly TableSchema<QuotaUsage> Table = new("compute/quota-usage", usage => usage.ProjectId, ComputeJson.Default.QuotaUsage);

    public QuotaUsage Plus(long instances, long cores, long ramMib) =>
        this with { Instances = Instances + instances, Cores = Cores + cores, RamMib = RamMib + ramMib };
}

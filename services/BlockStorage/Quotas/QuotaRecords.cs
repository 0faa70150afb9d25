using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Quotas;

/// <summary>The limits set for a project, or for all projects under the name of a class; what is not named has the default, -1 is without limit.</summary>
internal sealed record QuotaLimits
{
    public static readonly TableSchema<QuotaLimits> Table =
        new("block-storage/quota-limits", limits => limits.ProjectId, BlockStorageJson.Default.QuotaLimits);

    public static readonly TableSchema<QuotaLimits> Classes =
        new("block-storage/quota-classes", limits => limits.ProjectId, BlockStorageJson.Default.QuotaLimits);

    /// <summary>Of a project; in the table of classes the name of the class.</summary>
    public required string ProjectId { get; init; }

    /// <summary>By resource, see <see cref="QuotaResources"/>.</summary>
    public IReadOnlyDictionary<string, long> Limits { get; init; } = new Dictionary<string, long>();
}

/// <summary>What a project uses, by resource; written in the commits that write what is counted.</summary>
internal sealed record QuotaUsage
{
    public static readonly TableSchema<QuotaUsage> Table =
        new("block-storage/quota-usage", usage => usage.ProjectId, BlockStorageJson.Default.QuotaUsage);

    public required string ProjectId { get; init; }
    public IReadOnlyDictionary<string, long> Used { get; init; } = new Dictionary<string, long>();
}

/// <summary>What is counted.</summary>
internal static class QuotaResources
{
    public const string Volumes = "volumes", Gigabytes = "gigabytes", Snapshots = "snapshots", PerVolumeGigabytes = "per_volume_gigabytes",
        Backups = "backups", BackupGigabytes = "backup_gigabytes", Groups = "groups";

    /// <summary>Those that exist whatever types there are.</summary>
    public static readonly IReadOnlyList<string> Fixed = [Volumes, Snapshots, Gigabytes, PerVolumeGigabytes, Backups, BackupGigabytes, Groups];

    /// <summary>Those that are counted for each type of volume as well.</summary>
    public static readonly IReadOnlyList<string> PerType = [Volumes, Gigabytes, Snapshots];

    /// <summary>A resource of one type. The id is used, as names change.</summary>
    public static string OfType(string resource, string typeId) => $"{resource}:{typeId}";
}

/// <summary>What a commit takes, or gives back when negative.</summary>
internal readonly record struct QuotaChange(IReadOnlyList<(string Resource, long Count)> Counts)
{
    /// <summary>What takes it back.</summary>
    public QuotaChange Reversed => new([.. Counts.Select(count => (count.Resource, -count.Count))]);

    public static QuotaChange Volumes(long count, long gigabytes, string typeId) => new(
    [
        (QuotaResources.Volumes, count),
        (QuotaResources.OfType(QuotaResources.Volumes, typeId), count),
        (QuotaResources.Gigabytes, gigabytes),
        (QuotaResources.OfType(QuotaResources.Gigabytes, typeId), gigabytes),
    ]);

    public static QuotaChange Snapshots(long count, long gigabytes, string typeId) => new(
    [
        (QuotaResources.Snapshots, count),
        (QuotaResources.OfType(QuotaResources.Snapshots, typeId), count),
        (QuotaResources.Gigabytes, gigabytes),
        (QuotaResources.OfType(QuotaResources.Gigabytes, typeId), gigabytes),
    ]);

    public static QuotaChange Backups(long count, long gigabytes) =>
        new([(QuotaResources.Backups, count), (QuotaResources.BackupGigabytes, gigabytes)]);

    public static QuotaChange Groups(long count) => new([(QuotaResources.Groups, count)]);
}

using Nephos.Images.Catalog;
using Nephos.Kernel.State;

namespace Nephos.Images.Data;

/// <summary>How data is named, counted and given up, inside the transactions that change images.</summary>
internal static class DataKeys
{
    /// <summary>Every upload writes under a key of its own, so that no two of them can ever mix.</summary>
    public static string Of(string imageId, string uploadId) => $"{imageId}/{uploadId}";

    public static void Doom(this StateTransaction transaction, string key, DateTimeOffset lastAt) =>
        transaction.Put(ImageTables.Doomed, new DoomedData(key, lastAt, RemovedOnce: false));

    public static async Task<ProjectUsage> UsageOfAsync(this StateTransaction transaction, string projectId, CancellationToken cancellationToken) =>
        await transaction.GetAsync(ImageTables.Usage, projectId, cancellationToken) ?? new ProjectUsage(projectId, 0, 0);
}

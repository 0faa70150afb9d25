using System.Globalization;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Versioned writes: what is replaced goes to another container, as a stack or as a history.</summary>
internal static class SwiftVersions
{
    public const string DeleteMarkerType = "application/x-deleted;swift_versions_deleted=1";

    /// <summary>Copies the object that is about to be replaced, if there is one and the container keeps versions.</summary>
    public static async ValueTask KeepAsync(SwiftCall call, BucketRecord container, string key)
    {
        if (LocationOf(container) is not { } archive)
        {
            return;
        }
        var outcome = await call.Engine.Namespace.GetObjectAsync(call.Bucket, key, VersionSelector.Current, call.Cancelled);
        if (outcome is { IsOk: true, Value: { IsDeleteMarker: false } current } && !current.SystemMetadata.ContainsKey(SwiftObjects.ManifestKey))
        {
            await CopyAsync(call, current, new BucketName(call.Path.Project, archive), PrefixOf(key) + SwiftTime.Timestamp(current.Modified));
        }
    }

    /// <summary>Deletes as the container's versioning wants it.</summary>
    /// <returns>False when the container keeps no versions: delete as usual.</returns>
    public static async ValueTask<bool> DeleteAsync(SwiftCall call, BucketRecord container)
    {
        var archive = LocationOf(container);
        if (archive is null)
        {
            return false;
        }
        var bucket = new BucketName(call.Path.Project, archive);
        if (container.Metadata.ContainsKey(SwiftContainers.HistoryKey))
        {
            await KeepAsync(call, container, call.Path.Object);
            await StoreAsync(
                call,
                bucket,
                new ObjectRecord { Key = call.Path.Object, ContentType = DeleteMarkerType, ETag = "d41d8cd98f00b204e9800998ecf8427e" },
                PrefixOf(call.Path.Object) + SwiftTime.Timestamp(call.Now));
            return await SwiftObjects.RemoveAsync(call, call.Bucket, call.Path.Object) ? true : throw SwiftFault.NotFound();
        }
        var page = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects { Bucket = bucket, Prefix = PrefixOf(call.Path.Object), Limit = 1, Reverse = true }, call.Cancelled));
        if (!page.IsOk || page.Value!.Entries is not [{ Object: { } newest }, ..])
        {
            return false;
        }
        // The newest kept version takes the deleted one's place; its copy in the archive goes last, so a crash leaves both.
        var kept = await SwiftObjects.FindAsync(call, bucket, newest.Key);
        await CopyAsync(call, kept, call.Bucket, call.Path.Object);
        await SwiftObjects.RemoveAsync(call, bucket, newest.Key);
        return true;
    }

    private static string? LocationOf(BucketRecord container) =>
        container.Metadata.GetValueOrDefault(SwiftContainers.VersionsKey) ?? container.Metadata.GetValueOrDefault(SwiftContainers.HistoryKey);

    private static string PrefixOf(string key) => string.Create(CultureInfo.InvariantCulture, $"{System.Text.Encoding.UTF8.GetByteCount(key):x3}{key}/");

    private static async ValueTask CopyAsync(SwiftCall call, ObjectRecord record, BucketName to, string key)
    {
        var payload = await PayloadCopy.CopyAsync(call.Engine, record, to, key, call.Cancelled);
        await StoreAsync(call, to, record with { Payload = payload }, key);
    }

    private static async ValueTask StoreAsync(SwiftCall call, BucketName bucket, ObjectRecord record, string key)
    {
        var outcome = await call.Engine.Namespace.PutObjectAsync(
            new PutObject { Bucket = bucket, Object = record with { Key = key, Modified = call.Now } }, call.Cancelled);
        if (outcome.Status == EngineStatus.NoSuchBucket)
        {
            throw new SwiftFault(412, "The container for versions does not exist.", plain: true);
        }
        outcome.OrThrow(bucket, key);
    }
}

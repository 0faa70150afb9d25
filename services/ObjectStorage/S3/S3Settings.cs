using System.Collections.Immutable;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.S3;

/// <summary>Changes settings of a bucket or what is known of an object, whoever else changes it at the same time.</summary>
internal static class S3Settings
{
    private const int MaxAttempts = 8;

    public static async ValueTask<BucketRecord> ChangeBucketAsync(S3Call call, Func<BucketRecord, BucketRecord> change)
    {
        var current = call.BucketRecord;
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var outcome = await call.Engine.Namespace.UpdateBucketAsync(change(current) with { Modified = call.Now }, current.Generation, call.Cancelled);
            if (outcome.Status != EngineStatus.Conflict)
            {
                return outcome.OrS3Fault();
            }
            current = (await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled)).OrS3Fault();
        }
        throw S3Fault.Of(EngineStatus.Conflict);
    }

    /// <param name="value">Null removes the setting.</param>
    public static async ValueTask SetAsync(S3Call call, string key, string? value) =>
        await ChangeBucketAsync(call, bucket => bucket with { Metadata = value is null ? bucket.Metadata.Remove(key) : bucket.Metadata.SetItem(key, value) });

    /// <summary>The object or version that the request names.</summary>
    /// <exception cref="S3Fault">NoSuchKey or NoSuchVersion; MethodNotAllowed for a delete marker.</exception>
    public static async ValueTask<ObjectRecord> FindAsync(S3Call call)
    {
        var version = call.Query("versionId");
        var record = (await call.Engine.Namespace.GetObjectAsync(call.Bucket, call.Key, S3Text.Version(version), call.Cancelled)).OrS3Fault();
        if (record.IsDeleteMarker)
        {
            call.Reply("x-amz-delete-marker", "true");
            call.Reply("x-amz-version-id", S3Text.VersionOf(record));
            throw version is null ? S3Fault.NoSuchKey() : S3Fault.MethodNotAllowed();
        }
        return record.Expires <= call.Now ? throw S3Fault.NoSuchKey() : record;
    }

    public static async ValueTask<ObjectRecord> ChangeObjectAsync(
        S3Call call, Func<ImmutableSortedDictionary<string, string>, ImmutableSortedDictionary<string, string>> change)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var current = await FindAsync(call);
            var outcome = await call.Engine.Namespace.UpdateObjectAsync(
                new UpdateObject
                {
                    Bucket = call.Bucket,
                    Key = call.Key,
                    Version = VersionSelectorOf(current),
                    Object = current with { SystemMetadata = change(current.SystemMetadata) },
                    Generation = current.Generation,
                },
                call.Cancelled);
            if (outcome.Status != EngineStatus.Conflict)
            {
                return outcome.OrS3Fault();
            }
        }
        throw S3Fault.Of(EngineStatus.Conflict);
    }

    public static VersionSelector VersionSelectorOf(ObjectSummary record) =>
        record.IsNullVersion ? VersionSelector.Null : VersionSelector.Of(record.Version);
}

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Buckets;

namespace Nephos.ObjectStorage.S3;

/// <summary>Carries out the lifecycles of buckets: a pass walks each bucket that has rules and ends what is due.</summary>
/// <remarks>
/// Every removal names the state that was looked at, so that what changed meanwhile stays. A pass may be cut off anywhere; the next one finds what is left.
/// </remarks>
internal sealed partial class LifecycleWorker(IObjectEngine engine, ObjectStorageOptions options, TimeProvider time, ILogger<LifecycleWorker> logger) : BackgroundService
{
    private const int PageEntries = 1000;

    /// <summary>One pass over all buckets with rules.</summary>
    public async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        await foreach (var bucket in BucketWatch.ListAsync(engine, S3Lifecycle.IsSet, time.GetUtcNow(), cancellationToken))
        {
            try
            {
                var rules = S3Lifecycle.RulesOf(bucket);
                var ended = await EndObjectsAsync(bucket, rules, cancellationToken);
                var aborted = await AbortUploadsAsync(bucket, rules, cancellationToken);
                if (ended + aborted > 0)
                {
                    LogEnded(bucket.Name, ended, aborted);
                }
            }
            catch (Exception failure) when (failure is S3Fault or ObjectEngineException or FaultException)
            {
                LogFailed(bucket.Name, failure);
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.LifecyclePeriod, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await RunOnceAsync(stoppingToken);
            }
            catch (ObjectEngineException failure)
            {
                LogPassFailed(failure);
            }
        }
    }

    private async Task<int> EndObjectsAsync(BucketRecord bucket, IReadOnlyList<LifecycleRule> rules, CancellationToken cancellationToken)
    {
        var ended = 0;
        if (!rules.Any(rule => rule.Days is not null || rule.Date is not null || rule.ExpiresMarkers || rule.NoncurrentDays is not null))
        {
            return ended;
        }
        // All versions of one key come together, newest first.
        var versions = new List<ObjectSummary>();
        var (marker, version) = ("", default(VersionId?));
        while (true)
        {
            var page = await engine.Namespace.ListObjectsAsync(
                new ListObjects { Bucket = bucket.Name, Versions = true, Marker = marker, VersionMarker = version, Limit = PageEntries }, cancellationToken);
            if (page is not { IsOk: true, Value: { } found })
            {
                return ended;
            }
            foreach (var item in found.Entries.Select(entry => entry.Object).OfType<ObjectSummary>())
            {
                if (versions.Count > 0 && versions[0].Key != item.Key)
                {
                    ended += await EndAsync(bucket, rules, versions, cancellationToken);
                    versions.Clear();
                }
                versions.Add(item);
            }
            if (!found.IsTruncated)
            {
                return versions.Count > 0 ? ended + await EndAsync(bucket, rules, versions, cancellationToken) : ended;
            }
            (marker, version) = (found.NextMarker, found.NextVersionMarker);
        }
    }

    /// <summary>Ends what is due of one key.</summary>
    private async ValueTask<int> EndAsync(BucketRecord bucket, IReadOnlyList<LifecycleRule> rules, List<ObjectSummary> versions, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var ended = 0;
        for (var index = versions.Count - 1; index > 0; index--)
        {
            var (item, replaced) = (versions[index], versions[index - 1].Modified);
            var isDue = await AnyAsync(bucket, item, rules, rule =>
                rule.NoncurrentDays is { } days && LifecycleRule.After(replaced, days) <= now && index > rule.NewerNoncurrentKept, cancellationToken);
            if (isDue && await RemoveVersionAsync(bucket, item, now, cancellationToken))
            {
                ended++;
                versions.RemoveAt(index);
            }
        }
        var current = versions[0];
        if (!current.IsDeleteMarker)
        {
            return await AnyAsync(bucket, current, rules, rule => rule.ExpirationOf(current) <= now, cancellationToken) && await EndCurrentAsync(bucket, current, now, cancellationToken)
                ? ended + 1
                : ended;
        }
        // A marker with nothing behind it hides nothing; rules by age take it too when it is old enough.
        return versions.Count == 1 &&
            await AnyAsync(bucket, current, rules, rule => rule.ExpiresMarkers || rule.ExpirationOf(current) <= now, cancellationToken) &&
            await RemoveVersionAsync(bucket, current, now, cancellationToken)
                ? ended + 1
                : ended;
    }

    /// <summary>Whether one of the rules that are due covers the version. Tags are looked up only where a rule asks for them.</summary>
    private async ValueTask<bool> AnyAsync(
        BucketRecord bucket, ObjectSummary item, IReadOnlyList<LifecycleRule> rules, Func<LifecycleRule, bool> isDue, CancellationToken cancellationToken)
    {
        ObjectRecord? record = null;
        foreach (var rule in rules)
        {
            if (!rule.Filter.Covers(item) || !isDue(rule))
            {
                continue;
            }
            if (rule.Filter.Tags.Count == 0)
            {
                return true;
            }
            record ??= (await engine.Namespace.GetObjectAsync(bucket.Name, item.Key, S3Settings.VersionSelectorOf(item), cancellationToken)).Value;
            if (record is not null && rule.Filter.CoversTags(record))
            {
                return true;
            }
        }
        return false;
    }

    private async ValueTask<bool> EndCurrentAsync(BucketRecord bucket, ObjectSummary current, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var outcome = await engine.Namespace.DeleteObjectAsync(
            new DeleteObject
            {
                Bucket = bucket.Name,
                Key = current.Key,
                Conditions = new WriteConditions { Generation = current.Generation },
                Owner = bucket.Owner,
                Now = now,
            },
            cancellationToken);
        return outcome.IsOk;
    }

    private async ValueTask<bool> RemoveVersionAsync(BucketRecord bucket, ObjectSummary item, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var conditions = WriteConditions.None;
        if (!item.IsDeleteMarker)
        {
            conditions = new WriteConditions { Generation = item.Generation };
            if (S3Lock.IsEnabled(bucket))
            {
                var found = await engine.Namespace.GetObjectAsync(bucket.Name, item.Key, S3Settings.VersionSelectorOf(item), cancellationToken);
                if (found.Value is not { } record || !S3Lock.IsRemovable(record, now))
                {
                    return false;
                }
            }
        }
        var outcome = await engine.Namespace.DeleteObjectAsync(
            new DeleteObject { Bucket = bucket.Name, Key = item.Key, Version = S3Settings.VersionSelectorOf(item), Conditions = conditions, Now = now }, cancellationToken);
        return outcome is { IsOk: true, Value.Existed: true };
    }

    private async Task<int> AbortUploadsAsync(BucketRecord bucket, IReadOnlyList<LifecycleRule> rules, CancellationToken cancellationToken)
    {
        var aborted = 0;
        if (!rules.Any(rule => rule.AbortDays is not null))
        {
            return aborted;
        }
        var now = time.GetUtcNow();
        var (key, upload) = ("", "");
        while (true)
        {
            var page = await engine.Namespace.ListUploadsAsync(new ListUploads { Bucket = bucket.Name, KeyMarker = key, UploadMarker = upload, Limit = PageEntries }, cancellationToken);
            if (page is not { IsOk: true, Value: { } found })
            {
                return aborted;
            }
            foreach (var item in found.Entries.Select(entry => entry.Upload).OfType<UploadRecord>())
            {
                if (rules.Any(rule => rule.AbortDays is { } days && rule.Filter.Covers(item.Object) && LifecycleRule.After(item.Initiated, days) <= now) &&
                    await engine.Namespace.AbortUploadAsync(bucket.Name, item.Object.Key, item.Id, cancellationToken) == EngineStatus.Ok)
                {
                    aborted++;
                }
            }
            if (!found.IsTruncated)
            {
                return aborted;
            }
            (key, upload) = (found.NextKeyMarker, found.NextUploadMarker);
        }
    }

    [LoggerMessage(LogLevel.Information, "The lifecycle of bucket {Bucket} ended {Ended} versions and aborted {Aborted} uploads")]
    private partial void LogEnded(BucketName bucket, int ended, int aborted);

    [LoggerMessage(LogLevel.Warning, "The lifecycle of bucket {Bucket} could not be carried out")]
    private partial void LogFailed(BucketName bucket, Exception failure);

    [LoggerMessage(LogLevel.Warning, "A pass over the lifecycles of buckets was cut off and will be tried again")]
    private partial void LogPassFailed(Exception failure);
}

using System.Globalization;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Sync;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Containers: settings, and the list of objects.</summary>
internal static class SwiftContainers
{
    public const string VersionsKey = "swift.versions-location";
    public const string HistoryKey = "swift.history-location";
    private const string QuotaBytes = "quota-bytes";
    private const string QuotaCount = "quota-count";
    private const int MaxAttempts = 8;

    public static async Task GetAsync(SwiftCall call)
    {
        var container = await FindAsync(call, call.Bucket);
        SwiftAccess.RequireRead(call, container, listing: !call.IsHead);
        var listing = SwiftListing.Parse(call);
        WriteHeaders(call, container);
        if (call.IsHead)
        {
            await call.EmptyAsync(204, listing.ContentType);
            return;
        }
        var page = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects
            {
                Bucket = call.Bucket,
                Prefix = listing.Prefix,
                Delimiter = listing.Delimiter,
                Marker = listing.Marker,
                EndMarker = listing.EndMarker,
                Limit = listing.Limit,
                Reverse = listing.Reverse,
                Versions = listing.Versions,
                VersionMarker = listing.VersionMarker,
            },
            call.Cancelled)).OrThrow(call.Bucket);
        await listing.WriteObjectsAsync(call, call.Path.Container, page.Entries, leavesOutPrefixes: call.Query("path") is not null);
    }

    public static async Task PutAsync(SwiftCall call)
    {
        SwiftAccess.RequireOwner(call);
        var changes = ReadChanges(call);
        var policy = call.Header("X-Storage-Policy") is { Length: > 0 } name
            ? StoragePolicies.Find(call.Engine, name) ?? throw SwiftFault.BadRequest($"Invalid X-Storage-Policy {name}")
            : null;
        var wanted = new BucketRecord { Name = call.Bucket, Created = call.Now, Modified = call.Now, Owner = call.Operation!.UserId };
        wanted = Apply(call, policy is null ? wanted : StoragePolicies.With(wanted, policy), changes);
        await WatchAsync(call, wanted);
        var outcome = await call.Engine.Namespace.CreateBucketAsync(wanted, call.Cancelled);
        if (outcome.Status != EngineStatus.BucketExists)
        {
            outcome.OrThrow(call.Bucket);
            await call.EmptyAsync(201);
            return;
        }
        if (policy is not null && outcome.Value is { } existing && StoragePolicies.Of(call.Engine, existing) != policy.Name)
        {
            // What is stored stays where it is; a container keeps the policy it was made with.
            throw SwiftFault.Conflict();
        }
        if (changes.Count > 0 || call.Header("X-Versions-Enabled") is not null)
        {
            await UpdateAsync(call, changes);
        }
        await call.TextAsync(202, SwiftFault.Page(202, "The request is accepted for processing."));
    }

    public static async Task PostAsync(SwiftCall call)
    {
        SwiftAccess.RequireOwner(call);
        await UpdateAsync(call, ReadChanges(call));
        await call.EmptyAsync(204);
    }

    public static async Task DeleteAsync(SwiftCall call)
    {
        SwiftAccess.RequireOwner(call);
        var status = await call.Engine.Namespace.DeleteBucketAsync(call.Bucket, call.Cancelled);
        if (status == EngineStatus.BucketNotEmpty)
        {
            throw SwiftFault.Conflict();
        }
        status.OrThrow(call.Bucket);
        await call.EmptyAsync(204);
    }

    /// <exception cref="SwiftFault">404, or 401 and 403 to those who may not know.</exception>
    public static async ValueTask<BucketRecord> FindAsync(SwiftCall call, BucketName name)
    {
        var outcome = await call.Engine.Namespace.GetBucketAsync(name, call.Cancelled);
        if (outcome.Status is EngineStatus.NoSuchBucket or EngineStatus.NoSuchAccount)
        {
            throw call.IsSigned || (call.Operation is { } operation && (Access.OwnsAccount(operation, name.Account) || operation.ProjectId == name.Account))
                ? SwiftFault.NotFound()
                : SwiftAccess.Denied(call);
        }
        return outcome.OrThrow(name);
    }

    private static async Task UpdateAsync(SwiftCall call, Dictionary<string, string?> changes)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var current = await FindAsync(call, call.Bucket);
            var changed = Apply(call, current, changes) with { Modified = call.Now };
            await WatchAsync(call, changed);
            var outcome = await call.Engine.Namespace.UpdateBucketAsync(changed, current.Generation, call.Cancelled);
            if (outcome.Status != EngineStatus.Conflict)
            {
                outcome.OrThrow(call.Bucket);
                return;
            }
        }
        throw SwiftFault.Conflict();
    }

    /// <summary>Changes by their full metadata key; null removes.</summary>
    private static Dictionary<string, string?> ReadChanges(SwiftCall call)
    {
        var changes = SwiftMetadata.FromHeaders(call.Http.Request.Headers, "Container")
            .ToDictionary(item => BucketMetadata.UserPrefix + item.Key, item => item.Value, StringComparer.Ordinal);
        foreach (var quota in new[] { QuotaBytes, QuotaCount })
        {
            if (changes.TryGetValue(BucketMetadata.UserPrefix + quota, out var value) && value is not null &&
                !long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            {
                throw SwiftFault.BadRequest($"Invalid bytes quota: X-Container-Meta-{quota} must be a whole number");
            }
        }
        Setting("X-Container-Read", SwiftAcl.ReadKey, value => SwiftAcl.Normalize(value, write: false));
        Setting("X-Container-Write", SwiftAcl.WriteKey, value => SwiftAcl.Normalize(value, write: true));
        Setting("X-Versions-Location", VersionsKey, LocationOf);
        Setting("X-History-Location", HistoryKey, LocationOf);
        Setting("X-Container-Sync-To", SyncTarget.ToKey, static value => value);
        Setting("X-Container-Sync-Key", SyncTarget.SecretKey, static value => value);
        return changes;

        void Setting(string header, string key, Func<string, string> parse)
        {
            if (call.Header($"X-Remove-{header[2..]}") is not null)
            {
                changes[key] = null;
            }
            if (call.Header(header) is { } value)
            {
                changes[key] = value.Length == 0 ? null : parse(value);
            }
        }
    }

    private static ValueTask WatchAsync(SwiftCall call, BucketRecord container) =>
        SyncTarget.IsSet(container) ? BucketWatch.AddAsync(call.Engine, container.Name, call.Now, call.Cancelled) : default;

    private static string LocationOf(string header)
    {
        var container = SwiftPath.Decode(header.Trim()).Trim('/');
        return container.Length > 0 && !container.Contains('/', StringComparison.Ordinal)
            ? container
            : throw new SwiftFault(412, "X-Versions-Location names a container, without a slash", plain: true);
    }

    private static BucketRecord Apply(SwiftCall call, BucketRecord record, Dictionary<string, string?> changes)
    {
        var metadata = record.Metadata.ToBuilder();
        foreach (var (key, value) in changes)
        {
            if (value is null)
            {
                metadata.Remove(key);
            }
            else
            {
                metadata[key] = value;
            }
        }
        var merged = metadata.ToImmutable();
        SwiftMetadata.Check(SwiftMetadata.User(merged));
        return SwiftVersioning.Apply(call, record with { Metadata = merged, Quota = new Quota(Limit(QuotaBytes), Limit(QuotaCount)) });

        long? Limit(string name) =>
            merged.TryGetValue(BucketMetadata.UserPrefix + name, out var value) ? long.Parse(value, CultureInfo.InvariantCulture) : null;
    }

    private static void WriteHeaders(SwiftCall call, BucketRecord container)
    {
        call.Reply("X-Container-Object-Count", container.Usage.Objects.ToString(CultureInfo.InvariantCulture));
        call.Reply("X-Container-Bytes-Used", container.Usage.Bytes.ToString(CultureInfo.InvariantCulture));
        call.Reply("X-Timestamp", SwiftTime.Timestamp(container.Created));
        call.Reply("Last-Modified", SwiftTime.HttpDate(container.Modified));
        call.Reply("Accept-Ranges", "bytes");
        call.Reply("X-Storage-Policy", StoragePolicies.Of(call.Engine, container));
        if (container.Versioning != BucketVersioning.Off)
        {
            call.Reply("X-Versions-Enabled", container.Versioning == BucketVersioning.Enabled ? "True" : "False");
        }
        var owner = SwiftAccess.IsOwner(call);
        foreach (var (key, header) in new[]
        {
            (SwiftAcl.ReadKey, "X-Container-Read"), (SwiftAcl.WriteKey, "X-Container-Write"),
            (VersionsKey, "X-Versions-Location"), (HistoryKey, "X-History-Location"),
            (SyncTarget.ToKey, "X-Container-Sync-To"), (SyncTarget.SecretKey, "X-Container-Sync-Key"),
        })
        {
            if (container.Metadata.TryGetValue(key, out var value) && (owner || key is VersionsKey or HistoryKey))
            {
                call.Reply(header, value);
            }
        }
        SwiftMetadata.Write(call, "Container", SwiftMetadata.User(container.Metadata)
            .Where(item => owner || !item.Key.StartsWith("temp-url-key", StringComparison.Ordinal)));
    }
}

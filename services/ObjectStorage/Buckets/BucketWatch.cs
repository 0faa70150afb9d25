using System.Security.Cryptography;
using System.Text;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Buckets;

/// <summary>
/// Which buckets have work for the background: rules to carry out, a copy elsewhere to keep. The namespace lists buckets by account only, so
/// each such bucket has a record here, in an account that is no project. A record without work behind it is harmless and goes after a while.
/// </summary>
internal static class BucketWatch
{
    private const string Directory = "buckets.watched";
    private const string AccountKey = "account";
    private const string NameKey = "name";
    private static readonly TimeSpan KeptUnused = TimeSpan.FromHours(1);

    /// <summary>Makes sure that passes see the bucket. Call before the setting is stored.</summary>
    public static async ValueTask AddAsync(IObjectEngine engine, BucketName bucket, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var entry = new BucketRecord
        {
            Name = EntryOf(bucket),
            Created = now,
            Modified = now,
            Metadata = RecordMetadata.Empty.Add(AccountKey, bucket.Account).Add(NameKey, bucket.Name),
        };
        var outcome = await engine.Namespace.CreateBucketAsync(entry, cancellationToken);
        if (outcome is { Status: EngineStatus.BucketExists, Value: { } existing })
        {
            // Fresh again, so that no pass takes it for forgotten before the setting is there.
            await engine.Namespace.UpdateBucketAsync(existing with { Modified = now }, existing.Generation, cancellationToken);
        }
    }

    /// <summary>The watched buckets that have work of a kind, as they are now.</summary>
    /// <param name="hasWork">Whether the kind that asks has work with a bucket.</param>
    public static async IAsyncEnumerable<BucketRecord> ListAsync(
        IObjectEngine engine, Func<BucketRecord, bool> hasWork, DateTimeOffset now,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var marker = "";
        while (true)
        {
            var page = await engine.Namespace.ListBucketsAsync(new ListBuckets { Account = Directory, Marker = marker, Limit = 1000 }, cancellationToken);
            if (!page.IsOk)
            {
                yield break;
            }
            foreach (var entry in page.Value!.Entries.Select(item => item.Bucket).OfType<BucketRecord>())
            {
                var name = new BucketName(entry.Metadata[AccountKey], entry.Metadata[NameKey]);
                var found = await engine.Namespace.GetBucketAsync(name, cancellationToken);
                if (found is { IsOk: true, Value: { } bucket } && HasAnyWork(bucket))
                {
                    if (hasWork(bucket))
                    {
                        yield return bucket;
                    }
                }
                else if (entry.Modified + KeptUnused < now)
                {
                    await DropAsync(engine, entry.Name, cancellationToken);
                }
            }
            if (!page.Value.IsTruncated)
            {
                yield break;
            }
            marker = page.Value.NextMarker;
        }
    }

    /// <summary>Where the background may keep what it must remember about a watched bucket.</summary>
    public static BucketName EntryOf(BucketName bucket) =>
        new(Directory, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{bucket.Account}/{bucket.Name}"))));

    private static bool HasAnyWork(BucketRecord bucket) => Sync.SyncTarget.IsSet(bucket) || S3.S3Lifecycle.IsSet(bucket);

    private static async ValueTask DropAsync(IObjectEngine engine, BucketName entry, CancellationToken cancellationToken)
    {
        var kept = await engine.Namespace.ListObjectsAsync(new ListObjects { Bucket = entry }, cancellationToken);
        foreach (var item in kept.Value?.Entries ?? [])
        {
            await engine.Namespace.DeleteObjectAsync(new DeleteObject { Bucket = entry, Key = item.Name, Now = DateTimeOffset.UnixEpoch }, cancellationToken);
        }
        await engine.Namespace.DeleteBucketAsync(entry, cancellationToken);
    }
}

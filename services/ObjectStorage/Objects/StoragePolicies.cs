using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Which of the engine's storage policies a bucket has.</summary>
internal static class StoragePolicies
{
    /// <summary>Setting of the bucket; a bucket without it has the default policy.</summary>
    private const string Key = "storage-policy";

    public static string Default(IObjectEngine engine) => engine.Policies.Single(policy => policy.IsDefault).Name;

    /// <summary>The engine's policy of that name, whatever its case; null when there is none.</summary>
    public static StoragePolicy? Find(IObjectEngine engine, string name) =>
        engine.Policies.FirstOrDefault(policy => policy.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    public static string Of(IObjectEngine engine, BucketRecord bucket) => bucket.Metadata.GetValueOrDefault(Key) ?? Default(engine);

    public static BucketRecord With(BucketRecord bucket, StoragePolicy policy) => policy.IsDefault ? bucket : bucket with { Metadata = bucket.Metadata.SetItem(Key, policy.Name) };

    /// <summary>How a new payload of the bucket is to be kept.</summary>
    public static PayloadOptions PayloadOf(BucketRecord bucket, string key) => new() { Bucket = bucket.Name, Key = key, Policy = bucket.Metadata.GetValueOrDefault(Key) };

    /// <summary>The same where only the bucket's name is known.</summary>
    public static async ValueTask<PayloadOptions> PayloadOfAsync(IObjectEngine engine, BucketName bucket, string key, CancellationToken cancellationToken) =>
        engine.Policies.Length > 1 && await engine.Namespace.GetBucketAsync(bucket, cancellationToken) is { IsOk: true, Value: { } record }
            ? PayloadOf(record, key)
            : new PayloadOptions { Bucket = bucket, Key = key };

    /// <summary>What an account uses of each policy that it has buckets of.</summary>
    public static async ValueTask<IReadOnlyList<(string Policy, long Buckets, long Objects, long Bytes)>> UsageAsync(
        IObjectEngine engine, AccountRecord account, CancellationToken cancellationToken)
    {
        if (account.Buckets == 0)
        {
            return [];
        }
        if (engine.Policies.Length == 1)
        {
            return [(Default(engine), account.Buckets, account.Usage.Objects, account.Usage.Bytes)];
        }
        var usage = new SortedDictionary<string, (long Buckets, long Objects, long Bytes)>(StringComparer.Ordinal);
        for (var marker = ""; ;)
        {
            var page = await engine.Namespace.ListBucketsAsync(new ListBuckets { Account = account.Name, Marker = marker }, cancellationToken);
            foreach (var bucket in (page.Value?.Entries ?? []).Select(entry => entry.Bucket).OfType<BucketRecord>())
            {
                var (buckets, objects, bytes) = usage.GetValueOrDefault(Of(engine, bucket));
                usage[Of(engine, bucket)] = (buckets + 1, objects + bucket.Usage.Objects, bytes + bucket.Usage.Bytes);
            }
            if (page.Value is not { IsTruncated: true, NextMarker: var next })
            {
                return [.. usage.Select(item => (item.Key, item.Value.Buckets, item.Value.Objects, item.Value.Bytes))];
            }
            marker = next;
        }
    }
}

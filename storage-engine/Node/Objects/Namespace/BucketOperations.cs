using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>What happens to accounts and buckets inside a commit.</summary>
internal static class BucketOperations
{
    public static BucketRecord? Find(RowTransaction rows, BucketName name) =>
        rows.Get(RowKeys.Bucket(name)) is { } row ? Rows.ReadBucket(name, row) : null;

    public static Outcome<AccountRecord> UpdateAccount(RowTransaction rows, AccountRecord account, ulong? generation)
    {
        var row = rows.Get(RowKeys.Account(account.Name));
        var existing = row is null ? null : Rows.ReadAccount(account.Name, row);
        if (generation is { } expected && expected != (existing?.Generation ?? 0))
        {
            return EngineStatus.Conflict;
        }

        var updated = account with
        {
            Created = existing?.Created ?? account.Created,
            Generation = rows.NextSequence(),
        };
        rows.Put(RowKeys.Account(account.Name), Rows.WriteAccount(updated));
        var usage = Rows.ReadUsage(rows.Get(RowKeys.AccountUsage(account.Name)), out var buckets);
        return updated with { Usage = usage, Buckets = buckets };
    }

    public static EngineStatus DeleteAccount(RowTransaction rows, string account)
    {
        if (rows.Get(RowKeys.Account(account)) is null)
        {
            return EngineStatus.NoSuchAccount;
        }

        Rows.ReadUsage(rows.Get(RowKeys.AccountUsage(account)), out var buckets);
        if (buckets > 0)
        {
            return EngineStatus.AccountNotEmpty;
        }

        rows.Delete(RowKeys.Account(account));
        rows.Delete(RowKeys.AccountUsage(account));
        return EngineStatus.Ok;
    }

    public static Outcome<BucketRecord> Create(RowTransaction rows, BucketRecord bucket)
    {
        if (Find(rows, bucket.Name) is { } existing)
        {
            return new Outcome<BucketRecord>(
                EngineStatus.BucketExists, existing with { Usage = Rows.ReadUsage(rows.Get(RowKeys.Usage(existing.Uid)), out _) });
        }

        var account = bucket.Name.Account;
        if (rows.Get(RowKeys.Account(account)) is null)
        {
            UpdateAccount(rows, new AccountRecord { Name = account, Created = bucket.Created, Modified = bucket.Created }, null);
        }

        var uid = rows.NextSequence();
        var created = bucket with { Uid = uid, Modified = bucket.Created, Generation = uid, Usage = default };
        rows.Put(RowKeys.Bucket(bucket.Name), Rows.WriteBucket(created));
        rows.Put(RowKeys.Usage(uid), Rows.WriteUsage(default, 0));
        ChangeLog.Follow(rows, created, keptBefore: 0);
        CountBuckets(rows, account, 1);
        return created;
    }

    public static Outcome<BucketRecord> Update(RowTransaction rows, BucketRecord bucket, ulong generation)
    {
        if (Find(rows, bucket.Name) is not { } existing)
        {
            return EngineStatus.NoSuchBucket;
        }

        if (existing.Generation != generation)
        {
            return EngineStatus.Conflict;
        }

        var updated = bucket with { Uid = existing.Uid, Created = existing.Created, Generation = rows.NextSequence() };
        rows.Put(RowKeys.Bucket(bucket.Name), Rows.WriteBucket(updated));
        ChangeLog.Follow(rows, updated, existing.ChangesKept);
        return updated with { Usage = Rows.ReadUsage(rows.Get(RowKeys.Usage(existing.Uid)), out _) };
    }

    public static EngineStatus Delete(RowTransaction rows, BucketName name, DateTimeOffset now)
    {
        if (Find(rows, name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        var usage = Rows.ReadUsage(rows.Get(RowKeys.Usage(bucket.Uid)), out _);
        if (usage.Objects > 0 || usage.NoncurrentVersions > 0)
        {
            return EngineStatus.BucketNotEmpty;
        }

        var uploads = new KeyBuilder(RowKeys.UploadTable).Number(bucket.Uid).ToArray();
        foreach (var (key, _) in rows.Scan(uploads, RowKeys.After(uploads)))
        {
            rows.Delete(key);
        }

        var parts = new KeyBuilder(RowKeys.PartTable).Number(bucket.Uid).ToArray();
        foreach (var (key, value) in rows.Scan(parts, RowKeys.After(parts)))
        {
            rows.Delete(key);
            Release(rows, Rows.ReadPart(0, value).Payload, now);
        }

        ChangeLog.Delete(rows, bucket);
        rows.Delete(RowKeys.Bucket(name));
        rows.Delete(RowKeys.Usage(bucket.Uid));
        CountBuckets(rows, name.Account, -1);
        return EngineStatus.Ok;
    }

    /// <summary>Counts a change of contents for the bucket and its account.</summary>
    public static void Count(RowTransaction rows, BucketRecord bucket, in Usage change)
    {
        var usageKey = RowKeys.Usage(bucket.Uid);
        rows.Put(usageKey, Rows.WriteUsage(Add(Rows.ReadUsage(rows.Get(usageKey), out _), change), 0));
        var accountKey = RowKeys.AccountUsage(bucket.Name.Account);
        var usage = Rows.ReadUsage(rows.Get(accountKey), out var buckets);
        rows.Put(accountKey, Rows.WriteUsage(Add(usage, change), buckets));
    }

    /// <summary>Whether contents may grow by this much, by the quotas of the bucket and of its account.</summary>
    public static bool Allows(RowTransaction rows, BucketRecord bucket, in Usage change)
    {
        var account = rows.Get(RowKeys.Account(bucket.Name.Account)) is { } row ? Rows.ReadAccount(bucket.Name.Account, row).Quota : default;
        return Fits(bucket.Quota, rows.Get(RowKeys.Usage(bucket.Uid)), change)
            && Fits(account, rows.Get(RowKeys.AccountUsage(bucket.Name.Account)), change);
    }

    /// <summary>Puts the blobs of a payload on the list of what is to be removed, and forgets the references to them.</summary>
    public static void Release(RowTransaction rows, Payload payload, DateTimeOffset now)
    {
        if (payload.Extents.IsEmpty)
        {
            return;
        }

        rows.Put(RowKeys.Released(rows.NextSequence()), Rows.WriteReleased(now, payload.Extents));
        foreach (var extent in payload.Extents)
        {
            rows.Delete(RowKeys.Reference(extent.Blob));
        }
    }

    public static void Refer(RowTransaction rows, Payload payload)
    {
        foreach (var extent in payload.Extents)
        {
            References.RequireNotCondemned(rows, extent.Blob);
            rows.Put(RowKeys.Reference(extent.Blob), Rows.WriteReference(extent.LengthBytes));
        }
    }

    private static bool Fits(Quota quota, byte[]? usageRow, in Usage change)
    {
        if (quota == default)
        {
            return true;
        }

        var after = Add(Rows.ReadUsage(usageRow, out _), change);
        var growsBytes = change.Bytes + change.NoncurrentBytes > 0;
        var growsObjects = change.Objects + change.NoncurrentVersions > 0;
        return (!growsBytes || after.Bytes + after.NoncurrentBytes <= (quota.BytesMax ?? long.MaxValue))
            && (!growsObjects || after.Objects + after.NoncurrentVersions <= (quota.ObjectsMax ?? long.MaxValue));
    }

    private static Usage Add(in Usage a, in Usage b) => new(
        a.Objects + b.Objects, a.Bytes + b.Bytes, a.NoncurrentVersions + b.NoncurrentVersions, a.NoncurrentBytes + b.NoncurrentBytes);

    private static void CountBuckets(RowTransaction rows, string account, int change)
    {
        var usage = Rows.ReadUsage(rows.Get(RowKeys.AccountUsage(account)), out var buckets);
        rows.Put(RowKeys.AccountUsage(account), Rows.WriteUsage(usage, buckets + change));
    }
}

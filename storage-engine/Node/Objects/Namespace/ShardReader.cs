using System.Buffers.Binary;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>Reads of a shard, on the rows of a replica that has taken in everything that was decided.</summary>
internal readonly ref struct ShardReader(IndexDatabase database, uint group)
{
    public Outcome<AccountRecord> Account(string name)
    {
        if (database.Get(group, RowKeys.Account(name)) is not { } row)
        {
            return EngineStatus.NoSuchAccount;
        }

        var usage = Rows.ReadUsage(database.Get(group, RowKeys.AccountUsage(name)), out var buckets);
        return Rows.ReadAccount(name, row) with { Usage = usage, Buckets = buckets };
    }

    public Outcome<BucketRecord> Bucket(BucketName name)
    {
        if (Find(name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        return bucket with { Usage = Rows.ReadUsage(database.Get(group, RowKeys.Usage(bucket.Uid)), out _) };
    }

    public Outcome<ObjectRecord> Object(BucketName name, string key, VersionSelector version)
    {
        if (Find(name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        var (shard, number) = (database, group);
        if (version.IsCurrent)
        {
            return database.Get(group, RowKeys.Current(bucket.Uid, key)) is { } row
                ? Rows.ReadObject(
                    key, row, isLatest: true,
                    sequence => shard.Get(number, RowKeys.Extra(bucket.Uid, sequence)),
                    sequence => shard.Get(number, RowKeys.Inline(bucket.Uid, sequence)))
                : EngineStatus.NoSuchKey;
        }

        var rows = new RowTransaction(k => shard.Get(number, k), (from, to) => ScanRows(shard, number, from, to), Entropy.System);
        return ObjectOperations.Find(rows, bucket.Uid, key, version, out _) is { } record ? record : EngineStatus.NoSuchVersion;
    }

    public Outcome<ChangePage> Changes(ListChanges request) =>
        Find(request.Bucket) is { } bucket ? ChangeLog.Read(database, group, bucket, request.After, request.Limit) : EngineStatus.NoSuchBucket;

    public Outcome<ObjectPage> Objects(ListObjects request)
    {
        if (Find(request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        using var cursor = database.OpenCursor(group);
        return ObjectLister.List(request, bucket.Uid, cursor);
    }

    public Outcome<BucketPage> Buckets(ListBuckets request)
    {
        if (database.Get(group, RowKeys.Account(request.Account)) is null)
        {
            return EngineStatus.NoSuchAccount;
        }

        var account = new KeyBuilder(RowKeys.BucketTable).Text(request.Account).ToArray();
        var walk = new NameWalk(account, request.Prefix, request.Delimiter, request.Marker, request.EndMarker, request.Limit, request.Reverse);
        using var cursor = database.OpenCursor(group);
        var (shard, number) = (database, group);
        var (names, more) = walk.Run(cursor, (name, value) =>
        {
            var bucket = Rows.ReadBucket(new BucketName(request.Account, name), value);
            return bucket with { Usage = Rows.ReadUsage(shard.Get(number, RowKeys.Usage(bucket.Uid)), out _) };
        });
        return new BucketPage(
            [.. names.Select(n => new BucketEntry(n.Name, n.Record))], more, more ? names[^1].Name : "");
    }

    public Outcome<UploadRecord> Upload(BucketName name, string key, UploadId id)
    {
        if (Find(name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        return database.Get(group, RowKeys.Upload(bucket.Uid, key, id)) is { } row ? Rows.ReadUpload(key, id, row) : EngineStatus.NoSuchUpload;
    }

    public Outcome<PartPage> Parts(BucketName name, string key, UploadId id, int marker, int limit)
    {
        if (Find(name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        if (Upload(name, key, id) is not { IsOk: true, Value.Completed: null })
        {
            return EngineStatus.NoSuchUpload;
        }

        var prefix = RowKeys.Parts(bucket.Uid, id);
        var parts = new List<PartRecord>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek(RowKeys.Part(bucket.Uid, id, marker + 1)); cursor.IsValid && cursor.Key.StartsWith(prefix); cursor.Next())
        {
            if (parts.Count == limit)
            {
                return new PartPage(parts, true);
            }

            parts.Add(Rows.ReadPart((int)BinaryPrimitives.ReadUInt64BigEndian(cursor.Key[prefix.Length..]), cursor.Value));
        }

        return new PartPage(parts, false);
    }

    public Outcome<UploadPage> Uploads(ListUploads request)
    {
        if (Find(request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        var table = new KeyBuilder(RowKeys.UploadTable).Number(bucket.Uid).ToArray();
        var prefix = new KeyBuilder(RowKeys.UploadTable).Number(bucket.Uid).Begin(request.Prefix).ToArray();
        var start = request.KeyMarker.Length == 0 ? prefix
            : request.UploadMarker.Length == 0
                ? new KeyBuilder(RowKeys.UploadTable).Number(bucket.Uid).Begin(request.KeyMarker).Byte(0).Byte(2).ToArray()
                : new KeyBuilder(RowKeys.UploadTable).Number(bucket.Uid).Text(request.KeyMarker).Begin(request.UploadMarker).Byte(0).Byte(2).ToArray();
        var entries = new List<UploadEntry>();
        using var cursor = database.OpenCursor(group);
        cursor.Seek(start.AsSpan().SequenceCompareTo(prefix) < 0 ? prefix : start);
        while (cursor.IsValid && cursor.Key.StartsWith(prefix))
        {
            var key = RowKeys.ReadText(cursor.Key[table.Length..], out var length);
            var id = new UploadId(RowKeys.ReadText(cursor.Key[(table.Length + length)..], out _));
            var upload = Rows.ReadUpload(key, id, cursor.Value);
            if (upload.Completed is not null)
            {
                cursor.Next();
                continue;
            }

            if (entries.Count == request.Limit)
            {
                var last = entries.Count > 0 ? entries[^1] : default;
                return new UploadPage(entries, true, last.Name ?? "", last.Upload?.Id.Value ?? "");
            }

            var at = request.Delimiter.Length == 0 ? -1 : key.IndexOf(request.Delimiter, request.Prefix.Length, StringComparison.Ordinal);
            if (at >= 0)
            {
                var common = key[..(at + request.Delimiter.Length)];
                if (string.CompareOrdinal(common, request.KeyMarker) != 0)
                {
                    entries.Add(new UploadEntry(common, null));
                }

                cursor.Seek(RowKeys.After(new KeyBuilder(RowKeys.UploadTable).Number(bucket.Uid).Begin(common).ToArray()));
            }
            else
            {
                entries.Add(new UploadEntry(key, upload));
                cursor.Next();
            }
        }

        return new UploadPage(entries, false, "", "");
    }

    internal static List<(byte[] Key, byte[] Value)> ScanRows(IndexDatabase database, uint group, byte[] from, byte[] toExclusive)
    {
        var rows = new List<(byte[], byte[])>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek(from); cursor.IsValid && cursor.Key.SequenceCompareTo(toExclusive) < 0; cursor.Next())
        {
            rows.Add((cursor.Key.ToArray(), cursor.Value.ToArray()));
        }

        return rows;
    }

    private BucketRecord? Find(BucketName name) =>
        database.Get(group, RowKeys.Bucket(name)) is { } row ? Rows.ReadBucket(name, row) : null;
}

using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>What happens to objects and their versions inside a commit.</summary>
internal static class ObjectOperations
{
    public static Outcome<ObjectRecord> Put(RowTransaction rows, PutObject request, DateTimeOffset now)
    {
        if (BucketOperations.Find(rows, request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        var outcome = Put(rows, bucket, request.Object, request.Conditions, now);
        if (outcome.IsOk)
        {
            BucketOperations.Refer(rows, request.Object.Payload);
        }

        return outcome;
    }

    /// <summary>Writes a record whose blobs are referred to already.</summary>
    public static Outcome<ObjectRecord> Put(
        RowTransaction rows, BucketRecord bucket, ObjectRecord given, WriteConditions conditions, DateTimeOffset now)
    {
        var current = FindCurrent(rows, bucket.Uid, given.Key);
        if (!Holds(conditions, current))
        {
            return EngineStatus.PreconditionFailed;
        }

        var change = MakeRoom(rows, bucket, given.Key, current, now);
        change = Add(change, objects: 1, bytes: given.SizeBytes);
        if (!BucketOperations.Allows(rows, bucket, change))
        {
            return EngineStatus.QuotaExceeded;
        }

        var record = given with
        {
            Version = NewVersion(rows, out var sequence),
            IsNullVersion = bucket.Versioning != BucketVersioning.Enabled,
            IsLatest = true,
            IsDeleteMarker = false,
            Generation = sequence,
        };
        Write(rows, bucket, record, RowKeys.Current(bucket.Uid, record.Key));
        WriteInline(rows, bucket, record);
        BucketOperations.Count(rows, bucket, change);
        ChangeLog.Note(rows, bucket, ChangeKind.Written, record, now);
        return record;
    }

    public static Outcome<ObjectRecord> Update(RowTransaction rows, UpdateObject request)
    {
        if (BucketOperations.Find(rows, request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        if (Find(rows, bucket.Uid, request.Key, request.Version, out var rowKey) is not { } record)
        {
            return request.Version.IsCurrent ? EngineStatus.NoSuchKey : EngineStatus.NoSuchVersion;
        }

        if (record.Generation != request.Generation)
        {
            return EngineStatus.Conflict;
        }

        var given = request.Object;
        DropExpiry(rows, record);
        var updated = record with
        {
            SystemMetadata = given.SystemMetadata,
            UserMetadata = given.UserMetadata,
            ContentType = given.ContentType,
            Note = given.Note,
            Expires = given.Expires,
            Modified = given.Modified,
            Owner = given.Owner,
            StorageClass = given.StorageClass,
            Generation = rows.NextSequence(),
        };
        rows.Delete(RowKeys.Extra(bucket.Uid, record.Version.Sequence));
        Write(rows, bucket, updated, rowKey);
        if (updated is { IsLatest: true, IsDeleteMarker: false })
        {
            ChangeLog.Note(rows, bucket, ChangeKind.Written, updated, updated.Modified);
        }

        return updated;
    }

    public static Outcome<DeleteOutcome> Delete(RowTransaction rows, DeleteObject request)
    {
        if (BucketOperations.Find(rows, request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        return request.Version.IsCurrent ? DeleteCurrent(rows, bucket, request) : DeleteVersion(rows, bucket, request);
    }

    /// <summary>The record that a selector names, and the key of its row.</summary>
    public static ObjectRecord? Find(RowTransaction rows, ulong bucket, string key, VersionSelector version, out byte[] rowKey)
    {
        rowKey = RowKeys.Current(bucket, key);
        var current = FindCurrent(rows, bucket, key);
        if (version.IsCurrent || (current is not null && Names(version, current)))
        {
            return current;
        }

        if (version.Version is { } id)
        {
            rowKey = RowKeys.Noncurrent(bucket, key, id.Sequence);
            return rows.Get(rowKey) is { } row && Read(rows, bucket, key, row, isLatest: false) is { } found && found.Version == id ? found : null;
        }

        foreach (var (olderKey, row) in Older(rows, bucket, key))
        {
            if (Rows.ReadSummary(key, row, isLatest: false).IsNullVersion)
            {
                rowKey = olderKey;
                return Read(rows, bucket, key, row, isLatest: false);
            }
        }

        return null;
    }

    public static ObjectRecord? FindCurrent(RowTransaction rows, ulong bucket, string key) =>
        rows.Get(RowKeys.Current(bucket, key)) is { } row ? Read(rows, bucket, key, row, isLatest: true) : null;

    public static bool Holds(WriteConditions conditions, ObjectSummary? current)
    {
        var there = current is { IsDeleteMarker: false } ? current : null;
        return (!conditions.MustNotExist || there is null)
            && (!conditions.MustExist || there is not null)
            && (conditions.ETagIn.IsDefaultOrEmpty || (there is not null && conditions.ETagIn.Contains(there.ETag)))
            && (conditions.ETagNotIn.IsDefaultOrEmpty || there is null || !conditions.ETagNotIn.Contains(there.ETag))
            && (conditions.Generation is not { } generation || (there?.Generation ?? 0) == generation)
            && (conditions.SizeBytes is not { } size || there?.SizeBytes == size)
            && (conditions.UnmodifiedSince is not { } since || (there is not null && there.Modified <= since))
            && (conditions.OlderThan is not { } limit || current is null || current.Modified < limit);
    }

    private static Outcome<DeleteOutcome> DeleteCurrent(RowTransaction rows, BucketRecord bucket, DeleteObject request)
    {
        var current = FindCurrent(rows, bucket.Uid, request.Key);
        if (!Holds(request.Conditions, current))
        {
            return EngineStatus.PreconditionFailed;
        }

        var existed = current is { IsDeleteMarker: false };
        if (existed)
        {
            ChangeLog.Note(rows, bucket, ChangeKind.Removed, current!, request.Now);
        }

        if (bucket.Versioning == BucketVersioning.Off)
        {
            if (current is null)
            {
                return new DeleteOutcome(default, true, false, false);
            }

            var change = Remove(rows, bucket, current, RowKeys.Current(bucket.Uid, request.Key), request.Now);
            BucketOperations.Count(rows, bucket, change);
            return new DeleteOutcome(current.Version, current.IsNullVersion, false, existed);
        }

        var made = MakeRoom(rows, bucket, request.Key, current, request.Now);
        var marker = new ObjectRecord
        {
            Key = request.Key,
            Version = NewVersion(rows, out var sequence),
            IsNullVersion = bucket.Versioning != BucketVersioning.Enabled,
            IsDeleteMarker = true,
            Modified = request.Now,
            Owner = request.Owner,
            Generation = sequence,
        };
        Write(rows, bucket, marker, RowKeys.Current(bucket.Uid, request.Key));
        BucketOperations.Count(rows, bucket, Add(made, noncurrent: 1));
        return new DeleteOutcome(marker.Version, marker.IsNullVersion, true, existed);
    }

    private static Outcome<DeleteOutcome> DeleteVersion(RowTransaction rows, BucketRecord bucket, DeleteObject request)
    {
        if (Find(rows, bucket.Uid, request.Key, request.Version, out var rowKey) is not { } record)
        {
            return Holds(request.Conditions, null)
                ? new DeleteOutcome(request.Version.Version ?? default, request.Version.NullVersion, false, false)
                : EngineStatus.PreconditionFailed;
        }

        if (!Holds(request.Conditions, record))
        {
            return EngineStatus.PreconditionFailed;
        }

        var change = Remove(rows, bucket, record, rowKey, request.Now);
        ObjectSummary? after = null;
        if (record.IsLatest && Older(rows, bucket.Uid, request.Key).FirstOrDefault() is { Key: not null } next)
        {
            // The next older version becomes the current one.
            rows.Delete(next.Key);
            rows.Put(RowKeys.Current(bucket.Uid, request.Key), next.Value);
            var promoted = Rows.ReadSummary(request.Key, next.Value, isLatest: true);
            after = promoted.IsDeleteMarker ? null : promoted;
            change = promoted.IsDeleteMarker
                ? change
                : Add(change, objects: 1, bytes: promoted.SizeBytes, noncurrent: -1, noncurrentBytes: -promoted.SizeBytes);
        }

        if (after is not null)
        {
            ChangeLog.Note(rows, bucket, ChangeKind.Written, after, request.Now);
        }
        else if (record is { IsLatest: true, IsDeleteMarker: false })
        {
            ChangeLog.Note(rows, bucket, ChangeKind.Removed, record, request.Now);
        }

        BucketOperations.Count(rows, bucket, change);
        return new DeleteOutcome(record.Version, record.IsNullVersion, record.IsDeleteMarker, true);
    }

    /// <summary>Takes the current version out of the way of a new one: it is replaced, or becomes an older version.</summary>
    private static Usage MakeRoom(RowTransaction rows, BucketRecord bucket, string key, ObjectRecord? current, DateTimeOffset now)
    {
        if (current is null)
        {
            return default;
        }

        var currentKey = RowKeys.Current(bucket.Uid, key);
        var replacesNull = bucket.Versioning != BucketVersioning.Enabled;
        if (replacesNull && current.IsNullVersion)
        {
            return Remove(rows, bucket, current, currentKey, now);
        }

        var change = default(Usage);
        if (replacesNull && bucket.Versioning == BucketVersioning.Suspended
            && Find(rows, bucket.Uid, key, VersionSelector.Null, out var nullKey) is { } olderNull)
        {
            change = Remove(rows, bucket, olderNull, nullKey, now);
        }

        rows.Put(RowKeys.Noncurrent(bucket.Uid, key, current.Version.Sequence), rows.Get(currentKey)!);
        rows.Delete(currentKey);
        return current.IsDeleteMarker
            ? change
            : Add(change, objects: -1, bytes: -current.SizeBytes, noncurrent: 1, noncurrentBytes: current.SizeBytes);
    }

    private static Usage Remove(RowTransaction rows, BucketRecord bucket, ObjectRecord record, byte[] rowKey, DateTimeOffset now)
    {
        rows.Delete(rowKey);
        rows.Delete(RowKeys.Extra(bucket.Uid, record.Version.Sequence));
        if (!record.Payload.Inline.IsEmpty)
        {
            rows.Delete(RowKeys.Inline(bucket.Uid, record.Version.Sequence));
        }

        DropExpiry(rows, record);
        BucketOperations.Release(rows, record.Payload, now);
        return record.IsLatest && !record.IsDeleteMarker
            ? new Usage(-1, -record.SizeBytes, 0, 0)
            : new Usage(0, 0, -1, -record.SizeBytes);
    }

    private static void Write(RowTransaction rows, BucketRecord bucket, ObjectRecord record, byte[] rowKey)
    {
        var (row, extra) = Rows.WriteObject(record);
        rows.Put(rowKey, row);
        if (extra is not null)
        {
            rows.Put(RowKeys.Extra(bucket.Uid, record.Version.Sequence), extra);
        }

        if (record.Expires is { } expires)
        {
            rows.Put(
                RowKeys.Expiry(expires, record.Version.Sequence),
                Rows.WriteExpiry(new ExpiryRow(bucket.Name, record.Key, record.Version.Sequence, "")));
        }
    }

    private static void WriteInline(RowTransaction rows, BucketRecord bucket, ObjectRecord record)
    {
        if (!record.Payload.Inline.IsEmpty)
        {
            rows.Put(RowKeys.Inline(bucket.Uid, record.Version.Sequence), record.Payload.Inline.ToArray());
        }
    }

    private static void DropExpiry(RowTransaction rows, ObjectRecord record)
    {
        if (record.Expires is { } expires)
        {
            rows.Delete(RowKeys.Expiry(expires, record.Version.Sequence));
        }
    }

    private static VersionId NewVersion(RowTransaction rows, out ulong sequence)
    {
        sequence = rows.NextSequence();
        return new VersionId(sequence, rows.Entropy.NewNumber() >> 1);
    }

    private static IReadOnlyList<(byte[] Key, byte[] Value)> Older(RowTransaction rows, ulong bucket, string key)
    {
        var from = new KeyBuilder(RowKeys.ObjectTable).Number(bucket).Text(key).Number(1).ToArray();
        return rows.Scan(from, new KeyBuilder(RowKeys.ObjectTable).Number(bucket).Begin(key).Byte(0).Byte(2).ToArray());
    }

    private static bool Names(VersionSelector version, ObjectSummary record) =>
        version.NullVersion ? record.IsNullVersion : version.Version == record.Version;

    private static ObjectRecord Read(RowTransaction rows, ulong bucket, string key, byte[] row, bool isLatest) => Rows.ReadObject(
        key, row, isLatest, sequence => rows.Get(RowKeys.Extra(bucket, sequence)), sequence => rows.Get(RowKeys.Inline(bucket, sequence)));

    private static Usage Add(in Usage usage, long objects = 0, long bytes = 0, long noncurrent = 0, long noncurrentBytes = 0) => new(
        usage.Objects + objects, usage.Bytes + bytes, usage.NoncurrentVersions + noncurrent, usage.NoncurrentBytes + noncurrentBytes);
}

using System.Collections.Immutable;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>What happens to multipart uploads inside a commit.</summary>
internal static class UploadOperations
{
    /// <summary>How long a completed upload is remembered, so that a repeated completion gets the same answer.</summary>
    private static readonly TimeSpan CompletedKept = TimeSpan.FromDays(7);

    public static Outcome<UploadRecord> Start(RowTransaction rows, StartUpload request)
    {
        if (BucketOperations.Find(rows, request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        var upload = new UploadRecord
        {
            Id = new UploadId(rows.Entropy.NewGuid().ToString("n")),
            Object = request.Object,
            Initiated = request.Now,
            Initiator = request.Initiator,
        };
        rows.Put(RowKeys.Upload(bucket.Uid, request.Object.Key, upload.Id), Rows.WriteUpload(upload));
        return upload;
    }

    public static Outcome<PartRecord> PutPart(
        RowTransaction rows, BucketName name, string key, UploadId id, PartRecord part, DateTimeOffset now)
    {
        if (BucketOperations.Find(rows, name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        if (Find(rows, bucket, key, id) is not { Completed: null })
        {
            return EngineStatus.NoSuchUpload;
        }

        var rowKey = RowKeys.Part(bucket.Uid, id, part.Number);
        if (rows.Get(rowKey) is { } earlier)
        {
            BucketOperations.Release(rows, Rows.ReadPart(part.Number, earlier).Payload, now);
        }

        rows.Put(rowKey, Rows.WritePart(part));
        BucketOperations.Refer(rows, part.Payload);
        return part;
    }

    public static Outcome<ObjectRecord> Complete(RowTransaction rows, CompleteUpload request, DateTimeOffset now)
    {
        if (BucketOperations.Find(rows, request.Bucket) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        if (Find(rows, bucket, request.Key, request.Upload) is not { } upload)
        {
            return EngineStatus.NoSuchUpload;
        }

        if (upload.Completed is { } done)
        {
            return done;
        }

        var extents = ImmutableArray.CreateBuilder<Extent>();
        var parts = ImmutableArray.CreateBuilder<PartSummary>(request.Parts.Length);
        var named = new HashSet<int>();
        var last = 0;
        foreach (var (number, etag) in request.Parts)
        {
            if (number <= last)
            {
                return EngineStatus.InvalidPartOrder;
            }

            last = number;
            if (rows.Get(RowKeys.Part(bucket.Uid, request.Upload, number)) is not { } row
                || Rows.ReadPart(number, row) is not { } part || part.ETag != etag)
            {
                return EngineStatus.InvalidPart;
            }

            named.Add(number);
            extents.AddRange(part.Payload.Extents);
            parts.Add(new PartSummary(number, part.SizeBytes, part.ETag, part.Checksums));
        }

        var size = parts.Sum(p => p.SizeBytes);
        var record = request.Object with
        {
            Key = request.Key,
            SizeBytes = size,
            Payload = new Payload { LengthBytes = size, Extents = extents.ToImmutable() },
            Parts = parts.ToImmutable(),
        };
        var outcome = ObjectOperations.Put(rows, bucket, record, request.Conditions, now);
        if (!outcome.IsOk)
        {
            return outcome;
        }

        DropParts(rows, bucket, request.Upload, keep: named, now);
        rows.Put(RowKeys.Upload(bucket.Uid, request.Key, request.Upload), Rows.WriteUpload(upload with { Completed = outcome.Value }));
        rows.Put(
            RowKeys.Expiry(now + CompletedKept, outcome.Value!.Generation),
            Rows.WriteExpiry(new ExpiryRow(bucket.Name, request.Key, 0, request.Upload.Value)));
        return outcome;
    }

    public static EngineStatus Abort(RowTransaction rows, BucketName name, string key, UploadId id, DateTimeOffset now)
    {
        if (BucketOperations.Find(rows, name) is not { } bucket)
        {
            return EngineStatus.NoSuchBucket;
        }

        if (Find(rows, bucket, key, id) is not { Completed: null })
        {
            return EngineStatus.NoSuchUpload;
        }

        DropParts(rows, bucket, id, keep: [], now);
        rows.Delete(RowKeys.Upload(bucket.Uid, key, id));
        return EngineStatus.Ok;
    }

    private static UploadRecord? Find(RowTransaction rows, BucketRecord bucket, string key, UploadId id) =>
        rows.Get(RowKeys.Upload(bucket.Uid, key, id)) is { } row ? Rows.ReadUpload(key, id, row) : null;

    private static void DropParts(RowTransaction rows, BucketRecord bucket, UploadId id, HashSet<int> keep, DateTimeOffset now)
    {
        var prefix = RowKeys.Parts(bucket.Uid, id);
        foreach (var (key, value) in rows.Scan(prefix, RowKeys.After(prefix)))
        {
            var number = (int)System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(key.AsSpan(key.Length - 8));
            if (!keep.Contains(number))
            {
                BucketOperations.Release(rows, Rows.ReadPart(number, value).Payload, now);
            }

            rows.Delete(key);
        }
    }
}

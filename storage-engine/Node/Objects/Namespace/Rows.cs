using System.Collections.Immutable;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>Records to and from the values of rows; each begins with a format byte, and a new format is a new reader.</summary>
internal static class Rows
{
    private const byte Format = 1;

    /// <summary>What a listing does not need moves to a row of its own from this size on.</summary>
    private const int ExtraBytesMin = 384;

    [Flags]
    private enum ObjectFlags : byte
    {
        None = 0,
        NullVersion = 1,
        DeleteMarker = 2,
        HasExtra = 4,
        HasInline = 8,
        Expires = 16,
    }

    public static byte[] WriteUsage(in Usage usage, long buckets)
    {
        var row = new RecordWriter(Format);
        row.Number(usage.Objects);
        row.Number(usage.Bytes);
        row.Number(usage.NoncurrentVersions);
        row.Number(usage.NoncurrentBytes);
        row.Number(buckets);
        return row.ToArray();
    }

    public static Usage ReadUsage(byte[]? row, out long buckets)
    {
        buckets = 0;
        if (row is null)
        {
            return default;
        }

        var reader = new RecordReader(row, Format);
        var usage = new Usage(reader.Signed(), reader.Signed(), reader.Signed(), reader.Signed());
        buckets = reader.Signed();
        return usage;
    }

    public static byte[] WriteAccount(AccountRecord account)
    {
        var row = new RecordWriter(Format);
        row.Time(account.Created);
        row.Time(account.Modified);
        WriteQuota(row, account.Quota);
        row.Map(account.Metadata);
        row.Number(account.Generation);
        return row.ToArray();
    }

    public static AccountRecord ReadAccount(string name, byte[] row)
    {
        var reader = new RecordReader(row, Format);
        return new AccountRecord
        {
            Name = name,
            Created = reader.Time(),
            Modified = reader.Time(),
            Quota = ReadQuota(ref reader),
            Metadata = reader.Map(),
            Generation = reader.Number(),
        };
    }

    public static byte[] WriteBucket(BucketRecord bucket)
    {
        var row = new RecordWriter(Format);
        row.Number(bucket.Uid);
        row.Time(bucket.Created);
        row.Time(bucket.Modified);
        row.Text(bucket.Owner);
        row.Byte((byte)bucket.Versioning);
        WriteQuota(row, bucket.Quota);
        row.Map(bucket.Metadata);
        row.Number(bucket.Generation);
        if (bucket.ChangesKept > 0)
        {
            row.Number((ulong)bucket.ChangesKept);
        }

        return row.ToArray();
    }

    public static BucketRecord ReadBucket(BucketName name, byte[] row)
    {
        var reader = new RecordReader(row, Format);
        return new BucketRecord
        {
            Name = name,
            Uid = reader.Number(),
            Created = reader.Time(),
            Modified = reader.Time(),
            Owner = reader.Text(),
            Versioning = (BucketVersioning)reader.Byte(),
            Quota = ReadQuota(ref reader),
            Metadata = reader.Map(),
            Generation = reader.Number(),
            ChangesKept = reader.IsAtEnd ? 0 : (int)reader.Number(),
        };
    }

    /// <summary>The row that listings read, and the row for the rest when that is large.</summary>
    public static (byte[] Row, byte[]? Extra) WriteObject(ObjectRecord record)
    {
        var rest = new RecordWriter(Format);
        WriteRest(rest, record);
        var isLarge = rest.Length >= ExtraBytesMin;
        var flags = (record.IsNullVersion ? ObjectFlags.NullVersion : 0)
            | (record.IsDeleteMarker ? ObjectFlags.DeleteMarker : 0)
            | (isLarge ? ObjectFlags.HasExtra : 0)
            | (!record.Payload.Inline.IsEmpty ? ObjectFlags.HasInline : 0)
            | (record.Expires is not null ? ObjectFlags.Expires : 0);
        var row = new RecordWriter(Format);
        row.Byte((byte)flags);
        row.Number(record.Version.Sequence);
        row.Number(record.Version.Nonce);
        row.Number(record.Generation);
        row.Number(record.SizeBytes);
        row.Time(record.Modified);
        row.Text(record.ETag);
        row.Text(record.ContentType);
        row.Text(record.Owner);
        row.Text(record.StorageClass);
        row.Text(record.Note);
        if (record.Expires is { } expires)
        {
            row.Time(expires);
        }

        if (isLarge)
        {
            return (row.ToArray(), rest.ToArray());
        }

        row.Raw(rest.WrittenSpan);
        return (row.ToArray(), null);
    }

    public static ObjectSummary ReadSummary(string key, ReadOnlySpan<byte> row, bool isLatest)
    {
        var reader = new RecordReader(row, Format);
        return ReadHead<ObjectSummary>(ref reader, key, isLatest, out _);
    }

    /// <summary>The whole record; the other rows are fetched when this one says that they exist.</summary>
    public static ObjectRecord ReadObject(string key, ReadOnlySpan<byte> row, bool isLatest, Func<ulong, byte[]?> extra, Func<ulong, byte[]?> inline)
    {
        var reader = new RecordReader(row, Format);
        var record = ReadHead<ObjectRecord>(ref reader, key, isLatest, out var flags);
        var rest = (flags & ObjectFlags.HasExtra) == 0
            ? reader
            : new RecordReader(Present(extra(record.Version.Sequence), record, "extra"), Format);
        if ((flags & ObjectFlags.HasExtra) == 0)
        {
            _ = rest.Byte();
        }

        record = ReadRest(ref rest, record);
        return (flags & ObjectFlags.HasInline) == 0
            ? record
            : record with { Payload = record.Payload with { Inline = Present(inline(record.Version.Sequence), record, "inline") } };
    }

    /// <summary>The blobs that a row of the object table refers to; none when the rest of the record is in a row of its own.</summary>
    public static ImmutableArray<Extent> ReadObjectExtents(ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        var record = ReadHead<ObjectRecord>(ref reader, "", isLatest: true, out var flags);
        if ((flags & ObjectFlags.HasExtra) != 0)
        {
            return [];
        }

        _ = reader.Byte();
        return ReadRest(ref reader, record).Payload.Extents;
    }

    /// <summary>The blobs that the row with the rest of a record refers to.</summary>
    public static ImmutableArray<Extent> ReadExtraExtents(ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        return ReadRest(ref reader, new ObjectRecord { Key = "" }).Payload.Extents;
    }

    public static byte[] WriteUpload(UploadRecord upload)
    {
        var row = new RecordWriter(Format);
        row.Time(upload.Initiated);
        row.Text(upload.Initiator);
        WriteWhole(row, upload.Object);
        row.Byte(upload.Completed is null ? (byte)0 : (byte)1);
        if (upload.Completed is not null)
        {
            WriteWhole(row, upload.Completed);
        }

        return row.ToArray();
    }

    public static UploadRecord ReadUpload(string key, UploadId id, ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        var (initiated, initiator) = (reader.Time(), reader.Text());
        var record = ReadWhole(ref reader, key);
        return new UploadRecord
        {
            Id = id,
            Initiated = initiated,
            Initiator = initiator,
            Object = record,
            Completed = reader.Byte() == 1 ? ReadWhole(ref reader, key) : null,
        };
    }

    public static byte[] WritePart(PartRecord part)
    {
        var row = new RecordWriter(Format);
        row.Text(part.ETag);
        row.Number(part.SizeBytes);
        row.Time(part.Modified);
        row.Text(part.Checksums);
        row.Number(part.Payload.LengthBytes);
        row.Extents(part.Payload.Extents);
        return row.ToArray();
    }

    public static PartRecord ReadPart(int number, ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        return new PartRecord
        {
            Number = number,
            ETag = reader.Text(),
            SizeBytes = reader.Signed(),
            Modified = reader.Time(),
            Checksums = reader.Text(),
            Payload = new Payload { LengthBytes = reader.Signed(), Extents = reader.Extents() },
        };
    }

    public static byte[] WriteReference(long lengthBytes)
    {
        var row = new RecordWriter(Format);
        row.Number(lengthBytes);
        return row.ToArray();
    }

    public static long ReadReference(ReadOnlySpan<byte> row) => new RecordReader(row, Format).Signed();

    public static byte[] WriteReleased(DateTimeOffset at, ImmutableArray<Extent> extents)
    {
        var row = new RecordWriter(Format);
        row.Time(at);
        row.Extents(extents);
        return row.ToArray();
    }

    public static (DateTimeOffset At, ImmutableArray<Extent> Extents) ReadReleased(ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        return (reader.Time(), reader.Extents());
    }

    public static byte[] WriteExpiry(in ExpiryRow expiry)
    {
        var row = new RecordWriter(Format);
        row.Text(expiry.Bucket.Account);
        row.Text(expiry.Bucket.Name);
        row.Text(expiry.Key);
        row.Number(expiry.Sequence);
        row.Text(expiry.Upload);
        return row.ToArray();
    }

    public static ExpiryRow ReadExpiry(ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        return new ExpiryRow(new BucketName(reader.Text(), reader.Text()), reader.Text(), reader.Number(), reader.Text());
    }

    private static void WriteWhole(RecordWriter row, ObjectRecord record)
    {
        // Uploads keep no payload of their own.
        var (thin, extra) = WriteObject(record with { Payload = new Payload { LengthBytes = record.SizeBytes } });
        row.Number((ulong)thin.Length);
        row.Raw(thin);
        row.Number((ulong)(extra?.Length ?? 0));
        row.Raw(extra);
    }

    private static ObjectRecord ReadWhole(ref RecordReader reader, string key)
    {
        var thin = reader.Bytes();
        var extra = reader.Bytes().ToArray();
        return ReadObject(key, thin, isLatest: true, _ => extra, _ => null);
    }

    private static void WriteRest(RecordWriter row, ObjectRecord record)
    {
        row.Map(record.SystemMetadata);
        row.Map(record.UserMetadata);
        row.Number(record.Payload.LengthBytes);
        row.Extents(record.Payload.Extents);
        row.Number((ulong)record.Parts.Length);
        foreach (var part in record.Parts)
        {
            row.Number((ulong)part.Number);
            row.Number(part.SizeBytes);
            row.Text(part.ETag);
            row.Text(part.Checksums);
        }
    }

    private static ObjectRecord ReadRest(ref RecordReader reader, ObjectRecord record)
    {
        var (system, user) = (reader.Map(), reader.Map());
        var payload = new Payload { LengthBytes = reader.Signed(), Extents = reader.Extents() };
        var parts = new PartSummary[reader.Count()];
        for (var n = 0; n < parts.Length; n++)
        {
            parts[n] = new PartSummary((int)reader.Number(), reader.Signed(), reader.Text(), reader.Text());
        }

        return record with { SystemMetadata = system, UserMetadata = user, Payload = payload, Parts = [.. parts] };
    }

    private static T ReadHead<T>(ref RecordReader reader, string key, bool isLatest, out ObjectFlags flags)
        where T : ObjectSummary
    {
        flags = (ObjectFlags)reader.Byte();
        var version = new VersionId(reader.Number(), (uint)reader.Number());
        var (generation, size, modified) = (reader.Number(), reader.Signed(), reader.Time());
        var (etag, type, owner, storageClass, note) = (reader.Text(), reader.Text(), reader.Text(), reader.Text(), reader.Text());
        DateTimeOffset? expires = (flags & ObjectFlags.Expires) != 0 ? reader.Time() : null;
        ObjectSummary summary = typeof(T) == typeof(ObjectRecord) ? new ObjectRecord { Key = key } : new ObjectSummary { Key = key };
        return (T)(summary with
        {
            Version = version,
            IsNullVersion = (flags & ObjectFlags.NullVersion) != 0,
            IsDeleteMarker = (flags & ObjectFlags.DeleteMarker) != 0,
            IsLatest = isLatest,
            Generation = generation,
            SizeBytes = size,
            Modified = modified,
            ETag = etag,
            ContentType = type,
            Owner = owner,
            StorageClass = storageClass,
            Note = note,
            Expires = expires,
        });
    }

    private static byte[] Present(byte[]? row, ObjectSummary record, string what) =>
        row ?? throw new InvalidDataException($"The {what} row of version {record.Version} is missing.");

    private static void WriteQuota(RecordWriter row, Quota quota)
    {
        // 0 is no limit, everything else one more than the limit.
        row.Number(quota.BytesMax + 1 ?? 0);
        row.Number(quota.ObjectsMax + 1 ?? 0);
    }

    private static Quota ReadQuota(ref RecordReader reader)
    {
        var (bytes, objects) = (reader.Signed(), reader.Signed());
        return new Quota(bytes == 0 ? null : bytes - 1, objects == 0 ? null : objects - 1);
    }
}

/// <summary>Something that expires: a version of an object, or an upload.</summary>
internal readonly record struct ExpiryRow(BucketName Bucket, string Key, ulong Sequence, string Upload);

using System.Buffers.Binary;
using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>The changes that a bucket keeps: numbered rows beside its objects, as many as its settings say, the oldest dropped with each new one.</summary>
/// <remarks>
/// The row of number 0 says which there are. Rows of a bucket go wherever the bucket goes, so a number means the same after splits, merges
/// and restarts. When a bucket begins to keep changes, a number is left out: who watched it before learns that changes were missed.
/// </remarks>
internal static class ChangeLog
{
    private const byte Format = 1;

    /// <summary>Notes a change in the commit that makes it.</summary>
    public static void Note(RowTransaction rows, BucketRecord bucket, ChangeKind kind, ObjectSummary record, DateTimeOffset at)
    {
        if (bucket.ChangesKept == 0)
        {
            return;
        }

        var (first, last) = ReadRange(rows.Get(RowKeys.Change(bucket.Uid, 0)));
        rows.Put(RowKeys.Change(bucket.Uid, ++last), Write(kind, record, at));
        KeepOnly(rows, bucket, first, last);
    }

    /// <summary>Makes the rows follow new settings of the bucket.</summary>
    public static void Follow(RowTransaction rows, BucketRecord bucket, int keptBefore)
    {
        if (bucket.ChangesKept == keptBefore)
        {
            return;
        }

        var (first, last) = ReadRange(rows.Get(RowKeys.Change(bucket.Uid, 0)));
        if (keptBefore == 0)
        {
            (first, last) = (last + 2, last + 1);
        }

        KeepOnly(rows, bucket, first, last);
    }

    public static void Delete(RowTransaction rows, BucketRecord bucket)
    {
        if (rows.Get(RowKeys.Change(bucket.Uid, 0)) is { } row)
        {
            var (first, last) = ReadRange(row);
            KeepOnly(rows, bucket with { ChangesKept = 0 }, first, last);
            rows.Delete(RowKeys.Change(bucket.Uid, 0));
        }
    }

    public static ChangePage Read(IndexDatabase database, uint group, BucketRecord bucket, ulong after, int limit)
    {
        var (first, last) = ReadRange(database.Get(group, RowKeys.Change(bucket.Uid, 0)));
        var changes = ImmutableArray.CreateBuilder<ObjectChange>();
        if (after + 1 >= first)
        {
            using var cursor = database.OpenCursor(group);
            var prefix = RowKeys.Change(bucket.Uid, 0).AsSpan(..^8);
            for (cursor.Seek(RowKeys.Change(bucket.Uid, after + 1)); changes.Count < limit && cursor.IsValid && cursor.Key.StartsWith(prefix); cursor.Next())
            {
                changes.Add(Read(BinaryPrimitives.ReadUInt64BigEndian(cursor.Key[^8..]), cursor.Value));
            }
        }

        // What was read first may be older than what was read next.
        if (changes.Count > 0)
        {
            (first, last) = (Math.Max(first, changes[0].Number > after + 1 ? changes[0].Number : first), Math.Max(last, changes[^1].Number));
        }

        return new ChangePage(bucket.Uid, bucket.ChangesKept, first, last, after + 1 < first ? [] : changes.ToImmutable());
    }

    private static void KeepOnly(RowTransaction rows, BucketRecord bucket, ulong first, ulong last)
    {
        for (; first <= last && last - first >= (ulong)bucket.ChangesKept; first++)
        {
            rows.Delete(RowKeys.Change(bucket.Uid, first));
        }

        var range = new RecordWriter(Format);
        range.Number(first);
        range.Number(last);
        rows.Put(RowKeys.Change(bucket.Uid, 0), range.ToArray());
    }

    private static (ulong First, ulong Last) ReadRange(byte[]? row)
    {
        if (row is null)
        {
            return (1, 0);
        }

        var reader = new RecordReader(row, Format);
        return (reader.Number(), reader.Number());
    }

    private static byte[] Write(ChangeKind kind, ObjectSummary record, DateTimeOffset at)
    {
        var row = new RecordWriter(Format);
        row.Byte((byte)kind);
        row.Text(record.Key);
        row.Time(at);
        row.Number(record.Version.Sequence);
        row.Number(record.Version.Nonce);
        row.Byte(record.IsNullVersion ? (byte)1 : (byte)0);
        row.Number(record.SizeBytes);
        row.Text(record.ETag);
        return row.ToArray();
    }

    private static ObjectChange Read(ulong number, ReadOnlySpan<byte> row)
    {
        var reader = new RecordReader(row, Format);
        return new ObjectChange
        {
            Number = number,
            Kind = (ChangeKind)reader.Byte(),
            Key = reader.Text(),
            At = reader.Time(),
            Version = new VersionId(reader.Number(), (uint)reader.Number()),
            IsNullVersion = reader.Byte() != 0,
            SizeBytes = reader.Signed(),
            ETag = reader.Text(),
        };
    }
}

using System.Buffers.Binary;
using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Groups;

/// <summary>A row that a shard is given by the one whose place it takes; without a value it is deleted.</summary>
internal sealed record ImportedRow(byte[] Key, byte[]? Value);

/// <summary>Sends the rows of a shard to those that take its place: each to the one of its account.</summary>
/// <remarks>
/// Rows are sent as they are. The references to blobs do not say whose they are, so they are sent with the records that name the blobs.
/// Tables are read in the order of their letters: buckets come before everything that is found by a bucket's number.
/// </remarks>
internal sealed class ShardCopy(IndexShard source, ImmutableArray<ShardRange> targets, Func<int, ImmutableArray<ImportedRow>, Task> send)
{
    private const int PageBytes = 512 << 10;
    private readonly Dictionary<ulong, int> _shardOfBucket = [];
    private readonly Dictionary<int, (List<ImportedRow> Rows, int Bytes)> _pages = targets.ToDictionary(t => t.Shard, _ => (new List<ImportedRow>(), 0));

    /// <summary>Sends all rows as each is when its turn comes; what changes meanwhile is for <see cref="CatchUpAsync"/>.</summary>
    /// <param name="pause">Awaited after each page.</param>
    public async Task SendAllAsync(Func<Task> pause)
    {
        byte[] from = [1];
        while (true)
        {
            var rows = ReadPage(from);
            if (rows.Count == 0)
            {
                break;
            }

            foreach (var (key, value) in rows)
            {
                // The rows of a bucket that was made since are all among those that changed.
                if (!HasBucket(key) || _shardOfBucket.ContainsKey(BucketOf(key)))
                {
                    await SendAsync(key, value);
                }
            }

            from = [.. rows[^1].Key, 0];
            await pause();
        }

        await FlushAsync();
    }

    /// <summary>Sends what changed since it was asked last; how many rows that was.</summary>
    public async Task<int> CatchUpAsync(ChangedKeys changed)
    {
        var keys = changed.Take();
        var rows = keys.ConvertAll(key => (Key: key, Value: source.Inspect((database, group) => database.Get(group, key))));
        if (changed.IsIncomplete)
        {
            throw new ObjectEngineException(EngineFailure.Unavailable, $"What changes in shard {source.Number} is not known.");
        }

        // First, so that a blob's reference is gone before a promise never to refer to it again comes.
        foreach (var (key, _) in rows.Where(r => r.Value is null))
        {
            foreach (var target in targets)
            {
                await PutAsync(target.Shard, new ImportedRow(key, null));
            }
        }

        foreach (var (key, value) in rows)
        {
            if (value is not null)
            {
                await SendAsync(key, value);
            }
        }

        await FlushAsync();
        return keys.Count;
    }

    private List<(byte[] Key, byte[] Value)> ReadPage(byte[] from) => source.Inspect((database, group) =>
    {
        var rows = new List<(byte[], byte[])>();
        var bytes = 0;
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek(from); cursor.IsValid && bytes < PageBytes; cursor.Next())
        {
            rows.Add((cursor.Key.ToArray(), cursor.Value.ToArray()));
            bytes += cursor.Key.Length + cursor.Value.Length;
        }

        return rows;
    });

    private async Task SendAsync(byte[] key, byte[] value)
    {
        var row = new ImportedRow(key, value);
        switch (key[0])
        {
            case RowKeys.AccountTable or RowKeys.AccountUsageTable:
                await PutAsync(ShardOf(RowKeys.ReadText(key.AsSpan(1), out _)), row);
                break;
            case RowKeys.BucketTable:
                var account = RowKeys.ReadText(key.AsSpan(1), out _);
                _shardOfBucket[Rows.ReadBucket(new BucketName(account, ""), value).Uid] = ShardOf(account);
                await PutAsync(ShardOf(account), row);
                break;
            case RowKeys.UsageTable or RowKeys.InlineTable or RowKeys.UploadTable or RowKeys.ChangeTable:
                await PutAsync(ShardOfBucket(key), row);
                break;
            case RowKeys.ObjectTable:
                await PutAsync(ShardOfBucket(key), row);
                await ReferAsync(ShardOfBucket(key), Rows.ReadObjectExtents(value));
                break;
            case RowKeys.ExtraTable:
                await PutAsync(ShardOfBucket(key), row);
                await ReferAsync(ShardOfBucket(key), Rows.ReadExtraExtents(value));
                break;
            case RowKeys.PartTable:
                await PutAsync(ShardOfBucket(key), row);
                await ReferAsync(ShardOfBucket(key), Rows.ReadPart(0, value).Payload.Extents);
                break;
            case RowKeys.ExpiryTable:
                await PutAsync(ShardOf(Rows.ReadExpiry(value).Bucket.Account), row);
                break;
            case RowKeys.ReleasedTable:
                await PutAsync(targets[0].Shard, row);
                break;
            case RowKeys.CondemnedTable:
                foreach (var target in targets)
                {
                    await PutAsync(target.Shard, row);
                }

                break;
            case RowKeys.ReferenceTable or RowKeys.SequenceTable or RowKeys.ClosedTable:
                break;
            default:
                throw new InvalidDataException($"Shard {source.Number} has a row of table {key[0]:x2}, which this version does not know.");
        }
    }

    /// <summary>A reference that is gone since the record was read is among what changed.</summary>
    private async Task ReferAsync(int shard, ImmutableArray<Extent> extents)
    {
        foreach (var extent in extents)
        {
            var key = RowKeys.Reference(extent.Blob);
            if (source.Inspect((database, group) => database.Get(group, key)) is { } value)
            {
                await PutAsync(shard, new ImportedRow(key, value));
            }
        }
    }

    private async Task PutAsync(int shard, ImportedRow row)
    {
        var (rows, bytes) = _pages[shard];
        rows.Add(row);
        bytes += row.Key.Length + (row.Value?.Length ?? 0);
        _pages[shard] = (rows, bytes);
        if (bytes >= PageBytes)
        {
            await FlushAsync(shard);
        }
    }

    private async Task FlushAsync()
    {
        foreach (var target in targets)
        {
            await FlushAsync(target.Shard);
        }
    }

    private async Task FlushAsync(int shard)
    {
        var (rows, _) = _pages[shard];
        if (rows.Count > 0)
        {
            _pages[shard] = ([], 0);
            await send(shard, [.. rows]);
        }
    }

    private int ShardOf(string account) => ShardRange.Of(targets, ShardMap.HashOf(account));

    private int ShardOfBucket(byte[] key) => _shardOfBucket.TryGetValue(BucketOf(key), out var shard)
        ? shard
        : throw new InvalidDataException($"Shard {source.Number} has a row of bucket {BucketOf(key):x}, which it does not have.");

    private static bool HasBucket(byte[] key) => key[0] is RowKeys.UsageTable or RowKeys.InlineTable or RowKeys.UploadTable
        or RowKeys.ObjectTable or RowKeys.ExtraTable or RowKeys.PartTable or RowKeys.ChangeTable;

    private static ulong BucketOf(byte[] key) => BinaryPrimitives.ReadUInt64BigEndian(key.AsSpan(1));
}

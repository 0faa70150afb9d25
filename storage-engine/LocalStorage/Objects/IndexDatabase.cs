using System.Buffers.Binary;
using RocksDbSharp;

namespace Nephos.LocalStorage.Objects;

public sealed record IndexDatabaseOptions
{
    /// <summary>Memory for rows that are not yet on disk.</summary>
    public long WriteBufferBytes { get; init; } = 32L << 20;

    /// <summary>Memory for blocks read from disk.</summary>
    public long CacheBytes { get; init; } = 64L << 20;

    /// <summary>Values from this size on are kept outside the sorted tables, so that scans and compactions stay thin.</summary>
    public long SeparateValueBytes { get; init; } = 1024;
}

/// <summary>
/// The rows of all index replicas on one device, in RocksDB without a write-ahead log: the journal is the log. Every row of a group
/// begins with the group's number; each batch also says up to where the group's log has been taken in, in the same table, so
/// that what is on disk is always the state at one position.
/// </summary>
public sealed class IndexDatabase : IDisposable
{
    private const byte MetaTable = 0;
    private const int PrefixBytes = 4;
    private const int PersistedTier = 2;
    private static readonly WriteOptions WithoutLog = new WriteOptions().DisableWal(1);
    private static readonly ReadOptions OnlyDurable = new ReadOptions().SetReadTier(PersistedTier);
    private readonly RocksDb _db;
    private readonly Cache _cache;

    public IndexDatabase(string path, IndexDatabaseOptions options)
    {
        _cache = Cache.CreateLru((ulong)options.CacheBytes);
        var table = new BlockBasedTableOptions()
            .SetFilterPolicy(BloomFilterPolicy.Create(10, false))
            .SetBlockCache(_cache)
            .SetBlockSize(8 << 10)
            .SetFormatVersion(5);
        var db = new DbOptions()
            .SetCreateIfMissing(true)
            .SetWriteBufferSize((ulong)options.WriteBufferBytes)
            .SetMaxOpenFiles(512)
            .SetKeepLogFileNum(2)
            .SetStatsDumpPeriodSec(0)
            .SetMaxBackgroundFlushes(1)
            .SetMaxBackgroundCompactions(2)
            .SetLevelCompactionDynamicLevelBytes(true)
            .SetBlockBasedTableFactory(table);
        Native.Instance.rocksdb_options_set_enable_blob_files(db.Handle, 1);
        Native.Instance.rocksdb_options_set_min_blob_size(db.Handle, (ulong)options.SeparateValueBytes);
        Native.Instance.rocksdb_options_set_enable_blob_gc(db.Handle, 1);
        _db = RocksDb.Open(db, path);
    }

    /// <summary>Takes in one entry of a group's log.</summary>
    public void Apply(uint group, ReadOnlySpan<byte> batch, ulong epoch, ulong sequence)
    {
        using var changes = new WriteBatch();
        Span<byte> key = stackalloc byte[1024 * 4];
        Span<byte> end = stackalloc byte[1024 * 4];
        while (!batch.IsEmpty)
        {
            var kind = batch[0];
            batch = batch[1..];
            var row = WithPrefix(group, TakeKey(ref batch), key);
            switch (kind)
            {
                case IndexBatch.PutKind:
                    var length = BinaryPrimitives.ReadInt32LittleEndian(batch);
                    changes.Put((ReadOnlySpan<byte>)row, batch.Slice(4, length));
                    batch = batch[(4 + length)..];
                    break;
                case IndexBatch.DeleteKind:
                    changes.Delete((ReadOnlySpan<byte>)row);
                    break;
                case IndexBatch.DeleteRangeKind:
                    DeleteRange(changes, row, WithPrefix(group, TakeKey(ref batch), end));
                    break;
                default:
                    throw new InvalidDataException($"Unknown change {kind} in entry {epoch}:{sequence}.");
            }
        }

        PutApplied(changes, group, epoch, sequence);
        _db.Write(changes, WithoutLog);
    }

    /// <summary>The position up to which a group's log has been taken in.</summary>
    public (ulong Epoch, ulong Sequence) Applied(uint group) => ReadApplied(group, null);

    /// <summary>The same for what would be there after a crash.</summary>
    public (ulong Epoch, ulong Sequence) AppliedDurably(uint group) => ReadApplied(group, OnlyDurable);

    /// <summary>The value of a row, or null.</summary>
    public byte[]? Get(uint group, ReadOnlySpan<byte> key)
    {
        Span<byte> row = stackalloc byte[PrefixBytes + key.Length];
        return _db.Get(WithPrefix(group, key, row));
    }

    /// <summary>Rows of one group as they are now, in key order.</summary>
    public IndexCursor OpenCursor(uint group) => new(_db, group);

    /// <summary>Makes everything applied so far durable.</summary>
    public void Flush() => _db.Flush(new FlushOptions().SetWaitForFlush(true));

    /// <summary>Replaces all rows of a group by a copy of another replica's, durably; interrupted, it leaves the group empty.</summary>
    public (ulong Epoch, ulong Sequence) CopyFrom(IndexDatabase source, uint group, CancellationToken cancellationToken)
    {
        Clear(group);
        using var snapshot = source._db.CreateSnapshot();
        var options = new ReadOptions().SetSnapshot(snapshot).SetFillCache(false);
        using var cursor = new IndexCursor(source._db, group, options);
        var applied = source.ReadApplied(group, options);
        var changes = new WriteBatch();
        var bytes = 0;
        Span<byte> key = stackalloc byte[1024 * 4];
        for (cursor.Seek([]); cursor.IsValid; cursor.Next())
        {
            if (cursor.Key[0] == MetaTable)
            {
                continue;
            }

            changes.Put((ReadOnlySpan<byte>)WithPrefix(group, cursor.Key, key), cursor.Value);
            bytes += cursor.Value.Length;
            if (bytes > 4 << 20)
            {
                cancellationToken.ThrowIfCancellationRequested();
                _db.Write(changes, WithoutLog);
                changes.Clear();
                bytes = 0;
            }
        }

        PutApplied(changes, group, applied.Epoch, applied.Sequence);
        _db.Write(changes, WithoutLog);
        changes.Dispose();
        Flush();
        return applied;
    }

    /// <summary>Removes all rows of a group, durably.</summary>
    public void Clear(uint group)
    {
        using var changes = new WriteBatch();
        Span<byte> from = stackalloc byte[PrefixBytes];
        Span<byte> to = stackalloc byte[PrefixBytes];
        BinaryPrimitives.WriteUInt32BigEndian(from, group);
        BinaryPrimitives.WriteUInt32BigEndian(to, group + 1);
        DeleteRange(changes, from, to);
        _db.Write(changes, WithoutLog);
        Flush();
    }

    public void Dispose() => _db.Dispose();

    private static void DeleteRange(WriteBatch changes, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to) =>
        changes.DeleteRange(from.ToArray(), (ulong)from.Length, to.ToArray(), (ulong)to.Length);

    private static ReadOnlySpan<byte> TakeKey(ref ReadOnlySpan<byte> batch)
    {
        var length = BinaryPrimitives.ReadUInt16LittleEndian(batch);
        var key = batch.Slice(2, length);
        batch = batch[(2 + length)..];
        return key;
    }

    private static Span<byte> WithPrefix(uint group, ReadOnlySpan<byte> key, Span<byte> row)
    {
        BinaryPrimitives.WriteUInt32BigEndian(row, group);
        key.CopyTo(row[PrefixBytes..]);
        return row[..(PrefixBytes + key.Length)];
    }

    private static void PutApplied(WriteBatch changes, uint group, ulong epoch, ulong sequence)
    {
        Span<byte> row = stackalloc byte[PrefixBytes + 1];
        Span<byte> value = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(value, epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(value[8..], sequence);
        changes.Put((ReadOnlySpan<byte>)WithPrefix(group, [MetaTable], row), value);
    }

    private (ulong Epoch, ulong Sequence) ReadApplied(uint group, ReadOptions? options)
    {
        Span<byte> row = stackalloc byte[PrefixBytes + 1];
        var value = _db.Get((ReadOnlySpan<byte>)WithPrefix(group, [MetaTable], row), readOptions: options);
        return value is null
            ? default
            : (BinaryPrimitives.ReadUInt64LittleEndian(value), BinaryPrimitives.ReadUInt64LittleEndian(value.AsSpan(8)));
    }
}

/// <summary>Walks the rows of one group in key order. One thread at a time; the spans are valid until the next move.</summary>
public sealed class IndexCursor : IDisposable
{
    private readonly Iterator _iterator;
    private readonly uint _group;

    internal IndexCursor(RocksDb db, uint group, ReadOptions? options = null)
    {
        _group = group;
        _iterator = db.NewIterator(null, options);
    }

    public bool IsValid { get; private set; }

    /// <summary>The key without the group's number.</summary>
    public ReadOnlySpan<byte> Key => _iterator.GetKeySpan()[4..];

    public ReadOnlySpan<byte> Value => _iterator.GetValueSpan();

    /// <summary>Moves to the first key that is not less.</summary>
    public void Seek(ReadOnlySpan<byte> key)
    {
        Span<byte> row = stackalloc byte[4 + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(row, _group);
        key.CopyTo(row[4..]);
        _iterator.Seek(row);
        Check();
    }

    /// <summary>Moves to the last key that is less.</summary>
    public void SeekBefore(ReadOnlySpan<byte> key)
    {
        Span<byte> row = stackalloc byte[4 + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(row, _group);
        key.CopyTo(row[4..]);
        _iterator.SeekForPrev(row);
        if (_iterator.Valid() && _iterator.GetKeySpan().SequenceEqual(row))
        {
            _iterator.Prev();
        }

        Check();
    }

    public void Next()
    {
        _iterator.Next();
        Check();
    }

    public void Previous()
    {
        _iterator.Prev();
        Check();
    }

    public void Dispose() => _iterator.Dispose();

    private void Check() =>
        IsValid = _iterator.Valid() && BinaryPrimitives.ReadUInt32BigEndian(_iterator.GetKeySpan()) == _group;
}

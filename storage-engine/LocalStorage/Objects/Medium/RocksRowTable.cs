using RocksDbSharp;

namespace Nephos.LocalStorage.Objects;

/// <summary>A table in RocksDB without a write-ahead log.</summary>
internal sealed class RocksRowTable : IRowTable
{
    private const int PersistedTier = 2;
    private static readonly WriteOptions WithoutLog = new WriteOptions().DisableWal(1);
    private static readonly ReadOptions OnlyDurable = new ReadOptions().SetReadTier(PersistedTier);
    private static readonly ReadOptions PastTheCache = new ReadOptions().SetFillCache(false);
    private readonly RocksDb _db;

    // The options hold no reference to it.
    private readonly Cache _cache;

    public RocksRowTable(string path, RowTableOptions options)
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
        if (options.SeparateValueBytes is { } separate)
        {
            Native.Instance.rocksdb_options_set_enable_blob_files(db.Handle, 1);
            Native.Instance.rocksdb_options_set_min_blob_size(db.Handle, (ulong)separate);
            Native.Instance.rocksdb_options_set_enable_blob_gc(db.Handle, 1);
        }

        _db = RocksDb.Open(db, path);
    }

    public byte[]? Get(ReadOnlySpan<byte> key) => _db.Get(key);

    public bool TryGet(ReadOnlySpan<byte> key, Span<byte> value) => _db.GetFixedSizeValue(key, value);

    public byte[]? GetDurable(ReadOnlySpan<byte> key) => _db.Get(key, readOptions: OnlyDurable);

    public IRowBatch NewBatch() => new Batch();

    public void Write(IRowBatch batch) => _db.Write(((Batch)batch).Native, WithoutLog);

    public IRowCursor OpenCursor(bool fillCache) => new Cursor(_db.NewIterator(null, fillCache ? null : PastTheCache));

    public long EstimateCount() => long.TryParse(_db.GetProperty("rocksdb.estimate-num-keys"), out var count) ? count : 0;

    public void Flush() => _db.Flush(new FlushOptions().SetWaitForFlush(true));

    public void Dispose()
    {
        _db.Dispose();
        GC.KeepAlive(_cache);
    }

    private sealed class Batch : IRowBatch
    {
        public WriteBatch Native { get; } = new();

        public int Count => Native.Count();

        public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value) => Native.Put(key, value);

        public void Delete(ReadOnlySpan<byte> key) => Native.Delete(key);

        public void DeleteRange(ReadOnlySpan<byte> from, ReadOnlySpan<byte> toExclusive) =>
            Native.DeleteRange(from.ToArray(), (ulong)from.Length, toExclusive.ToArray(), (ulong)toExclusive.Length);

        public void Clear() => Native.Clear();

        public void Dispose() => Native.Dispose();
    }

    private sealed class Cursor(Iterator iterator) : IRowCursor
    {
        public bool IsValid => iterator.Valid();

        public ReadOnlySpan<byte> Key => iterator.GetKeySpan();

        public ReadOnlySpan<byte> Value => iterator.GetValueSpan();

        public void Seek(ReadOnlySpan<byte> key) => iterator.Seek(key);

        public void SeekForPrevious(ReadOnlySpan<byte> key) => iterator.SeekForPrev(key);

        public void Next() => iterator.Next();

        public void Previous() => iterator.Prev();

        public void Dispose() => iterator.Dispose();
    }
}

using RocksDbSharp;

namespace Nephos.LocalStorage.Objects;

/// <summary>A table in RocksDB without a write-ahead log.</summary>
internal sealed class RocksRowTable : IRowTable
{
    private const int PersistedTier = 2;
    private const int ForceCollection = 0;
    private const long GarbageBytesMin = 64L << 20;

    /// <summary>The share of the oldest separate values that one collection writes anew.</summary>
    private const double CollectedShare = 0.25;
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
        }

        _db = RocksDb.Open(db, path);
    }

    public byte[]? Get(ReadOnlySpan<byte> key) => _db.Get(key);

    public bool TryGet(ReadOnlySpan<byte> key, Span<byte> value) => _db.GetFixedSizeValue(key, value);

    public byte[]? GetDurable(ReadOnlySpan<byte> key) => _db.Get(key, readOptions: OnlyDurable);

    public IRowBatch NewBatch() => new Batch();

    public void Write(IRowBatch batch) => _db.Write(((Batch)batch).Native, WithoutLog);

    public IRowCursor OpenCursor(bool fillCache) => new Cursor(_db.NewIterator(null, fillCache ? null : PastTheCache));

    public long EstimateCount() => Property("rocksdb.estimate-num-keys");

    public void Flush() => _db.Flush(new FlushOptions().SetWaitForFlush(true));

    public void CollectGarbage()
    {
        // Left to the compactions, every one of them would write the oldest values again, garbage among them or not.
        var garbage = Property("rocksdb.live-blob-file-garbage-size");
        if (garbage < GarbageBytesMin || garbage < Property("rocksdb.live-blob-file-size") / 2)
        {
            return;
        }

        var options = Native.Instance.rocksdb_compactoptions_create();
        try
        {
            Native.Instance.rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
            Native.Instance.rocksdb_compactoptions_set_blob_garbage_collection_policy(options, ForceCollection);
            Native.Instance.rocksdb_compactoptions_set_blob_garbage_collection_age_cutoff(options, CollectedShare);
            Native.Instance.rocksdb_compact_range_opt(_db.Handle, options, (byte[]?)null, 0, null, 0);
        }
        finally
        {
            Native.Instance.rocksdb_compactoptions_destroy(options);
        }
    }

    public void Dispose()
    {
        _db.Dispose();
        GC.KeepAlive(_cache);
    }

    private long Property(string name) => long.TryParse(_db.GetProperty(name), out var value) ? value : 0;

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

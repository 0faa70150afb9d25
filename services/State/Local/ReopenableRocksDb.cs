using Nephos.Kernel.State;
using RocksDbSharp;

namespace Nephos.State.Local;

/// <summary>An open RocksDB, which can be closed and opened again between its uses. Safe for any number of threads.</summary>
internal sealed class ReopenableRocksDb : IDisposable
{
    private const int BlockCacheBytes = 64 * 1024 * 1024;
    private const int BloomBitsPerKey = 10;

    private readonly string _path;
    private readonly bool _readOnly;
    private readonly ReaderWriterLockSlim _gate = new();
    private RocksDb? _db;
    private bool _closed;

    /// <summary>Opens or creates it in a folder, which no other process has open.</summary>
    /// <exception cref="IOException">It cannot be opened: held by another process, damaged, no space.</exception>
    /// <param name="path">The folder.</param>
    /// <param name="readOnly">Nothing in the folder is changed, and nothing made.</param>
    public ReopenableRocksDb(string path, bool readOnly)
    {
        if (!readOnly)
        {
            Directory.CreateDirectory(path);
        }

        _path = path;
        _readOnly = readOnly;
        _db = Open();
    }

    /// <summary>The database for a use that ends when the result is disposed; not nested.</summary>
    /// <exception cref="ObjectDisposedException">It was closed.</exception>
    /// <exception cref="StateUnavailableException">The last reopening failed.</exception>
    public Use Enter()
    {
        _gate.EnterReadLock();
        if (_db is { } db)
        {
            return new Use(db, _gate);
        }

        var closed = _closed;
        _gate.ExitReadLock();
        throw closed
            ? new ObjectDisposedException("state store")
            : new StateUnavailableException($"The state store in {_path} could not be opened again.", null);
    }

    /// <summary>Waits until the uses there are have ended, closes and opens again; new uses wait meanwhile.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public void Reopen()
    {
        _gate.EnterWriteLock();
        try
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            _db?.Dispose();
            _db = null;
            _db = Open();
        }
        finally
        {
            _gate.ExitWriteLock();
        }
    }

    /// <summary>Waits until the uses there are have ended, and closes.</summary>
    public void Dispose()
    {
        _gate.EnterWriteLock();
        try
        {
            _closed = true;
            _db?.Dispose();
            _db = null;
        }
        finally
        {
            _gate.ExitWriteLock();
        }
    }

    private RocksDb Open()
    {
        var table = new BlockBasedTableOptions()
            .SetBlockCache(Cache.CreateLru(BlockCacheBytes))
            .SetFilterPolicy(BloomFilterPolicy.Create(BloomBitsPerKey, false));
        var options = new DbOptions()
            .SetCreateIfMissing(!_readOnly)
            .SetKeepLogFileNum(4)
            // Everything is written with a sync, so that only the torn tail of a log may be missing; anything else is damage.
            .SetWalRecoveryMode(Recovery.TolerateCorruptedTailRecords);
        var families = new ColumnFamilies(new ColumnFamilyOptions().SetBlockBasedTableFactory(table).SetCompression(Compression.Lz4));
        try
        {
            return _readOnly ? RocksDb.OpenReadOnly(options, _path, families, false) : RocksDb.Open(options, _path, families);
        }
        catch (RocksDbException e)
        {
            var remedy = e.Message.Contains("No space left on device", StringComparison.Ordinal) ? $" Free space in {_path}." : "";
            throw new IOException($"The state store in {_path} cannot be opened: {e.Message.TrimEnd()}.{remedy}", e);
        }
    }

    internal readonly ref struct Use(RocksDb db, ReaderWriterLockSlim gate)
    {
        public RocksDb Db => db;

        public void Dispose() => gate.ExitReadLock();
    }
}

using System.Buffers.Binary;
using System.Text;
using Nephos.Kernel.State;
using RocksDbSharp;

namespace Nephos.State.Local;

/// <summary>Keeps the entries in RocksDB.</summary>
/// <remarks>
/// One column family; the first byte of a key says what it is. Integers little-endian, in keys big-endian:
/// <c>00 "format"</c> u32 version of this layout, 1 | <c>00 "revision"</c> i64 of the newest commit |
/// <c>01 KEY</c> i64 revision, i64 lease or 0, value | <c>02 LEASE</c> i64 time to live in seconds | <c>03 LEASE KEY</c> empty: the key
/// hangs on the lease. The revision is in the same write as what it numbers, and an iterator sees both of one moment. RocksDB has a
/// checksum on each block and each log record.
/// </remarks>
internal sealed class RocksDbEngine : ILocalEngine
{
    public const uint FormatVersion = 1;

    private const byte RecordMark = 1, LeaseMark = 2, LeasedMark = 3;
    private const int HeaderBytes = 16;

    private static readonly byte[] FormatKey = "\0format"u8.ToArray(), RevisionKey = "\0revision"u8.ToArray();

    private readonly string _path;
    private readonly long _reservedBytes;
    private readonly ReopenableRocksDb _database;
    private readonly WriteOptions _durable = new WriteOptions().SetSync(true);

    /// <summary>Opens or creates the store in a folder, which no other process has open.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="reservedBytes">With less free on its disk nothing is written.</param>
    /// <exception cref="InvalidDataException">The folder holds a layout that this program does not know.</exception>
    /// <exception cref="IOException">It cannot be opened: held by another process, damaged, no space.</exception>
    public RocksDbEngine(string path, long reservedBytes)
        : this(path, reservedBytes, readOnly: false)
    {
    }

    private RocksDbEngine(string path, long reservedBytes, bool readOnly)
    {
        _path = path;
        _reservedBytes = reservedBytes;
        _database = new ReopenableRocksDb(path, readOnly);
        try
        {
            CheckFormat(path, readOnly);
        }
        catch
        {
            _database.Dispose();
            throw;
        }
    }

    /// <summary>Opens a store that no process writes to, for reading: nothing in its folder is changed.</summary>
    /// <exception cref="InvalidDataException">The folder holds no store, or a layout that this program does not know.</exception>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public static RocksDbEngine OpenReadOnly(string path) => new(path, reservedBytes: 0, readOnly: true);

    public long ReadRevision() => ReadRevision(RevisionKey);

    public IReadOnlyList<StoredLease> ReadLeases()
    {
        using var use = _database.Enter();
        var leases = new Dictionary<LeaseId, (TimeSpan TimeToLive, List<string> Keys)>();
        using var iterator = use.Db.NewIterator();
        for (iterator.Seek([LeaseMark]); iterator.Valid(); iterator.Next())
        {
            var key = iterator.GetKeySpan();
            var id = new LeaseId(BinaryPrimitives.ReadInt64BigEndian(key[1..]));
            if (key[0] == LeaseMark)
            {
                leases.Add(id, (TimeSpan.FromSeconds(BinaryPrimitives.ReadInt64LittleEndian(iterator.GetValueSpan())), []));
            }
            else
            {
                leases[id].Keys.Add(Encoding.UTF8.GetString(key[(1 + sizeof(long))..]));
            }
        }

        return [.. leases.Select(lease => new StoredLease(lease.Key, lease.Value.TimeToLive, lease.Value.Keys))];
    }

    public StateEntry? Get(string key)
    {
        using var use = _database.Enter();
        return use.Db.Get(RecordKey(key)) is { } stored ? Entry(key, stored) : null;
    }

    public long RevisionOf(string key) => ReadRevision(RecordKey(key));

    public StateScan GetMany(IReadOnlyList<string> keys)
    {
        using var use = _database.Enter();
        using var iterator = use.Db.NewIterator();
        var revision = RevisionSeenBy(iterator);
        var entries = new List<StateEntry>(keys.Count);
        foreach (var key in keys)
        {
            var stored = RecordKey(key);
            if (iterator.Seek(stored).Valid() && iterator.GetKeySpan().SequenceEqual(stored))
            {
                entries.Add(Entry(key, iterator.Value()));
            }
        }

        return new StateScan(entries, revision, More: false);
    }

    public StateScan Scan(string fromInclusive, string toExclusive, int limit)
    {
        using var use = _database.Enter();
        using var iterator = use.Db.NewIterator();
        var revision = RevisionSeenBy(iterator);
        var end = EndKey(toExclusive);
        var entries = new List<StateEntry>();
        for (iterator.Seek(RecordKey(fromInclusive)); iterator.Valid() && IsBefore(iterator, end); iterator.Next())
        {
            if (entries.Count == limit)
            {
                return new StateScan(entries, revision, More: true);
            }

            entries.Add(Entry(Encoding.UTF8.GetString(iterator.GetKeySpan()[1..]), iterator.Value()));
        }

        return new StateScan(entries, revision, More: false);
    }

    public bool AnyWrittenAfter(long revision, string fromInclusive, string toExclusive, Func<string, bool> passOver)
    {
        using var use = _database.Enter();
        using var iterator = use.Db.NewIterator();
        var end = EndKey(toExclusive);
        for (iterator.Seek(RecordKey(fromInclusive)); iterator.Valid() && IsBefore(iterator, end); iterator.Next())
        {
            if (BinaryPrimitives.ReadInt64LittleEndian(iterator.GetValueSpan()) > revision
                && !passOver(Encoding.UTF8.GetString(iterator.GetKeySpan()[1..])))
            {
                return true;
            }
        }

        return false;
    }

    public void Write(EngineBatch batch)
    {
        using var use = _database.Enter();
        using var writes = new WriteBatch();
        foreach (var (key, entry) in batch.Entries)
        {
            var stored = RecordKey(key);
            if (entry is null)
            {
                writes.Delete(stored);
            }
            else
            {
                writes.Put(stored, Encode(entry));
            }
        }

        foreach (var (lease, timeToLive) in batch.Leases)
        {
            var stored = LeaseKey(LeaseMark, lease, "");
            if (timeToLive is null)
            {
                writes.Delete(stored);
            }
            else
            {
                writes.Put(stored, Int64((long)timeToLive.Value.TotalSeconds));
            }
        }

        foreach (var (lease, key, on) in batch.LeasedKeys)
        {
            var stored = LeaseKey(LeasedMark, lease, key);
            if (on)
            {
                writes.Put(stored, Array.Empty<byte>());
            }
            else
            {
                writes.Delete(stored);
            }
        }

        writes.Put(RevisionKey, Int64(batch.Revision));
        try
        {
            use.Db.Write(writes, _durable);
        }
        catch (RocksDbException e)
        {
            throw new IOException($"The state store cannot write: {e.Message}", e);
        }
    }

    /// <summary>Writes everything of one moment into a new folder on the same disk: files that never change are linked, not copied.</summary>
    /// <exception cref="IOException">The folder exists, or it cannot be written.</exception>
    public void CopyTo(string folder)
    {
        if (FindFull() is { } full)
        {
            throw full;
        }

        using var use = _database.Enter();
        using var checkpoint = use.Db.Checkpoint();
        try
        {
            checkpoint.Save(folder);
        }
        catch (RocksDbException e)
        {
            throw new IOException($"The state store cannot be copied to {folder}: {e.Message}", e);
        }
    }

    public StateFullException? FindFull()
    {
        long free;
        try
        {
            free = new DriveInfo(_path).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A write will tell.
            return null;
        }

        return free >= _reservedBytes
            ? null
            : new StateFullException(
                $"The disk of the state store is full: {free >> 20} MiB are free, and {_reservedBytes >> 20} MiB are kept back; free space in {_path}.");
    }

    public void Reopen() => _database.Reopen();

    public void Dispose() => _database.Dispose();

    /// <summary>A stored value: i64 revision, i64 lease, the bytes.</summary>
    internal static byte[] Encode(StateEntry entry)
    {
        var stored = new byte[HeaderBytes + entry.Value.Length];
        BinaryPrimitives.WriteInt64LittleEndian(stored, entry.Revision);
        BinaryPrimitives.WriteInt64LittleEndian(stored.AsSpan(sizeof(long)), entry.Lease.Value);
        entry.Value.Span.CopyTo(stored.AsSpan(HeaderBytes));
        return stored;
    }

    /// <exception cref="InvalidDataException">The stored value has no header.</exception>
    internal static StateEntry Entry(string key, byte[] stored)
    {
        if (stored.Length < HeaderBytes)
        {
            throw new InvalidDataException($"The entry '{key}' of the state store is cut short.");
        }

        var lease = new LeaseId(BinaryPrimitives.ReadInt64LittleEndian(stored.AsSpan(sizeof(long))));
        return new StateEntry(key, stored.AsMemory(HeaderBytes), BinaryPrimitives.ReadInt64LittleEndian(stored), lease);
    }

    private static byte[] RecordKey(string key)
    {
        var stored = new byte[1 + Encoding.UTF8.GetByteCount(key)];
        stored[0] = RecordMark;
        Encoding.UTF8.GetBytes(key, stored.AsSpan(1));
        return stored;
    }

    private static byte[] LeaseKey(byte mark, LeaseId lease, string key)
    {
        var stored = new byte[1 + sizeof(long) + Encoding.UTF8.GetByteCount(key)];
        stored[0] = mark;
        BinaryPrimitives.WriteInt64BigEndian(stored.AsSpan(1), lease.Value);
        Encoding.UTF8.GetBytes(key, stored.AsSpan(1 + sizeof(long)));
        return stored;
    }

    private static byte[] EndKey(string toExclusive) => toExclusive.Length == 0 ? [RecordMark + 1] : RecordKey(toExclusive);

    private static bool IsBefore(Iterator iterator, byte[] end) => iterator.GetKeySpan().SequenceCompareTo(end) < 0;

    private static byte[] Int64(long value)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes;
    }

    private static long RevisionSeenBy(Iterator iterator) =>
        iterator.Seek(RevisionKey).Valid() && iterator.GetKeySpan().SequenceEqual(RevisionKey)
            ? BinaryPrimitives.ReadInt64LittleEndian(iterator.GetValueSpan())
            : 0;

    private long ReadRevision(byte[] storedKey)
    {
        using var use = _database.Enter();
        return use.Db.Get(storedKey) is { } stored ? BinaryPrimitives.ReadInt64LittleEndian(stored) : 0;
    }

    private void CheckFormat(string path, bool readOnly)
    {
        using var use = _database.Enter();
        if (use.Db.Get(FormatKey) is { } stored)
        {
            var version = BinaryPrimitives.ReadUInt32LittleEndian(stored);
            if (version != FormatVersion)
            {
                throw new InvalidDataException($"The state store in {path} has format {version}; this program knows {FormatVersion}.");
            }

            return;
        }

        if (readOnly)
        {
            throw new InvalidDataException($"There is no state store in {path}.");
        }

        var format = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(format, FormatVersion);
        try
        {
            use.Db.Put(FormatKey, format, writeOptions: _durable);
        }
        catch (RocksDbException e)
        {
            throw new IOException($"The state store in {path} cannot be made: {e.Message}", e);
        }
    }
}

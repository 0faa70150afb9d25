using Nephos.LocalStorage.Objects;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>What is on disk of a table; null while nothing was flushed.</summary>
internal sealed class MemoryTableRows
{
    public MemoryTable.Version Durable { get; set; } = MemoryTable.Version.Empty;
}

/// <summary>
/// The twin of RocksDB without a write-ahead log: batches are atomic, cursors see the table as it was when they were opened, and a crash
/// leaves the state after some batch since the last flush.
/// </summary>
internal sealed class MemoryTable(MemoryTableRows rows, Random random, Action check) : IRowTable
{
    private Version _current = rows.Durable;

    // The arrays of the current version are also a cursor's or the disk's.
    private bool _isShared = true;

    public byte[]? Get(ReadOnlySpan<byte> key)
    {
        check();
        return _current.Find(key);
    }

    public bool TryGet(ReadOnlySpan<byte> key, Span<byte> value)
    {
        check();
        if (_current.Find(key) is not { } found || found.Length != value.Length)
        {
            return false;
        }

        found.CopyTo(value);
        return true;
    }

    public byte[]? GetDurable(ReadOnlySpan<byte> key) => rows.Durable.Find(key);

    public IRowBatch NewBatch() => new Batch();

    public void Write(IRowBatch batch)
    {
        check();
        if (_isShared)
        {
            (_current, _isShared) = (_current.Copy(), false);
        }

        foreach (var (from, to, value) in ((Batch)batch).Changes)
        {
            _current.Change(from, to, value);
        }

        // A memory table may be written out at any time.
        if (random.Next(30) == 0)
        {
            Flush();
        }
    }

    public IRowCursor OpenCursor(bool fillCache)
    {
        check();
        _isShared = true;
        return new Cursor(_current);
    }

    public long EstimateCount() => _current.Count;

    public void Flush()
    {
        check();
        (rows.Durable, _isShared) = (_current, true);
    }

    public void CollectGarbage() => check();

    public void Dispose()
    {
        Flush();
    }

    internal sealed class Version
    {
        private readonly List<byte[]> _keys;
        private readonly List<byte[]> _values;

        private Version(List<byte[]> keys, List<byte[]> values) => (_keys, _values) = (keys, values);

        public static Version Empty => new([], []);

        public int Count => _keys.Count;

        public Version Copy() => new([.. _keys], [.. _values]);

        public byte[] KeyAt(int index) => _keys[index];

        public byte[] ValueAt(int index) => _values[index];

        public byte[]? Find(ReadOnlySpan<byte> key)
        {
            var at = LowerBound(key);
            return at < _keys.Count && key.SequenceEqual(_keys[at]) ? [.. _values[at]] : null;
        }

        /// <summary>The index of the first key that is not less.</summary>
        public int LowerBound(ReadOnlySpan<byte> key)
        {
            var (low, high) = (0, _keys.Count);
            while (low < high)
            {
                var middle = (low + high) / 2;
                (low, high) = key.SequenceCompareTo(_keys[middle]) > 0 ? (middle + 1, high) : (low, middle);
            }

            return low;
        }

        /// <summary>A value puts, none removes; an end removes a range.</summary>
        public void Change(byte[] from, byte[]? to, byte[]? value)
        {
            var at = LowerBound(from);
            if (to is not null)
            {
                var count = Math.Max(0, LowerBound(to) - at);
                _keys.RemoveRange(at, count);
                _values.RemoveRange(at, count);
                return;
            }

            var isThere = at < _keys.Count && from.AsSpan().SequenceEqual(_keys[at]);
            if (value is not null && isThere)
            {
                _values[at] = value;
            }
            else if (value is not null)
            {
                _keys.Insert(at, from);
                _values.Insert(at, value);
            }
            else if (isThere)
            {
                _keys.RemoveAt(at);
                _values.RemoveAt(at);
            }
        }
    }

    private sealed class Batch : IRowBatch
    {
        public List<(byte[] From, byte[]? To, byte[]? Value)> Changes { get; } = [];

        public int Count => Changes.Count;

        public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value) => Changes.Add((key.ToArray(), null, value.ToArray()));

        public void Delete(ReadOnlySpan<byte> key) => Changes.Add((key.ToArray(), null, null));

        public void DeleteRange(ReadOnlySpan<byte> from, ReadOnlySpan<byte> toExclusive) =>
            Changes.Add((from.ToArray(), toExclusive.ToArray(), null));

        public void Clear() => Changes.Clear();

        public void Dispose()
        {
        }
    }

    private sealed class Cursor(Version version) : IRowCursor
    {
        private int _at = -1;

        public bool IsValid => _at >= 0 && _at < version.Count;

        public ReadOnlySpan<byte> Key => version.KeyAt(_at);

        public ReadOnlySpan<byte> Value => version.ValueAt(_at);

        public void Seek(ReadOnlySpan<byte> key) => _at = version.LowerBound(key);

        public void SeekForPrevious(ReadOnlySpan<byte> key)
        {
            _at = version.LowerBound(key);
            if (!IsValid || !key.SequenceEqual(Key))
            {
                _at--;
            }
        }

        public void Next() => _at++;

        public void Previous() => _at--;

        public void Dispose()
        {
        }
    }
}

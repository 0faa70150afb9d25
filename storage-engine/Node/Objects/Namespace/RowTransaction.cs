using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>
/// The rows of a shard as they are with the changes of the operations before in the same batch. Each operation's changes can be
/// undone until the next begins.
/// </summary>
internal sealed class RowTransaction(Func<byte[], byte[]?> read, Func<byte[], byte[], List<(byte[] Key, byte[] Value)>> scan, Entropy entropy)
{
    private readonly Dictionary<byte[], byte[]?> _changes = new(KeyComparer.Instance);

    // What the operations of a batch read in common, such as the bucket they are all in, is read once.
    private readonly Dictionary<byte[], byte[]?> _read = new(KeyComparer.Instance);
    private readonly List<(byte[] Key, bool WasChanged, byte[]? Before)> _undo = [];
    private int _sizeBefore;

    public Entropy Entropy { get; } = entropy;

    /// <summary>The sequences of a shard that has given out none begin behind this one.</summary>
    public ulong SequenceBase { get; init; }

    public IEnumerable<byte[]> ChangedKeys => _changes.Keys;

    /// <summary>Bytes of all changes, roughly.</summary>
    public int SizeBytes { get; private set; }

    public byte[]? Get(byte[] key)
    {
        if (_changes.TryGetValue(key, out var value) || _read.TryGetValue(key, out value))
        {
            return value;
        }

        return _read[key] = read(key);
    }

    public void Put(byte[] key, byte[] value) => Change(key, value);

    public void Delete(byte[] key) => Change(key, null);

    /// <summary>All rows with <paramref name="from"/> ≤ key &lt; <paramref name="toExclusive"/>, in order.</summary>
    public IReadOnlyList<(byte[] Key, byte[] Value)> Scan(byte[] from, byte[] toExclusive)
    {
        var rows = new SortedDictionary<byte[], byte[]>(KeyComparer.Instance);
        foreach (var (key, value) in scan(from, toExclusive))
        {
            rows[key] = value;
        }

        foreach (var (key, value) in _changes)
        {
            if (key.AsSpan().SequenceCompareTo(from) < 0 || key.AsSpan().SequenceCompareTo(toExclusive) >= 0)
            {
                continue;
            }

            if (value is null)
            {
                rows.Remove(key);
            }
            else
            {
                rows[key] = value;
            }
        }

        return [.. rows.Select(r => (r.Key, r.Value))];
    }

    /// <summary>A number greater than any given out before in this shard, and in those that it replaced.</summary>
    public ulong NextSequence()
    {
        var row = Get(RowKeys.Sequence);
        var next = (row is null ? SequenceBase : BitConverter.ToUInt64(row)) + 1;
        Put(RowKeys.Sequence, BitConverter.GetBytes(next));
        return next;
    }

    /// <summary>The changes from here on are those of one operation.</summary>
    public void Begin()
    {
        _undo.Clear();
        _sizeBefore = SizeBytes;
    }

    public void Undo()
    {
        for (var n = _undo.Count - 1; n >= 0; n--)
        {
            var (key, wasChanged, before) = _undo[n];
            if (wasChanged)
            {
                _changes[key] = before;
            }
            else
            {
                _changes.Remove(key);
            }
        }

        _undo.Clear();
        SizeBytes = _sizeBefore;
    }

    /// <summary>The body of the log entry; null when nothing changed.</summary>
    public byte[]? ToBody()
    {
        if (_changes.Count == 0)
        {
            return null;
        }

        var batch = new IndexBatch();
        foreach (var (key, value) in _changes)
        {
            if (value is null)
            {
                batch.Delete(key);
            }
            else
            {
                batch.Put(key, value);
            }
        }

        return batch.WrittenMemory.ToArray();
    }

    private void Change(byte[] key, byte[]? value)
    {
        var wasChanged = _changes.TryGetValue(key, out var before);
        _undo.Add((key, wasChanged, before));
        _changes[key] = value;
        SizeBytes += key.Length + (value?.Length ?? 0) + 8;
    }
}

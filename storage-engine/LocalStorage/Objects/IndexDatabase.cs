using System.Buffers.Binary;

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
/// The rows of all index replicas on one device, in a table without a log: the journal is the log. Every row of a group
/// begins with the group's number; each batch also says up to where the group's log has been taken in, in the same table, so
/// that what is on disk is always the state at one position.
/// </summary>
public sealed class IndexDatabase : IDisposable
{
    internal const byte MetaTable = 0;
    private const int PrefixBytes = 4;
    private readonly IRowTable _table;
    private readonly IWorker _collector;

    internal IndexDatabase(IDeviceMedium medium, string name, IndexDatabaseOptions options)
    {
        var table = new RowTableOptions(options.WriteBufferBytes, options.CacheBytes) { SeparateValueBytes = options.SeparateValueBytes };
        try
        {
            _table = medium.OpenTable(name, table);
        }
        catch (RocksDbSharp.RocksDbException)
        {
            // The replicas on this device begin anew from the others.
            medium.DeleteTable(name);
            _table = medium.OpenTable(name, table);
        }

        _collector = medium.StartWorker("index garbage", _table.CollectGarbage);
    }

    /// <summary>Takes in one entry of a group's log.</summary>
    public void Apply(uint group, ReadOnlySpan<byte> batch, ulong epoch, ulong sequence) => Write(group, batch, (epoch, sequence));

    private void Write(uint group, ReadOnlySpan<byte> batch, (ulong Epoch, ulong Sequence)? applied)
    {
        using var changes = _table.NewBatch();
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
                    changes.Put(row, batch.Slice(4, length));
                    batch = batch[(4 + length)..];
                    break;
                case IndexBatch.DeleteKind:
                    changes.Delete(row);
                    break;
                case IndexBatch.DeleteRangeKind:
                    changes.DeleteRange(row, WithPrefix(group, TakeKey(ref batch), end));
                    break;
                default:
                    throw new InvalidDataException($"Unknown change {kind} in a batch of group {group}.");
            }
        }

        if (applied is { } position)
        {
            PutApplied(changes, group, position.Epoch, position.Sequence);
        }

        _table.Write(changes);
    }

    /// <summary>The position up to which a group's log has been taken in.</summary>
    public (ulong Epoch, ulong Sequence) Applied(uint group) => ReadApplied(group, isDurable: false);

    /// <summary>The same for what would be there after a crash.</summary>
    public (ulong Epoch, ulong Sequence) AppliedDurably(uint group) => ReadApplied(group, isDurable: true);

    /// <summary>The value of a row, or null.</summary>
    public byte[]? Get(uint group, ReadOnlySpan<byte> key)
    {
        Span<byte> row = stackalloc byte[PrefixBytes + key.Length];
        return _table.Get(WithPrefix(group, key, row));
    }

    /// <summary>Rows of one group as they are now, in key order.</summary>
    public IndexCursor OpenCursor(uint group) => new(_table.OpenCursor(fillCache: true), group);

    /// <summary>Whether there is any row of a group.</summary>
    public bool HasRows(uint group)
    {
        using var cursor = OpenCursor(group);
        cursor.Seek([]);
        return cursor.IsValid;
    }

    /// <summary>Makes everything applied so far durable.</summary>
    public void Flush() => _table.Flush();

    /// <summary>The rows of a group as they are now, in pages for <see cref="Take"/>, whatever is applied meanwhile.</summary>
    public IndexCopy OpenCopy(uint group) => new(new IndexCursor(_table.OpenCursor(fillCache: false), group));

    /// <summary>Takes in a page of rows that were copied from another replica; the group was cleared before.</summary>
    public void Take(uint group, ReadOnlySpan<byte> page) => Write(group, page, null);

    /// <summary>All pages are in: the rows are the state at this position, durably.</summary>
    public void EndTake(uint group, ulong epoch, ulong sequence)
    {
        Write(group, default, (epoch, sequence));
        Flush();
    }

    /// <summary>Removes all rows of a group, durably.</summary>
    public void Clear(uint group)
    {
        using var changes = _table.NewBatch();
        Span<byte> from = stackalloc byte[PrefixBytes];
        Span<byte> to = stackalloc byte[PrefixBytes];
        BinaryPrimitives.WriteUInt32BigEndian(from, group);
        BinaryPrimitives.WriteUInt32BigEndian(to, group + 1);
        changes.DeleteRange(from, to);
        _table.Write(changes);
        Flush();
    }

    /// <summary>Frees the room of values that were replaced or deleted, in the background, when that is much.</summary>
    public void CollectGarbage() => _collector.Wake();

    public void Dispose()
    {
        _collector.Dispose();
        _table.Dispose();
    }

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

    private static void PutApplied(IRowBatch changes, uint group, ulong epoch, ulong sequence)
    {
        Span<byte> row = stackalloc byte[PrefixBytes + 1];
        Span<byte> value = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(value, epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(value[8..], sequence);
        changes.Put(WithPrefix(group, [MetaTable], row), value);
    }

    private (ulong Epoch, ulong Sequence) ReadApplied(uint group, bool isDurable)
    {
        Span<byte> row = stackalloc byte[PrefixBytes + 1];
        var key = WithPrefix(group, [MetaTable], row);
        return (isDurable ? _table.GetDurable(key) : _table.Get(key)) is { } value ? ToPosition(value) : default;
    }

    internal static (ulong Epoch, ulong Sequence) ToPosition(ReadOnlySpan<byte> value) =>
        (BinaryPrimitives.ReadUInt64LittleEndian(value), BinaryPrimitives.ReadUInt64LittleEndian(value[8..]));
}

/// <summary>A copy of a group's rows at one position, page by page. One caller at a time.</summary>
public sealed class IndexCopy : IDisposable
{
    private readonly IndexCursor _cursor;

    internal IndexCopy(IndexCursor cursor)
    {
        _cursor = cursor;
        _cursor.Seek([]);

        // The position is a row as well: the first one.
        if (_cursor.IsValid && _cursor.Key[0] == IndexDatabase.MetaTable)
        {
            Position = IndexDatabase.ToPosition(_cursor.Value);
            _cursor.Next();
        }
    }

    /// <summary>The log up to here is what the rows say.</summary>
    public (ulong Epoch, ulong Sequence) Position { get; }

    /// <summary>The next rows, a little more than the bytes wanted; empty at the end.</summary>
    public ReadOnlyMemory<byte> Next(int bytes)
    {
        var page = new IndexBatch();
        for (; _cursor.IsValid && page.SizeBytes < bytes; _cursor.Next())
        {
            page.Put(_cursor.Key, _cursor.Value);
        }

        return page.WrittenMemory;
    }

    public void Dispose() => _cursor.Dispose();
}

/// <summary>Walks the rows of one group in key order. One thread at a time; the spans are valid until the next move.</summary>
public sealed class IndexCursor : IDisposable
{
    private readonly IRowCursor _cursor;
    private readonly uint _group;

    internal IndexCursor(IRowCursor cursor, uint group) => (_cursor, _group) = (cursor, group);

    public bool IsValid { get; private set; }

    /// <summary>The key without the group's number.</summary>
    public ReadOnlySpan<byte> Key => _cursor.Key[4..];

    public ReadOnlySpan<byte> Value => _cursor.Value;

    /// <summary>Moves to the first key that is not less.</summary>
    public void Seek(ReadOnlySpan<byte> key)
    {
        Span<byte> row = stackalloc byte[4 + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(row, _group);
        key.CopyTo(row[4..]);
        _cursor.Seek(row);
        Check();
    }

    /// <summary>Moves to the last key that is less.</summary>
    public void SeekBefore(ReadOnlySpan<byte> key)
    {
        Span<byte> row = stackalloc byte[4 + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(row, _group);
        key.CopyTo(row[4..]);
        _cursor.SeekForPrevious(row);
        if (_cursor.IsValid && _cursor.Key.SequenceEqual(row))
        {
            _cursor.Previous();
        }

        Check();
    }

    public void Next()
    {
        _cursor.Next();
        Check();
    }

    public void Previous()
    {
        _cursor.Previous();
        Check();
    }

    public void Dispose() => _cursor.Dispose();

    private void Check() =>
        IsValid = _cursor.IsValid && BinaryPrimitives.ReadUInt32BigEndian(_cursor.Key) == _group;
}

namespace Nephos.LocalStorage.Objects;

/// <summary>How a table is tuned; sizes in bytes.</summary>
internal sealed record RowTableOptions(long WriteBufferBytes, long CacheBytes)
{
    /// <summary>Values from this size on are kept outside the sorted tables; null keeps all inside.</summary>
    public long? SeparateValueBytes { get; init; }
}

/// <summary>
/// Sorted rows without a log of their own. A batch is visible at once and as a whole; after a crash the table is as it was after
/// some batch, at least the last one before <see cref="Flush"/>. Reads from any thread.
/// </summary>
internal interface IRowTable : IDisposable
{
    byte[]? Get(ReadOnlySpan<byte> key);

    /// <summary>Reads a value of exactly the size of the buffer.</summary>
    bool TryGet(ReadOnlySpan<byte> key, Span<byte> value);

    /// <summary>The value as it would be after a crash now.</summary>
    byte[]? GetDurable(ReadOnlySpan<byte> key);

    IRowBatch NewBatch();

    void Write(IRowBatch batch);

    /// <summary>The rows as they are now, whatever is written later.</summary>
    IRowCursor OpenCursor(bool fillCache);

    long EstimateCount();

    void Flush();

    /// <summary>Frees room that values kept outside the sorted tables hold after they were replaced or deleted, when that is much. May take long.</summary>
    void CollectGarbage();
}

internal interface IRowBatch : IDisposable
{
    int Count { get; }

    void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value);

    void Delete(ReadOnlySpan<byte> key);

    void DeleteRange(ReadOnlySpan<byte> from, ReadOnlySpan<byte> toExclusive);

    void Clear();
}

/// <summary>Walks a table in key order. One thread at a time; the spans are valid until the next move.</summary>
internal interface IRowCursor : IDisposable
{
    bool IsValid { get; }

    ReadOnlySpan<byte> Key { get; }

    ReadOnlySpan<byte> Value { get; }

    /// <summary>Moves to the first key that is not less.</summary>
    void Seek(ReadOnlySpan<byte> key);

    /// <summary>Moves to the last key that is not greater.</summary>
    void SeekForPrevious(ReadOnlySpan<byte> key);

    void Next();

    void Previous();
}

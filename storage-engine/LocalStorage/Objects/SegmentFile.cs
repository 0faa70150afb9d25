namespace Nephos.LocalStorage.Objects;

/// <summary>One file of fixed size that holds records after its header. Writes are durable when they return.</summary>
internal abstract class SegmentFile(string name, SegmentHeader header) : IDisposable
{
    public string Name { get; } = name;

    public SegmentHeader Header { get; private set; } = header;

    public ulong Id => Header.Id;

    public long SizeBytes => Header.SizeBytes;

    /// <summary>Begins or ends a use of the file.</summary>
    public void Rename(SegmentHeader header)
    {
        using var buffer = new AlignedBuffer(SegmentHeader.HeaderBytes);
        header.Write(buffer.GetSpan());
        Span<IoVector> pieces = [new IoVector(buffer.Address, SegmentHeader.HeaderBytes)];
        Write(pieces, 0);
        Header = header;
    }

    public abstract void Write(Span<IoVector> pieces, long offset);

    public abstract int Read(long offset, Span<byte> destination);

    /// <summary>Reads what is in sequence on the disk into two buffers; returns the bytes read.</summary>
    public abstract int Read(long offset, Span<byte> first, Span<byte> second);

    public abstract void Dispose();
}

/// <summary>Durability of names: a rename survives a crash once its directory was synced.</summary>
public static class DurableDirectory
{
    public static void Sync(string path) => DirectIo.SyncDirectory(path);
}

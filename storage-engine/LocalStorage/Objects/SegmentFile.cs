using Microsoft.Win32.SafeHandles;

namespace Nephos.LocalStorage.Objects;

/// <summary>One file of fixed size that holds records after its header. Writes are durable when they return.</summary>
internal sealed class SegmentFile : IDisposable
{
    private readonly SafeFileHandle _writer;
    private readonly SafeFileHandle _reader;

    private SegmentFile(string path, SafeFileHandle writer, SafeFileHandle reader, SegmentHeader header)
    {
        Path = path;
        _writer = writer;
        _reader = reader;
        Header = header;
    }

    public string Path { get; }

    public SegmentHeader Header { get; private set; }

    public ulong Id => Header.Id;

    public long SizeBytes => Header.SizeBytes;

    /// <summary>Opens an existing file; null when its header is damaged (the caller decides what that means).</summary>
    public static SegmentFile? Open(string path)
    {
        var reader = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        Span<byte> bytes = new byte[SegmentHeader.HeaderBytes];
        if (RandomAccess.Read(reader, bytes, 0) < bytes.Length
            || !SegmentHeader.TryRead(bytes, out var header)
            || RandomAccess.GetLength(reader) < header.SizeBytes)
        {
            reader.Dispose();
            return null;
        }

        return new SegmentFile(path, DirectIo.OpenDurable(path, create: false), reader, header);
    }

    /// <summary>Writes a whole file of zeros with the header in front, under another name until it is durable.</summary>
    public static SegmentFile Create(string path, SegmentHeader header, CancellationToken cancellationToken)
    {
        var unfinished = path + ".new";
        using (var file = File.OpenHandle(unfinished, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
        {
            DirectIo.TryAllocate(file, header.SizeBytes);
            var zeros = new byte[1 << 20];
            for (long position = 0; position < header.SizeBytes; position += zeros.Length)
            {
                cancellationToken.ThrowIfCancellationRequested();
                RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, header.SizeBytes - position)), position);
            }

            Span<byte> first = zeros.AsSpan(0, SegmentHeader.HeaderBytes);
            header.Write(first);
            RandomAccess.Write(file, first, 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(unfinished, path, overwrite: true);
        DirectIo.SyncDirectory(System.IO.Path.GetDirectoryName(path)!);
        return Open(path) ?? throw new IOException($"{path} cannot be read back.");
    }

    /// <summary>Begins or ends a use of the file.</summary>
    public void Rename(SegmentHeader header)
    {
        using var buffer = new AlignedBuffer(SegmentHeader.HeaderBytes);
        header.Write(buffer.GetSpan());
        Span<IoVector> pieces = [new IoVector(buffer.Address, SegmentHeader.HeaderBytes)];
        DirectIo.WriteAll(_writer, pieces, 0);
        Header = header;
    }

    public void Write(Span<IoVector> pieces, long offset) => DirectIo.WriteAll(_writer, pieces, offset);

    public int Read(long offset, Span<byte> destination) => RandomAccess.Read(_reader, destination, offset);

    /// <summary>Reads what is in sequence on the disk into two buffers; returns the bytes read.</summary>
    public int Read(long offset, Span<byte> first, Span<byte> second) => DirectIo.ReadInto(_reader, offset, first, second);

    public void Dispose()
    {
        _writer.Dispose();
        _reader.Dispose();
    }
}

/// <summary>Durability of names: a rename survives a crash once its directory was synced.</summary>
public static class DurableDirectory
{
    public static void Sync(string path) => DirectIo.SyncDirectory(path);
}

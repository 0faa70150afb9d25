using Microsoft.Win32.SafeHandles;

namespace Nephos.LocalStorage.Objects;

/// <summary>Segments as files of a real directory, written past the page cache.</summary>
internal sealed class FileSegmentDirectory : ISegmentDirectory
{
    private const string Unfinished = ".new";
    private readonly string _path;

    public FileSegmentDirectory(string path)
    {
        _path = path;
        Directory.CreateDirectory(path);
        foreach (var leftover in Directory.GetFiles(path, "*" + Unfinished))
        {
            File.Delete(leftover);
        }
    }

    public IReadOnlyList<string> Names => [.. Directory.GetFiles(_path, "*.seg").Select(p => Path.GetFileName(p)).Order(StringComparer.Ordinal)];

    public long TotalBytes => Directory.Exists(_path) ? new DirectoryInfo(_path).EnumerateFiles("*.seg").Sum(f => f.Length) : 0;

    public SegmentFile? Open(string name)
    {
        var reader = File.OpenHandle(PathOf(name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        Span<byte> bytes = new byte[SegmentHeader.HeaderBytes];
        if (RandomAccess.Read(reader, bytes, 0) < bytes.Length
            || !SegmentHeader.TryRead(bytes, out var header)
            || RandomAccess.GetLength(reader) < header.SizeBytes)
        {
            reader.Dispose();
            return null;
        }

        DirectIo.ExpectRandomReads(reader);
        return new FileSegment(name, DirectIo.OpenDurable(PathOf(name), create: false), reader, header);
    }

    public SegmentFile Create(string name, SegmentHeader header, CancellationToken cancellationToken)
    {
        var unfinished = PathOf(name) + Unfinished;
        using (var file = File.OpenHandle(unfinished, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete))
        {
            // The journal's many small writes are quicker into blocks that were written before; a volume takes large ones, for
            // which writing everything twice would cost more than the kernel's note that a block is written now.
            var zeros = new byte[1 << 20];
            var isReserved = DirectIo.TryAllocate(file, header.SizeBytes);
            for (long position = 0; !(isReserved && header.Kind == SegmentKind.Volume) && position < header.SizeBytes; position += zeros.Length)
            {
                cancellationToken.ThrowIfCancellationRequested();
                RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, header.SizeBytes - position)), position);
            }

            Span<byte> first = zeros.AsSpan(0, SegmentHeader.HeaderBytes);
            header.Write(first);
            RandomAccess.Write(file, first, 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(unfinished, PathOf(name), overwrite: true);
        DirectIo.SyncDirectory(_path);
        return Open(name) ?? throw new IOException($"{PathOf(name)} cannot be read back.");
    }

    public void Delete(string name) => File.Delete(PathOf(name));

    public long SizeOf(string name) => new FileInfo(PathOf(name)).Length;

    public int ReadRaw(string name, long offset, Span<byte> destination)
    {
        using var file = File.OpenHandle(PathOf(name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return RandomAccess.Read(file, destination, offset);
    }

    public void WriteHeader(string name, SegmentHeader header)
    {
        Span<byte> page = new byte[SegmentHeader.HeaderBytes];
        header.Write(page);
        using var file = File.OpenHandle(PathOf(name), FileMode.Open, FileAccess.Write);
        RandomAccess.Write(file, page, 0);
        RandomAccess.FlushToDisk(file);
    }

    private string PathOf(string name) => Path.Combine(_path, name);

    private sealed class FileSegment(string name, SafeFileHandle writer, SafeFileHandle reader, SegmentHeader header) : SegmentFile(name, header)
    {
        public override void Write(Span<IoVector> pieces, long offset) => DirectIo.WriteAll(writer, pieces, offset);

        public override int Read(long offset, Span<byte> destination) => RandomAccess.Read(reader, destination, offset);

        public override int Read(long offset, Span<byte> first, Span<byte> second) => DirectIo.ReadInto(reader, offset, first, second);

        public override void Dispose()
        {
            writer.Dispose();
            reader.Dispose();
        }
    }
}

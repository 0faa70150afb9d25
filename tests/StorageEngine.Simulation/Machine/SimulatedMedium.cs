using System.Runtime.InteropServices;
using Nephos.LocalStorage.Objects;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>A disk as one life of a process has it open.</summary>
internal sealed class SimulatedMedium(SimulatedDisk disk, SimulatedProcess process) : IDeviceMedium
{
    private DiskContent? _content;
    private bool _isDisposed;

    /// <summary>What this process has open: perhaps removed from its directory meanwhile.</summary>
    private DiskContent Content => _content ?? throw new IOException("The device was not opened.");

    public DeviceHeader? Open()
    {
        Check();
        _content = disk.Content;
        process.Take(disk, this);
        return _content.Header;
    }

    public void Create(DeviceHeader header)
    {
        Check();
        Content.Segments.Clear();
        Content.Tables.Clear();
        Content.Header = header;
    }

    public bool IsStillThere() => !disk.IsAway && disk.Content == _content;

    public bool CanBeReplacedInPlace() => !disk.IsAway;

    public long FreeBytes() => disk.FreeBytes;

    public ISegmentDirectory OpenSegments(string name)
    {
        if (!Content.Segments.TryGetValue(name, out var files))
        {
            Content.Segments[name] = files = new SortedDictionary<string, SimulatedFile>(StringComparer.Ordinal);
        }

        return new SimulatedDirectory(this, files);
    }

    public IRowTable OpenTable(string name, RowTableOptions options)
    {
        Check();
        if (!Content.Tables.TryGetValue(name, out var rows))
        {
            Content.Tables[name] = rows = new MemoryTableRows();
        }

        // Tables answer from memory when their disk is away.
        return new MemoryTable(rows, process.Random, process.CheckPower);
    }

    public void DeleteTable(string name) => Content.Tables.Remove(name);

    public AlignedBuffer Allocate(int sizeBytes) => process.Allocate(sizeBytes);

    public IWorker StartWorker(string name, Action step) => new SimulatedWorker(process, step);

    public void Dispose()
    {
        _isDisposed = true;
        process.Leave(disk, this);
    }

    private void Check()
    {
        process.CheckPower();
        if (disk.IsAway || _isDisposed)
        {
            throw new IOException("Input/output error");
        }
    }

    private sealed class SimulatedDirectory(SimulatedMedium medium, SortedDictionary<string, SimulatedFile> files) : ISegmentDirectory
    {
        public IReadOnlyList<string> Names => [.. files.Keys];

        public long TotalBytes => files.Values.Sum(f => f.SizeBytes);

        public SegmentFile? Open(string name)
        {
            medium.Check();
            var page = new byte[SegmentHeader.HeaderBytes];
            files[name].Read(0, page);
            return SegmentHeader.TryRead(page, out var header) ? new SimulatedSegment(medium, name, files[name], header) : null;
        }

        public SegmentFile Create(string name, SegmentHeader header, CancellationToken cancellationToken)
        {
            medium.Check();
            cancellationToken.ThrowIfCancellationRequested();
            var file = new SimulatedFile(header.SizeBytes);
            var page = new byte[SegmentHeader.HeaderBytes];
            header.Write(page);
            file.Put(0, page);
            files[name] = file;
            return new SimulatedSegment(medium, name, file, header);
        }

        public void Delete(string name) => files.Remove(name);

        public long SizeOf(string name) => files[name].SizeBytes;

        public int ReadRaw(string name, long offset, Span<byte> destination) => files[name].Read(offset, destination);

        public void WriteHeader(string name, SegmentHeader header)
        {
            var page = new byte[SegmentHeader.HeaderBytes];
            header.Write(page);
            medium.Put(files[name], 0, page);
        }
    }

    private void Put(SimulatedFile file, long offset, byte[] bytes)
    {
        Check();
        if (process.TearNextWrite() is { } tear)
        {
            disk.PutTorn(file, offset, bytes, tear);
            process.LosePower();
            throw new PowerLostException();
        }

        file.Put(offset, bytes);
    }

    private sealed class SimulatedSegment(SimulatedMedium medium, string name, SimulatedFile file, SegmentHeader header) : SegmentFile(name, header)
    {
        public override void Write(Span<IoVector> pieces, long offset)
        {
            var bytes = new byte[SumOf(pieces)];
            var at = 0;
            foreach (var piece in pieces)
            {
                Marshal.Copy(piece.Address, bytes, at, (int)piece.Length);
                at += (int)piece.Length;
            }

            if (offset + bytes.Length > SizeBytes)
            {
                throw new SimulationException($"A write of {bytes.Length} bytes at {offset} goes beyond the end of {Name}.");
            }

            medium.Put(file, offset, bytes);
        }

        public override int Read(long offset, Span<byte> destination)
        {
            medium.Check();
            return file.Read(offset, destination);
        }

        public override int Read(long offset, Span<byte> first, Span<byte> second)
        {
            medium.Check();
            return file.Read(offset, first) + file.Read(offset + first.Length, second);
        }

        public override void Dispose()
        {
        }

        private static int SumOf(Span<IoVector> pieces)
        {
            var sum = 0;
            foreach (var piece in pieces)
            {
                sum += (int)piece.Length;
            }

            return sum;
        }
    }

    /// <summary>Works a little after it was woken: meanwhile others come along.</summary>
    private sealed class SimulatedWorker(SimulatedProcess process, Action step) : IWorker
    {
        private bool _isWoken;
        private bool _isDisposed;

        public void Wake()
        {
            if (!_isWoken && !_isDisposed)
            {
                _isWoken = true;
                process.Clock.After(process.DiskLatency(), () => process.Scheduler.Post(Step));
            }
        }

        public void Dispose()
        {
            _isDisposed = true;
            if (_isWoken)
            {
                Step();
            }
        }

        private void Step()
        {
            if (_isWoken)
            {
                _isWoken = false;
                step();
            }
        }
    }
}

using Nephos.LocalStorage.Objects;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>The power went while a write was under way: nothing of this process runs any more.</summary>
internal sealed class PowerLostException() : Exception("The power is gone.");

/// <summary>What is left of the last write when the power goes.</summary>
internal enum Tear
{
    Nothing,
    Everything,

    /// <summary>The first sectors.</summary>
    Prefix,

    /// <summary>Any sectors: disks reorder what one write covers.</summary>
    Some,
}

/// <summary>What survives on one disk: files by directory, tables by name, the header of the device.</summary>
internal sealed class DiskContent
{
    public DeviceHeader? Header { get; set; }

    public SortedDictionary<string, SortedDictionary<string, SimulatedFile>> Segments { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, MemoryTableRows> Tables { get; } = [];

    public IEnumerable<SimulatedFile> Files => Segments.Values.SelectMany(d => d.Values);
}

/// <summary>A disk that outlives processes, and what is wrong with it.</summary>
internal sealed class SimulatedDisk(int number, Random random)
{
    public int Number { get; } = number;

    public DiskContent Content { get; private set; } = new();

    /// <summary>Cannot be reached; comes back as it was.</summary>
    public bool IsAway { get; set; }

    public long FreeBytes { get; set; } = long.MaxValue / 4;

    /// <summary>Somebody removes everything; a process that has it open goes on with what it has, for a while.</summary>
    public void Wipe() => Content = new DiskContent();

    /// <summary>Applies what a disk may have made of the write that the power failure met.</summary>
    public void PutTorn(SimulatedFile file, long offset, byte[] bytes, Tear tear)
    {
        var sectors = (bytes.Length + DirectIo.SectorBytes - 1) / DirectIo.SectorBytes;
        var until = tear switch { Tear.Nothing => 0, Tear.Everything or Tear.Some => sectors, _ => random.Next(sectors + 1) };
        for (var sector = 0; sector < until; sector++)
        {
            if (tear != Tear.Some || random.Next(2) == 0)
            {
                var start = sector * DirectIo.SectorBytes;
                file.Put(offset + start, bytes.AsSpan(start, Math.Min(DirectIo.SectorBytes, bytes.Length - start)));
            }
        }
    }

    /// <summary>Turns a bit over somewhere in what was written; false when nothing was.</summary>
    public bool Rot()
    {
        var written = Content.Files.Where(f => f.HasPages).ToList();
        return written.Count > 0 && written[random.Next(written.Count)].FlipBit(random);
    }
}

/// <summary>The bytes of a file; what was never written is zero.</summary>
internal sealed class SimulatedFile(long sizeBytes)
{
    private const int PageBytes = 16 << 10;
    private readonly SortedDictionary<long, byte[]> _pages = [];

    public long SizeBytes { get; } = sizeBytes;

    public bool HasPages => _pages.Count > 0;

    public void Put(long offset, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var (page, at) = (offset / PageBytes, (int)(offset % PageBytes));
            var count = Math.Min(PageBytes - at, bytes.Length);
            if (!_pages.TryGetValue(page, out var content))
            {
                _pages[page] = content = new byte[PageBytes];
            }

            bytes[..count].CopyTo(content.AsSpan(at));
            offset += count;
            bytes = bytes[count..];
        }
    }

    public int Read(long offset, Span<byte> destination)
    {
        var length = (int)Math.Clamp(SizeBytes - offset, 0, destination.Length);
        for (var done = 0; done < length;)
        {
            var (page, at) = ((offset + done) / PageBytes, (int)((offset + done) % PageBytes));
            var part = destination.Slice(done, Math.Min(PageBytes - at, length - done));
            if (_pages.TryGetValue(page, out var content))
            {
                content.AsSpan(at, part.Length).CopyTo(part);
            }
            else
            {
                part.Clear();
            }

            done += part.Length;
        }

        return length;
    }

    public bool FlipBit(Random random)
    {
        var page = _pages.Values.ElementAt(random.Next(_pages.Count));
        page[random.Next(PageBytes)] ^= (byte)(1 << random.Next(8));
        return true;
    }
}

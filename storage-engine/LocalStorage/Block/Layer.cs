using System.Buffers.Binary;

namespace Nephos.LocalStorage.Block;

/// <summary>The words of the 1024 blocks of one extent of one layer.</summary>
internal sealed class LayerExtent
{
    /// <summary>Stands for an extent of which the layer has nothing.</summary>
    public static readonly LayerExtent Empty = new([]);

    public readonly ulong[] Words;

    public LayerExtent(ulong[] words) => Words = words;

    public LayerExtent() : this(new ulong[BlockGeometry.ExtentBlocks]) { }

    /// <summary>Words whose place is in the journal; such an extent must stay in memory. Guarded by the journal's lock.</summary>
    public int JournalCount;

    /// <summary>Read since the last sweep of the cache.</summary>
    public bool Used;

    public ulong this[int block] => ReferenceEquals(this, Empty) ? 0 : Volatile.Read(ref Words[block]);
}

/// <summary>For one extent of a chain of frozen layers: which of them holds each block.</summary>
internal sealed class FlatExtent(Layer?[]? owners, long structureVersion)
{
    /// <summary>Null when no layer of the chain has anything here.</summary>
    public readonly Layer?[]? Owners = owners;

    public readonly long StructureVersion = structureVersion;
    public bool Used = true;
}

/// <summary>256 extents of a layer, 1 GiB of a volume: one sparse file of data and one of checksums.</summary>
/// <remarks>The file of checksums: a page of zeros but for 0 u32 magic | 4 u16 version | 8 u32 layer | 12 u32 group | 60 u32 CRC-32C of bytes 0 to 59; then
/// for each block 0 u32 sum (see <see cref="BlockWord"/>) | 4 u32 low half of the sequence that wrote it.</remarks>
internal sealed class LayerGroup(uint layer, int number, string pathWithoutEnding, FileFault? faults)
{
    public const int SumsHeaderBytes = 4096;
    public const int SumEntryBytes = 8;
    public const int ExtentSumsBytes = BlockGeometry.ExtentBlocks * SumEntryBytes;
    private const uint Magic = 0x5342424E; // "NBBS"

    private readonly LayerExtent?[] _extents = new LayerExtent?[BlockGeometry.GroupExtents];
    private FlatExtent?[]? _flats;
    private bool _filesLooked;
    private bool _isNew;

    /// <summary>Guards loading, publishing and forgetting of extents, and the files' opening.</summary>
    public readonly Lock Gate = new();

    public BlockFile? Data { get; private set; }
    public BlockFile? Sums { get; private set; }

    public LayerExtent? Peek(int index) => Volatile.Read(ref _extents[index]);

    public LayerExtent Get(int index)
    {
        var extent = Volatile.Read(ref _extents[index]) ?? Load(index);
        if (!extent.Used) extent.Used = true;
        return extent;
    }

    /// <summary>The extent as one that can be written. Under the journal's lock, so that it can not be forgotten meanwhile.</summary>
    public LayerExtent GetForWrite(int index)
    {
        var extent = Get(index);
        if (!ReferenceEquals(extent, LayerExtent.Empty)) return extent;
        lock (Gate)
        {
            if (_extents[index] is { } other && !ReferenceEquals(other, LayerExtent.Empty)) return other;
            extent = new LayerExtent();
            Volatile.Write(ref _extents[index], extent);
            return extent;
        }
    }

    private LayerExtent Load(int index)
    {
        lock (Gate)
        {
            if (_extents[index] is { } loaded) return loaded;
            if (!_filesLooked) OpenFiles(create: false);
            var extent = LayerExtent.Empty;
            if (Sums is not null)
            {
                Span<byte> sums = stackalloc byte[ExtentSumsBytes];
                Sums.Read(SumsPosition(index), sums);
                if (sums.ContainsAnyExcept((byte)0))
                {
                    extent = new LayerExtent();
                    for (var block = 0; block < BlockGeometry.ExtentBlocks; block++)
                        extent.Words[block] = BinaryPrimitives.ReadUInt32LittleEndian(sums[(block * SumEntryBytes)..]);
                }
            }
            Volatile.Write(ref _extents[index], extent);
            return extent;
        }
    }

    public static long SumsPosition(int index) => SumsHeaderBytes + (long)index * ExtentSumsBytes;

    /// <summary>Opens the files, or makes them.</summary>
    public void OpenFiles(bool create)
    {
        lock (Gate)
        {
            if (Sums is not null) return;
            var (data, sums) = (pathWithoutEnding + ".data", pathWithoutEnding + ".sums");
            if (!create && !File.Exists(sums))
            {
                _filesLooked = true;
                return;
            }
            Directory.CreateDirectory(Path.GetDirectoryName(sums)!);
            var isNew = !File.Exists(sums);
            Data = new BlockFile(data, FileMode.OpenOrCreate, faults);
            var sumsFile = new BlockFile(sums, FileMode.OpenOrCreate, faults);
            if (isNew || sumsFile.LengthBytes < SumsHeaderBytes)
            {
                Span<byte> header = stackalloc byte[SumsHeaderBytes];
                WriteHeader(header);
                sumsFile.Write(0, header);
                _isNew = true;
            }
            Sums = sumsFile;
            _filesLooked = true;
        }
    }

    /// <summary>Whether the files were made since the last call: then their directory is not durable yet.</summary>
    public bool TakeIsNew()
    {
        lock (Gate)
        {
            var isNew = _isNew;
            _isNew = false;
            return isNew;
        }
    }

    internal void WriteHeader(Span<byte> header)
    {
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 1);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], layer);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], (uint)number);
        BinaryPrimitives.WriteUInt32LittleEndian(header[60..], Crc32C.Compute(header[..60]));
    }

    /// <summary>Forgets what memory knows of an extent; the next use reads the file. Under the journal's lock.</summary>
    public bool Forget(int index, bool onlyUnused)
    {
        lock (Gate)
        {
            if (_extents[index] is not { } extent || extent.JournalCount > 0) return false;
            if (onlyUnused && extent.Used)
            {
                extent.Used = false;
                return false;
            }
            _extents[index] = null;
            return !ReferenceEquals(extent, LayerExtent.Empty);
        }
    }

    public FlatExtent? PeekFlat(int index) => _flats is { } flats ? Volatile.Read(ref flats[index]) : null;

    public void SetFlat(int index, FlatExtent? flat)
    {
        lock (Gate)
        {
            _flats ??= new FlatExtent?[BlockGeometry.GroupExtents];
            Volatile.Write(ref _flats[index], flat);
        }
    }

    public bool ForgetFlat(int index)
    {
        lock (Gate)
        {
            if (_flats?[index] is not { } flat) return false;
            if (flat.Used)
            {
                flat.Used = false;
                return false;
            }
            _flats[index] = null;
            return flat.Owners is not null;
        }
    }

    /// <summary>Objects of 8 KiB that are in memory.</summary>
    public int CountLoaded()
    {
        lock (Gate)
        {
            var count = 0;
            foreach (var extent in _extents)
                if (extent is not null && !ReferenceEquals(extent, LayerExtent.Empty)) count++;
            foreach (var flat in _flats ?? [])
                if (flat?.Owners is not null) count++;
            return count;
        }
    }

    /// <summary>Takes the files out of use. They may still be read by calls that have begun.</summary>
    public BlockFile[] TakeFiles()
    {
        lock (Gate) return Data is null || Sums is null ? [] : [Data, Sums];
    }
}

/// <summary>Counts changes of the chain of layers. Odd while one is being made.</summary>
internal sealed class StructureClock
{
    private long _version;

    public long Version => Volatile.Read(ref _version);

    /// <summary>The version, when no change is being made.</summary>
    public long Settled()
    {
        var wait = default(SpinWait);
        while (true)
        {
            var version = Version;
            if ((version & 1) == 0) return version;
            wait.SpinOnce();
        }
    }

    /// <summary>Changes the chain; who reads it meanwhile notices. One change at a time.</summary>
    public void Change(Action change)
    {
        Interlocked.Increment(ref _version);
        change();
        Interlocked.Increment(ref _version);
    }
}

/// <summary>What was written between two moments of a volume's history. Only the top layer of a volume changes.</summary>
internal sealed class Layer(uint handle, Layer? parent, string directory, FileFault? faults)
{
    private readonly Lock _growth = new();
    private LayerGroup?[] _groups = [];
    private Layer? _parent = parent;

    public uint Handle { get; } = handle;
    public string DirectoryPath { get; } = directory;

    /// <summary>Guarded by the structure's lock for writing.</summary>
    public Layer? Parent
    {
        get => Volatile.Read(ref _parent);
        set => Volatile.Write(ref _parent, value);
    }

    /// <summary>Words of this layer whose place is in the journal. Guarded by the journal's lock.</summary>
    public long JournalCount;

    public bool Deleted;

    public IEnumerable<(int Number, LayerGroup Group)> Groups
    {
        get
        {
            var groups = Volatile.Read(ref _groups);
            for (var number = 0; number < groups.Length; number++)
                if (Volatile.Read(ref groups[number]) is { } group) yield return (number, group);
        }
    }

    public LayerGroup Group(int number)
    {
        var groups = Volatile.Read(ref _groups);
        return number < groups.Length && Volatile.Read(ref groups[number]) is { } group ? group : MakeGroup(number);
    }

    private LayerGroup MakeGroup(int number)
    {
        lock (_growth)
        {
            var groups = _groups;
            if (number >= groups.Length)
            {
                Array.Resize(ref groups, Math.Max(number + 1, Math.Min(groups.Length * 2, 1 << 16)));
                Volatile.Write(ref _groups, groups);
            }
            if (groups[number] is { } made) return made;
            var group = new LayerGroup(Handle, number, Path.Combine(DirectoryPath, number.ToString("x4")), faults);
            Volatile.Write(ref groups[number], group);
            return group;
        }
    }

    public LayerExtent Extent(long number) =>
        Group((int)(number / BlockGeometry.GroupExtents)).Get((int)(number % BlockGeometry.GroupExtents));

    /// <summary>Which layer of the chain that ends here holds each block of an extent. Only for frozen layers.</summary>
    public FlatExtent Flat(long number, StructureClock clock)
    {
        var group = Group((int)(number / BlockGeometry.GroupExtents));
        var index = (int)(number % BlockGeometry.GroupExtents);
        while (true)
        {
            var version = clock.Settled();
            if (group.PeekFlat(index) is { } known && known.StructureVersion == version)
            {
                if (!known.Used) known.Used = true;
                return known;
            }
            var flat = new FlatExtent(FindOwners(number), version);
            if (clock.Version != version) continue;
            group.SetFlat(index, flat);
            return flat;
        }
    }

    private Layer?[]? FindOwners(long number)
    {
        Layer?[]? owners = null;
        var missing = BlockGeometry.ExtentBlocks;
        for (var layer = this; layer is not null && missing > 0; layer = layer.Parent)
        {
            var extent = layer.Extent(number);
            if (ReferenceEquals(extent, LayerExtent.Empty)) continue;
            owners ??= new Layer?[BlockGeometry.ExtentBlocks];
            for (var block = 0; block < BlockGeometry.ExtentBlocks; block++)
            {
                if (owners[block] is not null || BlockWord.Sum(extent[block]) == BlockWord.AbsentSum) continue;
                owners[block] = layer;
                missing--;
            }
        }
        return owners;
    }
}

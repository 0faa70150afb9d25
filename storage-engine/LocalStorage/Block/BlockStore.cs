using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nephos.LocalStorage.Block;

/// <summary>The block volumes of one device: a journal, layers of extents, and the log of what exists.</summary>
/// <remarks>
/// A write goes to the journal and is acknowledged; a background thread moves it to its place in the extent files, makes that durable and
/// frees the journal. A read takes each block from where its newest version is and checks it. A volume is a chain of layers of which only the top is
/// written: a snapshot freezes the top and puts an empty one over it, a clone begins as an empty layer over a frozen one.
/// Files of a device: <c>format.json</c>, <c>lock</c>, <c>meta.log</c>, <c>journal/NNNN.seg</c>, <c>layers/HHHHHHHH/GGGG.{data,sums}</c>.
/// Locks, in this order: the structure, the journal's gate, a group's gate.
/// </remarks>
public sealed partial class BlockStore : IDisposable
{
    private readonly string _directory;
    private readonly BlockStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly FileStream _lockFile;
    private readonly Lock _structure = new();
    private readonly MetaLog _metaLog;
    private readonly MetaState _meta = new();
    private readonly Journal _journal;
    private readonly Dictionary<uint, Layer> _layers = [];
    private readonly Dictionary<Guid, BlockVolume> _volumes = [];
    private readonly Dictionary<uint, BlockVolume> _volumesByHandle = [];
    private readonly StructureClock _clock = new();
    private readonly ReaderGate _readers = new();
    private bool _disposed;

    private BlockStore(string directory, BlockStoreOptions options, TimeProvider time)
    {
        _directory = directory;
        _time = time;
        Directory.CreateDirectory(directory);
        _lockFile = TakeLock(directory);
        try
        {
            var format = DeviceFormat.OpenOrCreate(directory, options.SegmentBytes);
            DeviceId = format.DeviceId;
            _options = options with { SegmentBytes = format.SegmentBytes };
            (_metaLog, var changes) = MetaLog.Open(directory, options.Faults);
            foreach (var change in changes) _meta.Apply(change);
            MakeObjects();
            _journal = new Journal(Path.Combine(directory, "journal"), DeviceId, _options);
            Recovery = _journal.Recover(_meta.OldestNeeded, oldest => Append(new JournalTrimmed(oldest)), Recovered);
            DeleteOrphans();
        }
        catch
        {
            _journal?.Dispose();
            _metaLog?.Dispose();
            _lockFile.Dispose();
            throw;
        }
    }

    public Guid DeviceId { get; }

    public RecoveryReport Recovery { get; }

    /// <summary>Why the device failed for good, or null.</summary>
    public Exception? Failure => _journal.Failure;

    public long JournalBytes
    {
        get { lock (_journal.Gate) return _journal.LiveBytes; }
    }

    public int VolumeCount
    {
        get { lock (_structure) return _volumes.Count; }
    }

    /// <summary>Bytes that volumes may still take.</summary>
    public long FreeBytes => Math.Max(0, _options.FreeBytes(_directory) - _options.ReserveBytes);

    /// <summary>Opens the device in the directory, or makes it. Replays the journal: this is also the way back from a crash.</summary>
    /// <exception cref="BlockStoreException">Another process has it open, or it is damaged.</exception>
    public static BlockStore Open(string directory, BlockStoreOptions options, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.SegmentBytes, 64 << 20);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.SegmentBytes, 1 << 20);
        ArgumentOutOfRangeException.ThrowIfNotEqual(options.SegmentBytes % BlockGeometry.BlockBytes, 0);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.SegmentsMax, 3);
        var store = new BlockStore(directory, options, time);
        if (options.RunInBackground) store.StartBackground();
        return store;
    }

    private static FileStream TakeLock(string directory)
    {
        try
        {
            return new FileStream(Path.Combine(directory, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new BlockStoreException(BlockStoreError.Conflict, $"The block store in {directory} is in use by another process.", e);
        }
    }

    private void MakeObjects()
    {
        // Parents have smaller handles than children, except after a merge, so two passes.
        foreach (var layer in _meta.Layers.Values) _layers[layer.Handle] = MakeLayer(layer.Handle, parent: null);
        foreach (var layer in _meta.Layers.Values)
            if (layer.Parent is { } parent) _layers[layer.Handle].Parent = _layers[parent];
        foreach (var volume in _meta.Volumes.Values)
        {
            AddVolume(new BlockVolume(this, volume, _layers[volume.Top]));
        }
    }

    private Layer MakeLayer(uint handle, Layer? parent) =>
        new(handle, parent, Path.Combine(_directory, "layers", handle.ToString("x8")), _options.Faults);

    private void AddVolume(BlockVolume volume)
    {
        _volumes[volume.Id] = volume;
        _volumesByHandle[volume.Handle] = volume;
    }

    // Runs before anybody else knows the store. The words lead to the journal until the applier has moved the blocks again.
    private void Recovered(JournalSegment segment, long position, in RecordHeader header, ReadOnlySpan<byte> payload)
    {
        if (_volumesByHandle.TryGetValue(header.Volume, out var volume)) volume.Took((long)header.Epoch, (long)header.Sequence);
        if (!_layers.TryGetValue(header.Layer, out var layer)) return;
        if (header.Kind == RecordKind.Zero)
        {
            SetZeros(layer, (long)header.Offset, header.Length, BlockWord.PlaceOf(segment.Slot, position));
            return;
        }
        for (var done = 0; done < payload.Length; done += BlockGeometry.BlockBytes)
        {
            var place = BlockWord.PlaceOf(segment.Slot, position + RecordHeader.Bytes + done);
            SetWord(
                layer, ((long)header.Offset + done) / BlockGeometry.BlockBytes,
                BlockWord.Make(BlockWord.SumOf(payload.Slice(done, BlockGeometry.BlockBytes)), place));
        }
    }

    // Directories of layers whose deletion was recorded but not finished.
    private void DeleteOrphans()
    {
        var layers = Path.Combine(_directory, "layers");
        if (!Directory.Exists(layers)) return;
        foreach (var path in Directory.GetDirectories(layers))
        {
            if (uint.TryParse(Path.GetFileName(path), System.Globalization.NumberStyles.HexNumber, null, out var handle) &&
                !_layers.ContainsKey(handle))
                Directory.Delete(path, recursive: true);
        }
    }

    // Under the structure's lock, or before the store is in use.
    private void Append(MetaChange change)
    {
        try
        {
            _metaLog.Append(change);
            _meta.Apply(change);
            if (_metaLog.ShouldCompact) _metaLog.Compact(_meta.ToEverything());
        }
        catch (BlockFileException e) when (e.ErrorNumber == BlockFileException.Enospc)
        {
            throw new BlockStoreException(BlockStoreError.NoSpace, $"The device {DeviceId} is full.", e);
        }
        catch (IOException e)
        {
            // Whether the change is on the disk is not known, so nothing may build on either.
            _journal?.Fail(e);
            throw new BlockStoreException(BlockStoreError.Failed, $"The device {DeviceId} failed: {e.Message}", e);
        }
    }

    public void Dispose()
    {
        lock (_structure)
        {
            if (_disposed) return;
            _disposed = true;
        }
        StopBackground();
        lock (_structure)
        {
            _journal.Sync();
            _journal.Dispose();
            _metaLog.Dispose();
            foreach (var layer in _layers.Values) CloseFiles(layer);
            foreach (var (layer, _) in _retired) CloseFiles(layer);
            _lockFile.Dispose();
        }
    }

    private static void CloseFiles(Layer layer)
    {
        foreach (var (_, group) in layer.Groups)
            foreach (var file in group.TakeFiles()) file.Dispose();
    }
}

/// <summary>What a device was made with; never changes.</summary>
internal sealed record DeviceFormat(int Version, Guid DeviceId, long SegmentBytes)
{
    public static DeviceFormat OpenOrCreate(string directory, long segmentBytes)
    {
        var path = Path.Combine(directory, "format.json");
        if (File.Exists(path))
        {
            var format = JsonSerializer.Deserialize(File.ReadAllBytes(path), FormatJson.Default.DeviceFormat)
                ?? throw new BlockStoreException(BlockStoreError.Corrupt, $"{path} is empty.");
            return format.Version == 1
                ? format
                : throw new BlockStoreException(BlockStoreError.Corrupt, $"{path} has version {format.Version}; this program knows 1.");
        }
        // Without a format nothing was ever acknowledged here.
        var made = new DeviceFormat(1, Guid.NewGuid(), segmentBytes);
        using (var file = new BlockFile(path + ".new", FileMode.Create, faults: null))
        {
            file.Write(0, JsonSerializer.SerializeToUtf8Bytes(made, FormatJson.Default.DeviceFormat));
            file.Sync();
        }
        File.Move(path + ".new", path);
        BlockFile.SyncDirectory(directory);
        return made;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(DeviceFormat))]
internal sealed partial class FormatJson : JsonSerializerContext;

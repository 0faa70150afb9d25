using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Replication.Volumes;

namespace Nephos.LocalStorage.Block;

/// <summary>One change of what a device holds: volumes, snapshots, layers.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "op")]
[JsonDerivedType(typeof(VolumeCreated), "volume-created")]
[JsonDerivedType(typeof(VolumeSealed), "volume-sealed")]
[JsonDerivedType(typeof(VolumeBegun), "volume-begun")]
[JsonDerivedType(typeof(VolumeResized), "volume-resized")]
[JsonDerivedType(typeof(VolumeDeleted), "volume-deleted")]
[JsonDerivedType(typeof(SnapshotCreated), "snapshot-created")]
[JsonDerivedType(typeof(SnapshotDeleted), "snapshot-deleted")]
[JsonDerivedType(typeof(VolumeRolledBack), "volume-rolled-back")]
[JsonDerivedType(typeof(LayerMerged), "layer-merged")]
[JsonDerivedType(typeof(LayerDeleted), "layer-deleted")]
[JsonDerivedType(typeof(JournalTrimmed), "journal-trimmed")]
[JsonDerivedType(typeof(JournalReleased), "journal-released")]
[JsonDerivedType(typeof(Everything), "everything")]
internal abstract record MetaChange;

internal sealed record VolumeCreated(Guid Id, uint Handle, long SizeBytes, uint Layer, uint? ParentLayer, bool Incomplete = false) : MetaChange;

internal sealed record VolumeSealed(uint Handle, long Epoch) : MetaChange;

/// <summary>What the volume holds is this history, or will be when it has been completed.</summary>
/// <param name="Unlisted">Writes up to here need not be in the journal of this device.</param>
internal sealed record VolumeBegun(uint Handle, VolumeHistory History, bool Incomplete, long Unlisted) : MetaChange;

internal sealed record VolumeResized(uint Handle, long SizeBytes) : MetaChange;

internal sealed record VolumeDeleted(uint Handle) : MetaChange;

/// <summary>The top layer of the volume is frozen under the id; a new empty one is on top.</summary>
internal sealed record SnapshotCreated(Guid Id, uint Volume, uint NewLayer, long Sequence = 0) : MetaChange;

internal sealed record SnapshotDeleted(Guid Id) : MetaChange;

/// <summary>Counts as a write of an epoch, for those who missed it.</summary>
internal sealed record VolumeRolledBack(uint Volume, Guid Snapshot, uint NewLayer, long Epoch = 0, long Sequence = 0) : MetaChange;

/// <summary>The blocks of the layer are in its only child, which takes its place.</summary>
internal sealed record LayerMerged(uint Layer, uint Child) : MetaChange;

internal sealed record LayerDeleted(uint Layer) : MetaChange;

/// <summary>Recovery gave segments up: journal segments below the number are not needed any more.</summary>
internal sealed record JournalTrimmed(ulong OldestNeeded) : MetaChange;

/// <summary>A segment is not needed any more: what the volumes wrote into it is in its place.</summary>
internal sealed record JournalReleased(IReadOnlyList<ReleasedWrites> Writes) : MetaChange;

/// <summary>Writes of a volume under one epoch, in a released segment.</summary>
internal sealed record ReleasedWrites(uint Volume, long Epoch, long First, long Last);

/// <summary>The whole state; the first record of a compacted log.</summary>
internal sealed record Everything(
    uint NextHandle, ulong OldestNeeded, IReadOnlyList<MetaVolume> Volumes, IReadOnlyList<MetaLayer> Layers, IReadOnlyList<MetaSnapshot> Snapshots) : MetaChange;

/// <param name="History">What is durable of it; the journal may hold more.</param>
/// <param name="Unlisted">Writes up to here need not be in the journal.</param>
internal sealed record MetaVolume(
    Guid Id, uint Handle, long SizeBytes, uint Top, long SealedEpoch, VolumeHistory? History = null, bool Incomplete = false, long Unlisted = 0);

internal sealed record MetaLayer(uint Handle, uint? Parent);

internal sealed record MetaSnapshot(Guid Id, uint Layer, long SizeBytes, Guid VolumeId, long Sequence = 0);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(MetaChange))]
internal sealed partial class MetaJson : JsonSerializerContext;

/// <summary>The log of changes of a device's structure. Small: written when a volume is made, opened, frozen or deleted.</summary>
/// <remarks>A row of records: 0 u32 magic | 4 u32 payload bytes | 8 u32 checksum of the record before (0 for the first) | 12 u32 CRC-32C of bytes 0 to 11 and
/// the payload | payload, JSON in UTF-8. A record that is not valid ends the log; it was never acknowledged. When the log has grown, a new one that
/// begins with the whole state is made beside it and renamed over it. Guarded by the owner's lock.</remarks>
internal sealed class MetaLog : IDisposable
{
    private const uint Magic = 0x4D424E; // "NBM"
    private const int HeaderBytes = 16;
    private const int PayloadBytesMax = 256 << 20;
    private const long CompactBytes = 4 << 20;

    private readonly string _path;
    private readonly FileFault? _faults;
    private BlockFile _file;
    private long _position;
    private uint _previousCrc;

    private MetaLog(string path, BlockFile file, FileFault? faults)
    {
        _path = path;
        _file = file;
        _faults = faults;
    }

    public bool ShouldCompact => _position > CompactBytes;

    /// <summary>Opens or makes the log and answers every change in it.</summary>
    public static (MetaLog Log, List<MetaChange> Changes) Open(string directory, FileFault? faults)
    {
        var path = Path.Combine(directory, "meta.log");
        File.Delete(path + ".new");
        var isNew = !File.Exists(path);
        var log = new MetaLog(path, new BlockFile(path, FileMode.OpenOrCreate, faults), faults);
        if (isNew) BlockFile.SyncDirectory(directory);
        var changes = new List<MetaChange>();
        var bytes = new byte[log._file.LengthBytes];
        log._file.Read(0, bytes);
        while (TryRead(bytes.AsSpan((int)log._position), log._previousCrc, out var change, out var recordBytes, out var crc))
        {
            changes.Add(change!);
            log._position += recordBytes;
            log._previousCrc = crc;
        }
        return (log, changes);
    }

    internal static bool TryRead(ReadOnlySpan<byte> source, uint previousCrc, out MetaChange? change, out int recordBytes, out uint crc)
    {
        change = null;
        recordBytes = 0;
        crc = 0;
        if (source.Length < HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic) return false;
        var payloadBytes = BinaryPrimitives.ReadUInt32LittleEndian(source[4..]);
        if (payloadBytes > PayloadBytesMax || payloadBytes > source.Length - HeaderBytes) return false;
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[8..]) != previousCrc) return false;
        crc = BinaryPrimitives.ReadUInt32LittleEndian(source[12..]);
        var payload = source.Slice(HeaderBytes, (int)payloadBytes);
        if (crc != Checksum(source, payload)) return false;
        change = JsonSerializer.Deserialize(payload, MetaJson.Default.MetaChange);
        recordBytes = HeaderBytes + (int)payloadBytes;
        return change is not null;
    }

    internal static byte[] Encode(MetaChange change, uint previousCrc, out uint crc)
    {
        var payload = JsonSerializer.SerializeToUtf8Bytes(change, MetaJson.Default.MetaChange);
        var record = new byte[HeaderBytes + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(record, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(4), (uint)payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), previousCrc);
        payload.CopyTo(record, HeaderBytes);
        crc = Checksum(record, payload);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12), crc);
        return record;
    }

    private static uint Checksum(ReadOnlySpan<byte> header, ReadOnlySpan<byte> payload)
    {
        Span<byte> joined = stackalloc byte[16];
        header[..12].CopyTo(joined);
        BinaryPrimitives.WriteUInt32LittleEndian(joined[12..], Crc32C.Compute(payload));
        return Crc32C.Compute(joined);
    }

    /// <summary>Adds a change; durable when it returns.</summary>
    public void Append(MetaChange change)
    {
        var record = Encode(change, _previousCrc, out var crc);
        _file.Write(_position, record);
        _file.Sync();
        _position += record.Length;
        _previousCrc = crc;
    }

    /// <summary>Replaces the log by one that begins with the whole state.</summary>
    public void Compact(Everything everything)
    {
        var record = Encode(everything, 0, out var crc);
        var file = new BlockFile(_path + ".new", FileMode.Create, _faults);
        try
        {
            file.Write(0, record);
            file.Sync();
            File.Move(_path + ".new", _path, overwrite: true);
            BlockFile.SyncDirectory(Path.GetDirectoryName(_path)!);
        }
        catch
        {
            file.Dispose();
            throw;
        }
        _file.Dispose();
        _file = file;
        _position = record.Length;
        _previousCrc = crc;
    }

    public void Dispose() => _file.Dispose();
}

using System.Buffers.Binary;

namespace Nephos.LocalStorage.Objects;

/// <summary>Where a needle is on its device.</summary>
/// <remarks>Little-endian, 32 bytes: 0 u64 volume id | 8 u64 offset | 16 u32 payload bytes | 20 u16 flags | 22 u16 zero | 24 u32 home device | 28 u32 zero.</remarks>
internal readonly record struct NeedleLocation(ulong VolumeId, long Offset, int PayloadBytes, NeedleFlags Flags, uint HomeDevice)
{
    public const int SizeBytes = 32;

    public void Write(Span<byte> destination)
    {
        destination[..SizeBytes].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(destination, VolumeId);
        BinaryPrimitives.WriteInt64LittleEndian(destination[8..], Offset);
        BinaryPrimitives.WriteInt32LittleEndian(destination[16..], PayloadBytes);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[20..], (ushort)Flags);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[24..], HomeDevice);
    }

    public static NeedleLocation Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(source),
        BinaryPrimitives.ReadInt64LittleEndian(source[8..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[16..]),
        (NeedleFlags)BinaryPrimitives.ReadUInt16LittleEndian(source[20..]),
        BinaryPrimitives.ReadUInt32LittleEndian(source[24..]));
}

/// <summary>How far a volume is filled and how much of it still counts.</summary>
/// <remarks>Little-endian, 40 bytes: 0 u64 position | 8 u64 live bytes | 16 u64 dead bytes | 24 u64 sequence of its last needle | 32 u8 sealed | 33 7 bytes zero.</remarks>
internal readonly record struct VolumeRow(long Position, long LiveBytes, long DeadBytes, ulong LastSequence, bool IsSealed)
{
    public const int SizeBytes = 40;

    public void Write(Span<byte> destination)
    {
        destination[..SizeBytes].Clear();
        BinaryPrimitives.WriteInt64LittleEndian(destination, Position);
        BinaryPrimitives.WriteInt64LittleEndian(destination[8..], LiveBytes);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], DeadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], LastSequence);
        destination[32] = IsSealed ? (byte)1 : (byte)0;
    }

    public static VolumeRow Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadInt64LittleEndian(source),
        BinaryPrimitives.ReadInt64LittleEndian(source[8..]),
        BinaryPrimitives.ReadInt64LittleEndian(source[16..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
        source[32] != 0);
}

/// <summary>The index from needle to place, in a table without a log: the volumes are the log.</summary>
/// <remarks>
/// One table, so that a batch reaches the disk whole or not at all: "n" + needle key -> <see cref="NeedleLocation"/>,
/// "v" + volume id (big-endian) -> <see cref="VolumeRow"/>. After a crash the rows say up to which position each volume is
/// indexed, and the volume's tail is read again from there.
/// </remarks>
internal sealed class NeedleIndex(IRowTable table) : IDisposable
{
    private const byte NeedleTable = (byte)'n', VolumeTable = (byte)'v';
    private readonly IRowBatch _batch = table.NewBatch();

    public bool TryFind(in NeedleKey key, out NeedleLocation location)
    {
        Span<byte> row = stackalloc byte[1 + NeedleKey.SizeBytes];
        Span<byte> value = stackalloc byte[NeedleLocation.SizeBytes];
        row[0] = NeedleTable;
        key.Write(row[1..]);
        if (!table.TryGet(row, value))
        {
            location = default;
            return false;
        }

        location = NeedleLocation.Read(value);
        return true;
    }

    /// <summary>Needles from a key on, in order; stops when the visitor says false.</summary>
    public void Visit(in NeedleKey from, Func<NeedleKey, NeedleLocation, bool> visitor)
    {
        Span<byte> row = stackalloc byte[1 + NeedleKey.SizeBytes];
        row[0] = NeedleTable;
        from.Write(row[1..]);
        using var cursor = table.OpenCursor(fillCache: true);
        for (cursor.Seek(row); cursor.IsValid; cursor.Next())
        {
            var key = cursor.Key;
            if (key[0] != NeedleTable || !visitor(NeedleKey.Read(key[1..]), NeedleLocation.Read(cursor.Value)))
            {
                return;
            }
        }
    }

    public long EstimateCount() => table.EstimateCount();

    public Dictionary<ulong, VolumeRow> ReadVolumes()
    {
        var rows = new Dictionary<ulong, VolumeRow>();
        using var cursor = table.OpenCursor(fillCache: true);
        for (cursor.Seek([VolumeTable]); cursor.IsValid && cursor.Key[0] == VolumeTable; cursor.Next())
        {
            rows.Add(BinaryPrimitives.ReadUInt64BigEndian(cursor.Key[1..]), VolumeRow.Read(cursor.Value));
        }

        return rows;
    }
    // The batch belongs to one thread: the committer, or recovery before it starts.

    public void Put(in NeedleKey key, in NeedleLocation location)
    {
        Span<byte> row = stackalloc byte[1 + NeedleKey.SizeBytes];
        Span<byte> value = stackalloc byte[NeedleLocation.SizeBytes];
        row[0] = NeedleTable;
        key.Write(row[1..]);
        location.Write(value);
        _batch.Put(row, value);
    }

    public void Remove(in NeedleKey key)
    {
        Span<byte> row = stackalloc byte[1 + NeedleKey.SizeBytes];
        row[0] = NeedleTable;
        key.Write(row[1..]);
        _batch.Delete(row);
    }

    public void PutVolume(ulong id, in VolumeRow volume)
    {
        Span<byte> row = stackalloc byte[9];
        Span<byte> value = stackalloc byte[VolumeRow.SizeBytes];
        row[0] = VolumeTable;
        BinaryPrimitives.WriteUInt64BigEndian(row[1..], id);
        volume.Write(value);
        _batch.Put(row, value);
    }

    public void RemoveVolume(ulong id)
    {
        Span<byte> row = stackalloc byte[9];
        row[0] = VolumeTable;
        BinaryPrimitives.WriteUInt64BigEndian(row[1..], id);
        _batch.Delete(row);
    }

    /// <summary>Makes everything put and removed since the last call visible at once.</summary>
    public void Apply()
    {
        if (_batch.Count > 0)
        {
            table.Write(_batch);
            _batch.Clear();
        }
    }

    /// <summary>Makes everything applied so far durable.</summary>
    public void Flush() => table.Flush();

    public void Dispose()
    {
        _batch.Dispose();
        table.Dispose();
    }
}

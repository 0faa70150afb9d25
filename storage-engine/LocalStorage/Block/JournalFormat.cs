using System.Buffers.Binary;

namespace Nephos.LocalStorage.Block;

/// <summary>The header in front of each record of a journal.</summary>
/// <remarks>The journal of a device is a row of segments; a segment is a header page and then records, each a header of 64 bytes and
/// a payload of whole blocks. A record is valid when its own checksums hold, it names the segment it stands in, and it names the
/// checksum of the record before it. So what a crash left behind is decided by the bytes alone; neither the order in which a
/// file system writes pages nor the former life of a segment matters.
/// Little-endian: 0 u32 magic | 4 u8 kind | 5 u8 version | 6 u16 zero | 8 u32 volume handle | 12 u32 layer handle | 16 u64 segment number |
/// 24 u64 epoch | 32 u64 sequence | 40 u64 offset | 48 u32 length in bytes | 52 u32 CRC-32C of the payload |
/// 56 u32 header CRC of the record before | 60 u32 CRC-32C of bytes 0 to 59. A record of kind zero has no payload.</remarks>
internal readonly record struct RecordHeader(
    RecordKind Kind, uint Volume, uint Layer, ulong Segment, ulong Epoch, ulong Sequence, ulong Offset, uint Length, uint PayloadCrc,
    uint PreviousCrc)
{
    public const int Bytes = 64;
    private const uint Magic = 0x314A424E; // "NBJ1"
    private const byte Version = 1;

    public int PayloadBytes => Kind == RecordKind.Data ? (int)Length : 0;

    /// <summary>Writes the header and answers its checksum, which the next record names.</summary>
    public uint Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(target, Magic);
        target[4] = (byte)Kind;
        target[5] = Version;
        target[6] = target[7] = 0;
        BinaryPrimitives.WriteUInt32LittleEndian(target[8..], Volume);
        BinaryPrimitives.WriteUInt32LittleEndian(target[12..], Layer);
        BinaryPrimitives.WriteUInt64LittleEndian(target[16..], Segment);
        BinaryPrimitives.WriteUInt64LittleEndian(target[24..], Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(target[32..], Sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(target[40..], Offset);
        BinaryPrimitives.WriteUInt32LittleEndian(target[48..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(target[52..], PayloadCrc);
        BinaryPrimitives.WriteUInt32LittleEndian(target[56..], PreviousCrc);
        var crc = Crc32C.Compute(target[..60]);
        BinaryPrimitives.WriteUInt32LittleEndian(target[60..], crc);
        return crc;
    }

    /// <summary>Reads a header; false when it is not one.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out RecordHeader header, out uint crc)
    {
        header = default;
        crc = 0;
        if (source.Length < Bytes || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic) return false;
        crc = BinaryPrimitives.ReadUInt32LittleEndian(source[60..]);
        if (source[5] != Version || Crc32C.Compute(source[..60]) != crc || source[4] > (byte)RecordKind.Zero) return false;
        header = new RecordHeader(
            (RecordKind)source[4],
            BinaryPrimitives.ReadUInt32LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[40..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[48..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[52..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[56..]));
        return header.Length % BlockGeometry.BlockBytes == 0 && header.Offset % BlockGeometry.BlockBytes == 0 &&
            header.Offset + header.Length <= BlockGeometry.VolumeBytesMax;
    }
}

/// <summary>The first page of a journal segment.</summary>
/// <remarks>Little-endian: 0 u32 magic | 4 u16 version | 6 u16 zero | 8 16 bytes device id | 24 u64 segment number | 32 u64 number of the oldest
/// segment still needed when this one was begun | 40 zero | 60 u32 CRC-32C of bytes 0 to 59 | zero to 4096. It is made durable before the first
/// record follows, so a segment that was used again can never be taken for the one it was.</remarks>
internal readonly record struct SegmentHeader(Guid DeviceId, ulong Number, ulong OldestNumber)
{
    public const int Bytes = 4096;
    private const uint Magic = 0x534A424E; // "NBJS"
    private const ushort Version = 1;

    public void Write(Span<byte> target)
    {
        target[..Bytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(target, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(target[4..], Version);
        DeviceId.TryWriteBytes(target[8..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(target[24..], Number);
        BinaryPrimitives.WriteUInt64LittleEndian(target[32..], OldestNumber);
        BinaryPrimitives.WriteUInt32LittleEndian(target[60..], Crc32C.Compute(target[..60]));
    }

    public static bool TryRead(ReadOnlySpan<byte> source, out SegmentHeader header)
    {
        header = default;
        if (source.Length < 64 || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic) return false;
        if (BinaryPrimitives.ReadUInt16LittleEndian(source[4..]) != Version) return false;
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[60..]) != Crc32C.Compute(source[..60])) return false;
        header = new SegmentHeader(
            new Guid(source.Slice(8, 16), bigEndian: true),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[32..]));
        return true;
    }
}

/// <summary>One segment of the journal, in a file that is used again and again.</summary>
internal sealed class JournalSegment(int slot, BlockFile file)
{
    public int Slot { get; } = slot;
    public BlockFile File { get; } = file;
    public ulong Number { get; set; }

    /// <summary>Where the next record goes; behind the last valid one.</summary>
    public long Position { get; set; } = SegmentHeader.Bytes;
}

using System.Buffers.Binary;
using System.IO.Hashing;

namespace Nephos.LocalStorage.Objects;

/// <summary>What a file of a device holds.</summary>
public enum SegmentKind : ushort
{
    /// <summary>Needles.</summary>
    Volume = 1,

    /// <summary>Entries of the index's replicated log.</summary>
    Journal = 2,
}

/// <summary>The first 4 KiB of every segment file (volume or journal).</summary>
/// <remarks>
/// Little-endian, 4 096 bytes:
/// <code>
///   0 u32 magic "NSEG"     4 u16 version = 1     6 u16 kind (SegmentKind)
///   8 u64 id of this use of the file, 0 while it is prepared but free; ids grow and are never used twice
///  16 u64 the id of the use before
///  24 16 bytes device id (big-endian GUID)
///  40 u64 size of the file in bytes
///  48 u64 milliseconds since 1970 when this use began
///  56 zeros to 4 087
/// 4088 u64 XXH3-64 of bytes 0 to 4 087
/// </code>
/// Records follow from byte 4 096. The rest of a journal's file was written with zeros (or an earlier use) before, so that
/// appends change no metadata of the file system and each costs one flush of the disk and nothing else; a volume's is reserved and
/// reads as zeros.
/// </remarks>
public readonly record struct SegmentHeader(
    SegmentKind Kind, ulong Id, ulong PreviousId, Guid DeviceId, long SizeBytes, long CreatedUnixMs)
{
    public const int HeaderBytes = 4096;
    private const uint Magic = 0x4745534E;
    private const ushort FormatVersion = 1;

    public void Write(Span<byte> destination)
    {
        destination = destination[..HeaderBytes];
        destination.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], FormatVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)Kind);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], Id);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], PreviousId);
        DeviceId.TryWriteBytes(destination[24..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(destination[40..], SizeBytes);
        BinaryPrimitives.WriteInt64LittleEndian(destination[48..], CreatedUnixMs);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[4088..], XxHash3.HashToUInt64(destination[..4088]));
    }

    public static bool TryRead(ReadOnlySpan<byte> source, out SegmentHeader header)
    {
        header = default;
        if (source.Length < HeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt16LittleEndian(source[4..]) != FormatVersion
            || BinaryPrimitives.ReadUInt64LittleEndian(source[4088..]) != XxHash3.HashToUInt64(source[..4088]))
        {
            return false;
        }

        header = new SegmentHeader(
            (SegmentKind)BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            new Guid(source.Slice(24, 16), bigEndian: true),
            BinaryPrimitives.ReadInt64LittleEndian(source[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[48..]));
        return true;
    }
}

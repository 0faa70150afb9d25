using System.Buffers.Binary;
using System.IO.Hashing;

namespace Nephos.LocalStorage.Objects;

internal enum JournalRecordKind : ushort
{
    /// <summary>An entry of a group's log.</summary>
    Entry = 1,

    /// <summary>What a replica promised and where its log begins.</summary>
    State = 2,
}

/// <summary>The head of a record of a journal segment.</summary>
/// <remarks>
/// Little-endian, 80 bytes, followed by the body, padded with zeros to 16 bytes:
/// <code>
///  0 u32 magic "NJRN"      4 u16 version = 1      6 u16 kind (1 entry, 2 state)
///  8 u64 segment id       16 u64 batch: grows by one with each gathered write
/// 24 16 bytes group id (big-endian GUID)
/// 40 u64 epoch            48 u64 sequence
/// 56 u32 body bytes       60 u32 zero
/// 64 u64 XXH3-64 of the body
/// 72 u64 XXH3-64 of bytes 0 to 71
/// </code>
/// Each gathered write begins at a multiple of 4 096 bytes. An entry ends the validity of all entries of its group with the
/// same or a greater sequence that came before it.
/// </remarks>
internal readonly record struct JournalRecordHeader(
    JournalRecordKind Kind, ulong SegmentId, ulong Batch, Guid Group, ulong Epoch, ulong Sequence, int BodyBytes, ulong BodyHash)
{
    public const int SizeBytes = 80;
    public const int BodyBytesMax = 7 << 20;
    private const uint Magic = 0x4E524A4E;
    private const ushort FormatVersion = 1;

    public int TotalBytes => TotalBytesFor(BodyBytes);

    public static int TotalBytesFor(int bodyBytes) => SizeBytes + bodyBytes + 15 & ~15;

    public void Write(Span<byte> destination)
    {
        destination = destination[..SizeBytes];
        destination.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], FormatVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)Kind);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], SegmentId);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], Batch);
        Group.TryWriteBytes(destination[24..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[40..], Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[48..], Sequence);
        BinaryPrimitives.WriteInt32LittleEndian(destination[56..], BodyBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[64..], BodyHash);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[72..], XxHash3.HashToUInt64(destination[..72]));
    }

    public static bool TryRead(ReadOnlySpan<byte> source, out JournalRecordHeader header)
    {
        header = default;
        if (source.Length < SizeBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt64LittleEndian(source[72..]) != XxHash3.HashToUInt64(source[..72])
            || BinaryPrimitives.ReadUInt16LittleEndian(source[4..]) != FormatVersion)
        {
            return false;
        }

        header = new JournalRecordHeader(
            (JournalRecordKind)BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            new Guid(source.Slice(24, 16), bigEndian: true),
            BinaryPrimitives.ReadUInt64LittleEndian(source[40..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[48..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[56..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[64..]));
        return header.BodyBytes is >= 0 and <= BodyBytesMax;
    }
}

/// <summary>The body of a state record.</summary>
/// <remarks>
/// Little-endian, 72 bytes: 0 16 bytes replica id (big-endian GUID) | 16 u64 promised epoch | 24 u64 epoch and 32 u64 sequence up
/// to which the log is trimmed | 40 u64 epoch and 48 u64 sequence of the last entry when this was written | 56 u64 sequence
/// known to be decided | 64 u32 flags (1: forget all entries before) | 68 u32 zero.
/// </remarks>
internal readonly record struct JournalStateBody(
    Guid Replica, ulong Promised, ulong TrimmedEpoch, ulong TrimmedSequence, ulong LastEpoch, ulong LastSequence, ulong Committed, bool IsReset)
{
    public const int SizeBytes = 72;

    public void Write(Span<byte> destination)
    {
        destination[..SizeBytes].Clear();
        Replica.TryWriteBytes(destination, bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], Promised);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], TrimmedEpoch);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[32..], TrimmedSequence);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[40..], LastEpoch);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[48..], LastSequence);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[56..], Committed);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[64..], IsReset ? 1u : 0u);
    }

    public static JournalStateBody Read(ReadOnlySpan<byte> source) => new(
        new Guid(source[..16], bigEndian: true),
        BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[24..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[32..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[40..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[48..]),
        BinaryPrimitives.ReadUInt64LittleEndian(source[56..]),
        (BinaryPrimitives.ReadUInt32LittleEndian(source[64..]) & 1) != 0);
}

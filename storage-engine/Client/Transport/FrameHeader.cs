using System.Buffers.Binary;
using System.IO.Hashing;

namespace Nephos.Client.Transport;

internal enum FrameKind : byte
{
    Call = 1,
    Reply = 2,

    /// <summary>The call could not be carried out; the head is why, in UTF-8.</summary>
    Refusal = 3,
}

/// <summary>What stands in front of every frame on a connection between storage processes.</summary>
/// <remarks>
/// Little-endian, 32 bytes: 0 u16 magic | 2 u8 version | 3 u8 kind | 4 u16 method | 6 u16 zero | 8 u32 call |
/// 12 u32 headBytes | 16 u32 payloadBytes | 20 u32 CRC-32 of head and payload | 24 u32 zero | 28 u32 CRC-32 of bytes 0 to 27.
/// The head follows, then the payload.
/// </remarks>
internal readonly record struct FrameHeader(FrameKind Kind, ushort Method, uint Call, int HeadBytes, int PayloadBytes, uint BodyChecksum)
{
    public const int SizeBytes = 32;
    private const ushort Magic = 0x464E;
    private const byte Version = 1;

    public void Write(Span<byte> destination)
    {
        destination[..SizeBytes].Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(destination, Magic);
        destination[2] = Version;
        destination[3] = (byte)Kind;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], Method);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], Call);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], HeadBytes);
        BinaryPrimitives.WriteInt32LittleEndian(destination[16..], PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], BodyChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[28..], Crc32.HashToUInt32(destination[..28]));
    }

    /// <exception cref="InvalidDataException">No frame of ours, damaged, or beyond the bounds.</exception>
    public static FrameHeader Read(ReadOnlySpan<byte> source)
    {
        if (BinaryPrimitives.ReadUInt16LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(source[28..]) != Crc32.HashToUInt32(source[..28]))
        {
            throw new InvalidDataException("The connection carries something that is no frame.");
        }

        if (source[2] != Version)
        {
            throw new InvalidDataException($"A frame has version {source[2]}; this process knows {Version}.");
        }

        var header = new FrameHeader(
            (FrameKind)source[3],
            BinaryPrimitives.ReadUInt16LittleEndian(source[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[8..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[12..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[20..]));
        return header.HeadBytes is >= 0 and <= StorageMethods.HeadBytesMax && header.PayloadBytes is >= 0 and <= StorageMethods.PayloadBytesMax
            ? header
            : throw new InvalidDataException($"A frame of {header.HeadBytes} + {header.PayloadBytes} bytes is larger than any.");
    }

    public static uint Checksum(ReadOnlySpan<byte> head, ReadOnlySpan<byte> payload)
    {
        if (payload.IsEmpty)
        {
            return Crc32.HashToUInt32(head);
        }

        var crc = new Crc32();
        crc.Append(head);
        crc.Append(payload);
        return crc.GetCurrentHashAsUInt32();
    }
}

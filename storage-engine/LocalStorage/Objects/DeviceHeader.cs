using System.Buffers.Binary;
using System.IO.Hashing;

namespace Nephos.LocalStorage.Objects;

/// <summary>The file <c>device</c> at the top of a device directory: whose directory this is.</summary>
/// <remarks>
/// Little-endian, 4 096 bytes: 0 u32 magic "NDEV" | 4 u16 version = 1 | 6 u16 zero | 8 16 bytes id of this life of the device
/// (big-endian GUID) | 24 i32 number of the device in the ring | 28 u32 zero | 32 u64 milliseconds since 1970 when it was made | 40
/// zeros | 4088 u64 XXH3-64 of bytes 0 to 4 087.
/// </remarks>
public readonly record struct DeviceHeader(Guid Id, int Number, long CreatedUnixMs)
{
    public const int SizeBytes = 4096;
    private const uint Magic = 0x5645444E;
    private const ushort FormatVersion = 1;

    public void Write(Span<byte> destination)
    {
        destination = destination[..SizeBytes];
        destination.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], FormatVersion);
        Id.TryWriteBytes(destination[8..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt32LittleEndian(destination[24..], Number);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], CreatedUnixMs);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[4088..], XxHash3.HashToUInt64(destination[..4088]));
    }

    public static bool TryRead(ReadOnlySpan<byte> source, out DeviceHeader header)
    {
        header = default;
        if (source.Length < SizeBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt64LittleEndian(source[4088..]) != XxHash3.HashToUInt64(source[..4088])
            || BinaryPrimitives.ReadUInt16LittleEndian(source[4..]) != FormatVersion)
        {
            return false;
        }

        header = new DeviceHeader(
            new Guid(source.Slice(8, 16), bigEndian: true),
            BinaryPrimitives.ReadInt32LittleEndian(source[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[32..]));
        return true;
    }
}

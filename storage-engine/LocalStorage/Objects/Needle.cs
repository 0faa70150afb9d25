using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Nephos.LocalStorage.Objects;

/// <summary>Names one frame of one blob on a device. Ordered by placement hash, then blob, then frame.</summary>
/// <param name="PlacementHash">Its top bits are the partition; first, so that a partition is one range of keys at every partition power.</param>
public readonly record struct NeedleKey(ulong PlacementHash, ulong BlobHigh, ulong BlobLow, uint Frame)
{
    public const int SizeBytes = 28;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, PlacementHash);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], BlobHigh);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], BlobLow);
        BinaryPrimitives.WriteUInt32BigEndian(destination[24..], Frame);
    }

    public static NeedleKey Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64BigEndian(source),
        BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[16..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[24..]));
}

[Flags]
public enum NeedleFlags : ushort
{
    None = 0,

    /// <summary>No payload: every frame of the blob written before is dead.</summary>
    Tombstone = 1,

    /// <summary>Stored here because a primary was away.</summary>
    Handoff = 2,

    /// <summary>The payload is one fragment of a frame that is kept in an erasure code; the frame's number says which.</summary>
    Fragment = 4,
}

/// <summary>The sector in front of the payload of a needle: everything needed to use or salvage it without an index.</summary>
/// <remarks>
/// Little-endian, 512 bytes:
/// <code>
///   0 u32 magic "NEDL"      4 u16 version = 1      6 u16 flags (NeedleFlags)
///   8 u64 volume id        16 u64 sequence on this device, ever growing
///  24 u64 placement hash   32 u64 blob id, high    40 u64 blob id, low
///  48 u32 frame            52 u32 payload bytes (0 to 1 MiB)
///  56 u32 home device: the primary that a handoff stands in for, else 0xFFFFFFFF
///  60 u32 zero             64 u64 batch: the sequence of the first needle of the same gathered write
///  72 48 bytes zero
/// 120 u16 hint bytes      122 246 bytes hint: UTF-8 of account/bucket/key, cut off, then zeros
/// 368 16 x u64 XXH3-64 of each 64 KiB block of the payload; zero for blocks it does not have
/// 496 u64 zero
/// 504 u64 XXH3-64 of bytes 0 to 503
/// </code>
/// The payload follows, padded with zeros to the next 512 bytes. The volume id is part of the checksummed header, so
/// what an earlier use of a recycled volume left behind is never taken for a needle of this one.
/// </remarks>
public readonly record struct NeedleHeader
{
    public const int SizeBytes = 512;
    public const int PayloadBytesMax = 1 << 20;
    public const int BlockBytes = 64 << 10;
    public const int BlockCountMax = PayloadBytesMax / BlockBytes;
    public const int HintBytesMax = 246;
    public const uint NoHome = uint.MaxValue;
    internal const int ChecksumsOffset = 368;
    private const uint Magic = 0x4C44454E;
    private const ushort FormatVersion = 1;
    private const int HintOffset = 122;
    private const int HeaderChecksumOffset = 504;

    public required ulong VolumeId { get; init; }
    public required ulong Sequence { get; init; }
    public required ulong Batch { get; init; }
    public required NeedleKey Key { get; init; }
    public required NeedleFlags Flags { get; init; }
    public required int PayloadBytes { get; init; }
    public uint HomeDevice { get; init; }

    /// <summary>Header, payload and padding.</summary>
    public int TotalBytes => TotalBytesFor(PayloadBytes);

    public static int TotalBytesFor(int payloadBytes) => SizeBytes + (payloadBytes + 511 & ~511);

    public static int BlockCountFor(int payloadBytes) => (payloadBytes + BlockBytes - 1) / BlockBytes;

    /// <summary>Checksums of the blocks of a payload, in the order and number the header holds them.</summary>
    public static void HashBlocks(ReadOnlySpan<byte> payload, Span<ulong> checksums)
    {
        for (var block = 0; block * BlockBytes < payload.Length; block++)
        {
            var start = block * BlockBytes;
            checksums[block] = XxHash3.HashToUInt64(payload.Slice(start, Math.Min(BlockBytes, payload.Length - start)));
        }
    }

    /// <summary>Fills a whole sector.</summary>
    public void Write(Span<byte> sector, ReadOnlySpan<ulong> checksums, ReadOnlySpan<byte> hint)
    {
        sector = sector[..SizeBytes];
        sector.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(sector, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(sector[4..], FormatVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(sector[6..], (ushort)Flags);
        BinaryPrimitives.WriteUInt64LittleEndian(sector[8..], VolumeId);
        BinaryPrimitives.WriteUInt64LittleEndian(sector[16..], Sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(sector[24..], Key.PlacementHash);
        BinaryPrimitives.WriteUInt64LittleEndian(sector[32..], Key.BlobHigh);
        BinaryPrimitives.WriteUInt64LittleEndian(sector[40..], Key.BlobLow);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[48..], Key.Frame);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[52..], (uint)PayloadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(sector[56..], HomeDevice);
        BinaryPrimitives.WriteUInt64LittleEndian(sector[64..], Batch);
        hint = hint[..Math.Min(hint.Length, HintBytesMax)];
        BinaryPrimitives.WriteUInt16LittleEndian(sector[120..], (ushort)hint.Length);
        hint.CopyTo(sector[HintOffset..]);
        for (var block = 0; block < BlockCountFor(PayloadBytes); block++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(sector[(ChecksumsOffset + block * 8)..], checksums[block]);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(sector[HeaderChecksumOffset..], XxHash3.HashToUInt64(sector[..HeaderChecksumOffset]));
    }

    /// <summary>False when the sector does not hold the undamaged header of a needle of a version we know.</summary>
    public static bool TryRead(ReadOnlySpan<byte> sector, out NeedleHeader header)
    {
        header = default;
        if (sector.Length < SizeBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(sector) != Magic
            || BinaryPrimitives.ReadUInt64LittleEndian(sector[HeaderChecksumOffset..]) != XxHash3.HashToUInt64(sector[..HeaderChecksumOffset])
            || BinaryPrimitives.ReadUInt16LittleEndian(sector[4..]) != FormatVersion)
        {
            return false;
        }

        var payloadBytes = BinaryPrimitives.ReadUInt32LittleEndian(sector[52..]);
        if (payloadBytes > PayloadBytesMax)
        {
            return false;
        }

        header = new NeedleHeader
        {
            Flags = (NeedleFlags)BinaryPrimitives.ReadUInt16LittleEndian(sector[6..]),
            VolumeId = BinaryPrimitives.ReadUInt64LittleEndian(sector[8..]),
            Sequence = BinaryPrimitives.ReadUInt64LittleEndian(sector[16..]),
            Key = new NeedleKey(
                BinaryPrimitives.ReadUInt64LittleEndian(sector[24..]),
                BinaryPrimitives.ReadUInt64LittleEndian(sector[32..]),
                BinaryPrimitives.ReadUInt64LittleEndian(sector[40..]),
                BinaryPrimitives.ReadUInt32LittleEndian(sector[48..])),
            PayloadBytes = (int)payloadBytes,
            HomeDevice = BinaryPrimitives.ReadUInt32LittleEndian(sector[56..]),
            Batch = BinaryPrimitives.ReadUInt64LittleEndian(sector[64..]),
        };
        return true;
    }

    /// <summary>The recorded checksum of one block, from an undamaged header.</summary>
    public static ulong ChecksumOf(ReadOnlySpan<byte> sector, int block) =>
        BinaryPrimitives.ReadUInt64LittleEndian(sector[(ChecksumsOffset + block * 8)..]);

    /// <summary>True when every given block matches the header; <paramref name="data"/> starts at block <paramref name="firstBlock"/>.</summary>
    public static bool Verify(ReadOnlySpan<byte> sector, int firstBlock, ReadOnlySpan<byte> data)
    {
        for (var block = firstBlock; !data.IsEmpty; block++)
        {
            var part = data[..Math.Min(BlockBytes, data.Length)];
            if (XxHash3.HashToUInt64(part) != ChecksumOf(sector, block))
            {
                return false;
            }

            data = data[part.Length..];
        }

        return true;
    }

    /// <summary>The salvage hint of an undamaged header.</summary>
    public static string HintOf(ReadOnlySpan<byte> sector) =>
        Encoding.UTF8.GetString(sector.Slice(HintOffset, Math.Min((int)BinaryPrimitives.ReadUInt16LittleEndian(sector[120..]), HintBytesMax)));
}

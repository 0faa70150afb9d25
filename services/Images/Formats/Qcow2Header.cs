using System.Buffers.Binary;

namespace Nephos.Images.Formats;

internal enum Qcow2Compression
{
    Deflate,
    Zstandard,
}

/// <summary>The header of a qcow2 image that stands alone.</summary>
/// <remarks>
/// Big-endian: 0 magic "QFI\xfb" | 4 u32 version 2 or 3 | 8 u64 backing file name offset | 16 u32 its bytes | 20 u32 cluster bits |
/// 24 u64 virtual size | 32 u32 encryption | 36 u32 L1 entries | 40 u64 L1 offset | 48 u64 refcount table | 56 u32 its clusters |
/// 60 u32 snapshots | 64 u64 their offset; version 3: 72 u64 incompatible | 80 u64 compatible | 88 u64 autoclear features |
/// 96 u32 refcount order | 100 u32 header bytes | 104 u8 compression. Then extensions: u32 type, u32 bytes, data padded to 8.
/// Source: docs/interop/qcow2.txt of QEMU.
/// </remarks>
internal sealed record Qcow2Header
{
    public const int MinHeaderBytes = 72;
    private const int Version3HeaderBytes = 104;
    private const int MinClusterBits = 9;
    private const int MaxClusterBits = 21;
    private const int MaxL1Entries = 4 * 1024 * 1024;
    private const int MaxExtensions = 64;

    private const ulong Dirty = 1;
    private const ulong Corrupt = 2;
    private const ulong ExternalData = 4;
    private const ulong CompressionType = 8;

    private const uint ExtensionEnd = 0;
    private const uint ExtensionExternalData = 0x44415441;
    private const uint ExtensionEncryption = 0x0537be77;

    public static ReadOnlySpan<byte> Magic => [(byte)'Q', (byte)'F', (byte)'I', 0xfb];

    public required int Version { get; init; }

    /// <summary>A multiple of 512.</summary>
    public required long VirtualSizeBytes { get; init; }

    public required int ClusterBits { get; init; }

    public required int L1Entries { get; init; }

    public required long L1OffsetBytes { get; init; }

    public required Qcow2Compression Compression { get; init; }

    public int ClusterBytes => 1 << ClusterBits;

    /// <summary>Guest bytes that one L2 table maps: a cluster full of entries of eight bytes.</summary>
    public long L2CoverageBytes => (long)ClusterBytes * (ClusterBytes / 8);

    /// <param name="head">The beginning of the file: at least the header with its extensions, as far as the file has them.</param>
    /// <param name="maxVirtualBytes">Bounds the size of the disk.</param>
    /// <exception cref="InvalidDataException">Names the rule that is broken.</exception>
    public static Qcow2Header Parse(ReadOnlySpan<byte> head, long maxVirtualBytes)
    {
        Require(head.Length >= MinHeaderBytes && head.StartsWith(Magic), "it is too short to be qcow2, or not qcow2");
        var version = U32(head, 4);
        Require(version is 2 or 3, $"version {version} of qcow2 is not known");
        Require(U64(head, 8) == 0 && U32(head, 16) == 0, "a qcow2 image with a backing file cannot stand alone");
        var clusterBits = U32(head, 20);
        Require(clusterBits is >= MinClusterBits and <= MaxClusterBits, $"its clusters of 2^{clusterBits} bytes are out of bounds");
        Require(U32(head, 32) == 0, "encrypted qcow2 images are not supported");
        var size = U64(head, 24);
        Require(size % 512 == 0 && size <= (ulong)maxVirtualBytes, $"its virtual size of {size} bytes is out of bounds");
        var compression = version == 3 ? ParseVersion3(head) : Qcow2Compression.Deflate;
        CheckExtensions(head, version == 3 ? (int)U32(head, 100) : MinHeaderBytes, 1L << (int)clusterBits);
        var header = new Qcow2Header
        {
            Version = (int)version,
            VirtualSizeBytes = (long)size,
            ClusterBits = (int)clusterBits,
            L1Entries = (int)Math.Min(U32(head, 36), int.MaxValue),
            L1OffsetBytes = (long)Math.Min(U64(head, 40), long.MaxValue),
            Compression = compression,
        };
        Require(header.L1Entries <= MaxL1Entries, $"its L1 table of {header.L1Entries} entries is out of bounds");
        Require(header.L1Entries >= (header.VirtualSizeBytes + header.L2CoverageBytes - 1) / header.L2CoverageBytes,
            "its L1 table is too small for its virtual size");
        Require(header.L1OffsetBytes % header.ClusterBytes == 0, "its L1 table does not begin at a cluster");
        return header;
    }

    private static Qcow2Compression ParseVersion3(ReadOnlySpan<byte> head)
    {
        Require(head.Length >= Version3HeaderBytes, "its header is cut short");
        var incompatible = U64(head, 72);
        Require((incompatible & ExternalData) == 0, "a qcow2 image with an external data file cannot stand alone");
        Require((incompatible & Corrupt) == 0, "the qcow2 image is marked as corrupt");
        var unknown = incompatible & ~(Dirty | CompressionType);
        Require(unknown == 0, $"the qcow2 image needs features that are not known: {unknown:x}");
        var headerBytes = U32(head, 100);
        Require(headerBytes is >= Version3HeaderBytes and <= 4096 && headerBytes % 8 == 0, $"its header of {headerBytes} bytes is out of bounds");
        if ((incompatible & CompressionType) == 0)
        {
            return Qcow2Compression.Deflate;
        }
        Require(headerBytes > Version3HeaderBytes && head.Length > Version3HeaderBytes && head[Version3HeaderBytes] is 0 or 1,
            "its compression is not known");
        return head[Version3HeaderBytes] == 1 ? Qcow2Compression.Zstandard : Qcow2Compression.Deflate;
    }

    private static void CheckExtensions(ReadOnlySpan<byte> head, int offset, long clusterBytes)
    {
        // Extensions end with the first cluster, or with the header in the oldest images, which have none.
        var limit = (int)Math.Min(head.Length, clusterBytes);
        for (var count = 0; count < MaxExtensions && offset + 8 <= limit; count++)
        {
            var type = U32(head, offset);
            long bytes = U32(head, offset + 4);
            if (type == ExtensionEnd)
            {
                return;
            }
            Require(type != ExtensionExternalData, "a qcow2 image with an external data file cannot stand alone");
            Require(type != ExtensionEncryption, "encrypted qcow2 images are not supported");
            Require(bytes <= limit - offset - 8, "a header extension is out of bounds");
            offset += 8 + (int)((bytes + 7) & ~7L);
        }
    }

    private static uint U32(ReadOnlySpan<byte> head, int offset) => BinaryPrimitives.ReadUInt32BigEndian(head[offset..]);

    private static ulong U64(ReadOnlySpan<byte> head, int offset) => BinaryPrimitives.ReadUInt64BigEndian(head[offset..]);

    private static void Require(bool holds, string rule)
    {
        if (!holds)
        {
            throw new InvalidDataException(rule);
        }
    }
}

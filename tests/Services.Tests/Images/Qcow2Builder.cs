using System.Buffers.Binary;
using System.IO.Compression;
using ZstdSharp;

namespace Nephos.Services.Tests.Images;

/// <summary>Makes qcow2 images: what the reader must understand, written a second time from the format's description.</summary>
internal sealed class Qcow2Builder
{
    public int Version { get; init; } = 3;

    public int ClusterBits { get; init; } = 12;

    public bool Zstandard { get; init; }

    private int ClusterBytes => 1 << ClusterBits;

    /// <param name="disk">A whole number of sectors.</param>
    /// <param name="isCompressed">Whether a cluster is stored compressed, by its number; clusters of zeros are not stored.</param>
    public byte[] Build(byte[] disk, Func<int, bool> isCompressed)
    {
        var entries = ClusterBytes / 8;
        var clusters = (disk.Length + ClusterBytes - 1) / ClusterBytes;
        var tables = (clusters + entries - 1) / entries;
        var file = new MemoryStream();
        Pad(file, ClusterBytes);
        var l1 = new ulong[Math.Max(1, tables)];
        var l1Offset = file.Position;
        file.Write(new byte[l1.Length * 8]);
        for (var table = 0; table < tables; table++)
        {
            var l2 = new ulong[entries];
            for (var i = 0; i < entries && table * entries + i < clusters; i++)
            {
                l2[i] = Store(file, disk, table * entries + i, isCompressed);
            }
            if (l2.Any(entry => entry != 0))
            {
                Align(file);
                l1[table] = (ulong)file.Position | (1UL << 63);
                file.Write(BigEndian(l2));
            }
        }
        Align(file);
        var bytes = file.ToArray();
        BigEndian(l1).CopyTo(bytes, l1Offset);
        WriteHeader(bytes, disk.Length, l1.Length, l1Offset);
        return bytes;
    }

    private ulong Store(MemoryStream file, byte[] disk, int cluster, Func<int, bool> isCompressed)
    {
        var data = new byte[ClusterBytes];
        var start = cluster * ClusterBytes;
        disk.AsSpan(start, Math.Min(ClusterBytes, disk.Length - start)).CopyTo(data);
        if (!data.AsSpan().ContainsAnyExcept((byte)0))
        {
            // Both ways to say zero.
            return Version >= 3 && cluster % 2 == 0 ? 1UL : 0;
        }
        if (isCompressed(cluster) && Compress(data) is { } compressed && compressed.Length < ClusterBytes)
        {
            var at = file.Position;
            file.Write(compressed);
            var sectors = (at + compressed.Length - 1) / 512 - at / 512;
            return (1UL << 62) | ((ulong)sectors << (62 - (ClusterBits - 8))) | (ulong)at;
        }
        Align(file);
        var offset = file.Position;
        file.Write(data);
        return (ulong)offset | (1UL << 63);
    }

    private byte[] Compress(byte[] data)
    {
        var output = new MemoryStream();
        using (Stream stream = Zstandard ? new CompressionStream(output, leaveOpen: true) : new DeflateStream(output, CompressionLevel.Optimal, leaveOpen: true))
        {
            stream.Write(data);
        }
        return output.ToArray();
    }

    private void WriteHeader(byte[] file, long size, int l1Entries, long l1Offset)
    {
        "QFI\u00fb".Select(c => (byte)c).ToArray().CopyTo(file, 0);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(4), (uint)Version);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(20), (uint)ClusterBits);
        BinaryPrimitives.WriteUInt64BigEndian(file.AsSpan(24), (ulong)size);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(36), (uint)l1Entries);
        BinaryPrimitives.WriteUInt64BigEndian(file.AsSpan(40), (ulong)l1Offset);
        if (Version >= 3)
        {
            BinaryPrimitives.WriteUInt64BigEndian(file.AsSpan(72), Zstandard ? 8UL : 0);
            BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(96), 4);
            BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(100), 112);
            file[104] = Zstandard ? (byte)1 : (byte)0;
        }
    }

    private static byte[] BigEndian(ulong[] values)
    {
        var bytes = new byte[values.Length * 8];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), values[i]);
        }
        return bytes;
    }

    private void Align(MemoryStream file) => Pad(file, (int)((ClusterBytes - file.Position % ClusterBytes) % ClusterBytes));

    private static void Pad(MemoryStream file, int bytes) => file.Write(new byte[bytes]);
}

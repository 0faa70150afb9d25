using System.Buffers.Binary;

namespace Nephos.Images.Formats;

/// <summary>Reads the guest-visible content of a qcow2 image of version 2 or 3, with plain, zero and compressed clusters.</summary>
/// <remarks>
/// The image is hostile: every offset is checked against the file, each L2 table and the number of clusters against what a file of
/// its size can hold, so that the work is bounded by the file and not by what its tables claim. One flow at a time.
/// </remarks>
internal sealed class Qcow2Disk : IDisk
{
    private const ulong OffsetMask = 0x00fffffffffffe00;
    private const ulong CompressedFlag = 1UL << 62;
    private const ulong ZeroFlag = 1;
    private const int HeadBytes = 64 * 1024;

    // A compressed cluster is never smaller than the frame of its codec.
    private const int MinCompressedBytes = 8;

    private readonly IRandomReader _file;
    private readonly Qcow2Header _header;
    private readonly ulong[] _l1;
    private readonly ulong[] _l2;
    private readonly byte[] _l2Bytes;
    private readonly Qcow2Decompressor _decompressor;
    private int _l2Index = -1;
    private long _decompressedCluster = -1;

    private Qcow2Disk(IRandomReader file, Qcow2Header header, ulong[] l1)
    {
        _file = file;
        _header = header;
        _l1 = l1;
        _l2 = new ulong[header.ClusterBytes / 8];
        _l2Bytes = new byte[header.ClusterBytes];
        _decompressor = new Qcow2Decompressor(header.Compression, header.ClusterBytes);
    }

    public long VirtualSizeBytes => _header.VirtualSizeBytes;

    /// <exception cref="InvalidDataException">Names the rule that is broken.</exception>
    public static async Task<Qcow2Disk> OpenAsync(IRandomReader file, long maxVirtualBytes, CancellationToken cancellationToken)
    {
        var head = new byte[(int)Math.Min(HeadBytes, file.LengthBytes)];
        await file.ReadAsync(0, head, cancellationToken);
        var header = Qcow2Header.Parse(head, maxVirtualBytes);
        // Only the entries that the disk needs are read: there may be more.
        var needed = (int)((header.VirtualSizeBytes + header.L2CoverageBytes - 1) / header.L2CoverageBytes);
        Require(needed * 8L <= file.LengthBytes - header.L1OffsetBytes && (needed == 0 || header.L1OffsetBytes > 0), "its L1 table lies outside the file");
        var bytes = new byte[needed * 8];
        await file.ReadAsync(needed == 0 ? 0 : header.L1OffsetBytes, bytes, cancellationToken);
        var l1 = new ulong[needed];
        BinaryPrimitives.ReverseEndianness(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(bytes), l1);
        var tables = new HashSet<ulong>();
        for (var i = 0; i < l1.Length; i++)
        {
            l1[i] &= OffsetMask;
            if (l1[i] != 0)
            {
                Require((long)l1[i] % header.ClusterBytes == 0, "an L2 table does not begin at a cluster");
                Require((long)l1[i] <= file.LengthBytes - header.ClusterBytes, "an L2 table lies outside the file");
                Require(tables.Add(l1[i]), "two parts of the disk have the same L2 table");
            }
        }
        return new Qcow2Disk(file, header, l1);
    }

    /// <summary>Checks every table; reads no guest data.</summary>
    /// <exception cref="InvalidDataException">Names the rule that is broken.</exception>
    public async Task VerifyAsync(CancellationToken cancellationToken)
    {
        long plain = 0;
        long compressed = 0;
        for (var table = 0; table < _l1.Length; table++)
        {
            if (_l1[table] == 0)
            {
                continue;
            }
            await LoadL2Async(table, cancellationToken);
            var inside = Math.Min(_l2.Length, ClusterCount - (long)table * _l2.Length);
            for (var i = 0; i < inside; i++)
            {
                var place = Place(_l2[i]);
                plain += place.Kind == ClusterKind.Plain ? 1 : 0;
                compressed += place.Kind == ClusterKind.Compressed ? 1 : 0;
            }
        }
        Require(plain <= _file.LengthBytes / _header.ClusterBytes + 1 && compressed <= _file.LengthBytes / MinCompressedBytes,
            "its tables name more clusters than the file can hold");
    }

    private long ClusterCount => (_header.VirtualSizeBytes + _header.ClusterBytes - 1) >> _header.ClusterBits;

    public long NextData(long offset)
    {
        while (offset < VirtualSizeBytes && _l1[(int)(offset / _header.L2CoverageBytes)] == 0)
        {
            offset = (offset / _header.L2CoverageBytes + 1) * _header.L2CoverageBytes;
        }
        return Math.Min(offset, VirtualSizeBytes);
    }

    public async ValueTask<bool> ReadAsync(long offset, Memory<byte> zeroed, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, VirtualSizeBytes - zeroed.Length);
        var any = false;
        while (!zeroed.IsEmpty)
        {
            var cluster = offset >> _header.ClusterBits;
            var inCluster = (int)(offset & (_header.ClusterBytes - 1));
            var take = Math.Min(zeroed.Length, _header.ClusterBytes - inCluster);
            var place = await FindAsync(cluster, cancellationToken);
            switch (place.Kind)
            {
                case ClusterKind.Plain:
                    take = await ExtendAsync(cluster, place, inCluster, take, zeroed.Length, cancellationToken);
                    await ReadPlainAsync(place.Offset + inCluster, zeroed[..take], cancellationToken);
                    any = true;
                    break;
                case ClusterKind.Compressed:
                    await DecompressAsync(cluster, place, cancellationToken);
                    _decompressor.Output.AsMemory(inCluster, take).CopyTo(zeroed);
                    any = true;
                    break;
                case ClusterKind.Zero:
                    break;
                default:
                    throw new InvalidOperationException($"{place.Kind}");
            }
            zeroed = zeroed[take..];
            offset += take;
        }
        return any;
    }

    /// <summary>Clusters that follow each other in the file are read at once.</summary>
    private async ValueTask<int> ExtendAsync(
        long cluster, ClusterPlace first, int inCluster, int take, int wanted, CancellationToken cancellationToken)
    {
        for (var next = 1; take < wanted; next++)
        {
            var place = await FindAsync(cluster + next, cancellationToken);
            if (place.Kind != ClusterKind.Plain || place.Offset != first.Offset + (long)next * _header.ClusterBytes)
            {
                break;
            }
            take = Math.Min(wanted, (next + 1) * _header.ClusterBytes - inCluster);
        }
        return take;
    }

    private async ValueTask ReadPlainAsync(long offset, Memory<byte> zeroed, CancellationToken cancellationToken)
    {
        // The last cluster of a file may be cut where the rest is zero.
        var inside = (int)Math.Clamp(_file.LengthBytes - offset, 0, zeroed.Length);
        if (inside > 0)
        {
            await _file.ReadAsync(offset, zeroed[..inside], cancellationToken);
        }
    }

    private async ValueTask DecompressAsync(long cluster, ClusterPlace place, CancellationToken cancellationToken)
    {
        if (_decompressedCluster == cluster)
        {
            return;
        }
        _decompressedCluster = -1;
        var input = _decompressor.Input(place.LengthBytes);
        await _file.ReadAsync(place.Offset, input, cancellationToken);
        _decompressor.Run(place.LengthBytes);
        _decompressedCluster = cluster;
    }

    private async ValueTask<ClusterPlace> FindAsync(long cluster, CancellationToken cancellationToken)
    {
        var table = (int)(cluster / _l2.Length);
        if (_l1[table] == 0)
        {
            return default;
        }
        await LoadL2Async(table, cancellationToken);
        return Place(_l2[(int)(cluster % _l2.Length)]);
    }

    private async ValueTask LoadL2Async(int table, CancellationToken cancellationToken)
    {
        if (_l2Index == table)
        {
            return;
        }
        _l2Index = -1;
        await _file.ReadAsync((long)_l1[table], _l2Bytes, cancellationToken);
        BinaryPrimitives.ReverseEndianness(System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(_l2Bytes), _l2);
        _l2Index = table;
    }

    /// <exception cref="InvalidDataException">The entry points outside the file.</exception>
    private ClusterPlace Place(ulong entry)
    {
        if ((entry & CompressedFlag) != 0)
        {
            // The place has 62 - (cluster bits - 8) bits; above it, the number of further sectors of 512 bytes that the data touches.
            var bits = 62 - (_header.ClusterBits - 8);
            var offset = (long)(entry & ((1UL << bits) - 1));
            var sectors = (long)((entry & (CompressedFlag - 1)) >> bits) + 1;
            var end = Math.Min((offset & ~511L) + sectors * 512, _file.LengthBytes);
            Require(offset >= Qcow2Header.MinHeaderBytes && offset < end, "a compressed cluster lies outside the file");
            return new ClusterPlace(ClusterKind.Compressed, offset, (int)(end - offset));
        }
        if (_header.Version >= 3 && (entry & ZeroFlag) != 0)
        {
            return default;
        }
        var plain = (long)(entry & OffsetMask);
        if (plain == 0)
        {
            return default;
        }
        Require(plain % _header.ClusterBytes == 0, "a cluster does not begin at a multiple of the cluster size");
        Require(plain < _file.LengthBytes, "a cluster lies outside the file");
        return new ClusterPlace(ClusterKind.Plain, plain, _header.ClusterBytes);
    }

    private static void Require(bool holds, string rule)
    {
        if (!holds)
        {
            throw new InvalidDataException(rule);
        }
    }

    private enum ClusterKind
    {
        Zero,
        Plain,
        Compressed,
    }

    private readonly record struct ClusterPlace(ClusterKind Kind, long Offset, int LengthBytes);
}

using System.Buffers.Binary;
using System.Collections;
using System.Runtime.CompilerServices;
using Nephos.BlockStorage.Devices;

namespace Nephos.BlockStorage.Images;

/// <summary>A disk as a qcow2 file that holds only what is not zero, made in ascending order so that it can be sent while it is read.</summary>
/// <remarks>
/// Version 2, clusters of 64 KiB, no backing file. In the file: header, refcount table, refcount blocks, L1 table, L2 tables, data; all
/// clusters in use, each once. Source: docs/interop/qcow2.txt of QEMU.
/// </remarks>
internal sealed class Qcow2Stream
{
    private const int ClusterBits = 16;
    private const int ClusterBytes = 1 << ClusterBits;
    private const int EntriesPerTable = ClusterBytes / sizeof(ulong);
    private const int RefcountsPerBlock = ClusterBytes / sizeof(ushort);
    private const uint Version = 2;

    private static ReadOnlySpan<byte> Magic => [(byte)'Q', (byte)'F', (byte)'I', 0xfb];

    // The entry is the only reference to its cluster.
    private const ulong Copied = 1UL << 63;

    private readonly long _virtualBytes;
    private readonly BitArray _used;
    private readonly List<int> _tables;
    private readonly long _refcountTableClusters;
    private readonly long _refcountBlocks;
    private readonly long _l1Clusters;
    private readonly long _clusters;

    private Qcow2Stream(long virtualBytes, BitArray used)
    {
        (_virtualBytes, _used) = (virtualBytes, used);
        _tables = [.. Enumerable.Range(0, Ratio(used.Length, EntriesPerTable)).Where(table => UsedIn(table).Any())];
        _l1Clusters = Ratio(Math.Max(1, Ratio(used.Length, EntriesPerTable)), EntriesPerTable);
        var payload = _l1Clusters + _tables.Count + Enumerable.Range(0, used.Length).LongCount(cluster => used[cluster]);
        // The refcounts count their own clusters too.
        long blocks;
        do
        {
            blocks = _refcountBlocks;
            _refcountTableClusters = Math.Max(1, Ratio(blocks, EntriesPerTable));
            _clusters = 1 + _refcountTableClusters + blocks + payload;
            _refcountBlocks = Ratio(_clusters, RefcountsPerBlock);
        }
        while (_refcountBlocks != blocks);
    }

    /// <summary>Of the whole file.</summary>
    public long SizeBytes => _clusters * ClusterBytes;

    private long L1Offset => (1 + _refcountTableClusters + _refcountBlocks) * ClusterBytes;

    private long FirstTable => L1Offset + (_l1Clusters * ClusterBytes);

    private long FirstData => FirstTable + ((long)_tables.Count * ClusterBytes);

    /// <summary>Finds out which clusters are needed.</summary>
    /// <param name="virtualBytes">Size of the disk; a multiple of 512.</param>
    /// <param name="chunks">What in it is not zero.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<Qcow2Stream> PlanAsync(long virtualBytes, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken)
    {
        var used = new BitArray(Ratio(virtualBytes, ClusterBytes));
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            var last = (int)((chunk.Offset + chunk.Data.Length - 1) >> ClusterBits);
            for (var cluster = (int)(chunk.Offset >> ClusterBits); cluster <= last; cluster++)
            {
                used[cluster] = true;
            }
        }
        return new Qcow2Stream(virtualBytes, used);
    }

    /// <summary>Ascending ranges of the file; between them it is zero.</summary>
    /// <param name="chunks">The same as those of the plan, ascending.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InvalidDataException">Something is not zero that was when the file was planned.</exception>
    public async IAsyncEnumerable<BlockChunk> WriteAsync(IAsyncEnumerable<BlockChunk> chunks, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return new BlockChunk(0, Header());
        yield return new BlockChunk(ClusterBytes, Entries(_refcountBlocks, block => (ulong)((1 + _refcountTableClusters + block) * ClusterBytes)));
        for (var block = 0L; block < _refcountBlocks; block++)
        {
            yield return new BlockChunk((1 + _refcountTableClusters + block) * ClusterBytes, Refcounts(Math.Min(RefcountsPerBlock, _clusters - (block * RefcountsPerBlock))));
        }
        if (_tables.Count > 0)
        {
            var places = _tables.Select((table, place) => (table, place)).ToDictionary(item => item.table, item => item.place);
            yield return new BlockChunk(L1Offset, Entries(
                _tables[^1] + 1, table => places.TryGetValue((int)table, out var place) ? Copied | (ulong)(FirstTable + ((long)place * ClusterBytes)) : 0));
        }
        var data = FirstData;
        for (var place = 0; place < _tables.Count; place++)
        {
            var table = new byte[ClusterBytes];
            foreach (var cluster in UsedIn(_tables[place]))
            {
                BinaryPrimitives.WriteUInt64BigEndian(table.AsSpan(cluster % EntriesPerTable * sizeof(ulong)), Copied | (ulong)data);
                data += ClusterBytes;
            }
            yield return new BlockChunk(FirstTable + ((long)place * ClusterBytes), table);
        }
        var (next, rank) = (0, -1L);
        await foreach (var chunk in chunks.WithCancellation(cancellationToken))
        {
            var first = (int)(chunk.Offset >> ClusterBits);
            for (; next <= first; next++)
            {
                rank += _used[next] ? 1 : 0;
            }
            if (!_used[first])
            {
                throw new InvalidDataException($"Cluster {first} was zero when the file was planned.");
            }
            // Clusters of one range follow each other in the file too.
            yield return new BlockChunk(FirstData + (rank * ClusterBytes) + (chunk.Offset % ClusterBytes), chunk.Data);
        }
    }

    private IEnumerable<int> UsedIn(int table)
    {
        var end = Math.Min(_used.Length, (table + 1) * EntriesPerTable);
        for (var cluster = table * EntriesPerTable; cluster < end; cluster++)
        {
            if (_used[cluster])
            {
                yield return cluster;
            }
        }
    }

    private byte[] Header()
    {
        var header = new byte[72];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), Version);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(20), ClusterBits);
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(24), (ulong)_virtualBytes);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(36), (uint)Ratio(_used.Length, EntriesPerTable));
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(40), (ulong)L1Offset);
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(48), ClusterBytes);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(56), (uint)_refcountTableClusters);
        return header;
    }

    private static byte[] Entries(long count, Func<long, ulong> entry)
    {
        var entries = new byte[count * sizeof(ulong)];
        for (var index = 0L; index < count; index++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(entries.AsSpan((int)index * sizeof(ulong)), entry(index));
        }
        return entries;
    }

    private static byte[] Refcounts(long count)
    {
        var counts = new byte[count * sizeof(ushort)];
        for (var index = 0; index < count; index++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(counts.AsSpan(index * sizeof(ushort)), 1);
        }
        return counts;
    }

    private static int Ratio(long value, long unit) => (int)((value + unit - 1) / unit);
}

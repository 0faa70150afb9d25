using System.Numerics;

namespace Nephos.Replication.Volumes;

/// <summary>A set of blocks of a volume, sparse: one bit for each block where there are some. One user at a time.</summary>
public sealed class BlockBitmap
{
    private const int ChunkBlocks = 1 << 15;
    private const int ChunkWords = ChunkBlocks / 64;

    private readonly SortedDictionary<long, ulong[]> _chunks = [];

    /// <summary>Blocks in the set.</summary>
    public long Count { get; private set; }

    public bool IsEmpty => Count == 0;

    public bool this[long block] =>
        Count > 0 && _chunks.TryGetValue(block / ChunkBlocks, out var words) && (words[block % ChunkBlocks / 64] >> (int)(block % 64) & 1) != 0;

    public void Add(long block, long count) => Change(block, count, add: true);

    public void Remove(long block, long count)
    {
        if (Count > 0) Change(block, count, add: false);
    }

    public void Clear()
    {
        _chunks.Clear();
        Count = 0;
    }

    private void Change(long block, long count, bool add)
    {
        var end = block + count;
        while (block < end)
        {
            var number = block / ChunkBlocks;
            var chunkEnd = Math.Min(end, (number + 1) * ChunkBlocks);
            if (_chunks.TryGetValue(number, out var words) || add)
            {
                if (words is null) _chunks.Add(number, words = new ulong[ChunkWords]);
                for (; block < chunkEnd; block += 64 - block % 64)
                {
                    ref var word = ref words[block % ChunkBlocks / 64];
                    var mask = Mask((int)(block % 64), Math.Min(64, block % 64 + chunkEnd - block));
                    Count += add ? BitOperations.PopCount(mask & ~word) : -BitOperations.PopCount(mask & word);
                    word = add ? word | mask : word & ~mask;
                }
                if (!add && words.AsSpan().IndexOfAnyExcept(0ul) < 0) _chunks.Remove(number);
            }
            block = chunkEnd;
        }
    }

    // The bits from one place up to another.
    private static ulong Mask(int from, long to) => (to == 64 ? ulong.MaxValue : (1ul << (int)to) - 1) & ulong.MaxValue << from;

    public bool Intersects(long block, long count)
    {
        if (Count == 0) return false;
        return FirstFrom(block, block + count) >= 0;
    }

    /// <summary>The first run of blocks in the set at or behind a block; false when there is none.</summary>
    public bool TryFind(long from, long countMax, out long block, out long count)
    {
        block = FirstFrom(from, long.MaxValue);
        count = 0;
        if (block < 0) return false;
        while (count < countMax && this[block + count]) count++;
        return true;
    }

    private long FirstFrom(long from, long end)
    {
        foreach (var (number, words) in _chunks)
        {
            var start = number * ChunkBlocks;
            if (start + ChunkBlocks <= from) continue;
            if (start >= end) return -1;
            var at = Math.Max(0, from - start);
            for (var index = at / 64; index < ChunkWords; index++)
            {
                var word = words[index];
                if (index == at / 64) word &= ulong.MaxValue << (int)(at % 64);
                if (word == 0) continue;
                var found = start + index * 64 + BitOperations.TrailingZeroCount(word);
                return found < end ? found : -1;
            }
        }
        return -1;
    }
}

using System.Collections.Immutable;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nephos.Node.Objects.Groups;

/// <summary>
/// Which shard holds which accounts: ranges of the hash of the account's name, in order, the first from 0. A shard's range never changes;
/// other ranges are other shards, under numbers that were never used before.
/// </summary>
/// <param name="Version">Grows with every change.</param>
internal sealed record ShardMap(ulong Version, ImmutableArray<ShardRange> Ranges)
{
    /// <summary>So many shards are ever made: every device remembers the number of each it had, also when it is gone.</summary>
    private const int ShardsMadeMax = 1 << 14;

    /// <summary>Where the configuration master keeps it.</summary>
    public const string Name = "objects/shard-map";

    /// <summary>The number of the next shard that is made.</summary>
    public int NextShard { get; init; }

    /// <summary>No two shards ever gave out the same sequence, so that rows of two can be put together. Not so in stores made by earlier versions.</summary>
    public bool HasDistinctSequences { get; init; }

    /// <summary>Shards that are being replaced by others; one change at a time.</summary>
    public ShardChange? Change { get; init; }

    [JsonIgnore]
    public int FirstShard => Ranges[0].Shard;

    /// <summary>The shards of the map, and those that are to become it.</summary>
    [JsonIgnore]
    public IEnumerable<int> All => Ranges.Concat(Change?.Targets ?? []).Select(r => r.Shard).Distinct();

    public static ShardMap Even(int count) => new(
        1, [.. Enumerable.Range(0, count).Select(n => new ShardRange(n == 0 ? 0 : (ulong)(((UInt128)n << 64) / (uint)count), n))])
    {
        NextShard = count,
        HasDistinctSequences = true,
    };

    public static ulong HashOf(string account) => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(account));

    public int ShardOfAccount(string account) => ShardOf(HashOf(account));

    public int ShardOf(ulong hash) => ShardRange.Of(Ranges, hash);

    public bool Has(int shard) => Ranges.Any(r => r.Shard == shard);

    /// <summary>The shards that were replaced, or given up before they took part.</summary>
    [JsonIgnore]
    public IEnumerable<int> Gone => Enumerable.Range(0, NextShard).Except(All);

    /// <summary>The shard was replaced, or given up before it took part, and will never be again; true in every later map too.</summary>
    public bool IsGone(int shard) => shard >= 0 && shard < NextShard && !All.Contains(shard);

    /// <summary>The change was begun and will never take place, as the shard that it was to replace is still there; true in every later map that has the shard.</summary>
    public bool WasGivenUp(int change, int shard) => change < NextShard && Change?.Id != change && Has(shard);

    /// <summary>Begins to replace a shard by two, the second from a hash on; null when it is not there, the hash not inside, or another change is under way, or too many were made.</summary>
    public ShardMap? Split(int shard, ulong epoch, ulong at)
    {
        var index = IndexOf(shard);
        return index < 0 || Ranges[index].FirstHash >= at || (index + 1 < Ranges.Length && Ranges[index + 1].FirstHash <= at)
            ? null
            : Begin([new ChangeSource(shard, epoch, CopyState.Copying)], [Ranges[index].FirstHash, at]);
    }

    /// <summary>Begins to replace two neighbours by one shard; null when they are none, or another change is under way, or too many were made.</summary>
    public ShardMap? Merge(int left, ulong leftEpoch, int right, ulong rightEpoch)
    {
        var index = IndexOf(left);
        return index < 0 || index + 1 >= Ranges.Length || Ranges[index + 1].Shard != right || !HasDistinctSequences
            ? null
            : Begin(
                [new ChangeSource(left, leftEpoch, CopyState.Copying), new ChangeSource(right, rightEpoch, CopyState.Copying)],
                [Ranges[index].FirstHash]);
    }

    /// <summary>Notes how far a source is. With the last one done, the targets take the place of the sources.</summary>
    public ShardMap? Note(int change, int shard, CopyState state)
    {
        if (Change is not { } current || current.Id != change || current.Find(shard) is not { } source)
        {
            return null;
        }

        var next = current with { Sources = current.Sources.Replace(source, source with { State = state }) };
        if (next.Sources.Any(s => s.State != CopyState.Done))
        {
            return this with { Version = Version + 1, Change = next };
        }

        var ranges = Ranges.Where(r => next.Find(r.Shard) is null).Concat(next.Targets).OrderBy(r => r.FirstHash);
        return this with { Version = Version + 1, Ranges = [.. ranges], Change = null };
    }

    /// <summary>Gives a change up: its sources stay, its targets are never used.</summary>
    public ShardMap? GiveUp(int change) => Change?.Id == change ? this with { Version = Version + 1, Change = null } : null;

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, ConfigurationJson.Default.ShardMap);

    public static ShardMap Parse(ReadOnlySpan<byte> bytes)
    {
        var map = JsonSerializer.Deserialize(bytes, ConfigurationJson.Default.ShardMap) ?? throw new InvalidDataException("The shard map is empty.");
        return map.NextShard > 0 ? map : map with { NextShard = map.Ranges.Max(r => r.Shard) + 1 };
    }

    private ShardMap? Begin(ImmutableArray<ChangeSource> sources, ReadOnlySpan<ulong> firstHashes)
    {
        if (Change is not null || NextShard + firstHashes.Length > ShardsMadeMax)
        {
            return null;
        }

        var targets = ImmutableArray.CreateBuilder<ShardRange>();
        foreach (var first in firstHashes)
        {
            targets.Add(new ShardRange(first, NextShard + targets.Count));
        }

        return this with { Version = Version + 1, NextShard = NextShard + targets.Count, Change = new ShardChange(sources, targets.ToImmutable()) };
    }

    private int IndexOf(int shard)
    {
        for (var index = 0; index < Ranges.Length; index++)
        {
            if (Ranges[index].Shard == shard)
            {
                return index;
            }
        }

        return -1;
    }
}

internal sealed record ShardRange(ulong FirstHash, int Shard)
{
    /// <summary>The shard of a hash among ranges in order.</summary>
    public static int Of(ImmutableArray<ShardRange> ranges, ulong hash)
    {
        var shard = ranges[0].Shard;
        foreach (var range in ranges)
        {
            if (range.FirstHash > hash)
            {
                break;
            }

            shard = range.Shard;
        }

        return shard;
    }
}

/// <summary>Shards that are copied, row by row, to new ones that then take their place.</summary>
internal sealed record ShardChange(ImmutableArray<ChangeSource> Sources, ImmutableArray<ShardRange> Targets)
{
    /// <summary>Names the change for good, as numbers of shards are not used again.</summary>
    [JsonIgnore]
    public int Id => Targets[0].Shard;

    public ChangeSource? Find(int shard) => Sources.FirstOrDefault(s => s.Shard == shard);
}

/// <param name="Epoch">Only the writer of this epoch copies: nobody else knows what it has sent.</param>
internal sealed record ChangeSource(int Shard, ulong Epoch, CopyState State);

internal enum CopyState : byte
{
    Copying,

    /// <summary>All but what changes just now is in the targets.</summary>
    Ready,

    /// <summary>Closed, and everything is in the targets.</summary>
    Done,
}

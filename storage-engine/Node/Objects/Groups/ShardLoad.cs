using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Groups;

/// <summary>How much is in a shard.</summary>
/// <param name="Objects">With older versions and delete markers.</param>
/// <param name="SplitAt">The hash of an account that has about half of them before it; null when one account has nearly all.</param>
internal sealed record ShardLoad(long Objects, ulong? SplitAt)
{
    /// <summary>A split that leaves less than one part in so many on one side is not worth the copying.</summary>
    private const int PartsMax = 10;

    /// <summary>Adds up the usage of the accounts; its cost follows their number, not that of their objects.</summary>
    public static ShardLoad Measure(IndexDatabase database, uint group)
    {
        var accounts = new List<(ulong Hash, long Objects)>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek([RowKeys.AccountUsageTable]); cursor.IsValid && cursor.Key[0] == RowKeys.AccountUsageTable; cursor.Next())
        {
            var usage = Rows.ReadUsage(cursor.Value.ToArray(), out _);
            accounts.Add((ShardMap.HashOf(RowKeys.ReadText(cursor.Key[1..], out _)), usage.Objects + usage.NoncurrentVersions));
        }

        accounts.Sort();
        var total = accounts.Sum(a => a.Objects);
        ulong? at = null;
        var (before, nearest) = (0L, long.MaxValue);
        for (var n = 1; n < accounts.Count; n++)
        {
            before += accounts[n - 1].Objects;
            var uneven = Math.Abs(total - (2 * before));
            if (accounts[n].Hash != accounts[n - 1].Hash && uneven < nearest && Math.Min(before, total - before) * PartsMax >= total && before > 0)
            {
                (at, nearest) = (accounts[n].Hash, uneven);
            }
        }

        return new ShardLoad(total, at);
    }
}

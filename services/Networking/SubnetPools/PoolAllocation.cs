using Nephos.Networking.Addressing;

namespace Nephos.Networking.SubnetPools;

/// <summary>Finds room in a pool.</summary>
internal static class PoolAllocation
{
    /// <summary>The lowest block of a length inside the prefixes that overlaps nothing taken; null when there is no room.</summary>
    public static Cidr? FindFree(IReadOnlyList<Cidr> prefixes, IEnumerable<Cidr> taken, int prefixLength)
    {
        var used = taken.OrderBy(cidr => cidr.First).ToArray();
        foreach (var prefix in prefixes.Where(prefix => prefix.PrefixLength <= prefixLength))
        {
            Cidr? candidate = Cidr.Around(prefix.First, prefixLength);
            foreach (var cidr in used)
            {
                if (candidate is { } block && block.Overlaps(cidr))
                {
                    candidate = After(block, cidr, prefix);
                }
            }

            if (candidate is not null)
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>Joins prefixes that touch or overlap, and orders them.</summary>
    public static IReadOnlyList<Cidr> Merge(IEnumerable<Cidr> prefixes)
    {
        var merged = new List<Cidr>();
        foreach (var prefix in prefixes.Distinct().OrderBy(prefix => prefix.First).ThenBy(prefix => prefix.PrefixLength))
        {
            if (merged.Count > 0 && merged[^1].Contains(prefix))
            {
                continue;
            }

            merged.Add(prefix);
            while (merged.Count > 1 && merged[^1].PrefixLength == merged[^2].PrefixLength && merged[^1].PrefixLength > 0 &&
                   Cidr.Around(merged[^2].First, merged[^2].PrefixLength - 1) is var both && both.Contains(merged[^1]) &&
                   both.First == merged[^2].First)
            {
                merged.RemoveRange(merged.Count - 2, 2);
                merged.Add(both);
            }
        }

        return merged;
    }

    // The next block of the same length after both the block and what it overlaps, when the prefix has one.
    private static Cidr? After(Cidr block, Cidr cidr, Cidr prefix)
    {
        var last = block.Last > cidr.Last ? block.Last : cidr.Last;
        return last >= prefix.Last ? null : Cidr.Around(last.Plus(1), block.PrefixLength);
    }
}

namespace Nephos.Networking.Addressing;

/// <summary>Counting through the ranges of an allocation pool, in their order.</summary>
internal static class AddressPools
{
    /// <summary>The address at an index that counts through all ranges.</summary>
    public static IpAddress Nth(IReadOnlyList<AddressRange> pools, UInt128 index)
    {
        foreach (var pool in pools)
        {
            if (index < pool.Count)
            {
                return pool.Start.Plus(index);
            }

            index -= pool.Count;
        }

        throw new ArgumentOutOfRangeException(nameof(index), "The pools have fewer addresses.");
    }

    /// <summary>The addresses that are not taken, lowest first in each range.</summary>
    public static IEnumerable<IpAddress> Free(IReadOnlyList<AddressRange> pools, IReadOnlySet<IpAddress> taken)
    {
        foreach (var pool in pools)
        {
            for (var offset = UInt128.Zero; offset < pool.Count; offset++)
            {
                var address = pool.Start.Plus(offset);
                if (!taken.Contains(address))
                {
                    yield return address;
                }
            }
        }
    }
}

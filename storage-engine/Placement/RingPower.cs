namespace Nephos.Placement;

/// <summary>Changes how finely a ring reads the hashes: its partition power, up and down.</summary>
public static class RingPower
{
    /// <summary>
    /// One step towards a partition power. Up, two partitions inherit the devices of one and nothing moves. Down, the second of each pair
    /// first gets the devices of the first, one replica of a partition at a time, each step to be verified before the next; then they
    /// become one.
    /// </summary>
    public static RingChange Step(Ring ring, int partitionPower)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(partitionPower);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(partitionPower, Ring.PartitionPowerMax);
        if (partitionPower == ring.PartitionPower)
        {
            return new RingChange(ring, 0, IsBalanced: true);
        }

        if (partitionPower > ring.PartitionPower)
        {
            return new RingChange(ring.WithDoubledPartitions(), 0, IsBalanced: false);
        }

        var table = ring.CopyTable();
        var moved = 0;
        for (var even = 0; even < ring.PartitionCount; even += 2)
        {
            moved += TryAlign(table, even, even + 1) ? 1 : 0;
        }

        return moved > 0
            ? new RingChange(new Ring(ring.Version + 1, ring.PartitionPower, ring.Devices, table), moved, IsBalanced: false)
            : new RingChange(
                new Ring(ring.Version + 1, ring.PartitionPower - 1, ring.Devices, Array.ConvertAll(table, row => row.Where((_, p) => p % 2 == 0).ToArray())),
                0, IsBalanced: false);
    }

    /// <summary>Moves one replica of a partition to a device of its sister that it lacks; false when they have the same devices.</summary>
    private static bool TryAlign(int[][] table, int model, int partition)
    {
        foreach (var row in table)
        {
            if (Holds(table, model, row[partition]))
            {
                continue;
            }

            foreach (var wanted in table)
            {
                if (!Holds(table, partition, wanted[model]))
                {
                    row[partition] = wanted[model];
                    return true;
                }
            }
        }

        return false;
    }

    private static bool Holds(int[][] table, int partition, int device)
    {
        foreach (var row in table)
        {
            if (row[partition] == device)
            {
                return true;
            }
        }

        return false;
    }
}

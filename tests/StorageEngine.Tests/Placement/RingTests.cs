using CsCheck;
using Nephos.Placement;
using Xunit;

namespace Nephos.StorageEngine.Tests.Placement;

public sealed class RingTests
{
    // Regions, zones, nodes and devices in small numbers, with weights from 1 to 4.
    private static readonly Gen<RingDevice[]> Devices =
        Gen.Select(Gen.Int[1, 2], Gen.Int[1, 4], Gen.Int[1, 3], Gen.Double[1, 4].Array[3, 24]).Select((regions, zones, nodes, weights) =>
            weights.Select((weight, n) => new RingDevice(
                n, $"r{n % regions}", $"z{n % zones}", $"n{n / 3 % nodes}", Math.Round(weight, 1))).ToArray());

    [Fact]
    public void Every_partition_is_spread_over_as_many_domains_as_there_are() =>
        Gen.Select(Devices, Gen.Int[1, 3]).Sample((devices, replicas) =>
        {
            var ring = RingBuilder.Create(6, replicas, devices);
            AssertDispersed(ring);
        });

    [Fact]
    public void Equal_devices_in_equal_zones_are_balanced_to_one_replica() =>
        Gen.Select(Gen.Int[3, 8], Gen.Int[1, 6]).Sample((zones, perZone) =>
        {
            var devices = Enumerable.Range(0, zones * perZone).Select(n => new RingDevice(n, "r", $"z{n % zones}", $"n{n}", 1)).ToArray();
            var counts = RingBuilder.Create(8, 3, devices).CountsByDevice().Values;
            Assert.True(counts.Max() - counts.Min() <= 1, string.Join(' ', counts));
        });

    [Fact]
    public void Devices_get_their_share_of_weight_within_one_percent() =>
        Gen.Double[1, 4].Array[12, 24].Sample(weights =>
        {
            var devices = weights.Select((w, n) => new RingDevice(n, "r", $"z{n % 4}", $"n{n}", w)).ToArray();
            var zone = devices.GroupBy(d => d.Zone).Select(g => g.Sum(d => d.Weight)).ToArray();
            if (zone.Max() > devices.Sum(d => d.Weight) / 3)
            {
                return; // Dispersion comes first: such a zone cannot have its share.
            }

            var ring = RingBuilder.Create(12, 3, devices);
            foreach (var (id, count) in ring.CountsByDevice())
            {
                var share = 3.0 * ring.PartitionCount * devices[id].Weight / devices.Sum(d => d.Weight);
                Assert.InRange(count, (share * 0.99) - 1, (share * 1.01) + 1);
            }
        });

    [Fact]
    public void A_new_device_takes_its_share_and_nothing_else_moves() =>
        Gen.Int[4, 12].Sample(count =>
        {
            var before = RingBuilder.Create(10, 3, Flat(count));
            var (after, moved) = Settle(before, Flat(count + 1));

            AssertDispersed(after);
            AssertBalanced(after);
            Assert.InRange(moved, 0, LeastMoves(before, after) * 1.05);
        });

    [Fact]
    public void A_lost_device_costs_only_its_own_replicas() =>
        Gen.Select(Gen.Int[5, 12], Gen.Int[0, 4]).Sample((count, lost) =>
        {
            var before = RingBuilder.Create(10, 3, Flat(count));
            var held = before.CountsByDevice()[lost];
            var (after, moved) = Settle(before, Flat(count).Where(d => d.Id != lost).ToArray());

            AssertDispersed(after);
            AssertBalanced(after);
            Assert.InRange(moved, held, held * 1.05);
        });

    [Fact]
    public void Any_change_of_devices_ends_dispersed_and_deterministic() =>
        Gen.Select(Devices, Devices).Sample((first, second) =>
        {
            var ring = RingBuilder.Create(6, 3, first);
            var (once, _) = Settle(ring, second);
            var (again, _) = Settle(ring, second);
            AssertDispersed(once);
            Assert.Equal(RingFormat.Write(once), RingFormat.Write(again));
        });

    [Fact]
    public void Of_a_partition_one_replica_moves_at_a_time()
    {
        var before = RingBuilder.Create(8, 3, Flat(4));
        var after = RingBuilder.Rebalance(before, Flat(12)).Ring;
        for (var partition = 0; partition < before.PartitionCount; partition++)
        {
            var p = partition;
            Assert.InRange(Enumerable.Range(0, 3).Count(r => before.Primary(p, r) != after.Primary(p, r)), 0, 1);
        }
    }

    [Fact]
    public void A_drained_device_empties_and_a_second_rebalance_moves_nothing()
    {
        var devices = Flat(6);
        var (after, _) = Settle(RingBuilder.Create(8, 3, devices), [.. devices.Select(d => d.Id == 2 ? d with { Weight = 0 } : d)]);

        Assert.Equal(0, after.CountsByDevice()[2]);
        var again = RingBuilder.Rebalance(after, after.Devices);
        Assert.Same(after, again.Ring);
        Assert.Equal(0, again.ReplicasMoved);
    }

    [Fact]
    public void Doubling_the_partitions_moves_nothing() =>
        Gen.ULong.Sample(hash =>
        {
            var ring = RingBuilder.Create(5, 3, Flat(5));
            var doubled = ring.WithDoubledPartitions();
            for (var replica = 0; replica < 3; replica++)
            {
                Assert.Equal(ring.Primary(ring.PartitionOf(hash), replica), doubled.Primary(doubled.PartitionOf(hash), replica));
            }
        });

    [Fact]
    public void Handoffs_are_the_other_devices_and_the_farthest_come_first()
    {
        var ring = RingBuilder.Create(6, 3, Enumerable.Range(0, 12).Select(n => new RingDevice(n, "r", $"z{n % 4}", $"n{n / 4}", 1)));
        for (var partition = 0; partition < ring.PartitionCount; partition++)
        {
            var primaries = new int[3];
            ring.Primaries(partition, primaries);
            var handoffs = ring.Handoffs(partition);

            Assert.Equal(9, handoffs.Count);
            Assert.Empty(handoffs.Intersect(primaries));
            var used = primaries.Select(p => ring.Device(p).Zone).ToHashSet();
            Assert.All(handoffs.Take(3), h => Assert.DoesNotContain(ring.Device(h).Zone, used));
        }
    }

    [Fact]
    public void The_hashes_of_a_partition_are_one_range()
    {
        var ring = RingBuilder.Create(4, 1, Flat(1));
        for (var partition = 0; partition < 16; partition++)
        {
            Assert.Equal(partition, ring.PartitionOf(ring.FirstHashOf(partition)));
            Assert.Equal(partition, ring.PartitionOf(ring.LastHashOf(partition)));
        }

        Assert.Equal(ulong.MaxValue, ring.LastHashOf(15));
    }

    [Fact]
    public void A_ring_reads_back_as_it_was_written() =>
        Devices.Sample(devices =>
        {
            var ring = RingBuilder.Create(5, 3, devices);
            var bytes = RingFormat.Write(ring);
            Assert.Equal(bytes, RingFormat.Write(RingFormat.Read(bytes)));
        });

    [Fact]
    public void A_ring_has_exactly_these_bytes()
    {
        var ring = RingBuilder.Create(1, 1, [new RingDevice(7, "r", "z", "n", 1.5)]);
        Assert.Equal(
            "4E524E47" + "0100" + "01" + "01" + "0100000000000000" + "01000000"
            + "07000000" + "000000000000F83F" + "010072" + "01007A" + "01006E"
            + "07000000" + "07000000" + "EB311809C706C4B7",
            Convert.ToHexString(RingFormat.Write(ring)));
    }

    [Fact]
    public void A_damaged_ring_is_refused()
    {
        var bytes = RingFormat.Write(RingBuilder.Create(3, 3, Flat(4)));
        Gen.Int[0, bytes.Length - 1].Sample(at =>
        {
            var damaged = bytes.ToArray();
            damaged[at] ^= 1;
            Assert.Throws<InvalidDataException>(() => RingFormat.Read(damaged));
        });
    }

    [Fact]
    public void Fewer_devices_than_replicas_are_refused() =>
        Assert.Throws<ArgumentException>(() => RingBuilder.Create(4, 3, Flat(2)));

    [Fact]
    public void A_ring_of_a_thousand_devices_takes_one_more()
    {
        var devices = Enumerable.Range(0, 1000).Select(n => new RingDevice(n, "r", $"z{n % 5}", $"n{n / 20}", 1 + (n % 3))).ToArray();
        var ring = RingBuilder.Create(17, 3, devices);
        var change = RingBuilder.Rebalance(ring, [.. devices, new RingDevice(1000, "r", "z0", "n50", 2)]);
        Assert.True(change.ReplicasMoved > 0);
    }

    private static RingDevice[] Flat(int count) =>
        [.. Enumerable.Range(0, count).Select(n => new RingDevice(n, "r", $"z{n}", $"n{n}", 1))];

    private static (Ring Ring, int Moved) Settle(Ring ring, RingDevice[] devices)
    {
        var moved = 0;
        for (var round = 0; round < 20; round++)
        {
            var change = RingBuilder.Rebalance(ring, devices);
            (ring, moved) = (change.Ring, moved + change.ReplicasMoved);
            if (change.IsBalanced)
            {
                return (ring, moved);
            }
        }

        throw new InvalidOperationException("Does not settle.");
    }

    private static double LeastMoves(Ring before, Ring after)
    {
        var (old, now) = (before.CountsByDevice(), after.CountsByDevice());
        return now.Sum(d => Math.Max(0, d.Value - old.GetValueOrDefault(d.Key)));
    }

    private static void AssertBalanced(Ring ring)
    {
        var counts = ring.CountsByDevice().Values;
        Assert.True(counts.Max() - counts.Min() <= Math.Max(1, counts.Max() / 100), string.Join(' ', counts));
    }

    /// <summary>In each domain, a partition's replicas are on as many child domains as its count and the devices allow.</summary>
    private static void AssertDispersed(Ring ring)
    {
        var usable = ring.Devices.Where(d => d.Weight > 0).ToArray();
        var zones = usable.GroupBy(d => (d.Region, d.Zone)).ToDictionary(g => g.Key, g => g.Count());
        for (var partition = 0; partition < ring.PartitionCount; partition++)
        {
            var devices = new int[ring.ReplicaCount];
            ring.Primaries(partition, devices);
            Assert.Equal(devices.Length, devices.Distinct().Count());
            var regions = devices.Select(d => ring.Device(d).Region).Distinct().Count();
            Assert.Equal(Math.Min(devices.Length, usable.Select(d => d.Region).Distinct().Count()), regions);
            if (usable.Select(d => d.Region).Distinct().Count() == 1)
            {
                Assert.Equal(Math.Min(devices.Length, zones.Count), devices.Select(d => ring.Device(d).Zone).Distinct().Count());
            }
        }
    }
}

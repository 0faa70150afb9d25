using Nephos.Placement;
using Xunit;

namespace Nephos.StorageEngine.Tests.Placement;

public sealed class RingPowerTests
{
    private static readonly Ring Before = RingBuilder.Create(6, 3, Enumerable.Range(0, 12).Select(n => new RingDevice(n, "r", $"z{n % 4}", $"n{n}", 1)));

    [Fact]
    public void A_greater_power_moves_nothing()
    {
        var change = RingPower.Step(Before, 7);

        Assert.Equal((7, 0, Before.Version + 1), (change.Ring.PartitionPower, change.ReplicasMoved, change.Ring.Version));
        foreach (var hash in Hashes())
        {
            Assert.Equal(DevicesOf(Before, hash), DevicesOf(change.Ring, hash));
        }
    }

    [Fact]
    public void A_smaller_power_moves_one_replica_of_a_partition_at_a_time()
    {
        var ring = Before;
        var steps = 0;
        while (ring.PartitionPower > 4)
        {
            var next = RingPower.Step(ring, 4).Ring;
            foreach (var hash in Hashes())
            {
                Assert.True(DevicesOf(next, hash).Except(DevicesOf(ring, hash)).Count() <= 1, "Two replicas move at once.");
                Assert.Equal(3, DevicesOf(next, hash).Distinct().Count());
            }

            Assert.Equal(ring.Version + 1, next.Version);
            (ring, steps) = (next, steps + 1);
        }

        Assert.True(steps <= 8, $"{steps} steps");
        Assert.Same(ring, RingPower.Step(ring, 4).Ring);
    }

    [Fact]
    public void Up_and_down_again_is_the_same_placement()
    {
        var ring = RingPower.Step(RingPower.Step(Before, 7).Ring, 6).Ring;

        Assert.Equal(6, ring.PartitionPower);
        foreach (var hash in Hashes())
        {
            Assert.Equal(DevicesOf(Before, hash), DevicesOf(ring, hash));
        }
    }

    private static IEnumerable<ulong> Hashes() => Enumerable.Range(0, 512).Select(n => (ulong)n << 55 | 12345);

    private static List<int> DevicesOf(Ring ring, ulong hash) =>
        [.. Enumerable.Range(0, ring.ReplicaCount).Select(r => ring.Primary(ring.PartitionOf(hash), r)).Order()];
}

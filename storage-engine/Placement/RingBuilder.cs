using System.Collections.Immutable;

namespace Nephos.Placement;

/// <summary>What a change of the ring comes to.</summary>
/// <param name="Ring">The new ring; the old one again when nothing moves and nothing changed.</param>
/// <param name="ReplicasMoved">Replicas of partitions that get another device.</param>
/// <param name="IsBalanced">No further rebalance would move anything.</param>
public sealed record RingChange(Ring Ring, int ReplicasMoved, bool IsBalanced);

/// <summary>Makes rings: dispersion over the failure domains first, then balance by weight, then least movement.</summary>
public static class RingBuilder
{
    private const int Unassigned = -1;

    /// <summary>A first ring.</summary>
    /// <exception cref="ArgumentException">Fewer devices with weight than replicas, or ids that repeat.</exception>
    public static Ring Create(int partitionPower, int replicas, IEnumerable<RingDevice> devices)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(partitionPower);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(partitionPower, Ring.PartitionPowerMax);
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        var all = Checked(devices, replicas);
        var table = new int[replicas][];
        for (var replica = 0; replica < replicas; replica++)
        {
            table[replica] = new int[1 << partitionPower];
            Array.Fill(table[replica], Unassigned);
        }

        var placer = new Placer(table, RingTree.Build(all, replicas, 1L << partitionPower));
        placer.AssignMissing();
        return new Ring(1, partitionPower, all, table);
    }

    /// <summary>
    /// The ring for another set of devices. Of a partition only one replica moves at a time, so a large change takes several
    /// rebalances, each to be made when the moves of the one before are verified; replicas on devices that are gone always move.
    /// </summary>
    public static RingChange Rebalance(Ring ring, IEnumerable<RingDevice> devices)
    {
        var all = Checked(devices, ring.ReplicaCount);
        var table = ring.CopyTable();
        var placer = new Placer(table, RingTree.Build(all, ring.ReplicaCount, ring.PartitionCount));
        placer.DropGone(all.Select(d => d.Id).ToHashSet());
        placer.DropCrowded();
        placer.AssignMissing();
        placer.MoveSurplus();
        var moved = 0;
        for (var replica = 0; replica < table.Length; replica++)
        {
            for (var partition = 0; partition < table[replica].Length; partition++)
            {
                moved += table[replica][partition] == ring.Primary(partition, replica) ? 0 : 1;
            }
        }

        if (moved == 0 && all.SequenceEqual(ring.Devices))
        {
            return new RingChange(ring, 0, IsBalanced: true);
        }

        return new RingChange(new Ring(ring.Version + 1, ring.PartitionPower, all, table), moved, IsBalanced: moved == 0);
    }

    private static ImmutableArray<RingDevice> Checked(IEnumerable<RingDevice> devices, int replicas)
    {
        var all = devices.OrderBy(d => d.Id).ToImmutableArray();
        if (all.Select(d => d.Id).Distinct().Count() != all.Length)
        {
            throw new ArgumentException("Device ids repeat.", nameof(devices));
        }

        if (all.Any(d => d.Id < 0 || !double.IsFinite(d.Weight) || d.Weight < 0))
        {
            throw new ArgumentException("Device ids and weights are at least 0.", nameof(devices));
        }

        if (all.Count(d => d.Weight > 0) < replicas)
        {
            throw new ArgumentException($"{replicas} replicas need at least {replicas} devices with weight.", nameof(devices));
        }

        return all;
    }

    /// <summary>The work on one table.</summary>
    private sealed class Placer
    {
        private readonly int[][] _table;
        private readonly RingTree _tree;
        private readonly int _partitions;
        private readonly bool[] _moved;

        public Placer(int[][] table, RingTree tree)
        {
            (_table, _tree, _partitions) = (table, tree, table[0].Length);
            _moved = new bool[_partitions];
            foreach (var row in table)
            {
                foreach (var device in row)
                {
                    Count(device, 1);
                }
            }
        }

        /// <summary>Devices that are no longer in the ring hold nothing; drained ones are left one replica at a time.</summary>
        public void DropGone(HashSet<int> known)
        {
            for (var partition = 0; partition < _partitions; partition++)
            {
                for (var replica = 0; replica < _table.Length; replica++)
                {
                    var device = _table[replica][partition];
                    if (!known.Contains(device))
                    {
                        Drop(partition, replica);
                    }
                }

                for (var replica = 0; replica < _table.Length && !_moved[partition]; replica++)
                {
                    var device = _table[replica][partition];
                    if (device != Unassigned && _tree.Leaf(device) is null)
                    {
                        Drop(partition, replica);
                    }
                }
            }
        }

        /// <summary>Takes replicas out of failure domains that hold too many of one partition.</summary>
        public void DropCrowded()
        {
            for (var partition = 0; partition < _partitions; partition++)
            {
                for (var replica = 0; replica < _table.Length && !_moved[partition]; replica++)
                {
                    var device = _table[replica][partition];
                    for (var tier = device == Unassigned ? null : _tree.Leaf(device); tier is not null; tier = tier.Parent)
                    {
                        if (ReplicasIn(tier, partition) > tier.ReplicasMax)
                        {
                            Drop(partition, replica);
                            break;
                        }
                    }
                }
            }
        }

        public void AssignMissing()
        {
            for (var partition = 0; partition < _partitions; partition++)
            {
                for (var replica = 0; replica < _table.Length; replica++)
                {
                    if (_table[replica][partition] == Unassigned)
                    {
                        // When every place with a need is taken by a sister replica, any allowed place will do:
                        // MoveSurplus evens it out.
                        var leaf = Pick(partition, mustNeed: false)!;
                        _table[replica][partition] = leaf.Device!.Id;
                        Count(leaf.Device.Id, 1);
                    }
                }
            }
        }

        /// <summary>Moves from devices above their share to devices below, while a partition can be found that may move.</summary>
        public void MoveSurplus()
        {
            // Domains above their share come first: what leaves them evens out their devices as well.
            for (var depth = 1; depth <= RingTree.Depth; depth++)
            {
                for (var partition = 0; partition < _partitions; partition++)
                {
                    for (var replica = 0; replica < _table.Length && !_moved[partition]; replica++)
                    {
                        var leaf = _tree.Leaf(_table[replica][partition]);
                        if (leaf is null || leaf.Need >= 0)
                        {
                            continue;
                        }

                        var tier = leaf;
                        while (tier.Depth > depth)
                        {
                            tier = tier.Parent!;
                        }

                        if (tier.Need < 0)
                        {
                            TryMove(partition, replica, leaf);
                        }
                    }
                }
            }
        }

        private void TryMove(int partition, int replica, RingTier from)
        {
            _table[replica][partition] = Unassigned;
            Count(from.Device!.Id, -1);
            var to = Pick(partition, mustNeed: true);
            if (to is null || to == from)
            {
                to = from;
            }
            else
            {
                _moved[partition] = true;
            }

            _table[replica][partition] = to.Device!.Id;
            Count(to.Device.Id, 1);
        }

        /// <summary>The allowed device with the greatest need, domain by domain; null when none needs more and one must.</summary>
        private RingTier? Pick(int partition, bool mustNeed)
        {
            var tier = _tree.Root;
            while (tier.Device is null)
            {
                RingTier? best = null;
                ulong bestMix = 0;
                foreach (var child in tier.Children)
                {
                    if (ReplicasIn(child, partition) >= child.ReplicasMax || (mustNeed && child.Need <= 0))
                    {
                        continue;
                    }

                    if (best is null || child.Need > best.Need)
                    {
                        (best, bestMix) = (child, MixOf(child));
                    }
                    else if (child.Need == best.Need && MixOf(child) is var mix && mix > bestMix)
                    {
                        (best, bestMix) = (child, mix);
                    }
                }

                if (best is null)
                {
                    return mustNeed ? null : throw new InvalidOperationException("Dispersion leaves no place for a replica.");
                }

                tier = best;
            }

            return tier;

            ulong MixOf(RingTier child)
            {
                var first = child;
                while (first.Device is null)
                {
                    first = first.Children[0];
                }

                return Ring.Mix((uint)partition, (uint)first.Device.Id);
            }
        }

        private int ReplicasIn(RingTier tier, int partition)
        {
            var count = 0;
            foreach (var row in _table)
            {
                if (row[partition] == Unassigned)
                {
                    continue;
                }

                var ancestor = _tree.Leaf(row[partition]);
                while (ancestor is not null && ancestor.Depth > tier.Depth)
                {
                    ancestor = ancestor.Parent;
                }

                count += ancestor == tier ? 1 : 0;
            }

            return count;
        }

        private void Drop(int partition, int replica)
        {
            if (_table[replica][partition] != Unassigned)
            {
                Count(_table[replica][partition], -1);
                _table[replica][partition] = Unassigned;
                _moved[partition] = true;
            }
        }

        private void Count(int device, int change)
        {
            for (var tier = device == Unassigned ? null : _tree.Leaf(device); tier is not null; tier = tier.Parent)
            {
                tier.Count += change;
            }
        }
    }
}

using System.Collections.Immutable;
using System.IO.Hashing;

namespace Nephos.Placement;

/// <summary>
/// Says which devices hold what: a table from partition and replica to device. Immutable; the same input gives the same ring
/// on every machine.
/// </summary>
/// <remarks>
/// The partition of something is the top bits of its 64-bit placement hash. More partitions are therefore only a finer
/// reading of the same hashes: partition p of power n is partitions 2p and 2p+1 of power n+1.
/// </remarks>
public sealed class Ring
{
    /// <summary>Up to 16 million partitions.</summary>
    public const int PartitionPowerMax = 24;

    private readonly int[][] _table;
    private readonly Dictionary<int, RingDevice> _byId;

    internal Ring(ulong version, int partitionPower, ImmutableArray<RingDevice> devices, int[][] table)
    {
        (Version, PartitionPower, Devices, _table) = (version, partitionPower, devices, table);
        _byId = devices.ToDictionary(d => d.Id);
    }

    /// <summary>Grows with every change.</summary>
    public ulong Version { get; }

    public int PartitionPower { get; }

    public int PartitionCount => 1 << PartitionPower;

    public int ReplicaCount => _table.Length;

    public ImmutableArray<RingDevice> Devices { get; }

    public int PartitionOf(ulong placementHash) => PartitionPower == 0 ? 0 : (int)(placementHash >> (64 - PartitionPower));

    /// <summary>The smallest placement hash of a partition.</summary>
    public ulong FirstHashOf(int partition) => PartitionPower == 0 ? 0 : (ulong)partition << (64 - PartitionPower);

    /// <summary>The greatest placement hash of a partition.</summary>
    public ulong LastHashOf(int partition) =>
        partition == PartitionCount - 1 ? ulong.MaxValue : FirstHashOf(partition + 1) - 1;

    public RingDevice Device(int id) => _byId[id];

    /// <summary>The device that holds one replica of a partition.</summary>
    public int Primary(int partition, int replica) => _table[replica][partition];

    /// <summary>The devices of a partition, in replica order.</summary>
    public void Primaries(int partition, Span<int> devices)
    {
        for (var replica = 0; replica < _table.Length; replica++)
        {
            devices[replica] = _table[replica][partition];
        }
    }

    public bool IsPrimary(int partition, int device)
    {
        foreach (var row in _table)
        {
            if (row[partition] == device)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>All devices that may hold copies beside the primaries: the handoffs, then those being drained.</summary>
    public IReadOnlyList<int> Others(int partition) =>
        [.. Handoffs(partition), .. Devices.Where(d => d.Weight <= 0 && !IsPrimary(partition, d.Id)).Select(d => d.Id)];

    /// <summary>The devices in the order in which they stand in for a primary: those farthest from the primaries first.</summary>
    public IReadOnlyList<int> Handoffs(int partition)
    {
        var primaries = new int[ReplicaCount];
        Primaries(partition, primaries);
        var regions = new HashSet<string>();
        var zones = new HashSet<(string, string)>();
        var nodes = new HashSet<(string, string, string)>();
        foreach (var id in primaries)
        {
            var device = _byId[id];
            regions.Add(device.Region);
            zones.Add((device.Region, device.Zone));
            nodes.Add((device.Region, device.Zone, device.Node));
        }

        return Devices
            .Where(d => d.Weight > 0 && !primaries.Contains(d.Id))
            .OrderBy(d => !regions.Contains(d.Region) ? 0
                : !zones.Contains((d.Region, d.Zone)) ? 1
                : !nodes.Contains((d.Region, d.Zone, d.Node)) ? 2 : 3)
            .ThenBy(d => Mix((uint)partition, (uint)d.Id))
            .ThenBy(d => d.Id)
            .Select(d => d.Id)
            .ToArray();
    }

    /// <summary>The same placement with twice as many partitions; no data moves.</summary>
    public Ring WithDoubledPartitions()
    {
        if (PartitionPower == PartitionPowerMax)
        {
            throw new InvalidOperationException($"A ring has at most 2^{PartitionPowerMax} partitions.");
        }

        var table = Array.ConvertAll(_table, row =>
        {
            var doubled = new int[row.Length * 2];
            for (var partition = 0; partition < doubled.Length; partition++)
            {
                doubled[partition] = row[partition / 2];
            }

            return doubled;
        });
        return new Ring(Version + 1, PartitionPower + 1, Devices, table);
    }

    /// <summary>How many replicas of partitions each device holds.</summary>
    public IReadOnlyDictionary<int, int> CountsByDevice()
    {
        var counts = Devices.ToDictionary(d => d.Id, _ => 0);
        foreach (var row in _table)
        {
            foreach (var device in row)
            {
                counts[device]++;
            }
        }

        return counts;
    }

    internal int[][] CopyTable() => Array.ConvertAll(_table, row => (int[])row.Clone());

    /// <summary>Spreads ties evenly and the same way everywhere.</summary>
    internal static ulong Mix(uint a, uint b)
    {
        Span<byte> bytes = stackalloc byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes, a);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], b);
        return XxHash3.HashToUInt64(bytes);
    }
}

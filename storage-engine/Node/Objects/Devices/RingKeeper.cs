using Nephos.Client.Objects;
using Nephos.Node.Objects.Cluster;
using Nephos.Node.Objects.Repair;
using Nephos.Placement;

namespace Nephos.Node.Objects.Devices;

/// <summary>
/// Makes the ring follow the devices that are there and the weights that were asked for: one rebalance at a time, the next only when a
/// full check has seen every copy of the one before in its place. So of a partition never two replicas are on their way at once.
/// </summary>
internal sealed class RingKeeper(
    DeviceSet devices, Upkeep upkeep, StorageCluster cluster, IReadOnlyList<RingDevice> configured, IConfigurationMaster master, RingWeights weights,
    RepairForecast forecast) : IObjectRing
{
    public const string RingName = "objects/ring";
    private const string PowerName = "objects/partition-power";
    private const double WeightMax = 1_000_000;

    /// <summary>The ring is one value of the configuration, and a state store takes about a megabyte.</summary>
    private const int PartitionPowerMax = 16;
    private volatile RingWeights _weights = weights;

    private readonly Lock _gate = new();

    /// <summary>The partition power that was wished for last; null when nobody did.</summary>
    private PowerWish? _power;

    /// <summary>Health of the whole store, from whichever process keeps it.</summary>
    public KeeperReport? Report => upkeep.IsKeeper ? upkeep.Report : cluster.Peers.Select(p => p.Presence?.Keeper).FirstOrDefault(k => k is not null);

    public RingStatus GetStatus()
    {
        var (ring, wanted) = (devices.Ring, Wanted());
        var (moved, _, _) = Follow(ring, wanted);
        var isSettled = IsSettled && (_power?.Power ?? ring.PartitionPower) == ring.PartitionPower;
        return new RingStatus(ring.Version, ring.PartitionCount, ring.ReplicaCount, moved, isSettled, Describe(ring, wanted, Found()));
    }

    public RingPlan Plan(int device, double weight)
    {
        var wanted = Change(device, weight).Apply(Known);
        var ring = devices.Ring;
        var (moved, steps, target) = Follow(ring, wanted);
        var found = Found();
        var share = 1.0 / ((double)ring.PartitionCount * ring.ReplicaCount);
        var bytes = share * found.Values.Sum(d => d.LiveBytes);
        var expected = target.CountsByDevice();
        var then = found.ToDictionary(d => d.Key, d => (long)(bytes * expected.GetValueOrDefault(d.Key)) is var live
            ? d.Value with { LiveBytes = live, UsedBytes = d.Value.UsedBytes - d.Value.LiveBytes + live }
            : d.Value);
        return new RingPlan(
            moved, (long)(bytes * moved), steps, forecast.Expect(share * found.Values.Sum(d => d.Needles) * moved), SharedDomains(target), SharedDomains(ring),
            Describe(target, wanted, then));
    }

    public Task SetWeightAsync(int device, double weight, CancellationToken cancellationToken) => StoreAsync(Change(device, weight), cancellationToken);

    public async Task RemoveAsync(int device, CancellationToken cancellationToken)
    {
        Require(device);
        if (devices.IsOnline(device) && (devices.Ring.CountsByDevice().GetValueOrDefault(device) > 0 || !IsSettled))
        {
            throw new ArgumentException($"Device {device} may still hold what is nowhere else: drain it, and wait until nothing is left to move.", nameof(device));
        }

        await StoreAsync(Checked(_weights.With(device, RingWeights.Removed)), cancellationToken);
    }

    public async Task SetPartitionPowerAsync(int partitionPower, CancellationToken cancellationToken)
    {
        if (partitionPower is < 0 or > PartitionPowerMax)
        {
            throw new ArgumentException($"A partition power is 0 to {PartitionPowerMax}.", nameof(partitionPower));
        }

        var stored = await master.ReadAsync(PowerName, cancellationToken);
        var version = await master.CompareAndSwapAsync(PowerName, stored?.Version ?? 0, new[] { (byte)partitionPower }, cancellationToken)
            ?? throw new ObjectEngineException(EngineFailure.Unavailable, "The partition power was changed at the same time; try again.");
        Note(new PowerWish(version, partitionPower));
    }

    public Task AddAsync(int device, double weight, CancellationToken cancellationToken) => Known.Any(d => d.Id == device)
        ? StoreAsync(Checked(_weights.With(device, CheckedWeight(weight))), cancellationToken)
        : throw new ArgumentException($"No storage process has a device {device}.", nameof(device));

    /// <summary>Takes over what others decided, tells them how this process is doing, and, when it keeps the store, takes the next step.</summary>
    public async Task StepAsync(CancellationToken cancellationToken)
    {
        if (!cluster.IsAlone)
        {
            await FollowAsync(cancellationToken);
        }

        if (await master.ReadAsync(PowerName, cancellationToken) is { } wish)
        {
            Note(new PowerWish(wish.Version, wish.Value.Span[0]));
        }

        if (upkeep.IsKeeper)
        {
            await AdvanceAsync(cancellationToken);
        }
    }

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        if (await master.ReadAsync(ClusterRecord.Name, cancellationToken) is { } nodes)
        {
            await cluster.FollowAsync(ClusterRecord.Parse(nodes.Value.Span));
        }

        _weights = await RingWeights.ReadAsync(master, cancellationToken);
        if (await master.ReadAsync(RingName, cancellationToken) is { } stored && RingFormat.Read(stored.Value.Span) is var ring && ring.Version > devices.Ring.Version)
        {
            upkeep.WantCheck();
            devices.Follow(ring);
            upkeep.WantCheck();
        }

        if (await cluster.GreetAsync(devices.Ring.Version))
        {
            upkeep.WantCheck();
        }
    }

    private async Task AdvanceAsync(CancellationToken cancellationToken)
    {
        var (ring, wanted) = (devices.Ring, Wanted());

        // What is on devices that are gone for good cannot wait for copies that are nowhere, nor fragments for a device that only the next ring has.
        var anyGone = ring.Devices.Any(d => wanted.All(w => w.Id != d.Id));
        var anyNeeded = upkeep.Check.LacksDevices && InUse(wanted) > InUse(ring.Devices);
        if (!IsSettled && !anyGone && !anyNeeded)
        {
            return;
        }

        var power = _power?.Power ?? ring.PartitionPower;
        var next = power == ring.PartitionPower || anyGone ? RingBuilder.Rebalance(ring, wanted).Ring : RingPower.Step(ring, power).Ring;
        if (next.Version == ring.Version)
        {
            return;
        }

        var stored = await master.ReadAsync(RingName, cancellationToken);
        if (stored is null || RingFormat.Read(stored.Value.Value.Span).Version != ring.Version
            || await master.CompareAndSwapAsync(RingName, stored.Value.Version, RingFormat.Write(next), cancellationToken) is null)
        {
            throw new ObjectEngineException(EngineFailure.Unavailable, "Another process changes the ring at the same time.");
        }

        // Before, so that nothing counts as settled in between; after, so that the check sees the new ring.
        upkeep.WantCheck();
        devices.Follow(next);
        upkeep.WantCheck();
    }

    /// <summary>What was read first may be known last.</summary>
    private void Note(PowerWish wish)
    {
        lock (_gate)
        {
            _power = _power is { } known && known.Version > wish.Version ? known : wish;
        }
    }

    private bool IsSettled => Report is { LastFullCheck: not null, AtRisk: 0, Missing: 0 } && cluster.AllFollow(devices.Ring.Version);

    /// <summary>The devices of all processes.</summary>
    private IEnumerable<RingDevice> Known => cluster.IsAlone ? configured : cluster.Record.Devices;

    private static int InUse(IEnumerable<RingDevice> devices) => devices.Count(d => d.Weight > 0);

    private IReadOnlyList<RingDevice> Wanted() => _weights.Apply(Known);

    private RingWeights Change(int device, double weight)
    {
        Require(device);
        return Checked(_weights.With(device, CheckedWeight(weight)));
    }

    private void Require(int device)
    {
        if (Wanted().All(d => d.Id != device))
        {
            throw new ArgumentException($"There is no device {device}; there are {string.Join(", ", Wanted().Select(d => d.Id))}.", nameof(device));
        }
    }

    private static double CheckedWeight(double weight) => double.IsFinite(weight) && weight is >= 0 and <= WeightMax
        ? weight
        : throw new ArgumentException($"A weight is 0 to {WeightMax}.", nameof(weight));

    private RingWeights Checked(RingWeights changed) => changed.Apply(Known).Count(d => d.Weight > 0) >= devices.Ring.ReplicaCount
        ? changed
        : throw new ArgumentException($"{devices.Ring.ReplicaCount} replicas need as many devices with a weight above 0.", nameof(changed));

    private async Task StoreAsync(RingWeights changed, CancellationToken cancellationToken)
    {
        _weights = await changed.StoreAsync(master, cancellationToken)
            ?? throw new ObjectEngineException(EngineFailure.Unavailable, "The weights were changed at the same time; try again.");
    }

    /// <summary>All steps up to the balanced ring.</summary>
    private static (int Moved, int Steps, Ring Target) Follow(Ring ring, IReadOnlyList<RingDevice> wanted)
    {
        var (moved, steps) = (0, 0);
        for (var change = RingBuilder.Rebalance(ring, wanted); ; change = RingBuilder.Rebalance(ring, wanted))
        {
            moved += change.ReplicasMoved;
            steps += change.ReplicasMoved > 0 ? 1 : 0;
            ring = change.Ring;
            if (change.IsBalanced)
            {
                return (moved, steps, ring);
            }
        }
    }

    /// <summary>Partitions with two replicas in one domain, of the widest kind that there is more than one of.</summary>
    private static int SharedDomains(Ring ring)
    {
        Func<RingDevice, object>[] kinds = [d => (d.Region, d.Zone), d => (d.Region, d.Zone, d.Node), d => d.Id];
        var kind = kinds.First(k => k == kinds[^1] || ring.Devices.Select(k).Distinct().Count() > 1);
        var domains = ring.Devices.ToDictionary(d => d.Id, kind);
        var (primaries, shared) = (new int[ring.ReplicaCount], 0);
        for (var partition = 0; partition < ring.PartitionCount; partition++)
        {
            ring.Primaries(partition, primaries);
            shared += primaries.Select(d => domains[d]).Distinct().Count() < primaries.Length ? 1 : 0;
        }

        return shared;
    }

    private Dictionary<int, DeviceStatus> Found() => devices.GetStatus().ToDictionary(d => d.Id);

    private static System.Collections.Immutable.ImmutableArray<RingDeviceStatus> Describe(
        Ring ring, IReadOnlyList<RingDevice> wanted, Dictionary<int, DeviceStatus> found)
    {
        var counts = ring.CountsByDevice();
        return
        [
            .. wanted.Select(d => (Wanted: d, Status: found.GetValueOrDefault(d.Id))).Select(d => new RingDeviceStatus(
                d.Wanted.Id, d.Wanted.Zone, d.Wanted.Weight, counts.GetValueOrDefault(d.Wanted.Id), d.Status?.LiveBytes ?? 0,
                d.Status is { CapacityBytes: > 0 } status ? (double)status.UsedBytes / status.CapacityBytes : 0)),
        ];
    }

    private sealed record PowerWish(ulong Version, int Power);
}

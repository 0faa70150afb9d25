using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Repair;
using Nephos.Placement;

namespace Nephos.Node.Objects.Devices;

/// <summary>
/// Makes the ring follow the weights that were asked for: one rebalance at a time, the next only when a full check has seen every copy of
/// the one before in its place. So of a partition never two replicas are on their way at once.
/// </summary>
internal sealed class RingKeeper(DeviceSet devices, Upkeep upkeep, IConfigurationMaster master, RingKeeper.Wish wish) : IObjectRing
{
    public const string RingName = "objects/ring";
    private const string WeightsName = "objects/weights";
    private const double WeightMax = 1_000_000;
    private volatile Wish _wish = wish;

    /// <summary>The weights that were set, by device; what is not here has the weight of the options.</summary>
    public static async Task<Wish> ReadAsync(
        IReadOnlyList<RingDevice> configured, IConfigurationMaster master, CancellationToken cancellationToken)
    {
        var stored = await master.ReadAsync(WeightsName, cancellationToken);
        var weights = stored is null
            ? []
            : JsonSerializer.Deserialize(stored.Value.Value.Span, WeightsJson.Default.DictionaryInt32Double) ?? [];
        return new Wish([.. configured.Select(d => d with { Weight = weights.GetValueOrDefault(d.Id, d.Weight) })], weights, stored?.Version ?? 0);
    }

    public RingStatus GetStatus()
    {
        var ring = devices.Ring;
        var (moved, _, _) = Follow(ring, _wish.Devices);
        return new RingStatus(ring.Version, ring.PartitionCount, ring.ReplicaCount, moved, IsSettled, Describe(ring, _wish.Devices));
    }

    public RingPlan Plan(int device, double weight)
    {
        var wanted = Change(_wish.Devices, device, weight);
        var ring = devices.Ring;
        var (moved, steps, target) = Follow(ring, wanted);
        var live = Describe(ring, wanted).Sum(d => d.LiveBytes);
        var bytes = (long)(live / ((double)ring.PartitionCount * ring.ReplicaCount) * moved);
        return new RingPlan(moved, bytes, steps, Describe(target, wanted));
    }

    public async Task SetWeightAsync(int device, double weight, CancellationToken cancellationToken)
    {
        var before = _wish;
        var wanted = Change(before.Devices, device, weight);
        var weights = new Dictionary<int, double>(before.Weights) { [device] = weight };
        var bytes = JsonSerializer.SerializeToUtf8Bytes(weights, WeightsJson.Default.DictionaryInt32Double);
        if (await master.CompareAndSwapAsync(WeightsName, before.Version, bytes, cancellationToken) is not { } version)
        {
            throw new ObjectEngineException(EngineFailure.Unavailable, "The weights were changed at the same time; try again.");
        }

        _wish = new Wish(wanted, weights, version);
    }

    /// <summary>One step, when the one before is done.</summary>
    public async Task StepAsync(CancellationToken cancellationToken)
    {
        var ring = devices.Ring;
        if (!IsSettled || RingBuilder.Rebalance(ring, _wish.Devices) is not { Ring: var next } || next.Version == ring.Version)
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

    private bool IsSettled => upkeep is { LastFullCheck: not null, Check: { AtRisk: 0, Missing: 0 } };

    private IReadOnlyList<RingDevice> Change(IReadOnlyList<RingDevice> current, int device, double weight)
    {
        if (!double.IsFinite(weight) || weight is < 0 or > WeightMax)
        {
            throw new ArgumentException($"A weight is 0 to {WeightMax}.", nameof(weight));
        }

        if (current.All(d => d.Id != device))
        {
            throw new ArgumentException($"There is no device {device}; there are {string.Join(", ", current.Select(d => d.Id))}.", nameof(device));
        }

        List<RingDevice> changed = [.. current.Select(d => d.Id == device ? d with { Weight = weight } : d)];
        return changed.Count(d => d.Weight > 0) >= devices.Ring.ReplicaCount
            ? changed
            : throw new ArgumentException($"{devices.Ring.ReplicaCount} replicas need as many devices with a weight above 0.", nameof(weight));
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

    private System.Collections.Immutable.ImmutableArray<RingDeviceStatus> Describe(Ring ring, IReadOnlyList<RingDevice> wanted)
    {
        var counts = ring.CountsByDevice();
        var live = devices.GetStatus().ToDictionary(d => d.Id, d => d.LiveBytes);
        return [.. wanted.Select(d => new RingDeviceStatus(d.Id, d.Zone, d.Weight, counts.GetValueOrDefault(d.Id), live.GetValueOrDefault(d.Id)))];
    }

    /// <summary>The devices as they should be, and how that is stored.</summary>
    internal sealed record Wish(IReadOnlyList<RingDevice> Devices, Dictionary<int, double> Weights, ulong Version);
}

[JsonSerializable(typeof(Dictionary<int, double>))]
internal sealed partial class WeightsJson : JsonSerializerContext;

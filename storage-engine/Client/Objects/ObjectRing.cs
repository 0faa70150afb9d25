using System.Collections.Immutable;

namespace Nephos.Client.Objects;

/// <summary>A device's place in the ring.</summary>
/// <param name="Weight">Its share relative to the others; 0 drains it.</param>
/// <param name="Replicas">Replicas of partitions that the ring gives it now.</param>
/// <param name="LiveBytes">Bytes that count on it.</param>
/// <param name="Fill">How much of it is used, 0 to 1, with what is not yet cleared away; 0 when it is not there.</param>
public sealed record RingDeviceStatus(int Device, string Zone, double Weight, int Replicas, long LiveBytes, double Fill);

/// <param name="Version">Grows with every step.</param>
/// <param name="ReplicasToMove">Replicas of partitions still to be given to another device; 0 when the weights are followed.</param>
/// <param name="IsSettled">Every copy is where this version of the ring says.</param>
public sealed record RingStatus(ulong Version, int Partitions, int ReplicaCount, int ReplicasToMove, bool IsSettled, ImmutableArray<RingDeviceStatus> Devices);

/// <summary>What a change would come to; nothing is changed.</summary>
/// <param name="ReplicasMoved">Replicas of partitions that get another device.</param>
/// <param name="BytesMoved">About so many bytes are copied.</param>
/// <param name="Steps">Of a partition one replica moves at a time: so many steps, each verified before the next.</param>
/// <param name="Duration">By the rate at which copies were made lately; null when none were since the start.</param>
/// <param name="SharedDomains">Partitions that would have two replicas in one failure domain: a zone, or a node where there is one zone, or a device.</param>
/// <param name="SharedDomainsNow">As many have so now.</param>
/// <param name="Devices">As they would be: live bytes and fill are estimates.</param>
public sealed record RingPlan(
    int ReplicasMoved, long BytesMoved, int Steps, TimeSpan? Duration, int SharedDomains, int SharedDomainsNow, ImmutableArray<RingDeviceStatus> Devices);

/// <summary>Changes where data lives, on the running store.</summary>
public interface IObjectRing
{
    RingStatus GetStatus();

    /// <exception cref="ArgumentException">There is no such device, or too few would be left.</exception>
    RingPlan Plan(int device, double weight);

    /// <summary>Returns when the wish is durable; the data follows in the background, and all of it stays readable meanwhile.</summary>
    /// <exception cref="ArgumentException">As for <see cref="Plan"/>.</exception>
    Task SetWeightAsync(int device, double weight, CancellationToken cancellationToken);

    /// <summary>Takes a device into the ring, or back into it.</summary>
    /// <exception cref="ArgumentException">No process has such a device.</exception>
    Task AddAsync(int device, double weight, CancellationToken cancellationToken);

    /// <summary>Wishes for 2 to this power partitions. More of them are only a finer reading; fewer move data first, step by step.</summary>
    /// <exception cref="ArgumentException">Out of bounds.</exception>
    Task SetPartitionPowerAsync(int partitionPower, CancellationToken cancellationToken);

    /// <summary>Takes a device out of the ring: one that was drained, or is gone for good.</summary>
    /// <exception cref="ArgumentException">It still holds what others do not, or too few would be left.</exception>
    Task RemoveAsync(int device, CancellationToken cancellationToken);
}

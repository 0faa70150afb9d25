using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Placement;

namespace Nephos.Node.Objects.Devices;

/// <summary>All devices of this process by their number in the ring, and what is done with those that fail.</summary>
internal sealed partial class DeviceSet(IReadOnlyList<DeviceSlot> slots, Ring ring, TimeProvider time, TimeSpan replaceAfter, ILogger logger) : IAsyncDisposable
{
    private readonly Dictionary<int, DeviceSlot> _slots = slots.ToDictionary(s => s.Number);
    private readonly ConcurrentDictionary<int, DateTimeOffset> _away = new();
    private volatile Ring _ring = ring;

    /// <summary>As of now: whoever needs it twice takes it once.</summary>
    public Ring Ring => _ring;

    /// <summary>Places data by another ring from now on.</summary>
    public void Follow(Ring next) => _ring = next;

    public IReadOnlyList<DeviceSlot> All => slots;

    public DeviceSlot? Find(int number) => _slots.GetValueOrDefault(number);

    /// <summary>Opens all devices side by side; recovery is part of it.</summary>
    public Task OpenAllAsync(TaskScheduler background) => Task.WhenAll(slots.Select(slot => Task.Factory.StartNew(
        () =>
        {
            if (!slot.TryOpen())
            {
                LogAway(slot.Number, slot.Path, slot.Reason);
            }
        },
        CancellationToken.None, TaskCreationOptions.DenyChildAttach, background)));

    /// <summary>Takes failed devices out and opens those that are back; true when a device that was away is there.</summary>
    public bool Check()
    {
        var anyBack = false;
        foreach (var slot in slots)
        {
            if (slot.Check(out var canBeReplacedInPlace))
            {
                LogAway(slot.Number, slot.Path, slot.Reason);
                if (!canBeReplacedInPlace)
                {
                    continue;
                }
            }

            if (slot.IsOnline)
            {
                _away.TryRemove(slot.Number, out _);
            }
            else if (slot.TryOpen())
            {
                LogBack(slot.Number, slot.Path);
                anyBack = true;
            }
            else
            {
                _away.TryAdd(slot.Number, time.GetUtcNow());
            }
        }

        return anyBack;
    }

    /// <summary>The devices for the replicas of a new shard.</summary>
    public int[] PlaceShard(int shard)
    {
        var devices = new int[Ring.ReplicaCount];
        Ring.Primaries(PartitionOf(shard), devices);
        return devices;
    }

    /// <summary>
    /// Where a lost replica is made again: on its device when that is there (it is new then, or was damaged), else, after a while, on the next
    /// device without a replica of the shard.
    /// </summary>
    public DeviceSlot? PlaceLostReplica(int shard, int lost, int[] members)
    {
        if (Find(lost) is { IsOnline: true } slot)
        {
            return slot;
        }

        if (!IsAwayForLong(lost))
        {
            return null;
        }

        return Ring.Handoffs(PartitionOf(shard))
            .Concat(PlaceShard(shard))
            .Where(d => !members.Contains(d))
            .Select(Find)
            .FirstOrDefault(s => s is { IsOnline: true });
    }

    /// <summary>The device is away for so long that others take over what it held.</summary>
    public bool IsAwayForLong(int device) => _away.TryGetValue(device, out var since) && time.GetUtcNow() - since >= replaceAfter;

    public IEnumerable<DeviceStatus> GetStatus()
    {
        foreach (var slot in slots)
        {
            if (slot.TryUse(out var lease))
            {
                using (lease)
                {
                    var device = lease.Device;
                    yield return new DeviceStatus(
                        slot.Number, slot.Zone, slot.Path, device.Volumes.HasRoom ? DeviceState.Online : DeviceState.Full,
                        device.CapacityBytes, device.UsedBytes, device.Volumes.LiveBytes, device.Volumes.Needles, "");
                }
            }
            else
            {
                yield return new DeviceStatus(slot.Number, slot.Zone, slot.Path, DeviceState.Failed, 0, 0, 0, 0, slot.Reason);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var closing in slots.Select(s => s.Close()).ToList())
        {
            await closing;
        }
    }

    private int PartitionOf(int shard) => Ring.PartitionOf((ulong)shard * 0x9E3779B97F4A7C15);

    [LoggerMessage(LogLevel.Warning, "Device {Device} at {Path} is away: {Reason}")]
    private partial void LogAway(int device, string path, string reason);

    [LoggerMessage(LogLevel.Information, "Device {Device} at {Path} is there")]
    private partial void LogBack(int device, string path);
}

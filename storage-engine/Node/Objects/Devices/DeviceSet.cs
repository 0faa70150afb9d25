using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Cluster;
using Nephos.Placement;

namespace Nephos.Node.Objects.Devices;

/// <summary>The devices of this process by their number in the ring and what is done with those that fail, and what is known of those elsewhere.</summary>
internal sealed partial class DeviceSet(
    IReadOnlyList<DeviceSlot> slots, Ring ring, StorageCluster cluster, TimeProvider time, TimeSpan replaceAfter, ILogger logger) : IAsyncDisposable
{
    private readonly Dictionary<int, DeviceSlot> _slots = slots.ToDictionary(s => s.Number);
    private readonly ConcurrentDictionary<int, DateTimeOffset> _away = new();
    private volatile Ring _ring = ring;
    private volatile IReadOnlySet<int> _full = new HashSet<int>();

    /// <summary>As of now: whoever needs it twice takes it once.</summary>
    public Ring Ring => _ring;

    /// <summary>Places data by another ring from now on.</summary>
    public void Follow(Ring next) => _ring = next;

    /// <summary>Those of this process.</summary>
    public IReadOnlyList<DeviceSlot> All => slots;

    /// <summary>Null for a device of another process.</summary>
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

    /// <summary>Takes failed devices out and opens those that are back; true when a device of this process that was away is there.</summary>
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

        foreach (var device in Ring.Devices.Where(d => !_slots.ContainsKey(d.Id)))
        {
            if (!IsOnline(device.Id))
            {
                _away.TryAdd(device.Id, time.GetUtcNow());
            }
            else
            {
                _away.TryRemove(device.Id, out _);
            }
        }

        _full = GetStatus().Where(d => d.State == DeviceState.Full).Select(d => d.Id).ToHashSet();
        return anyBack;
    }

    /// <summary>False when so many of the devices are full, as of the last check, that a majority would have to use what they keep free.</summary>
    public bool HaveRoom(IEnumerable<int> members)
    {
        var full = _full;
        if (full.Count == 0)
        {
            return true;
        }

        var (count, withRoom) = (0, 0);
        foreach (var device in members)
        {
            count++;
            withRoom += full.Contains(device) ? 0 : 1;
        }

        return withRoom > count / 2;
    }

    /// <summary>The device can be used, as far as is known here.</summary>
    public bool IsOnline(int device) => Find(device) is { } slot
        ? slot.IsOnline
        : cluster.PeerOf(device)?.Devices.Any(d => d.Status.Id == device && d.Status.State != DeviceState.Failed) == true;

    /// <summary>The devices for the replicas of a new shard.</summary>
    public int[] PlaceShard(int shard)
    {
        var devices = new int[Ring.ReplicaCount];
        Ring.Primaries(PartitionOf(shard), devices);
        return devices;
    }

    /// <summary>
    /// Where a replica is made anew. One that is lost: on its device when that is there (it is new then, or was damaged), else, after a
    /// while, on another. One that belongs elsewhere: where the ring wants it.
    /// </summary>
    public int? PlaceSuccessor(int shard, int leaving, bool isLost, int[] members)
    {
        var wanted = PlaceShard(shard);
        if (isLost && wanted.Contains(leaving))
        {
            if (IsOnline(leaving))
            {
                return leaving;
            }

            if (!IsAwayForLong(leaving))
            {
                return null;
            }
        }

        var places = isLost ? wanted.Concat(Ring.Handoffs(PartitionOf(shard))) : wanted;
        return places.Where(d => !members.Contains(d) && IsOnline(d)).Select(d => (int?)d).FirstOrDefault();
    }

    /// <summary>The device is away for so long that others take over what it held.</summary>
    public bool IsAwayForLong(int device) => _away.TryGetValue(device, out var since) && time.GetUtcNow() - since >= replaceAfter;

    /// <summary>Every device of every process that is known.</summary>
    public IEnumerable<DeviceStatus> GetStatus()
    {
        foreach (var device in GetLocal())
        {
            yield return device.Status;
        }

        foreach (var device in Ring.Devices.Where(d => !_slots.ContainsKey(d.Id)))
        {
            yield return cluster.PeerOf(device.Id)?.Devices.FirstOrDefault(d => d.Status.Id == device.Id)?.Status
                ?? new DeviceStatus(device.Id, device.Zone, $"node {device.Node}", DeviceState.Failed, 0, 0, 0, 0, "its process does not answer");
        }
    }

    /// <summary>The devices of this process.</summary>
    public IEnumerable<PresentDevice> GetLocal()
    {
        foreach (var slot in slots)
        {
            if (slot.TryUse(out var lease))
            {
                using (lease)
                {
                    var device = lease.Device;
                    yield return new PresentDevice(
                        new DeviceStatus(
                            slot.Number, slot.Zone, slot.Path, device.Volumes.HasRoom ? DeviceState.Online : DeviceState.Full,
                            device.CapacityBytes, device.UsedBytes, device.Volumes.LiveBytes, device.Volumes.Needles, ""),
                        device.Header.Id);
                }
            }
            else
            {
                yield return new PresentDevice(new DeviceStatus(slot.Number, slot.Zone, slot.Path, DeviceState.Failed, 0, 0, 0, 0, slot.Reason), Guid.Empty);
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

using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Devices;

namespace Nephos.Node.Objects.Groups;

/// <summary>The shards as this process knows them: follows the map, begins new ones and clears away those that are gone.</summary>
internal sealed partial class ShardSet(IConfigurationMaster master, DeviceSet devices, Func<int, IndexShard> make, ShardHost host, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<int, Task> _started = [];
    private readonly List<IndexShard> _gone = [];

    /// <summary>The shards that are gone from a device, and were found to be.</summary>
    private readonly ConditionalWeakTable<ObjectDevice, HashSet<int>> _cleared = [];
    private bool _isEnding;
    private volatile View _view = new(new ShardMap(0, []), ImmutableDictionary<int, IndexShard>.Empty);

    public ShardMap Map => _view.Map;

    /// <summary>The shards that the namespace consists of.</summary>
    public IEnumerable<IndexShard> All
    {
        get
        {
            var view = _view;
            return view.Map.Ranges.Select(r => view.Shards[r.Shard]);
        }
    }

    /// <summary>The shard with the smallest hashes; whoever writes it looks after the whole store.</summary>
    public IndexShard First => All.First();

    /// <summary>A shard of the map, or one that is to become it; null when it is not known here, or gone.</summary>
    public IndexShard? Find(int number) => _view.Shards.GetValueOrDefault(number);

    /// <exception cref="ObjectEngineException"><c>WasMoved</c>: it is not known here, or gone.</exception>
    public IndexShard Get(int number) => Find(number)
        ?? throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {number} is not here.") { WasNotBegun = true, WasMoved = true };

    /// <summary>Begins with a map; completes when the shards serve, as far as they can.</summary>
    public async Task OpenAsync(ShardMap map)
    {
        LogUnknown(map);
        Follow(map);
        await Task.WhenAll(_started.Values);
    }

    /// <summary>Reads the map and follows it.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        if (await master.ReadAsync(ShardMap.Name, cancellationToken) is { } stored)
        {
            Follow(ShardMap.Parse(stored.Value.Span));
        }
    }

    /// <summary>Changes the map; false when <paramref name="change"/> answers null for the map as it is.</summary>
    public async Task<bool> ChangeAsync(Func<ShardMap, ShardMap?> change, CancellationToken cancellationToken)
    {
        while (await master.ReadAsync(ShardMap.Name, cancellationToken) is { } stored)
        {
            var map = ShardMap.Parse(stored.Value.Span);
            Follow(map);
            if (change(map) is not { } next)
            {
                return false;
            }

            if (await master.CompareAndSwapAsync(ShardMap.Name, stored.Version, next.ToBytes(), cancellationToken) is not null)
            {
                Follow(next);
                return true;
            }
        }

        return false;
    }

    /// <summary>Ends what the map no longer has, and frees the room of its replicas on the devices of this process.</summary>
    public async Task ClearAwayAsync()
    {
        List<IndexShard> ending;
        lock (_gate)
        {
            ending = [.. _gone];
            _gone.Clear();
        }

        foreach (var shard in ending)
        {
            await EndAsync(shard);
        }

        // Numbers do not come back: what is gone by this map is gone by every later one.
        var gone = Map.Gone.ToList();
        foreach (var slot in devices.All)
        {
            if (!slot.TryUse(out var lease))
            {
                continue;
            }

            using (lease)
            {
                var cleared = _cleared.GetOrCreateValue(lease.Device);
                var logs = lease.Device.Journal.List().Where(g => !g.IsEmpty).Select(g => g.Group).ToHashSet();
                foreach (var number in gone.Where(n => !cleared.Contains(n)))
                {
                    // A copy that was broken off leaves rows and no log, or one that is not known after a crash.
                    var group = ShardConfiguration.GroupOf(number);
                    if (!logs.Contains(group) && !lease.Device.Index.HasRows((uint)number))
                    {
                        cleared.Add(number);
                    }
                    else
                    {
                        await IndexReplica.CreateAsync(slot, group, (uint)number, host.Entropy.NewGuid(), host.Time);
                    }
                }
            }
        }
    }

    public async Task EndAllAsync()
    {
        List<IndexShard> ending;
        lock (_gate)
        {
            _isEnding = true;
            ending = [.. _view.Shards.OrderBy(s => s.Key).Select(s => s.Value), .. _gone];
        }

        foreach (var shard in ending)
        {
            await EndAsync(shard);
        }
    }

    /// <summary>A shard is in the map before any device has it: records that do not know it were put back from an older copy.</summary>
    private void LogUnknown(ShardMap map)
    {
        foreach (var slot in devices.All)
        {
            if (slot.TryUse(out var lease))
            {
                using (lease)
                {
                    foreach (var (group, isEmpty) in lease.Device.Journal.List())
                    {
                        if (!isEmpty && ShardConfiguration.ShardOf(group) is { } number && number >= map.NextShard)
                        {
                            LogUnknown(slot.Number, number);
                        }
                    }
                }
            }
        }
    }

    private async Task EndAsync(IndexShard shard)
    {
        if (_started.TryRemove(shard.Number, out var started))
        {
            await started;
        }

        await shard.DisposeAsync();
    }

    private void Follow(ShardMap map)
    {
        lock (_gate)
        {
            var view = _view;
            if (map.Version <= view.Map.Version || _isEnding)
            {
                return;
            }

            var wanted = map.All.ToHashSet();
            var shards = view.Shards;
            foreach (var number in wanted.Where(n => !shards.ContainsKey(n)).Order().ToList())
            {
                var shard = make(number);
                shards = shards.Add(number, shard);
                _started[number] = devices.All.Count > 0 ? shard.StartAsync(CancellationToken.None) : Task.CompletedTask;
            }

            foreach (var (number, shard) in view.Shards.Where(s => !wanted.Contains(s.Key)))
            {
                shard.Retire();
                _gone.Add(shard);
                shards = shards.Remove(number);
            }

            _view = new View(map, shards);
        }
    }

    [LoggerMessage(LogLevel.Error, "Device {Device} has shard {Shard} of the namespace, which the records of the cloud do not know: they are a copy from before "
        + "the shard was made, and cannot be used with this device. Restore a newer one; nothing was lost so far")]
    private partial void LogUnknown(int device, int shard);

    private sealed record View(ShardMap Map, ImmutableDictionary<int, IndexShard> Shards);
}

using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Devices;

namespace Nephos.Node.Objects.Groups;

/// <summary>The shards as this process knows them: follows the map, begins new ones and clears away those that are gone.</summary>
internal sealed class ShardSet(IConfigurationMaster master, DeviceSet devices, Func<int, IndexShard> make, ShardHost host)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, Task> _started = [];
    private readonly List<IndexShard> _gone = [];
    private bool _isEnding;
    private volatile View _view = new(new ShardMap(0, []), ImmutableDictionary<int, IndexShard>.Empty);

    public ShardMap Map => _view.Map;

    /// <summary>The shards that the namespace consists of.</summary>
    public IEnumerable<IndexShard> All => _view is var view ? view.Map.Ranges.Select(r => view.Shards[r.Shard]) : [];

    /// <summary>The shard with the smallest hashes; whoever writes it looks after the whole store.</summary>
    public IndexShard First => _view is var view ? view.Shards[view.Map.FirstShard] : null!;

    /// <summary>A shard of the map, or one that is to become it; null when it is not known here, or gone.</summary>
    public IndexShard? Find(int number) => _view.Shards.GetValueOrDefault(number);

    /// <exception cref="ObjectEngineException"><c>WasMoved</c>: it is not known here, or gone.</exception>
    public IndexShard Get(int number) => Find(number)
        ?? throw new ObjectEngineException(EngineFailure.Unavailable, $"Shard {number} is not here.") { WasNotBegun = true, WasMoved = true };

    /// <summary>Begins with a map; completes when the shards serve, as far as they can.</summary>
    public async Task OpenAsync(ShardMap map)
    {
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
        var map = Map;
        foreach (var slot in devices.All)
        {
            if (!slot.TryUse(out var lease))
            {
                continue;
            }

            using (lease)
            {
                foreach (var (group, isEmpty) in lease.Device.Journal.List())
                {
                    // A copy that was broken off leaves rows and no log.
                    if (ShardConfiguration.ShardOf(group) is { } number && map.IsGone(number)
                        && (!isEmpty || lease.Device.Index.HasRows((uint)number)))
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

    private async Task EndAsync(IndexShard shard)
    {
        if (_started.TryGetValue(shard.Number, out var started))
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

    private sealed record View(ShardMap Map, ImmutableDictionary<int, IndexShard> Shards);
}

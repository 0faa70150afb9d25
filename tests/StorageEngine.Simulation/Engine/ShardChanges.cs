using Nephos.Node.Objects;
using Nephos.Node.Objects.Groups;
using Nephos.StorageEngine.Simulation.Machine;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>Splits and merges of shards by chance, besides those that the store finds necessary.</summary>
internal static class ShardChanges
{
    /// <summary>Enough shards to be merged with each other; more say nothing new.</summary>
    private const int ShardsMax = 5;

    /// <summary>Begins one after the other, as often as that is possible.</summary>
    public static async Task RunAsync(ObjectEngine engine, SimulatedProcess process, TimeSpan pauseMax, Func<bool> isOver)
    {
        while (!isOver())
        {
            await Task.Delay(pauseMax * process.Random.NextDouble(), process.Clock);
            await BeginAsync(engine, process.Random);
        }
    }

    /// <summary>Like any request it may come to nothing.</summary>
    private static async Task BeginAsync(ObjectEngine engine, Random random)
    {
        var ranges = engine.Shards.Map.Ranges;
        if (ranges.Length < ShardsMax && random.Next(2) == 0)
        {
            var hash = ShardMap.HashOf(Workload.AnyAccount(random));
            await engine.ShardKeeper.SplitAsync(engine.Shards.Map.ShardOf(hash), hash, CancellationToken.None);
        }
        else
        {
            await engine.ShardKeeper.MergeAsync(ranges[random.Next(ranges.Length)].Shard, CancellationToken.None);
        }
    }

    /// <summary>All know the same shards, no change is under way, and of those before nothing is left.</summary>
    public static bool HasSettled(IReadOnlyList<ObjectEngine> engines)
    {
        var map = engines[0].Shards.Map;
        return map.Change is null && engines.All(e => e.Shards.Map.Version == map.Version) && FindLeftover(engines) is null;
    }

    /// <summary>A replica on some device of a shard that was replaced, or never came to be used.</summary>
    public static string? FindLeftover(IReadOnlyList<ObjectEngine> engines)
    {
        var map = engines[0].Shards.Map;
        foreach (var slot in engines.SelectMany(e => e.Devices.All))
        {
            if (!slot.TryUse(out var lease))
            {
                continue;
            }

            using (lease)
            {
                foreach (var (group, isEmpty) in lease.Device.Journal.List())
                {
                    if (ShardConfiguration.ShardOf(group) is not { } held || (map.IsGone(held) && !isEmpty))
                    {
                        return $"Device {slot.Number} still has a replica of group {group}.";
                    }
                }

                for (var number = 0; number < map.NextShard; number++)
                {
                    if (map.IsGone(number) && lease.Device.Index.HasRows((uint)number))
                    {
                        return $"Device {slot.Number} still has rows of shard {number}.";
                    }
                }
            }
        }

        return null;
    }
}

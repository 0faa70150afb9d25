using Nephos.Client.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Groups;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>Splits and merges of shards by chance, besides those that the store finds necessary.</summary>
internal static class ShardChanges
{
    /// <summary>Enough shards to be merged with each other; more say nothing new.</summary>
    private const int ShardsMax = 5;

    /// <summary>Begins one; like any request it may come to nothing.</summary>
    public static async Task BeginAsync(ObjectEngine engine, Random random)
    {
        try
        {
            var ranges = engine.Shards.Map.Ranges;
            var shard = ranges[random.Next(ranges.Length)].Shard;
            if (ranges.Length < ShardsMax && random.Next(2) == 0)
            {
                await engine.ShardKeeper.SplitAsync(shard, CancellationToken.None);
            }
            else
            {
                await engine.ShardKeeper.MergeAsync(shard, CancellationToken.None);
            }
        }
        catch (ObjectEngineException)
        {
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
                foreach (var group in lease.Device.Journal.Held())
                {
                    if (ShardConfiguration.ShardOf(group) is not { } held || map.IsGone(held))
                    {
                        return $"Device {slot.Number} still has a replica of group {group}.";
                    }
                }

                for (var number = 0; number < map.NextShard; number++)
                {
                    using var cursor = lease.Device.Index.OpenCursor((uint)number);
                    cursor.Seek([]);
                    if (map.IsGone(number) && cursor.IsValid)
                    {
                        return $"Device {slot.Number} still has rows of shard {number}.";
                    }
                }
            }
        }

        return null;
    }
}

using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;
using Nephos.Placement;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>
/// A healthy engine from inside: the replicas of each shard hold the same rows, each blob has its good copies where the ring says and
/// nowhere else, and nothing unreferenced is left.
/// </summary>
internal static class ConsistencyCheck
{
    public static void Run(IReadOnlyList<ObjectEngine> engines)
    {
        var references = new Dictionary<BlobId, long>();
        foreach (var number in engines[0].Shards.Map.Ranges.Select(r => r.Shard))
        {
            var (members, committed) = engines.Select(e => e.Shards.Get(number)).Single(s => s.IsWriter).Decided;
            var replicas = members.Select(m => engines.Select(e => e.Shards.Get(number).FindHere(m)).First(r => r is not null)!).ToList();
            replicas.ForEach(r => r.ApplyUpTo(committed));
            var first = RowsOf(replicas[0]);
            foreach (var replica in replicas.Skip(1))
            {
                var rows = RowsOf(replica);
                if (!rows.SequenceEqual(first))
                {
                    throw new SimulationException(
                        $"Shard {number}: {replica.Id} has {rows.Count} rows, {replicas[0].Id} {first.Count}; {rows.Except(first).FirstOrDefault()} / {first.Except(rows).FirstOrDefault()}");
                }
            }

            replicas[0].Query((database, group) =>
            {
                using var cursor = database.OpenCursor(group);
                for (cursor.Seek([RowKeys.ReferenceTable]); cursor.IsValid && cursor.Key[0] == RowKeys.ReferenceTable; cursor.Next())
                {
                    references.Add(BlobId.Read(cursor.Key[9..]), Rows.ReadReference(cursor.Value));
                }

                return true;
            });
        }

        if (ShardChanges.FindLeftover(engines) is { } leftover)
        {
            throw new SimulationException(leftover);
        }

        CheckCopies(engines[0].Devices.Ring, [.. engines.SelectMany(e => e.Devices.All)], references);
    }

    private static List<(string, string)> RowsOf(IndexReplica replica) => replica.Query((database, group) =>
    {
        var rows = new List<(string, string)>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek([]); cursor.IsValid; cursor.Next())
        {
            rows.Add((Convert.ToHexString(cursor.Key), Convert.ToHexString(cursor.Value)));
        }

        return rows;
    });

    private static void CheckCopies(Ring ring, List<DeviceSlot> devices, Dictionary<BlobId, long> references)
    {
        var buffer = new byte[Frames.FrameBytes];
        var held = devices.ToDictionary(s => s.Number, s => FramesOn(s));
        foreach (var (blob, length) in references)
        {
            for (uint frame = 0; frame < Frames.CountOf(length); frame++)
            {
                if (blob.Scheme != BlobScheme.Replicated)
                {
                    CheckFragments(ring, devices, blob, frame, Frames.SizeOf(length, frame), held, buffer);
                    continue;
                }

                var key = LocalBlobNode.KeyOf(blob, frame);
                for (var replica = 0; replica < ring.ReplicaCount; replica++)
                {
                    var device = ring.Primary(ring.PartitionOf(blob.PlacementHash), replica);
                    if (!held[device].Remove(key))
                    {
                        throw new SimulationException($"Device {device} lacks frame {frame} of blob {blob}.");
                    }

                    devices.First(s => s.Number == device).TryUse(out var lease);
                    using (lease)
                    {
                        var status = lease.Device.Volumes.Read(key, 0, buffer, out var size, out _);
                        if (status != StoreStatus.Ok || size != Frames.SizeOf(length, frame))
                        {
                            throw new SimulationException($"Device {device}: frame {frame} of blob {blob} is {status}, {size} bytes.");
                        }
                    }
                }
            }
        }

        foreach (var (device, left) in held)
        {
            foreach (var key in left)
            {
                var blob = new BlobId(key.BlobHigh, key.BlobLow);
                throw new SimulationException(
                    $"Device {device} holds frame {key.Frame} of blob {blob}, which {(references.ContainsKey(blob) ? "belongs elsewhere" : "nothing refers to")}.");
            }
        }
    }

    private static void CheckFragments(
        Ring ring, List<DeviceSlot> devices, BlobId blob, uint frame, int frameBytes, Dictionary<int, HashSet<NeedleKey>> held, byte[] buffer)
    {
        var layout = BlobLayout.Of(blob.Scheme);
        var free = layout.Homes(ring, blob).ToHashSet();
        for (var piece = 0; piece < layout.PieceCount(ring); piece++)
        {
            var key = LocalBlobNode.KeyOf(blob, layout.NumberOf(frame, piece));
            var home = free.FirstOrDefault(d => held[d].Contains(key), -1);
            if (home < 0)
            {
                throw new SimulationException($"No free home has fragment {piece} of frame {frame} of blob {blob}.");
            }

            free.Remove(home);
            held[home].Remove(key);
            devices.First(d => d.Number == home).TryUse(out var lease);
            using (lease)
            {
                var status = lease.Device.Volumes.Read(key, 0, buffer, out var size, out _);
                if (status != StoreStatus.Ok || size != layout.PieceBytes(frameBytes))
                {
                    throw new SimulationException($"Device {home}: fragment {piece} of frame {frame} of blob {blob} is {status}, {size} bytes.");
                }
            }
        }
    }

    private static HashSet<NeedleKey> FramesOn(DeviceSlot slot)
    {
        if (!slot.TryUse(out var lease))
        {
            throw new SimulationException($"Device {slot.Number} is away: {slot.Reason}");
        }

        using (lease)
        {
            return [.. lease.Device.Volumes.List(default, ulong.MaxValue, int.MaxValue).Select(e => e.Key)];
        }
    }
}

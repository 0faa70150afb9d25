using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Namespace;

namespace Nephos.StorageEngine.Simulation.Engine;

/// <summary>
/// A healthy engine from inside: the replicas of each shard hold the same rows, each blob has its good copies where the ring says and
/// nowhere else, nothing unreferenced is left, and the counters count what is there.
/// </summary>
internal static class ConsistencyCheck
{
    public static void Run(ObjectEngine engine)
    {
        var references = new Dictionary<BlobId, long>();
        foreach (var shard in engine.Shards)
        {
            var replicas = shard.TakeInEverywhere();
            var first = RowsOf(replicas[0]);
            foreach (var replica in replicas.Skip(1))
            {
                var rows = RowsOf(replica);
                if (!rows.SequenceEqual(first))
                {
                    throw new SimulationException(
                        $"Shard {shard.Number}: {replica.Id} has {rows.Count} rows, {replicas[0].Id} {first.Count}; {rows.Except(first).FirstOrDefault()} / {first.Except(rows).FirstOrDefault()}");
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

        CheckCopies(engine.Devices, references);
        CheckUsage(engine.Namespace);
    }

    private static List<(string, string)> RowsOf(Node.Objects.Groups.IndexReplica replica) => replica.Query((database, group) =>
    {
        var rows = new List<(string, string)>();
        using var cursor = database.OpenCursor(group);
        for (cursor.Seek([]); cursor.IsValid; cursor.Next())
        {
            rows.Add((Convert.ToHexString(cursor.Key), Convert.ToHexString(cursor.Value)));
        }

        return rows;
    });

    private static void CheckCopies(DeviceSet devices, Dictionary<BlobId, long> references)
    {
        var ring = devices.Ring;
        var buffer = new byte[Frames.FrameBytes];
        var held = devices.All.ToDictionary(s => s.Number, s => FramesOn(s));
        foreach (var (blob, length) in references)
        {
            for (uint frame = 0; frame < Frames.CountOf(length); frame++)
            {
                var key = LocalBlobNode.KeyOf(blob, frame);
                for (var replica = 0; replica < ring.ReplicaCount; replica++)
                {
                    var device = ring.Primary(ring.PartitionOf(blob.PlacementHash), replica);
                    if (!held[device].Remove(key))
                    {
                        throw new SimulationException($"Device {device} lacks frame {frame} of blob {blob}.");
                    }

                    devices.Find(device)!.TryUse(out var lease);
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

    private static void CheckUsage(IObjectNamespace names)
    {
        var page = names.ListObjectsAsync(new ListObjects { Bucket = Workload.Bucket }, CancellationToken.None).AsTask().Result.Value!;
        var usage = names.GetBucketAsync(Workload.Bucket, CancellationToken.None).AsTask().Result.Value!.Usage;
        var counted = new Usage(page.Entries.Count, page.Entries.Sum(e => e.Object!.SizeBytes), 0, 0);
        if (usage != counted)
        {
            throw new SimulationException($"The bucket says {usage} and holds {counted}.");
        }
    }
}

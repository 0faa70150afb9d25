using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Repair;

/// <summary>
/// Compares all references of the namespace with what all devices hold, partition by partition: referenced and lacking a copy is
/// repaired; held but not referenced is removed. One pass finds whatever restarts, lost devices and lost requests left behind.
/// </summary>
/// <remarks>
/// Devices are listed before references are read, so a blob that is listed, not pinned by a write under way and not referenced was
/// never committed or was released. It is removed when two passes in a row find it so and it is older than the grace time.
/// </remarks>
internal sealed class FullCheck(
    LocalBlobNode node, DeviceSet devices, IReadOnlyList<IndexShard> shards, BlobPins pins, BlobRepair repair, TimeSpan orphanGrace, TimeProvider time)
{
    private const int PageEntries = 4096;
    private const int SuspectsMax = 1_000_000;
    private HashSet<BlobId> _suspects = [];
    private HashSet<BlobId> _found = [];

    public long AtRisk { get; private set; }

    public long WithoutSpare { get; private set; }

    public long Missing { get; private set; }

    public long Orphans { get; private set; }

    /// <summary>The last pass found blobs that seem to be referred to by nothing; the next one decides.</summary>
    public bool HasSuspects => _suspects.Count > 0;

    /// <summary>Runs one pass; <paramref name="pause"/> is awaited after each bounded step.</summary>
    public async Task RunAsync(Func<TimeSpan, CancellationToken, Task> pause, CancellationToken cancellationToken)
    {
        var (atRisk, withoutSpare, missing, orphans) = (0L, 0L, 0L, 0L);
        _found = [];
        for (var partition = 0; partition < node.Ring.PartitionCount; partition++)
        {
            var started = time.GetTimestamp();
            var held = Held(partition);
            var unpinned = held.Keys.Where(b => !pins.IsPinned(b)).ToList();
            var references = References(partition);
            foreach (var (blob, lengthBytes) in references)
            {
                if (IsComplete(partition, blob, lengthBytes, held))
                {
                    continue;
                }

                switch (await repair.RunAsync(blob, lengthBytes, verify: false, cancellationToken))
                {
                    case RepairOutcome.AtRisk:
                        atRisk++;
                        break;
                    case RepairOutcome.WithoutSpare:
                        atRisk++;
                        withoutSpare++;
                        break;
                    case RepairOutcome.Missing:
                        missing++;
                        break;
                }
            }

            foreach (var blob in unpinned.Where(b => !references.ContainsKey(b)))
            {
                orphans += await DropAsync(blob, held[blob].Keys) ? 1 : 0;
            }

            await pause(time.GetElapsedTime(started), cancellationToken);
        }

        (AtRisk, WithoutSpare, Missing, Orphans) = (atRisk, withoutSpare, missing, Orphans + orphans);
        _suspects = _found;
    }

    /// <summary>The frames that each device holds of each blob of a partition.</summary>
    private Dictionary<BlobId, Dictionary<int, int>> Held(int partition)
    {
        var held = new Dictionary<BlobId, Dictionary<int, int>>();
        var lastHash = node.Ring.LastHashOf(partition);
        foreach (var slot in devices.All)
        {
            var from = new NeedleKey(node.Ring.FirstHashOf(partition), 0, 0, 0);
            while (true)
            {
                var page = node.List(slot.Number, from, lastHash, PageEntries);
                foreach (var entry in page)
                {
                    var blob = new BlobId(entry.Key.BlobHigh, entry.Key.BlobLow);
                    if (!held.TryGetValue(blob, out var byDevice))
                    {
                        held[blob] = byDevice = [];
                    }

                    byDevice[slot.Number] = byDevice.GetValueOrDefault(slot.Number) + 1;
                }

                if (page.Count < PageEntries)
                {
                    break;
                }

                from = page[^1].Key with { Frame = page[^1].Key.Frame + 1 };
            }
        }

        return held;
    }

    private Dictionary<BlobId, long> References(int partition)
    {
        var references = new Dictionary<BlobId, long>();
        var (first, last) = (node.Ring.FirstHashOf(partition), node.Ring.LastHashOf(partition));
        var from = new KeyBuilder(RowKeys.ReferenceTable).Number(first).ToArray();
        var to = RowKeys.After(new KeyBuilder(RowKeys.ReferenceTable).Number(last).ToArray());
        foreach (var shard in shards)
        {
            shard.Query((database, group) =>
            {
                using var cursor = database.OpenCursor(group);
                for (cursor.Seek(from); cursor.IsValid && cursor.Key.SequenceCompareTo(to) < 0; cursor.Next())
                {
                    references[BlobId.Read(cursor.Key[9..])] = Rows.ReadReference(cursor.Value);
                }

                return true;
            });
        }

        return references;
    }

    private bool IsComplete(int partition, BlobId blob, long lengthBytes, Dictionary<BlobId, Dictionary<int, int>> held)
    {
        if (!held.TryGetValue(blob, out var byDevice))
        {
            return lengthBytes == 0;
        }

        var frames = Frames.CountOf(lengthBytes);
        for (var replica = 0; replica < node.Ring.ReplicaCount; replica++)
        {
            if (byDevice.GetValueOrDefault(node.Ring.Primary(partition, replica)) < frames)
            {
                return false;
            }
        }

        // Copies elsewhere are left from a primary's absence.
        return byDevice.Count == node.Ring.ReplicaCount;
    }

    private async ValueTask<bool> DropAsync(BlobId blob, IEnumerable<int> holders)
    {
        var now = time.GetUtcNow();
        if (now - blob.Created < orphanGrace || pins.OldestRead() < now - orphanGrace || _found.Count >= SuspectsMax)
        {
            return false;
        }

        if (!_suspects.Contains(blob))
        {
            _found.Add(blob);
            return false;
        }

        foreach (var device in holders)
        {
            await node.DeleteBlobAsync(device, blob);
        }

        return true;
    }
}

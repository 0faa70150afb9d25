using Nephos.Client.Objects;
using Nephos.Node.Objects.Cluster;
using Nephos.Placement;

namespace Nephos.Node.Objects.Repair;

/// <summary>
/// Compares all references of the namespace with what all devices hold, some partitions at a time: referenced and lacking a copy is
/// repaired; held but not referenced is removed. One pass finds whatever restarts, lost devices and lost requests left behind.
/// </summary>
/// <remarks>
/// Devices are listed before references are read, so a blob that is listed, in no process's hands and not referenced was never
/// committed or was released. When two passes in a row find it so and it is older than the grace time, every shard first promises
/// that no record will ever refer to it; then it is removed.
/// </remarks>
internal sealed class FullCheck(
    IBlobNode node, ReferenceTable references, StorageCluster cluster, BlobRepair repair, TimeSpan orphanGrace, TimeProvider time)
{
    private const int PageEntries = 4096;
    private const int StepBlobs = 8192;
    private const int SpanMax = 4096;
    private const int SuspectsMax = 1_000_000;
    private HashSet<BlobId> _suspects = [];
    private HashSet<BlobId> _found = [];

    public long AtRisk { get; private set; }

    public long WithoutSpare { get; private set; }

    public long Missing { get; private set; }

    public long Orphans { get; private set; }

    /// <summary>Some blob has more fragments than there are devices in use: it is at risk until a device is added.</summary>
    public bool LacksDevices { get; private set; }

    /// <summary>The last pass found blobs that seem to be referred to by nothing; the next one decides.</summary>
    public bool HasSuspects => _suspects.Count > 0;

    /// <summary>Runs one pass; <paramref name="pause"/> is awaited after each bounded step.</summary>
    public async Task RunAsync(Func<TimeSpan, CancellationToken, Task> pause, CancellationToken cancellationToken)
    {
        var (atRisk, withoutSpare, missing, orphans) = (0L, 0L, 0L, 0L);
        var lacksDevices = false;
        _found = [];

        // The ring may change meanwhile: then this pass counts for nothing, but it ends.
        var ring = node.Ring;
        var span = 1;
        for (var partition = 0; partition < ring.PartitionCount;)
        {
            var started = time.GetTimestamp();
            var (first, last) = (ring.FirstHashOf(partition), ring.LastHashOf(Math.Min(partition + span, ring.PartitionCount) - 1));
            var held = await ListAsync(ring, first, last);
            var loose = held.Keys.Where(b => !cluster.MayBeReferred(b)).ToList();
            var referred = await references.ListAsync(first, last, cancellationToken);
            foreach (var (blob, lengthBytes) in referred)
            {
                if (IsComplete(ring, blob, lengthBytes, held))
                {
                    continue;
                }

                lacksDevices |= !BlobLayout.Of(blob.Scheme).Fits(ring);
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

            foreach (var blob in loose.Where(b => !referred.ContainsKey(b)))
            {
                orphans += await DropAsync(blob, held[blob].Keys, cancellationToken) ? 1 : 0;
            }

            await pause(time.GetElapsedTime(started), cancellationToken);

            // Where partitions hold little, more of them at once: what counts then is the number of requests.
            partition += span;
            span = held.Count < StepBlobs / 2 ? Math.Min(span * 2, SpanMax) : held.Count > StepBlobs ? Math.Max(span / 2, 1) : span;
        }

        (AtRisk, WithoutSpare, Missing, Orphans) = (atRisk, withoutSpare, missing, Orphans + orphans);
        LacksDevices = lacksDevices;
        _suspects = _found;
    }

    /// <summary>The numbers of the pieces that each device holds of each blob, by placement hash from and to.</summary>
    private async Task<Dictionary<BlobId, Dictionary<int, List<uint>>>> ListAsync(Ring ring, ulong first, ulong last)
    {
        var held = new Dictionary<BlobId, Dictionary<int, List<uint>>>();
        foreach (var device in ring.Devices)
        {
            FrameEntry? after = null;
            while (await node.ListFramesAsync(device.Id, first, last, after, PageEntries) is { } page)
            {
                foreach (var entry in page)
                {
                    if (!held.TryGetValue(entry.Blob, out var byDevice))
                    {
                        held[entry.Blob] = byDevice = [];
                    }

                    if (!byDevice.TryGetValue(device.Id, out var numbers))
                    {
                        byDevice[device.Id] = numbers = [];
                    }

                    numbers.Add(entry.Frame);
                }

                if (page.Count < PageEntries)
                {
                    break;
                }

                after = page[^1];
            }
        }

        return held;
    }

    private static bool IsComplete(Ring ring, BlobId blob, long lengthBytes, Dictionary<BlobId, Dictionary<int, List<uint>>> held)
    {
        if (!held.TryGetValue(blob, out var byDevice))
        {
            return lengthBytes == 0;
        }

        var frames = Frames.CountOf(lengthBytes);
        var homes = BlobLayout.Of(blob.Scheme).Homes(ring, blob);
        // Pieces elsewhere are left from a home's absence.
        return byDevice.Count == homes.Length
            && Array.TrueForAll(homes, home => byDevice.TryGetValue(home, out var numbers) && numbers.Count == frames)
            && (blob.Scheme == BlobScheme.Replicated || HasEachOnce(byDevice));
    }

    /// <summary>No fragment is on two devices, so with as many as there should be all are there.</summary>
    private static bool HasEachOnce(Dictionary<int, List<uint>> byDevice)
    {
        var seen = new HashSet<uint>();
        return byDevice.Values.All(numbers => numbers.All(seen.Add));
    }

    private async ValueTask<bool> DropAsync(BlobId blob, IEnumerable<int> holders, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (now - blob.Created < orphanGrace || cluster.OldestRead() < now - orphanGrace || _found.Count >= SuspectsMax)
        {
            return false;
        }

        if (!_suspects.Contains(blob))
        {
            _found.Add(blob);
            return false;
        }

        if (!await references.CondemnAsync(blob, cancellationToken))
        {
            return false;
        }

        foreach (var device in holders)
        {
            await node.DeleteBlobAsync(device, blob);
        }

        return true;
    }
}

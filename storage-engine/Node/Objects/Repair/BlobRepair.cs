using Nephos.Client.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Placement;

namespace Nephos.Node.Objects.Repair;

/// <summary>What is left of a blob after an attempt to give each primary its copy.</summary>
internal enum RepairOutcome
{
    /// <summary>Every primary has it.</summary>
    Safe,

    /// <summary>A primary is away or takes nothing; at least two good copies exist.</summary>
    AtRisk,

    /// <summary>One good copy is left.</summary>
    WithoutSpare,

    /// <summary>No good copy of some frame can be reached.</summary>
    Missing,
}

/// <summary>Makes the copies of one blob again from those that are left. Idempotent.</summary>
internal sealed class BlobRepair(IBlobNode node, DeviceSet devices)
{
    private readonly ulong[] _checksums = new ulong[Frames.BlocksPerFrame];
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(Frames.FrameBytes, pinned: true);

    private readonly CodedRepair _coded = new(node, devices);
    private long _repaired;

    /// <summary>Copies and fragments made so far.</summary>
    public long Repaired => _repaired + _coded.Repaired;

    /// <summary>Brings a blob back to a copy on each primary; then copies elsewhere are no longer needed and are removed.</summary>
    /// <param name="verify">Read every copy, not only the index: something said that one is damaged.</param>
    public async ValueTask<RepairOutcome> RunAsync(BlobId blob, long lengthBytes, bool verify, CancellationToken cancellationToken)
    {
        if (blob.Scheme != BlobScheme.Replicated)
        {
            return await _coded.RunAsync(blob, lengthBytes, verify, cancellationToken);
        }

        var ring = node.Ring;
        var partition = ring.PartitionOf(blob.PlacementHash);
        var primaries = new int[ring.ReplicaCount];
        ring.Primaries(partition, primaries);
        var others = ring.Others(partition);
        var good = primaries.Length;
        var allHome = true;
        for (uint frame = 0; frame < Frames.CountOf(lengthBytes); frame++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (copies, isHome) = await RepairFrameAsync(
                ring, blob, frame, Frames.SizeOf(lengthBytes, frame), primaries, others, verify);
            good = Math.Min(good, copies);
            allHome &= isHome;
        }

        if (allHome)
        {
            foreach (var other in others)
            {
                await node.DeleteBlobAsync(other, blob);
            }
        }

        return good >= primaries.Length ? RepairOutcome.Safe
            : good > 1 ? RepairOutcome.AtRisk
            : good == 1 ? RepairOutcome.WithoutSpare
            : RepairOutcome.Missing;
    }

    /// <summary>Good copies of a frame afterwards, and whether every primary has one.</summary>
    private async ValueTask<(int Copies, bool IsHome)> RepairFrameAsync(
        Ring ring, BlobId blob, uint frame, int sizeBytes, int[] primaries, IReadOnlyList<int> others, bool verify)
    {
        var lacking = new List<int>();
        foreach (var device in primaries)
        {
            if (!await HasAsync(device, blob, frame, sizeBytes, verify))
            {
                lacking.Add(device);
            }
        }

        if (lacking.Count == 0)
        {
            return (primaries.Length, true);
        }

        var isRead = false;
        foreach (var device in primaries.Except(lacking).Concat(others))
        {
            isRead = await TryReadAsync(device, blob, frame, sizeBytes);
            if (isRead)
            {
                break;
            }
        }

        if (!isRead)
        {
            return (0, false);
        }

        var payload = _buffer.AsMemory(0, sizeBytes);
        LocalStorage.Objects.NeedleHeader.HashBlocks(payload.Span, _checksums);
        var atHome = primaries.Length - lacking.Count;
        foreach (var device in lacking)
        {
            if (await node.WriteFrameAsync(device, new FrameWrite(blob, frame, payload, _checksums, default, null)) == BlobStatus.Ok)
            {
                atHome++;
                _repaired++;
            }
        }

        // A primary that is away for long is stood in for by the next handoff; a short absence moves nothing.
        var copies = atHome;
        var mayStandIn = lacking.Count(devices.IsAwayForLong);
        foreach (var device in others)
        {
            if (copies >= primaries.Length)
            {
                break;
            }

            if (await node.FindFrameAsync(device, blob, frame) == BlobStatus.Ok)
            {
                copies++;
                mayStandIn--;
            }
            else if (mayStandIn > 0 && ring.Device(device).Weight > 0
                && await node.WriteFrameAsync(device, new FrameWrite(blob, frame, payload, _checksums, default, lacking[0])) == BlobStatus.Ok)
            {
                copies++;
                mayStandIn--;
                _repaired++;
            }
        }

        return (copies, atHome == primaries.Length);
    }

    private async ValueTask<bool> HasAsync(int device, BlobId blob, uint frame, int sizeBytes, bool verify) =>
        verify ? await TryReadAsync(device, blob, frame, sizeBytes) : await node.FindFrameAsync(device, blob, frame) == BlobStatus.Ok;

    private async ValueTask<bool> TryReadAsync(int device, BlobId blob, uint frame, int sizeBytes)
    {
        var read = await node.ReadFrameAsync(device, blob, frame, 0, _buffer);
        return read.Status == BlobStatus.Ok && read.PayloadBytes == sizeBytes && read.ReadBytes == sizeBytes;
    }
}

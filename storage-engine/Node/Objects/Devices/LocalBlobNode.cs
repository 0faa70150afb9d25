using System.Runtime.CompilerServices;
using Nephos.Client.Objects;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Repair;
using Nephos.Placement;

namespace Nephos.Node.Objects.Devices;

/// <summary>Payload frames on the devices of this process.</summary>
internal sealed class LocalBlobNode(DeviceSet devices, RiskLedger ledger) : IBlobNode
{
    public Ring Ring => devices.Ring;

    public ValueTask<BlobStatus> WriteFrameAsync(int device, in FrameWrite frame)
    {
        var write = new NeedleWrite
        {
            Key = KeyOf(frame.Blob, frame.Frame),
            Payload = frame.Payload,
            Checksums = frame.Checksums,
            Hint = frame.Hint,
            Flags = (frame.HomeDevice is null ? NeedleFlags.None : NeedleFlags.Handoff)
                | (frame.Blob.Scheme == BlobScheme.Replicated ? NeedleFlags.None : NeedleFlags.Fragment),
            HomeDevice = (uint?)frame.HomeDevice ?? NeedleHeader.NoHome,
        };
        return WriteAsync(device, write);
    }

    public ValueTask<FrameRead> ReadFrameAsync(int device, BlobId blob, uint frame, int firstBlock, Memory<byte> destination)
    {
        if (devices.Find(device) is not { } slot || !slot.TryUse(out var lease))
        {
            return ValueTask.FromResult(new FrameRead(BlobStatus.Unavailable, 0, 0));
        }

        using (lease)
        {
            var status = lease.Device.Volumes.Read(
                KeyOf(blob, frame), firstBlock, destination.Span, out var payloadBytes, out var readBytes);
            return ValueTask.FromResult(new FrameRead(ToBlobStatus(status), payloadBytes, readBytes));
        }
    }

    public async ValueTask<BlobStatus> DeleteBlobAsync(int device, BlobId blob)
    {
        if (devices.Find(device) is not { } slot || !slot.TryUse(out var lease))
        {
            return BlobStatus.Unavailable;
        }

        using (lease)
        {
            return ToBlobStatus(await lease.Device.Volumes.DeleteAsync(KeyOf(blob, 0)));
        }
    }

    public void NoteAtRisk(BlobId blob, long lengthBytes) => ledger.Note(blob);

    public ValueTask<BlobStatus> FindFrameAsync(int device, BlobId blob, uint frame)
    {
        if (devices.Find(device) is not { } slot || !slot.TryUse(out var lease))
        {
            return ValueTask.FromResult(BlobStatus.Unavailable);
        }

        using (lease)
        {
            return ValueTask.FromResult(lease.Device.Volumes.Contains(KeyOf(blob, frame)) ? BlobStatus.Ok : BlobStatus.NotFound);
        }
    }

    public ValueTask<IReadOnlyList<FrameEntry>?> ListFramesAsync(int device, ulong firstHash, ulong lastHash, FrameEntry? after, int limit)
    {
        if (devices.Find(device) is not { } slot || !slot.TryUse(out var lease))
        {
            return ValueTask.FromResult<IReadOnlyList<FrameEntry>?>(null);
        }

        var from = after is { } last ? KeyOf(last.Blob, last.Frame + 1) : new NeedleKey(firstHash, 0, 0, 0);
        using (lease)
        {
            return ValueTask.FromResult<IReadOnlyList<FrameEntry>?>(
                [.. lease.Device.Volumes.List(from, lastHash, limit).Select(e => new FrameEntry(new BlobId(e.Key.BlobHigh, e.Key.BlobLow), e.Key.Frame, e.PayloadBytes))]);
        }
    }

    public bool IsDoubtful(int device) => false;

    public static NeedleKey KeyOf(BlobId blob, uint frame) => new(blob.PlacementHash, blob.High, blob.Low, frame);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<BlobStatus> WriteAsync(int device, NeedleWrite write)
    {
        if (devices.Find(device) is not { } slot || !slot.TryUse(out var lease))
        {
            return BlobStatus.Unavailable;
        }

        using (lease)
        {
            return ToBlobStatus(await lease.Device.Volumes.AppendAsync(write));
        }
    }

    private static BlobStatus ToBlobStatus(StoreStatus status) => status switch
    {
        StoreStatus.Ok => BlobStatus.Ok,
        StoreStatus.Full => BlobStatus.Full,
        StoreStatus.Failed => BlobStatus.Unavailable,
        StoreStatus.NotFound => BlobStatus.NotFound,
        StoreStatus.Corrupt => BlobStatus.Corrupt,
        _ => throw new ArgumentOutOfRangeException(nameof(status)),
    };
}

using System.Runtime.InteropServices;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Devices;
using Nephos.Placement;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Payload on all devices: those of this process by a call, the others by the transport.</summary>
internal sealed class ClusterBlobNode(LocalBlobNode local, DeviceSet devices, StorageCluster cluster) : IBlobNode
{
    private const int EntryBytes = BlobId.SizeBytes + 8;
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(2);

    public Ring Ring => devices.Ring;

    public ValueTask<BlobStatus> WriteFrameAsync(int device, in FrameWrite frame)
    {
        if (devices.Find(device) is not null)
        {
            return local.WriteFrameAsync(device, frame);
        }

        var head = new CallWriter(512).Int32(device).Blob(frame.Blob).Int32((int)frame.Frame).Int32(frame.HomeDevice ?? -1).Bytes(frame.Hint.Span);
        var checksums = frame.Checksums.Span[..((frame.Payload.Length + Frames.BlockBytes - 1) / Frames.BlockBytes)];
        head.Rest(MemoryMarshal.AsBytes(checksums));
        return StatusAsync(device, new StorageCall(BlobMethods.Write, head.Written) { Payload = frame.Payload });
    }

    public ValueTask<FrameRead> ReadFrameAsync(int device, BlobId blob, uint frame, int firstBlock, Memory<byte> destination) =>
        devices.Find(device) is not null
            ? local.ReadFrameAsync(device, blob, frame, firstBlock, destination)
            : ReadRemoteAsync(device, blob, frame, firstBlock, destination);

    public ValueTask<BlobStatus> DeleteBlobAsync(int device, BlobId blob) => devices.Find(device) is not null
        ? local.DeleteBlobAsync(device, blob)
        : StatusAsync(device, new StorageCall(BlobMethods.Delete, new CallWriter().Int32(device).Blob(blob).Written));

    public ValueTask<BlobStatus> FindFrameAsync(int device, BlobId blob, uint frame) => devices.Find(device) is not null
        ? local.FindFrameAsync(device, blob, frame)
        : StatusAsync(device, new StorageCall(BlobMethods.Find, new CallWriter().Int32(device).Blob(blob).Int32((int)frame).Written));

    public async ValueTask<IReadOnlyList<FrameEntry>?> ListFramesAsync(int device, ulong firstHash, ulong lastHash, FrameEntry? after, int limit)
    {
        if (devices.Find(device) is not null)
        {
            return await local.ListFramesAsync(device, firstHash, lastHash, after, limit);
        }

        var head = new CallWriter().Int32(device).UInt64(firstHash).UInt64(lastHash).Int32(limit).Byte(after is null ? (byte)0 : (byte)1);
        if (after is { } last)
        {
            head.Blob(last.Blob).Int32((int)last.Frame);
        }

        if (await CallAsync(device, new StorageCall(BlobMethods.List, head.Written)) is not { Head.Length: > 0 } reply || reply.Head.Span[0] != (byte)BlobStatus.Ok)
        {
            return null;
        }

        var reader = new CallReader(reply.Head[1..]);
        var entries = new FrameEntry[(reply.Head.Length - 1) / EntryBytes];
        for (var n = 0; n < entries.Length; n++)
        {
            entries[n] = new FrameEntry(reader.Blob(), (uint)reader.Int32(), reader.Int32());
        }

        return entries;
    }

    public bool IsDoubtful(int device) => cluster.PeerOf(device) is { IsDoubtful: true };

    public void NoteAtRisk(BlobId blob, long lengthBytes) => local.NoteAtRisk(blob, lengthBytes);

    private async ValueTask<FrameRead> ReadRemoteAsync(int device, BlobId blob, uint frame, int firstBlock, Memory<byte> destination)
    {
        var room = Math.Min(destination.Length, Frames.FrameBytes);
        var head = new CallWriter().Int32(device).Blob(blob).Int32((int)frame).Int32(firstBlock).Int32(room).Written;
        var call = new StorageCall(BlobMethods.Read, head) { Destination = destination, Timeout = ReadTimeout };
        if (await CallAsync(device, call) is not { } reply)
        {
            return new FrameRead(BlobStatus.Unavailable, 0, 0);
        }

        var answer = new CallReader(reply.Head);
        return new FrameRead((BlobStatus)answer.Byte(), answer.Int32(), reply.PayloadBytes);
    }

    private async ValueTask<BlobStatus> StatusAsync(int device, StorageCall call) =>
        await CallAsync(device, call) is { Head.Length: 1 } reply ? (BlobStatus)reply.Head.Span[0] : BlobStatus.Unavailable;

    private async ValueTask<CallReply?> CallAsync(int device, StorageCall call)
    {
        if (cluster.PeerOf(device) is not { } peer)
        {
            return null;
        }

        try
        {
            var reply = await peer.Bulk.CallAsync(call);
            peer.Trust();
            return reply;
        }
        catch (StorageCallException)
        {
            return null;
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            peer.Doubt();
            return null;
        }
    }
}

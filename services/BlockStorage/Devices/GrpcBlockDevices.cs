using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using Nephos.Client.Volumes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.BlockStorage.Devices;

/// <summary>The storage nodes, by their gRPC service.</summary>
internal sealed class GrpcBlockDevices(Wire.BlockDevices.BlockDevicesClient client, ServiceCalls calls) : IBlockDevices
{
    public async Task<IReadOnlyList<BlockDevice>> ListAsync(CancellationToken cancellationToken)
    {
        var answer = await client.ListBlockDevicesAsync(new Wire.ListBlockDevicesRequest(), await calls.AsServiceAsync(cancellationToken));
        return [.. answer.Devices.Select(device => new BlockDevice(device.Id, device.Zone, device.CapacityBytes, device.FreeBytes, device.Failed))];
    }

    public async Task<IReadOnlyList<ReplicaEndpoint>> LocateAsync(string deviceId, CancellationToken cancellationToken)
    {
        var answer = await client.LocateDevicesAsync(new Wire.LocateDevicesRequest { DeviceId = deviceId }, await calls.AsServiceAsync(cancellationToken));
        return [.. answer.Devices.Select(device => new ReplicaEndpoint(device.DeviceId, device.Address))];
    }

    public async Task<bool> ExistsAsync(string deviceId, string volumeId, CancellationToken cancellationToken) =>
        (await client.GetReplicaAsync(new Wire.GetReplicaRequest { Replica = Ref(deviceId, volumeId) }, await calls.AsServiceAsync(cancellationToken))).Exists;

    public async Task CreateAsync(string deviceId, string volumeId, long sizeBytes, string? snapshotId, CancellationToken cancellationToken) =>
        await client.CreateReplicaAsync(
            new Wire.CreateReplicaRequest { Replica = Ref(deviceId, volumeId), SizeBytes = sizeBytes, SnapshotId = snapshotId ?? "" },
            await calls.AsServiceAsync(cancellationToken));

    public async Task DeleteAsync(string deviceId, string volumeId, CancellationToken cancellationToken) =>
        await client.DeleteReplicaAsync(Ref(deviceId, volumeId), await calls.AsServiceAsync(cancellationToken));

    public async Task ResizeAsync(string deviceId, string volumeId, long sizeBytes, CancellationToken cancellationToken) =>
        await client.ResizeReplicaAsync(
            new Wire.ResizeReplicaRequest { Replica = Ref(deviceId, volumeId), SizeBytes = sizeBytes }, await calls.AsServiceAsync(cancellationToken));

    public async Task CreateSnapshotAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken) =>
        await client.CreateReplicaSnapshotAsync(SnapshotRef(deviceId, volumeId, snapshotId), await calls.AsServiceAsync(cancellationToken));

    public async Task CreateSnapshotsAsync(
        string deviceId, IReadOnlyList<(string VolumeId, string SnapshotId)> snapshots, CancellationToken cancellationToken)
    {
        var request = new Wire.CreateReplicaSnapshotsRequest { DeviceId = deviceId };
        request.Snapshots.AddRange(snapshots.Select(pair => new Wire.CreateReplicaSnapshotsRequest.Types.VolumeSnapshot
        {
            VolumeId = pair.VolumeId, SnapshotId = pair.SnapshotId,
        }));
        await client.CreateReplicaSnapshotsAsync(request, await calls.AsServiceAsync(cancellationToken));
    }

    public async Task DeleteSnapshotAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken) =>
        await client.DeleteReplicaSnapshotAsync(SnapshotRef(deviceId, volumeId, snapshotId), await calls.AsServiceAsync(cancellationToken));

    public async Task RollbackAsync(string deviceId, string volumeId, string snapshotId, CancellationToken cancellationToken) =>
        await client.RollbackReplicaAsync(SnapshotRef(deviceId, volumeId, snapshotId), await calls.AsServiceAsync(cancellationToken));

    public async Task SealAsync(string deviceId, string volumeId, long epoch, CancellationToken cancellationToken) =>
        await client.SealReplicaAsync(
            new Wire.SealReplicaRequest { Replica = Ref(deviceId, volumeId), Epoch = epoch }, await calls.AsServiceAsync(cancellationToken));

    public async Task WriteAsync(string deviceId, string volumeId, long epoch, IAsyncEnumerable<BlockChunk> chunks, CancellationToken cancellationToken)
    {
        using var call = client.WriteBlocks(await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        await call.RequestStream.WriteAsync(new Wire.WriteBlocksRequest { Replica = Ref(deviceId, volumeId), Epoch = epoch }, cancellationToken);
        try
        {
            await foreach (var chunk in chunks.WithCancellation(cancellationToken))
            {
                await call.RequestStream.WriteAsync(
                    new Wire.WriteBlocksRequest { OffsetBytes = chunk.Offset, Data = UnsafeByteOperations.UnsafeWrap(chunk.Data) }, cancellationToken);
            }
            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException)
        {
            // The node has answered already: why is in the answer.
        }
        await call.ResponseAsync;
    }

    public async Task<(long SizeBytes, IAsyncEnumerable<BlockChunk> Chunks)> ReadAsync(
        string deviceId, string volumeId, string snapshotId, BlockSpan? span, CancellationToken cancellationToken)
    {
        var call = client.ReadBlocks(
            new Wire.ReadBlocksRequest
            {
                Replica = Ref(deviceId, volumeId), SnapshotId = snapshotId, OffsetBytes = span?.Offset ?? 0, LengthBytes = span?.Length ?? 0,
            },
            await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        if (!await call.ResponseStream.MoveNext(cancellationToken)) throw Faults.Unavailable("The storage node ended the stream before it began.");
        return (call.ResponseStream.Current.SizeBytes, ChunksAsync(call, cancellationToken));
    }

    public async Task<IReadOnlyList<BlockSpan>> ListChangedAsync(
        string deviceId, string volumeId, string snapshotId, string baseSnapshotId, CancellationToken cancellationToken)
    {
        using var call = client.ListChangedRanges(
            new Wire.ListChangedRangesRequest { Replica = Ref(deviceId, volumeId), SnapshotId = snapshotId, BaseSnapshotId = baseSnapshotId },
            await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        var spans = new List<BlockSpan>();
        while (await call.ResponseStream.MoveNext(cancellationToken))
            spans.AddRange(call.ResponseStream.Current.Ranges.Select(range => new BlockSpan(range.OffsetBytes, range.LengthBytes)));
        return spans;
    }

    public async Task<IReadOnlyList<BlockRange>> DescribeAsync(
        string deviceId, string volumeId, string snapshotId, string? baseSnapshotId, BlockSpan span, CancellationToken cancellationToken)
    {
        var answer = await client.ListBlockRangesAsync(
            new Wire.ListBlockRangesRequest
            {
                Replica = Ref(deviceId, volumeId), SnapshotId = snapshotId, BaseSnapshotId = baseSnapshotId ?? "", OffsetBytes = span.Offset, LengthBytes = span.Length,
            },
            await calls.AsServiceAsync(cancellationToken));
        var ranges = new List<BlockRange>(answer.Ranges.Count);
        var offset = span.Offset;
        foreach (var range in answer.Ranges)
        {
            ranges.Add(new BlockRange(offset, range.LengthBytes, KindOf(range.Kind)));
            offset += range.LengthBytes;
        }
        return ranges;
    }

    private static BlockRangeKind KindOf(Wire.BlockRanges.Types.Kind kind) => kind switch
    {
        Wire.BlockRanges.Types.Kind.Zero => BlockRangeKind.Zero,
        Wire.BlockRanges.Types.Kind.Hole => BlockRangeKind.Hole,
        _ => BlockRangeKind.Data,
    };

    private static async IAsyncEnumerable<BlockChunk> ChunksAsync(
        AsyncServerStreamingCall<Wire.BlocksChunk> call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using (call)
        {
            while (await call.ResponseStream.MoveNext(cancellationToken))
            {
                var chunk = call.ResponseStream.Current;
                if (chunk.Last) yield break;
                yield return new BlockChunk(chunk.OffsetBytes, chunk.Data.Memory);
            }
        }
        throw Faults.Unavailable("The storage node ended the stream before its end.");
    }

    private static Wire.ReplicaRef Ref(string deviceId, string volumeId) => new() { DeviceId = deviceId, VolumeId = volumeId };

    private static Wire.ReplicaSnapshotRef SnapshotRef(string deviceId, string volumeId, string snapshotId) =>
        new() { Replica = Ref(deviceId, volumeId), SnapshotId = snapshotId };
}

using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.LocalStorage.Block;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Node.Block;

/// <summary>Control of the devices over gRPC. Only services and administrators call it; it trusts them with every volume.</summary>
internal sealed class BlockDevicesGrpcService(BlockDeviceSet devices) : Wire.BlockDevices.BlockDevicesBase
{
    private const int ChunkBytes = 1 << 20;
    private const int RangesInMessage = 4096;

    public override Task<Wire.ListBlockDevicesResponse> ListBlockDevices(Wire.ListBlockDevicesRequest request, ServerCallContext context)
    {
        Authorize(context);
        var response = new Wire.ListBlockDevicesResponse();
        foreach (var store in devices.Devices)
        {
            response.Devices.Add(new Wire.BlockDevice
            {
                Id = store.DeviceId.ToString(),
                Zone = devices.Zone,
                CapacityBytes = devices.Capacities[store.DeviceId],
                FreeBytes = store.FreeBytes,
                Failed = store.Failure is not null,
                Failure = store.Failure?.Message ?? store.BackgroundError?.Message ?? "",
                VolumeCount = store.VolumeCount,
                JournalBytes = store.JournalBytes,
            });
        }
        return Task.FromResult(response);
    }

    public override Task<Wire.BlockReplica> GetReplica(Wire.GetReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (store, id) =>
        {
            var replica = ToWire(store, id);
            if (store.FindVolume(id) is { } volume) replica.AllocatedBytes = store.AllocatedBytes(volume);
            return replica;
        });

    public override Task<Wire.BlockReplica> CreateReplica(Wire.CreateReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (store, id) =>
        {
            store.CreateVolume(id, request.SizeBytes, request.SnapshotId.Length == 0 ? null : ParseId(request.SnapshotId, "snapshot_id"));
            return ToWire(store, id);
        });

    public override Task<Empty> DeleteReplica(Wire.ReplicaRef request, ServerCallContext context) =>
        Run(context, request, (store, id) =>
        {
            store.DeleteVolume(id);
            return new Empty();
        });

    public override Task<Wire.BlockReplica> ResizeReplica(Wire.ResizeReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (store, id) =>
        {
            store.ResizeVolume(id, request.SizeBytes);
            return ToWire(store, id);
        });

    public override Task<Empty> CreateReplicaSnapshot(Wire.ReplicaSnapshotRef request, ServerCallContext context) =>
        Run(context, request.Replica, (store, id) =>
        {
            store.CreateSnapshot(id, ParseId(request.SnapshotId, "snapshot_id"));
            return new Empty();
        });

    public override Task<Empty> CreateReplicaSnapshots(Wire.CreateReplicaSnapshotsRequest request, ServerCallContext context)
    {
        Authorize(context);
        var store = devices.Find(request.DeviceId) ?? throw Faults.NotFound("Block device", request.DeviceId);
        var wanted = request.Snapshots
            .Select(snapshot => (ParseId(snapshot.VolumeId, "volume_id"), ParseId(snapshot.SnapshotId, "snapshot_id"))).ToList();
        return Task.Run(() => Call(() =>
        {
            store.CreateSnapshots(wanted);
            return new Empty();
        }));
    }

    public override Task<Empty> DeleteReplicaSnapshot(Wire.ReplicaSnapshotRef request, ServerCallContext context) =>
        Run(context, request.Replica, (store, _) =>
        {
            store.DeleteSnapshot(ParseId(request.SnapshotId, "snapshot_id"));
            return new Empty();
        });

    public override Task<Empty> RollbackReplica(Wire.ReplicaSnapshotRef request, ServerCallContext context) =>
        Run(context, request.Replica, (store, id) =>
        {
            store.Rollback(id, ParseId(request.SnapshotId, "snapshot_id"));
            return new Empty();
        });

    public override Task<Wire.BlockReplica> SealReplica(Wire.SealReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (store, id) =>
        {
            Check(store.GetVolume(id).Seal(request.Epoch));
            return ToWire(store, id);
        });

    public override async Task<Empty> WriteBlocks(IAsyncStreamReader<Wire.WriteBlocksRequest> requestStream, ServerCallContext context)
    {
        Authorize(context);
        BlockVolume? volume = null;
        var epoch = 0L;
        var sequence = 0L;
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            var request = requestStream.Current;
            if (volume is null)
            {
                (var store, var id) = Find(request.Replica);
                volume = Call(() => store.GetVolume(id));
                epoch = request.Epoch;
                sequence = volume.LastSequence;
            }
            if (request.Data.Length > ChunkBytes) throw Faults.Invalid("data", $"at most {ChunkBytes} bytes in one message");
            if (request.Data.Length > 0) Check(WriteOne(volume, epoch, ++sequence, request));
        }
        if (volume is null) throw Faults.Invalid("replica", "the first message names it");
        Check(volume.Flush(epoch));
        return new Empty();
    }

    private static unsafe BlockStatus WriteOne(BlockVolume volume, long epoch, long sequence, Wire.WriteBlocksRequest request)
    {
        // SAFETY: the bytes of the message are pinned until the write has returned.
        fixed (byte* data = request.Data.Span)
        {
            var write = new JournalWrite { Sequence = sequence, Offset = request.OffsetBytes, Length = request.Data.Length, Data = (nint)data };
            return volume.Write(epoch, MemoryMarshal.CreateReadOnlySpan(ref write, 1));
        }
    }

    public override async Task ReadBlocks(Wire.ReadBlocksRequest request, IServerStreamWriter<Wire.BlocksChunk> responseStream, ServerCallContext context)
    {
        Authorize(context);
        var (store, id) = Find(request.Replica);
        var source = Call(() => BlockSource.Open(store, id, request.SnapshotId.Length == 0 ? null : ParseId(request.SnapshotId, "snapshot_id")));
        await responseStream.WriteAsync(new Wire.BlocksChunk { SizeBytes = source.SizeBytes });
        if (request.OffsetBytes < 0 || request.LengthBytes < 0) throw Faults.Invalid("offset_bytes", "a range has no negative numbers");
        var end = request.LengthBytes == 0 ? source.SizeBytes : Math.Min(source.SizeBytes, request.OffsetBytes + request.LengthBytes);
        for (var offset = request.OffsetBytes; offset < end;)
        {
            var range = source.Next(offset, end, out var status);
            Check(status);
            offset = range.Offset + range.Length;
            if (range.Kind != RangeKind.Data) continue;
            for (var at = range.Offset; at < offset; at += ChunkBytes)
            {
                var data = new byte[Math.Min(ChunkBytes, offset - at)];
                Check(source.Read(at, data));
                await responseStream.WriteAsync(
                    new Wire.BlocksChunk { OffsetBytes = at, Data = UnsafeByteOperations.UnsafeWrap(data) }, context.CancellationToken);
            }
        }
        await responseStream.WriteAsync(new Wire.BlocksChunk { Last = true });
    }

    public override async Task ListChangedRanges(
        Wire.ListChangedRangesRequest request, IServerStreamWriter<Wire.ChangedRanges> responseStream, ServerCallContext context)
    {
        Authorize(context);
        var (store, _) = Find(request.Replica);
        var (snapshot, before) = (ParseId(request.SnapshotId, "snapshot_id"), ParseId(request.BaseSnapshotId, "base_snapshot_id"));
        var ranges = await Task.Run(() => Call(() => store.ListChangedRanges(snapshot, before)));
        foreach (var part in ranges.Chunk(RangesInMessage))
        {
            var message = new Wire.ChangedRanges();
            message.Ranges.AddRange(part.Select(range => new Wire.BlockRange { OffsetBytes = range.Offset, LengthBytes = range.Length }));
            await responseStream.WriteAsync(message, context.CancellationToken);
        }
    }

    // A volume at its present epoch, or a snapshot.
    private sealed class BlockSource(BlockStore store, BlockVolume? volume, Guid snapshotId, long sizeBytes)
    {
        // What is described with one look; more would take longer without telling more.
        private const long LookBytes = 1L << 30;

        public long SizeBytes { get; } = sizeBytes;

        public static BlockSource Open(BlockStore store, Guid volumeId, Guid? snapshotId)
        {
            var volume = snapshotId is null ? store.GetVolume(volumeId) : null;
            return new BlockSource(store, volume, snapshotId ?? default, volume?.SizeBytes ?? store.SnapshotSizeBytes(snapshotId!.Value));
        }

        public LayerRange Next(long offset, long end, out BlockStatus status)
        {
            Span<LayerRange> ranges = stackalloc LayerRange[1];
            var length = Math.Min(LookBytes, end - offset);
            status = volume is not null
                ? volume.GetRanges(volume.SealedEpoch, offset, length, ranges, out _)
                : store.GetSnapshotRanges(snapshotId, offset, length, ranges, out _);
            return ranges[0];
        }

        public BlockStatus Read(long offset, Span<byte> buffer) =>
            volume is not null ? volume.Read(volume.SealedEpoch, offset, buffer) : store.ReadSnapshot(snapshotId, offset, buffer);
    }

    private static void Authorize(ServerCallContext context)
    {
        var operation = context.GetOperation();
        if (!operation.IsAdmin) operation.RequireService("control of block devices");
    }

    private Task<T> Run<T>(ServerCallContext context, Wire.ReplicaRef? replica, Func<BlockStore, Guid, T> action)
    {
        Authorize(context);
        var (store, id) = Find(replica);
        // The calls wait for a disk; the threads that serve requests do not.
        return Task.Run(() => Call(() => action(store, id)));
    }

    private (BlockStore Store, Guid Id) Find(Wire.ReplicaRef? replica)
    {
        if (replica is null) throw Faults.Invalid("replica", "is required");
        var store = devices.Find(replica.DeviceId) ?? throw Faults.NotFound("Block device", replica.DeviceId);
        return (store, ParseId(replica.VolumeId, "volume_id"));
    }

    private static Guid ParseId(string text, string field) =>
        Guid.TryParse(text, out var id) ? id : throw Faults.Invalid(field, "is not a UUID");

    private static Wire.BlockReplica ToWire(BlockStore store, Guid id)
    {
        if (store.FindVolume(id) is not { } volume) return new Wire.BlockReplica { VolumeId = id.ToString() };
        var info = store.Describe(volume);
        return new Wire.BlockReplica
        {
            VolumeId = id.ToString(),
            Exists = true,
            SizeBytes = info.SizeBytes,
            SealedEpoch = info.SealedEpoch,
            LastSequence = info.LastSequence,
            LayerCount = info.LayerCount,
        };
    }

    private static T Call<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (BlockStoreException e)
        {
            throw e.Error switch
            {
                BlockStoreError.NotFound => new FaultException(ErrorReason.NotFound, e.Message, cause: e),
                BlockStoreError.Conflict => new FaultException(ErrorReason.Conflict, e.Message, cause: e),
                BlockStoreError.InvalidArgument => new FaultException(ErrorReason.InvalidArgument, e.Message, cause: e),
                BlockStoreError.NoSpace => new FaultException(ErrorReason.StorageFull, e.Message, cause: e),
                BlockStoreError.Corrupt => new FaultException(ErrorReason.DataLoss, e.Message, cause: e),
                _ => Faults.Unavailable(e.Message, e),
            };
        }
    }

    private static void Check(BlockStatus status)
    {
        switch (status)
        {
            case BlockStatus.Ok: return;
            case BlockStatus.Fenced: throw Faults.Conflict("A newer epoch of the volume is sealed.");
            case BlockStatus.NoSpace: throw new FaultException(ErrorReason.StorageFull, "The block device is full.");
            case BlockStatus.OutOfRange: throw Faults.Invalid("offset_bytes", "the range is outside of the volume or not on blocks of 4096 bytes");
            case BlockStatus.NotFound: throw Faults.NotFound("Replica", "of the volume");
            case BlockStatus.Corrupt: throw new FaultException(ErrorReason.DataLoss, "A block does not have the checksum it was written with.");
            default: throw Faults.Unavailable("The block device has failed.");
        }
    }
}

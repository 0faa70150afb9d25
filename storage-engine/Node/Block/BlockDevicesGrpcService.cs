using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Client.Volumes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.LocalStorage.Block;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Node.Block;

/// <summary>Control of the devices over gRPC. Only services and administrators call it; it trusts them with every volume.</summary>
internal sealed class BlockDevicesGrpcService(ReplicaSets sets) : Wire.BlockDevices.BlockDevicesBase
{
    private const int ChunkBytes = 1 << 20;
    private const int RangesInMessage = 4096;

    public override Task<Wire.ListBlockDevicesResponse> ListBlockDevices(Wire.ListBlockDevicesRequest request, ServerCallContext context)
    {
        Authorize(context);
        var response = new Wire.ListBlockDevicesResponse();
        foreach (var set in sets.Placements)
        {
            var members = set.Select(ToWire).ToList();
            var device = set.Count == 1 ? members[0] : new Wire.BlockDevice
            {
                Id = ReplicaSet.NameOf(members.Select(member => member.Id)),
                Zone = members[0].Zone,
                CapacityBytes = members.Min(member => member.CapacityBytes),
                FreeBytes = members.Where(member => !member.Failed).Select(member => member.FreeBytes).DefaultIfEmpty(0).Min(),
                Failed = members.Count(member => member.Failed) > (set.Count - 1) / 2,
                Failure = string.Join(' ', members.Select(member => member.Failure).Where(failure => failure.Length > 0)),
                VolumeCount = members.Max(member => member.VolumeCount),
                JournalBytes = members.Sum(member => member.JournalBytes),
            };
            if (set.Count > 1) device.Members.AddRange(members);
            response.Devices.Add(device);
        }
        return Task.FromResult(response);
    }

    private static Wire.BlockDevice ToWire(IBlockDevice device)
    {
        var state = device.State;
        return new Wire.BlockDevice
        {
            Id = device.Id.ToString(),
            Zone = device.Zone,
            Node = device.Node,
            Address = device.Address,
            CapacityBytes = state?.CapacityBytes ?? 0,
            FreeBytes = state?.FreeBytes ?? 0,
            Failed = !device.IsUsable,
            Failure = state?.Failure ?? (device.IsUsable ? state?.Trouble ?? "" : $"Device {device.Id} of {device.Node} does not answer."),
            VolumeCount = state?.VolumeCount ?? 0,
            JournalBytes = state?.JournalBytes ?? 0,
        };
    }

    public override Task<Wire.DeviceLocations> LocateDevices(Wire.LocateDevicesRequest request, ServerCallContext context)
    {
        Authorize(context);
        var response = new Wire.DeviceLocations();
        response.Devices.AddRange(sets.Locate(request.DeviceId).Select(place => new Wire.DeviceLocations.Types.Device { DeviceId = place.DeviceId, Address = place.Address }));
        return Task.FromResult(response);
    }

    public override Task<Wire.BlockReplica> GetReplica(Wire.GetReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) =>
        {
            var replica = Describe(name, id);
            if (sets.FindBest(name, id) is var (device, _)) replica.AllocatedBytes = device.AllocatedBytes(id);
            return replica;
        });

    public override Task<Wire.BlockReplica> CreateReplica(Wire.CreateReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) =>
        {
            sets.Create(name, id, request.SizeBytes, request.SnapshotId.Length == 0 ? null : ParseId(request.SnapshotId, "snapshot_id"));
            return Describe(name, id);
        });

    public override Task<Empty> DeleteReplica(Wire.ReplicaRef request, ServerCallContext context) =>
        Run(context, request, (name, id) => sets.Delete(name, id));

    public override Task<Wire.BlockReplica> ResizeReplica(Wire.ResizeReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) =>
        {
            sets.Resize(name, id, request.SizeBytes);
            return Describe(name, id);
        });

    public override Task<Empty> CreateReplicaSnapshot(Wire.ReplicaSnapshotRef request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) => sets.CreateSnapshots(name, [(id, ParseId(request.SnapshotId, "snapshot_id"))]));

    public override Task<Empty> CreateReplicaSnapshots(Wire.CreateReplicaSnapshotsRequest request, ServerCallContext context)
    {
        Authorize(context);
        var wanted = request.Snapshots
            .Select(snapshot => (ParseId(snapshot.VolumeId, "volume_id"), ParseId(snapshot.SnapshotId, "snapshot_id"))).ToList();
        return Task.Run(() => Call(() =>
        {
            sets.CreateSnapshots(request.DeviceId, wanted);
            return new Empty();
        }));
    }

    public override Task<Empty> DeleteReplicaSnapshot(Wire.ReplicaSnapshotRef request, ServerCallContext context) =>
        Run(context, request.Replica, (name, _) => sets.DeleteSnapshot(name, ParseId(request.SnapshotId, "snapshot_id")));

    public override Task<Empty> RollbackReplica(Wire.ReplicaSnapshotRef request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) => sets.Rollback(name, id, ParseId(request.SnapshotId, "snapshot_id")));

    public override Task<Wire.BlockReplica> SealReplica(Wire.SealReplicaRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) =>
        {
            sets.Seal(name, id, request.Epoch);
            return Describe(name, id);
        });

    public override async Task<Empty> WriteBlocks(IAsyncStreamReader<Wire.WriteBlocksRequest> requestStream, ServerCallContext context)
    {
        Authorize(context);
        Filling? filling = null;
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            var request = requestStream.Current;
            if (filling is null)
            {
                var (name, id) = Names(request.Replica);
                filling = Call(() => sets.Fill(name, id, request.Epoch));
            }
            if (request.Data.Length > ChunkBytes) throw Faults.Invalid("data", $"at most {ChunkBytes} bytes in one message");
            if (request.Data.Length > 0) Check(filling.Write(request.OffsetBytes, request.Data.Memory));
        }
        if (filling is null) throw Faults.Invalid("replica", "the first message names it");
        Check(filling.Flush());
        return new Empty();
    }

    public override async Task ReadBlocks(Wire.ReadBlocksRequest request, IServerStreamWriter<Wire.BlocksChunk> responseStream, ServerCallContext context)
    {
        Authorize(context);
        var (name, id) = Names(request.Replica);
        var source = Call(() => sets.OpenSource(name, id, request.SnapshotId.Length == 0 ? null : ParseId(request.SnapshotId, "snapshot_id")));
        await responseStream.WriteAsync(new Wire.BlocksChunk { SizeBytes = source.SizeBytes });
        if (request.OffsetBytes < 0 || request.LengthBytes < 0) throw Faults.Invalid("offset_bytes", "a range has no negative numbers");
        var end = request.LengthBytes == 0 ? source.SizeBytes : Math.Min(source.SizeBytes, request.OffsetBytes + request.LengthBytes);
        for (var offset = request.OffsetBytes; offset < end;)
        {
            var from = offset;
            foreach (var range in Call(() => source.Describe(since: null, from, end)))
            {
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
        }
        await responseStream.WriteAsync(new Wire.BlocksChunk { Last = true });
    }

    public override async Task ListChangedRanges(
        Wire.ListChangedRangesRequest request, IServerStreamWriter<Wire.ChangedRanges> responseStream, ServerCallContext context)
    {
        Authorize(context);
        var (name, _) = Names(request.Replica);
        var (snapshot, before) = (ParseId(request.SnapshotId, "snapshot_id"), ParseId(request.BaseSnapshotId, "base_snapshot_id"));
        var ranges = await Task.Run(() => Call(() => ReplicaSets.First(sets.Find(name).Devices, device => device.ListChangedRanges(snapshot, before))));
        foreach (var part in ranges.Chunk(RangesInMessage))
        {
            var message = new Wire.ChangedRanges();
            message.Ranges.AddRange(part.Select(range => new Wire.BlockRange { OffsetBytes = range.Offset, LengthBytes = range.Length }));
            await responseStream.WriteAsync(message, context.CancellationToken);
        }
    }

    public override Task<Wire.BlockRanges> ListBlockRanges(Wire.ListBlockRangesRequest request, ServerCallContext context) =>
        Run(context, request.Replica, (name, id) =>
        {
            var source = sets.OpenSource(name, id, ParseId(request.SnapshotId, "snapshot_id"));
            var (offset, length) = (request.OffsetBytes, request.LengthBytes == 0 ? source.SizeBytes - request.OffsetBytes : request.LengthBytes);
            if (offset < 0 || length < 0 || (offset | length) % BlockSource.BlockBytes != 0 || length > source.SizeBytes - offset)
                throw Faults.Invalid("offset_bytes", $"a range is of whole blocks of {BlockSource.BlockBytes} bytes inside the snapshot");
            Guid? since = request.BaseSnapshotId.Length == 0 ? null : ParseId(request.BaseSnapshotId, "base_snapshot_id");
            var response = new Wire.BlockRanges { SizeBytes = source.SizeBytes };
            source.Describe(since, offset, length, RangesInMessage, response.Ranges);
            return response;
        });

    private static void Authorize(ServerCallContext context)
    {
        var operation = context.GetOperation();
        if (!operation.IsAdmin) operation.RequireService("control of block devices");
    }

    private static Task<T> Run<T>(ServerCallContext context, Wire.ReplicaRef? replica, Func<string, Guid, T> action)
    {
        Authorize(context);
        var (name, id) = Names(replica);
        // The calls wait for a disk; the threads that serve requests do not.
        return Task.Run(() => Call(() => action(name, id)));
    }

    private static Task<Empty> Run(ServerCallContext context, Wire.ReplicaRef? replica, Action<string, Guid> action) =>
        Run(context, replica, (name, id) =>
        {
            action(name, id);
            return new Empty();
        });

    private static (string Name, Guid Id) Names(Wire.ReplicaRef? replica) => replica is null
        ? throw Faults.Invalid("replica", "is required")
        : (replica.DeviceId, ParseId(replica.VolumeId, "volume_id"));

    private static Guid ParseId(string text, string field) =>
        Guid.TryParse(text, out var id) ? id : throw Faults.Invalid(field, "is not a UUID");

    private Wire.BlockReplica Describe(string name, Guid id)
    {
        if (sets.FindBest(name, id) is not var (_, info)) return new Wire.BlockReplica { VolumeId = id.ToString() };
        return new Wire.BlockReplica
        {
            VolumeId = id.ToString(),
            Exists = true,
            SizeBytes = info.SizeBytes,
            SealedEpoch = info.SealedEpoch,
            LastSequence = info.History.Sequence,
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

    private static void Check(ReplicaStatus status)
    {
        switch (status)
        {
            case ReplicaStatus.Ok: return;
            case ReplicaStatus.Fenced: throw Faults.Conflict("A newer epoch of the volume is sealed.");
            case ReplicaStatus.NoSpace: throw new FaultException(ErrorReason.StorageFull, "The block device is full.");
            case ReplicaStatus.OutOfRange: throw Faults.Invalid("offset_bytes", "the range is outside of the volume or not on blocks of 4096 bytes");
            case ReplicaStatus.NotFound: throw Faults.NotFound("Replica", "of the volume");
            case ReplicaStatus.Corrupt: throw new FaultException(ErrorReason.DataLoss, "A block does not have the checksum it was written with.");
            default: throw Faults.Unavailable("The block device has failed.");
        }
    }
}

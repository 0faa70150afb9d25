using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Client.Objects;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Host.Storage;

/// <summary>The ring of the object store over gRPC.</summary>
internal sealed class ObjectRingGrpcService(IObjectRing ring, IObjectEngine engine) : Wire.ObjectRing.ObjectRingBase
{
    public override Task<Wire.RingStatus> GetRing(Wire.GetRingRequest request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("read the ring");
        return Task.FromResult(ToWire(ring.GetStatus(), engine.GetStatus()));
    }

    public override Task<Wire.RingPlan> PlanDeviceWeight(Wire.DeviceWeight request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("plan a change of the ring");
        try
        {
            var plan = ring.Plan(request.Device, request.Weight);
            return Task.FromResult(new Wire.RingPlan
            {
                ReplicasMoved = plan.ReplicasMoved,
                BytesMoved = plan.BytesMoved,
                Steps = plan.Steps,
                Duration = plan.Duration?.ToDuration(),
                SharedDomains = plan.SharedDomains,
                SharedDomainsNow = plan.SharedDomainsNow,
                Devices = { plan.Devices.Select(ToWire) },
            });
        }
        catch (ArgumentException refused)
        {
            throw Refuse(refused);
        }
    }

    public override Task<Wire.RingStatus> SetDeviceWeight(Wire.DeviceWeight request, ServerCallContext context) =>
        ChangeAsync(context, () => ring.SetWeightAsync(request.Device, request.Weight, context.CancellationToken));

    public override Task<Wire.RingStatus> AddDevice(Wire.DeviceWeight request, ServerCallContext context) =>
        ChangeAsync(context, () => ring.AddAsync(request.Device, request.Weight, context.CancellationToken));

    public override Task<Wire.RingStatus> RemoveDevice(Wire.RemoveDeviceRequest request, ServerCallContext context) =>
        ChangeAsync(context, () => ring.RemoveAsync(request.Device, context.CancellationToken));

    public override Task<Wire.RingStatus> SetPartitionPower(Wire.PartitionPower request, ServerCallContext context) =>
        ChangeAsync(context, () => ring.SetPartitionPowerAsync(request.Power, context.CancellationToken));

    private async Task<Wire.RingStatus> ChangeAsync(ServerCallContext context, Func<Task> change)
    {
        context.GetOperation().RequireAdmin("change the ring");
        try
        {
            await change();
        }
        catch (ArgumentException refused)
        {
            throw Refuse(refused);
        }
        catch (ObjectEngineException failure)
        {
            throw Faults.Unavailable(failure.Message, failure);
        }

        return ToWire(ring.GetStatus(), engine.GetStatus());
    }

    // The runtime adds the name of the parameter to the message; the fault says it already.
    private static FaultException Refuse(ArgumentException refused) =>
        Faults.Invalid(refused.ParamName ?? "device", refused.Message.Split(" (Parameter '", 2)[0]);

    private static Wire.RingStatus ToWire(RingStatus status, ObjectEngineStatus health) => new()
    {
        Version = status.Version,
        Partitions = status.Partitions,
        ReplicaCount = status.ReplicaCount,
        ReplicasToMove = status.ReplicasToMove,
        Settled = status.IsSettled,
        Devices = { status.Devices.Select(ToWire) },
        Shards = { health.Shards.Select(ToWire) },
        ShardChange = health.ShardChange,
    };

    private static Wire.NamespaceShard ToWire(IndexShardStatus shard)
    {
        var wire = new Wire.NamespaceShard
        {
            Shard = shard.Shard,
            FirstHash = shard.FirstHash,
            State = shard.State,
            ReplicasInSync = shard.ReplicasInSync,
            Replicas = shard.Replicas,
        };
        if (shard.Objects is { } objects)
        {
            wire.Objects = objects;
        }

        return wire;
    }

    private static Wire.RingDevice ToWire(RingDeviceStatus device) => new()
    {
        Device = device.Device,
        Zone = device.Zone,
        Weight = device.Weight,
        Replicas = device.Replicas,
        LiveBytes = device.LiveBytes,
        Fill = device.Fill,
    };
}

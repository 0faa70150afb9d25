using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Operators;

/// <summary>What administrators see and switch, over gRPC.</summary>
internal sealed class OperatorsGrpcService(IStateStore store, OperatorService operators) : Wire.BlockOperators.BlockOperatorsBase
{
    public override async Task<Wire.ListServicesResponse> ListServices(Wire.ListServicesRequest request, ServerCallContext context)
    {
        var response = new Wire.ListServicesResponse();
        response.Services.AddRange((await operators.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire));
        return response;
    }

    public override async Task<Wire.BlockService> SwitchService(Wire.SwitchServiceRequest request, ServerCallContext context) =>
        ToWire(await operators.SwitchAsync(
            context.GetOperation(), request.Binary, request.Host, request.Disabled, request.Reason.Length > 0 ? request.Reason : null, context.CancellationToken));

    public override async Task<Empty> FreezeHost(Wire.FreezeHostRequest request, ServerCallContext context)
    {
        await operators.FreezeAsync(context.GetOperation(), request.Host, request.Frozen, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchServices(
        Wire.WatchServicesRequest request, IServerStreamWriter<Wire.ServiceEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            HostState.Table.Name,
            async () => (await operators.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            service => HostState.KeyOf(service.Binary, service.Host),
            service => new Wire.ServiceEvent { Changed = service },
            key => new Wire.ServiceEvent { Deleted = key },
            () => new Wire.ServiceEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.BlockService ToWire(OperatedService service) => new()
    {
        Binary = service.Binary,
        Host = service.Host,
        Up = service.Up,
        Disabled = service.State.Disabled,
        DisabledReason = service.State.DisabledReason ?? "",
        Frozen = service.State.Frozen,
        UpdatedAt = service.State.UpdatedAt?.ToTimestamp(),
    };
}

using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Aggregates;

internal sealed class AggregatesGrpcService(IStateStore store, AggregateService aggregates) : Wire.Aggregates.AggregatesBase
{
    public override async Task<Wire.Aggregate> CreateAggregate(Wire.CreateAggregateRequest request, ServerCallContext context) =>
        ToWire(await aggregates.CreateAsync(context.GetOperation(), request.Name, request.AvailabilityZone, context.CancellationToken));

    public override async Task<Wire.Aggregate> GetAggregate(Wire.GetAggregateRequest request, ServerCallContext context) =>
        ToWire(await aggregates.GetAsync(context.GetOperation(), request.Id, context.CancellationToken));

    public override async Task<Wire.ListAggregatesResponse> ListAggregates(Wire.ListAggregatesRequest request, ServerCallContext context)
    {
        var page = Paging.Cut(
            await aggregates.ListAsync(context.GetOperation(), context.CancellationToken), item => Aggregate.KeyOf(item.Number), request.PageToken, request.PageSize);
        return new Wire.ListAggregatesResponse { Aggregates = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Aggregate> UpdateAggregate(Wire.UpdateAggregateRequest request, ServerCallContext context) =>
        ToWire(await aggregates.UpdateAsync(
            context.GetOperation(), request.Id, request.Name.Length == 0 ? null : request.Name, request.SetMetadata, request.RemoveMetadata, context.CancellationToken));

    public override async Task<Wire.DeleteAggregateResponse> DeleteAggregate(Wire.DeleteAggregateRequest request, ServerCallContext context)
    {
        await aggregates.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Wire.DeleteAggregateResponse();
    }

    public override async Task<Wire.Aggregate> AddAggregateHost(Wire.AggregateHostRequest request, ServerCallContext context) =>
        ToWire(await aggregates.AddHostAsync(context.GetOperation(), request.Id, request.Host, context.CancellationToken));

    public override async Task<Wire.Aggregate> RemoveAggregateHost(Wire.AggregateHostRequest request, ServerCallContext context) =>
        ToWire(await aggregates.RemoveHostAsync(context.GetOperation(), request.Id, request.Host, context.CancellationToken));

    public override Task WatchAggregates(
        Wire.WatchAggregatesRequest request, IServerStreamWriter<Wire.AggregateEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            Aggregate.Table.Name,
            async () => (await aggregates.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            aggregate => Aggregate.KeyOf(aggregate.Id),
            aggregate => new Wire.AggregateEvent { Changed = aggregate },
            id => new Wire.AggregateEvent { Deleted = id },
            () => new Wire.AggregateEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.Aggregate ToWire(Aggregate aggregate) => new()
    {
        Id = aggregate.Number,
        Uuid = aggregate.Uuid,
        Name = aggregate.Name,
        Metadata = { aggregate.Metadata.ToDictionary() },
        Hosts = { aggregate.Hosts },
        CreatedAt = aggregate.CreatedAt.ToTimestamp(),
        UpdatedAt = aggregate.UpdatedAt?.ToTimestamp(),
    };
}

using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.VolumeTypes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Qos;

/// <summary>QoS specs over gRPC.</summary>
internal sealed class QosSpecsGrpcService(QosService qos, TableCache<QosSpecs> cache, TableCache<VolumeType> types) : Wire.QosSpecsService.QosSpecsServiceBase
{
    public override async Task<Wire.QosSpecs> CreateQosSpecs(Wire.CreateQosSpecsRequest request, ServerCallContext context) =>
        ToWire(await qos.CreateAsync(
            context.GetOperation(), request.Name, request.Consumer.Length > 0 ? request.Consumer : null, new Dictionary<string, string>(request.Specs),
            context.CancellationToken));

    public override Task<Wire.QosSpecs> GetQosSpecs(Wire.GetQosSpecsRequest request, ServerCallContext context) => ShowAsync(request.QosSpecsId, context);

    public override async Task<Wire.ListQosSpecsResponse> ListQosSpecs(Wire.ListQosSpecsRequest request, ServerCallContext context)
    {
        var all = await qos.ListAsync(context.GetOperation(), context.CancellationToken);
        await types.CatchUpAsync(context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(specs => specs.Id, StringComparer.Ordinal), specs => specs.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListQosSpecsResponse { NextPageToken = page.NextToken ?? "" };
        response.QosSpecs.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Wire.QosSpecs> UpdateQosSpecs(Wire.UpdateQosSpecsRequest request, ServerCallContext context)
    {
        var changes = request.Set.ToDictionary(item => item.Key, item => (string?)item.Value);
        foreach (var key in request.Unset) changes[key] = null;
        return ToWire(await qos.SetAsync(
            context.GetOperation(), request.QosSpecsId, request.Consumer.Length > 0 ? request.Consumer : null, changes, context.CancellationToken));
    }

    public override async Task<Empty> DeleteQosSpecs(Wire.DeleteQosSpecsRequest request, ServerCallContext context)
    {
        await qos.DeleteAsync(context.GetOperation(), request.QosSpecsId, request.Force, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.QosSpecs> AssociateQosSpecs(Wire.AssociateQosSpecsRequest request, ServerCallContext context)
    {
        await qos.AssociateAsync(context.GetOperation(), request.QosSpecsId, request.VolumeTypeId, context.CancellationToken);
        return await ShowAsync(request.QosSpecsId, context);
    }

    public override async Task<Wire.QosSpecs> DisassociateQosSpecs(Wire.DisassociateQosSpecsRequest request, ServerCallContext context)
    {
        var type = request.VolumeTypeId.Length > 0 ? request.VolumeTypeId : null;
        await qos.DisassociateAsync(context.GetOperation(), request.QosSpecsId, type, context.CancellationToken);
        return await ShowAsync(request.QosSpecsId, context);
    }

    public override Task WatchQosSpecs(Wire.WatchQosSpecsRequest request, IServerStreamWriter<Wire.QosSpecsEvent> responseStream, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("volume_extension:qos_specs_manage:get_all");
        return Watching.TellAsync(
            cache, ToWire,
            responseStream,
            told => told switch
            {
                { Id: null } => new Wire.QosSpecsEvent { Revision = told.Revision, Synced = true },
                { Shown: { } shown } => new Wire.QosSpecsEvent { Revision = told.Revision, Changed = shown },
                _ => new Wire.QosSpecsEvent { Revision = told.Revision, Deleted = told.Id },
            },
            context.CancellationToken);
    }

    private async Task<Wire.QosSpecs> ShowAsync(string id, ServerCallContext context)
    {
        await types.CatchUpAsync(context.CancellationToken);
        return ToWire(await qos.GetAsync(context.GetOperation(), id, context.CancellationToken));
    }

    private Wire.QosSpecs ToWire(QosSpecs specs)
    {
        var wire = new Wire.QosSpecs { Id = specs.Id, Name = specs.Name, Consumer = specs.Consumer };
        foreach (var (key, value) in specs.Specs) wire.Specs[key] = value;
        wire.VolumeTypeIds.AddRange(types.List().Where(type => type.QosSpecsId == specs.Id).Select(type => type.Id));
        return wire;
    }
}

using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.BlockStorage.Volumes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.VolumeTypes;

internal sealed class VolumeTypesGrpcService(IStateStore store, VolumeTypeService types) : Wire.VolumeTypes.VolumeTypesBase
{
    public override async Task<Wire.VolumeType> CreateVolumeType(Wire.CreateVolumeTypeRequest request, ServerCallContext context) =>
        ToWire(await types.CreateAsync(
            context.GetOperation(), request.Name, request.Description.Length > 0 ? request.Description : null, request.IsPublic,
            new Dictionary<string, string>(request.ExtraSpecs), context.CancellationToken));

    public override async Task<Wire.VolumeType> GetVolumeType(Wire.GetVolumeTypeRequest request, ServerCallContext context) =>
        ToWire(await types.GetAsync(context.GetOperation(), request.NameOrId, context.CancellationToken));

    public override async Task<Wire.ListVolumeTypesResponse> ListVolumeTypes(Wire.ListVolumeTypesRequest request, ServerCallContext context)
    {
        var all = await types.ListAsync(context.GetOperation(), context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(type => type.Id, StringComparer.Ordinal), type => type.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListVolumeTypesResponse { NextPageToken = page.NextToken ?? "" };
        response.VolumeTypes.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Wire.VolumeType> UpdateVolumeType(Wire.UpdateVolumeTypeRequest request, ServerCallContext context)
    {
        var wanted = request.VolumeType ?? throw Faults.Invalid("volume_type", "is required");
        var paths = request.UpdateMask?.Paths.ToHashSet() ?? [];
        if (paths.Count == 0) throw Faults.Invalid("update_mask", "names no field");
        if (paths.FirstOrDefault(path => path is not ("name" or "description" or "is_public" or "extra_specs")) is { } other)
            throw Faults.Invalid("update_mask", $"{other} can not be changed");
        return ToWire(await types.UpdateAsync(
            context.GetOperation(), request.VolumeTypeId, paths.Contains("name") ? wanted.Name : null,
            paths.Contains("description") ? wanted.Description : null, paths.Contains("is_public") ? wanted.IsPublic : null,
            paths.Contains("extra_specs") ? new Dictionary<string, string>(wanted.ExtraSpecs) : null, context.CancellationToken));
    }

    public override async Task<Empty> DeleteVolumeType(Wire.DeleteVolumeTypeRequest request, ServerCallContext context)
    {
        await types.DeleteAsync(context.GetOperation(), request.VolumeTypeId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> SetVolumeTypeAccess(Wire.SetVolumeTypeAccessRequest request, ServerCallContext context)
    {
        await types.SetAccessAsync(context.GetOperation(), request.VolumeTypeId, request.ProjectId, request.Allowed, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> SetDefaultVolumeType(Wire.SetDefaultVolumeTypeRequest request, ServerCallContext context)
    {
        var name = request.VolumeType.Length > 0 ? request.VolumeType : null;
        await types.SetDefaultAsync(context.GetOperation(), request.ProjectId, name, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchVolumeTypes(
        Wire.WatchVolumeTypesRequest request, IServerStreamWriter<Wire.VolumeTypeEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            VolumeType.Table.Name,
            async () => (await types.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            type => type.Id,
            type => new Wire.VolumeTypeEvent { Changed = type },
            id => new Wire.VolumeTypeEvent { Deleted = id },
            () => new Wire.VolumeTypeEvent { Synchronized = true },
            context.CancellationToken);

    private Wire.VolumeType ToWire(VolumeType type) => type.ToWire(types.IsDefault(type));
}

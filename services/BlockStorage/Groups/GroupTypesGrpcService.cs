using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.BlockStorage.Groups;

/// <summary>Kinds of groups over gRPC.</summary>
internal sealed class GroupTypesGrpcService(IStateStore store, GroupTypeService types) : Wire.GroupTypes.GroupTypesBase
{
    public override async Task<Wire.GroupType> CreateGroupType(Wire.CreateGroupTypeRequest request, ServerCallContext context) =>
        ToWire(await types.CreateAsync(
            context.GetOperation(), request.Name, request.Description.Length > 0 ? request.Description : null, request.IsPublic,
            new Dictionary<string, string>(request.Specs), context.CancellationToken));

    public override async Task<Wire.GroupType> GetGroupType(Wire.GetGroupTypeRequest request, ServerCallContext context) =>
        ToWire(await types.GetAsync(context.GetOperation(), request.GroupTypeId, context.CancellationToken));

    public override async Task<Wire.ListGroupTypesResponse> ListGroupTypes(Wire.ListGroupTypesRequest request, ServerCallContext context)
    {
        var all = await types.ListAsync(context.GetOperation(), context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(type => type.Id, StringComparer.Ordinal), type => type.Id, request.PageToken, request.PageSize);
        var response = new Wire.ListGroupTypesResponse { NextPageToken = page.NextToken ?? "" };
        response.GroupTypes.AddRange(page.Items.Select(ToWire));
        return response;
    }

    public override async Task<Empty> DeleteGroupType(Wire.DeleteGroupTypeRequest request, ServerCallContext context)
    {
        await types.DeleteAsync(context.GetOperation(), request.GroupTypeId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.GroupType> UpdateGroupType(Wire.GroupType request, ServerCallContext context) =>
        ToWire(await types.UpdateAsync(
            context.GetOperation(), request.Id,
            type => type with
            {
                Name = request.Name,
                Description = request.Description.Length > 0 ? request.Description : null,
                IsPublic = request.IsPublic,
                Specs = new Dictionary<string, string>(request.Specs),
            },
            context.CancellationToken));

    public override Task WatchGroupTypes(
        Wire.WatchGroupTypesRequest request, IServerStreamWriter<Wire.GroupTypeEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            GroupType.Table.Name,
            async () => (await types.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            type => type.Id,
            type => new Wire.GroupTypeEvent { Changed = type },
            id => new Wire.GroupTypeEvent { Deleted = id },
            () => new Wire.GroupTypeEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.GroupType ToWire(GroupType type)
    {
        var wire = new Wire.GroupType { Id = type.Id, Name = type.Name, Description = type.Description ?? "", IsPublic = type.IsPublic };
        foreach (var (key, value) in type.Specs) wire.Specs[key] = value;
        return wire;
    }
}

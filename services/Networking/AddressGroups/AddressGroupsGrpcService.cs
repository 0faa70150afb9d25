using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.AddressGroups;

internal sealed class AddressGroupsGrpcService(AddressGroupService groups, NetworkStore store, GrpcStreams streams)
    : Wire.AddressGroups.AddressGroupsBase
{
    public override async Task<Wire.AddressGroup> CreateAddressGroup(Wire.CreateAddressGroupRequest request, ServerCallContext context) => ToWire(
        await groups.CreateAsync(
            context.GetOperation(),
            new NewAddressGroup(request.ProjectId, request.Name, request.Description, request.Addresses, request.IdempotencyKey.NullIfEmpty()),
            context.CancellationToken));

    public override async Task<Wire.AddressGroup> GetAddressGroup(Wire.GetAddressGroupRequest request, ServerCallContext context) =>
        ToWire((await store.ViewAsync(context.CancellationToken)).AddressGroup(context.GetOperation(), request.AddressGroupId));

    public override async Task<Wire.ListAddressGroupsResponse> ListAddressGroups(Wire.ListAddressGroupsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), group => group.Id, request.PageToken, request.PageSize);
        return new Wire.ListAddressGroupsResponse { AddressGroups = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.AddressGroup> UpdateAddressGroup(Wire.UpdateAddressGroupRequest request, ServerCallContext context)
    {
        var group = request.AddressGroup ?? new Wire.AddressGroup();
        var paths = request.UpdateMask.Paths("name", "description");
        var changes = new AddressGroupChanges
        {
            Name = paths.When("name", () => group.Name),
            Description = paths.When("description", () => group.Description),
        };
        return ToWire(await groups.UpdateAsync(context.GetOperation(), group.Id, changes, context.CancellationToken));
    }

    public override async Task<Wire.AddressGroup> AddAddresses(Wire.ChangeAddressesRequest request, ServerCallContext context) =>
        ToWire(await groups.AddAsync(context.GetOperation(), request.AddressGroupId, request.Addresses, context.CancellationToken));

    public override async Task<Wire.AddressGroup> RemoveAddresses(Wire.ChangeAddressesRequest request, ServerCallContext context) =>
        ToWire(await groups.RemoveAsync(context.GetOperation(), request.AddressGroupId, request.Addresses, context.CancellationToken));

    public override async Task<Empty> DeleteAddressGroup(Wire.DeleteAddressGroupRequest request, ServerCallContext context)
    {
        await groups.DeleteAsync(context.GetOperation(), request.AddressGroupId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchAddressGroups(
        Wire.WatchAddressGroupsRequest request, IServerStreamWriter<Wire.AddressGroupEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter)
                .Select(group => new Watched<Wire.AddressGroup>(group.Id, new Sources(group, null), () => ToWire(group))),
            (revision, group) => responseStream.WriteAsync(new Wire.AddressGroupEvent { StoreRevision = revision, Changed = group }),
            (revision, id) => responseStream.WriteAsync(new Wire.AddressGroupEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.AddressGroupEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<AddressGroup> Matching(NetworkView view, OperationContext operation, Wire.AddressGroupFilter? filter) =>
        view.AddressGroups.Values.Where(group => operation.Sees(group) && (filter is null ||
            (filter.Ids.Allows(group.Id) && filter.Names.Allows(group.Name) && filter.ProjectIds.Allows(group.ProjectId))));

    private static Wire.AddressGroup ToWire(AddressGroup group) => new()
    {
        Id = group.Id,
        ProjectId = group.ProjectId,
        Name = group.Name,
        Description = group.Description,
        Addresses = { group.Addresses.Select(address => address.ToString()) },
        CreatedAt = group.CreatedAt.ToWire(),
        UpdatedAt = group.UpdatedAt.ToWire(),
        Revision = group.Revision,
    };
}

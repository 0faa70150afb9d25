using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.AddressScopes;

internal sealed class AddressScopesGrpcService(AddressScopeService scopes, NetworkStore store, GrpcStreams streams)
    : Wire.AddressScopes.AddressScopesBase
{
    public override async Task<Wire.AddressScope> CreateAddressScope(Wire.CreateAddressScopeRequest request, ServerCallContext context) => ToWire(
        await scopes.CreateAsync(
            context.GetOperation(),
            new NewAddressScope(request.ProjectId, request.Name, request.IpVersion, request.Shared, request.IdempotencyKey.NullIfEmpty()),
            context.CancellationToken));

    public override async Task<Wire.AddressScope> GetAddressScope(Wire.GetAddressScopeRequest request, ServerCallContext context) =>
        ToWire((await store.ViewAsync(context.CancellationToken)).AddressScope(context.GetOperation(), request.AddressScopeId));

    public override async Task<Wire.ListAddressScopesResponse> ListAddressScopes(Wire.ListAddressScopesRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), scope => scope.Id, request.PageToken, request.PageSize);
        return new Wire.ListAddressScopesResponse { AddressScopes = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.AddressScope> UpdateAddressScope(Wire.UpdateAddressScopeRequest request, ServerCallContext context)
    {
        var scope = request.AddressScope ?? new Wire.AddressScope();
        var paths = request.UpdateMask.Paths("name", "shared");
        var changes = new AddressScopeChanges { Name = paths.When("name", () => scope.Name), Shared = paths.When("shared", () => scope.Shared) };
        return ToWire(await scopes.UpdateAsync(context.GetOperation(), scope.Id, changes, context.CancellationToken));
    }

    public override async Task<Empty> DeleteAddressScope(Wire.DeleteAddressScopeRequest request, ServerCallContext context)
    {
        await scopes.DeleteAsync(context.GetOperation(), request.AddressScopeId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchAddressScopes(
        Wire.WatchAddressScopesRequest request, IServerStreamWriter<Wire.AddressScopeEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter)
                .Select(scope => new Watched<Wire.AddressScope>(scope.Id, new Sources(scope, null), () => ToWire(scope))),
            (revision, scope) => responseStream.WriteAsync(new Wire.AddressScopeEvent { StoreRevision = revision, Changed = scope }),
            (revision, id) => responseStream.WriteAsync(new Wire.AddressScopeEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.AddressScopeEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<AddressScope> Matching(NetworkView view, OperationContext operation, Wire.AddressScopeFilter? filter) =>
        view.AddressScopes.Values.Where(scope => operation.Sees(scope) && (filter is null ||
            (filter.Ids.Allows(scope.Id) && filter.Names.Allows(scope.Name) && filter.ProjectIds.Allows(scope.ProjectId))));

    private static Wire.AddressScope ToWire(AddressScope scope) => new()
    {
        Id = scope.Id,
        ProjectId = scope.ProjectId,
        Name = scope.Name,
        IpVersion = scope.IpVersion,
        Shared = scope.Shared,
        Revision = scope.Revision,
    };
}

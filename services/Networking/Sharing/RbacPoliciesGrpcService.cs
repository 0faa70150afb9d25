using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Sharing;

internal sealed class RbacPoliciesGrpcService(RbacService policies, NetworkStore store, GrpcStreams streams)
    : Wire.RbacPolicies.RbacPoliciesBase
{
    public override async Task<Wire.RbacPolicy> CreateRbacPolicy(Wire.CreateRbacPolicyRequest request, ServerCallContext context) => ToWire(
        await policies.CreateAsync(
            context.GetOperation(),
            new NewRbacPolicy(request.ProjectId, request.ObjectType, request.ObjectId, request.Action, request.TargetProject),
            context.CancellationToken));

    public override async Task<Wire.RbacPolicy> GetRbacPolicy(Wire.GetRbacPolicyRequest request, ServerCallContext context) =>
        ToWire(RbacService.Get(await store.ViewAsync(context.CancellationToken), context.GetOperation(), request.RbacPolicyId));

    public override async Task<Wire.ListRbacPoliciesResponse> ListRbacPolicies(Wire.ListRbacPoliciesRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(
            Matching(view, context.GetOperation(), request.Filter), policy => policy.Grant.Id, request.PageToken, request.PageSize);
        return new Wire.ListRbacPoliciesResponse { RbacPolicies = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.RbacPolicy> UpdateRbacPolicy(Wire.UpdateRbacPolicyRequest request, ServerCallContext context) => ToWire(
        await policies.UpdateAsync(context.GetOperation(), request.RbacPolicyId, request.TargetProject, context.CancellationToken));

    public override async Task<Empty> DeleteRbacPolicy(Wire.DeleteRbacPolicyRequest request, ServerCallContext context)
    {
        await policies.DeleteAsync(context.GetOperation(), request.RbacPolicyId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchRbacPolicies(
        Wire.WatchRbacPoliciesRequest request, IServerStreamWriter<Wire.RbacPolicyEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter)
                .Select(policy => new Watched<Wire.RbacPolicy>(policy.Grant.Id, new Sources(policy.Grant, null), () => ToWire(policy))),
            (revision, policy) => responseStream.WriteAsync(new Wire.RbacPolicyEvent { StoreRevision = revision, Changed = policy }),
            (revision, id) => responseStream.WriteAsync(new Wire.RbacPolicyEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.RbacPolicyEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<RbacPolicy> Matching(NetworkView view, OperationContext operation, Wire.RbacPolicyFilter? filter) =>
        RbacService.Visible(view, operation).Where(policy => filter is null ||
            (filter.ObjectTypes.Allows(policy.Kind.Name) && filter.ObjectIds.Allows(policy.Resource.Id) &&
             filter.ProjectIds.Allows(policy.Grant.ProjectId) && filter.TargetProjects.Allows(policy.Grant.Target)));

    private static Wire.RbacPolicy ToWire(RbacPolicy policy) => new()
    {
        Id = policy.Grant.Id,
        ProjectId = policy.Grant.ProjectId,
        ObjectType = policy.Kind.Name,
        ObjectId = policy.Resource.Id,
        Action = RbacService.NameOf(policy.Grant.Action),
        TargetProject = policy.Grant.Target,
    };
}

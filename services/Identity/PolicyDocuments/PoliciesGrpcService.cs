using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.PolicyDocuments;

internal sealed class PoliciesGrpcService(IStateStore store, PolicyDocumentService documents) : Wire.Policies.PoliciesBase
{
    public override async Task<Wire.Policy> CreatePolicy(Wire.CreatePolicyRequest request, ServerCallContext context)
    {
        var policy = request.Policy ?? new Wire.Policy();
        return ToWire(await documents.CreateAsync(
            context.GetOperation(), (policy.Blob, policy.Type, null), request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Policy> GetPolicy(Wire.GetPolicyRequest request, ServerCallContext context) =>
        ToWire(await documents.GetAsync(context.GetOperation(), request.PolicyId, context.CancellationToken));

    public override async Task<Wire.ListPoliciesResponse> ListPolicies(Wire.ListPoliciesRequest request, ServerCallContext context)
    {
        var found = (await documents.ListAsync(context.GetOperation(), context.CancellationToken))
            .Where(document => request.Type.Length == 0 || document.Type == request.Type);
        var page = Paging.Cut(found, document => document.Id, request.PageToken, request.PageSize);
        return new Wire.ListPoliciesResponse { Policies = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Policy> UpdatePolicy(Wire.UpdatePolicyRequest request, ServerCallContext context) =>
        ToWire(await documents.UpdateAsync(
            context.GetOperation(), request.PolicyId, request.HasBlob ? request.Blob : null, request.HasType ? request.Type : null, null,
            context.CancellationToken));

    public override async Task<Empty> DeletePolicy(Wire.DeletePolicyRequest request, ServerCallContext context)
    {
        await documents.DeleteAsync(context.GetOperation(), request.PolicyId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchPolicies(
        Wire.WatchPoliciesRequest request, IServerStreamWriter<Wire.PolicyEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.PolicyDocuments.Name,
            async () => (await documents.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            policy => policy.Id,
            policy => new Wire.PolicyEvent { Changed = policy },
            id => new Wire.PolicyEvent { Deleted = id },
            () => new Wire.PolicyEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.Policy ToWire(PolicyDocument document) => new() { Id = document.Id, Blob = document.Blob, Type = document.Type };
}

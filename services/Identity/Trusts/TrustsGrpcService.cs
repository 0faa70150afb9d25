using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Tokens;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Trusts;

internal sealed class TrustsGrpcService(IStateStore store, TrustService trusts) : Wire.Trusts.TrustsBase
{
    public override async Task<Wire.Trust> CreateTrust(Wire.CreateTrustRequest request, ServerCallContext context)
    {
        var trust = request.Trust ?? new Wire.Trust();
        var draft = new TrustDraft(
            trust.TrustorUserId, trust.TrusteeUserId, trust.ProjectId.NullIfEmpty(), trust.Impersonation,
            [.. trust.Roles.Select(role => (role.Id.NullIfEmpty(), role.Name.NullIfEmpty()))], trust.ExpiresAt?.ToDateTimeOffset(),
            trust.HasRemainingUses ? trust.RemainingUses : null);
        return ToWire(await trusts.CreateAsync(context.GetOperation(), draft, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Trust> GetTrust(Wire.GetTrustRequest request, ServerCallContext context) =>
        ToWire(await trusts.GetAsync(context.GetOperation(), request.TrustId, context.CancellationToken));

    public override async Task<Wire.ListTrustsResponse> ListTrusts(Wire.ListTrustsRequest request, ServerCallContext context)
    {
        var found = await trusts.ListAsync(
            context.GetOperation(), request.TrustorUserId.NullIfEmpty(), request.TrusteeUserId.NullIfEmpty(), context.CancellationToken);
        var page = Paging.Cut(found, trust => trust.Id, request.PageToken, request.PageSize);
        return new Wire.ListTrustsResponse { Trusts = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Empty> DeleteTrust(Wire.DeleteTrustRequest request, ServerCallContext context)
    {
        await trusts.DeleteAsync(context.GetOperation(), request.TrustId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchTrusts(
        Wire.WatchTrustsRequest request, IServerStreamWriter<Wire.TrustEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            IdentityTables.Trusts.Name,
            async () => (await trusts.ListAsync(context.GetOperation(), request.TrustorUserId.NullIfEmpty(), request.TrusteeUserId.NullIfEmpty(), context.CancellationToken)).Select(ToWire),
            trust => trust.Id,
            trust => new Wire.TrustEvent { Changed = trust },
            id => new Wire.TrustEvent { Deleted = id },
            () => new Wire.TrustEvent { Synchronized = true },
            context.CancellationToken);

    private static Wire.Trust ToWire(Trust trust)
    {
        var wire = new Wire.Trust
        {
            Id = trust.Id,
            TrustorUserId = trust.TrustorUserId,
            TrusteeUserId = trust.TrusteeUserId,
            ProjectId = trust.ProjectId,
            Impersonation = trust.Impersonation,
            Roles = { trust.RoleIds.Select(id => new Wire.TrustRole { Id = id }) },
            ExpiresAt = TokenMapping.Time(trust.ExpiresAt),
        };
        if (trust.RemainingUses is { } uses)
        {
            wire.RemainingUses = uses;
        }
        return wire;
    }
}

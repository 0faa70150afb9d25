using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Qos;

internal sealed class QosPoliciesGrpcService(QosService policies, NetworkStore store, GrpcStreams streams) : Wire.QosPolicies.QosPoliciesBase
{
    public override async Task<Wire.QosPolicy> CreateQosPolicy(Wire.CreateQosPolicyRequest request, ServerCallContext context) => ToWire(
        await policies.CreateAsync(
            context.GetOperation(),
            new NewQosPolicy(request.ProjectId, request.Name, request.Description, request.Shared, request.IsDefault, request.Tags,
                request.IdempotencyKey.NullIfEmpty()),
            context.CancellationToken));

    public override async Task<Wire.QosPolicy> GetQosPolicy(Wire.GetQosPolicyRequest request, ServerCallContext context) =>
        ToWire((await store.ViewAsync(context.CancellationToken)).QosPolicy(context.GetOperation(), request.QosPolicyId));

    public override async Task<Wire.ListQosPoliciesResponse> ListQosPolicies(Wire.ListQosPoliciesRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, context.GetOperation(), request.Filter), policy => policy.Id, request.PageToken, request.PageSize);
        return new Wire.ListQosPoliciesResponse { QosPolicies = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.QosPolicy> UpdateQosPolicy(Wire.UpdateQosPolicyRequest request, ServerCallContext context)
    {
        var policy = request.QosPolicy ?? new Wire.QosPolicy();
        var paths = request.UpdateMask.Paths("name", "description", "shared", "is_default", "tags");
        var changes = new QosPolicyChanges
        {
            Name = paths.When("name", () => policy.Name),
            Description = paths.When("description", () => policy.Description),
            Shared = paths.When("shared", () => policy.Shared),
            IsDefault = paths.When("is_default", () => policy.IsDefault),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. policy.Tags]),
        };
        return ToWire(await policies.UpdateAsync(context.GetOperation(), policy.Id, changes, context.CancellationToken));
    }

    public override async Task<Empty> DeleteQosPolicy(Wire.DeleteQosPolicyRequest request, ServerCallContext context)
    {
        await policies.DeleteAsync(context.GetOperation(), request.QosPolicyId, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.QosRule> CreateQosRule(Wire.CreateQosRuleRequest request, ServerCallContext context) => ToWire(
        await policies.AddRuleAsync(
            context.GetOperation(), request.QosPolicyId, ToRule(request.Rule ?? new Wire.QosRule()), context.CancellationToken));

    public override async Task<Empty> DeleteQosRule(Wire.DeleteQosRuleRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var policy = view.QosPolicy(context.GetOperation(), request.QosPolicyId);
        var kind = policy.Rules.FirstOrDefault(rule => rule.Id == request.RuleId)?.Kind ?? QosRuleKind.BandwidthLimit;
        await policies.DeleteRuleAsync(context.GetOperation(), policy.Id, kind, request.RuleId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchQosPolicies(
        Wire.WatchQosPoliciesRequest request, IServerStreamWriter<Wire.QosPolicyEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter)
                .Select(policy => new Watched<Wire.QosPolicy>(policy.Id, new Sources(policy, null), () => ToWire(policy))),
            (revision, policy) => responseStream.WriteAsync(new Wire.QosPolicyEvent { StoreRevision = revision, Changed = policy }),
            (revision, id) => responseStream.WriteAsync(new Wire.QosPolicyEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.QosPolicyEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<QosPolicy> Matching(NetworkView view, OperationContext operation, Wire.QosPolicyFilter? filter) =>
        view.QosPolicies.Values.Where(policy => operation.Sees(policy) && (filter is null ||
            (filter.Ids.Allows(policy.Id) && filter.Names.Allows(policy.Name) && filter.ProjectIds.Allows(policy.ProjectId))));

    private static Wire.QosPolicy ToWire(QosPolicy policy) => new()
    {
        Id = policy.Id,
        ProjectId = policy.ProjectId,
        Name = policy.Name,
        Description = policy.Description,
        Shared = policy.Shared,
        IsDefault = policy.IsDefault,
        Rules = { policy.Rules.Select(ToWire) },
        Tags = { policy.Tags },
        CreatedAt = policy.CreatedAt.ToWire(),
        UpdatedAt = policy.UpdatedAt.ToWire(),
        Revision = policy.Revision,
    };

    private static Wire.QosRule ToWire(QosRule rule) => new()
    {
        Id = rule.Id,
        Kind = (Wire.QosRuleKind)rule.Kind,
        Ingress = rule.Direction == QosDirection.Ingress,
        Kbps = rule.Kbps,
        BurstKbits = rule.BurstKbits,
        DscpMark = rule.DscpMark,
    };

    private static QosRule ToRule(Wire.QosRule rule) => new()
    {
        Id = "",
        Kind = rule.Kind switch
        {
            Wire.QosRuleKind.BandwidthLimit => QosRuleKind.BandwidthLimit,
            Wire.QosRuleKind.DscpMarking => QosRuleKind.DscpMarking,
            Wire.QosRuleKind.MinimumBandwidth => QosRuleKind.MinimumBandwidth,
            _ => throw Faults.Invalid("kind", "must be a kind of rule"),
        },
        Direction = rule.Ingress && rule.Kind != Wire.QosRuleKind.DscpMarking ? QosDirection.Ingress : QosDirection.Egress,
        Kbps = rule.Kbps,
        BurstKbits = rule.BurstKbits,
        DscpMark = rule.DscpMark,
    };
}

using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Firewalls;

internal sealed class FirewallsGrpcService(
    FirewallRuleService rules, FirewallPolicyService policies, FirewallGroupService groups, NetworkStore store, GrpcStreams streams)
    : Wire.Firewalls.FirewallsBase
{
    public override async Task<Wire.FirewallRule> CreateFirewallRule(Wire.CreateFirewallRuleRequest request, ServerCallContext context)
    {
        var wanted = request.Rule ?? new Wire.FirewallRule();
        var draft = wanted.Onto(new FirewallRule { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default });
        return (await rules.CreateAsync(
            context.GetOperation(), wanted.ProjectId, draft with { IdempotencyKey = request.IdempotencyKey.NullIfEmpty() },
            context.CancellationToken)).ToWire();
    }

    public override async Task<Wire.FirewallRule> GetFirewallRule(Wire.GetFirewallRequest request, ServerCallContext context) =>
        (await store.ViewAsync(context.CancellationToken)).FirewallRules.Firewall("Rule", context.GetOperation(), request.Id).ToWire();

    public override async Task<Wire.ListFirewallRulesResponse> ListFirewallRules(Wire.ListFirewallsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(
            Matching(view.FirewallRules.Values, context.GetOperation(), request.Filter), rule => rule.Id, request.PageToken, request.PageSize);
        return new Wire.ListFirewallRulesResponse { Rules = { page.Items.Select(rule => rule.ToWire()) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.FirewallRule> UpdateFirewallRule(Wire.FirewallRule request, ServerCallContext context) =>
        (await rules.UpdateAsync(context.GetOperation(), request.Id, request.Onto, context.CancellationToken)).ToWire();

    public override async Task<Empty> DeleteFirewallRule(Wire.DeleteFirewallRequest request, ServerCallContext context)
    {
        await rules.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchFirewallRules(
        Wire.WatchFirewallsRequest request, IServerStreamWriter<Wire.FirewallRuleEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view.FirewallRules.Values, operation, request.Filter)
                .Select(rule => new Watched<Wire.FirewallRule>(rule.Id, new Sources(rule, null), rule.ToWire)),
            (revision, rule) => responseStream.WriteAsync(new Wire.FirewallRuleEvent { StoreRevision = revision, Changed = rule }),
            (revision, id) => responseStream.WriteAsync(new Wire.FirewallRuleEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.FirewallRuleEvent { StoreRevision = revision, Synced = true }));
    }

    public override async Task<Wire.FirewallPolicy> CreateFirewallPolicy(Wire.CreateFirewallPolicyRequest request, ServerCallContext context)
    {
        var wanted = request.Policy ?? new Wire.FirewallPolicy();
        var draft = wanted.Onto(new FirewallPolicy { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default });
        return (await policies.CreateAsync(
            context.GetOperation(), wanted.ProjectId, draft with { IdempotencyKey = request.IdempotencyKey.NullIfEmpty() },
            context.CancellationToken)).ToWire();
    }

    public override async Task<Wire.FirewallPolicy> GetFirewallPolicy(Wire.GetFirewallRequest request, ServerCallContext context) =>
        (await store.ViewAsync(context.CancellationToken)).FirewallPolicies.Firewall("Policy", context.GetOperation(), request.Id).ToWire();

    public override async Task<Wire.ListFirewallPoliciesResponse> ListFirewallPolicies(Wire.ListFirewallsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(
            Matching(view.FirewallPolicies.Values, context.GetOperation(), request.Filter), policy => policy.Id, request.PageToken, request.PageSize);
        return new Wire.ListFirewallPoliciesResponse { Policies = { page.Items.Select(policy => policy.ToWire()) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.FirewallPolicy> UpdateFirewallPolicy(Wire.FirewallPolicy request, ServerCallContext context) =>
        (await policies.UpdateAsync(context.GetOperation(), request.Id, request.Onto, context.CancellationToken)).ToWire();

    public override async Task<Empty> DeleteFirewallPolicy(Wire.DeleteFirewallRequest request, ServerCallContext context)
    {
        await policies.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchFirewallPolicies(
        Wire.WatchFirewallsRequest request, IServerStreamWriter<Wire.FirewallPolicyEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view.FirewallPolicies.Values, operation, request.Filter)
                .Select(policy => new Watched<Wire.FirewallPolicy>(policy.Id, new Sources(policy, null), policy.ToWire)),
            (revision, policy) => responseStream.WriteAsync(new Wire.FirewallPolicyEvent { StoreRevision = revision, Changed = policy }),
            (revision, id) => responseStream.WriteAsync(new Wire.FirewallPolicyEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.FirewallPolicyEvent { StoreRevision = revision, Synced = true }));
    }

    public override async Task<Wire.FirewallGroup> CreateFirewallGroup(Wire.CreateFirewallGroupRequest request, ServerCallContext context)
    {
        var wanted = request.Group ?? new Wire.FirewallGroup();
        var draft = wanted.Onto(new FirewallGroup { Id = "", ProjectId = "", CreatedAt = default, UpdatedAt = default });
        return (await groups.CreateAsync(
            context.GetOperation(), wanted.ProjectId, draft with { IdempotencyKey = request.IdempotencyKey.NullIfEmpty() },
            context.CancellationToken)).ToWire();
    }

    public override async Task<Wire.FirewallGroup> GetFirewallGroup(Wire.GetFirewallRequest request, ServerCallContext context) =>
        (await store.ViewAsync(context.CancellationToken)).FirewallGroups.Firewall("Group", context.GetOperation(), request.Id).ToWire();

    public override async Task<Wire.ListFirewallGroupsResponse> ListFirewallGroups(Wire.ListFirewallsRequest request, ServerCallContext context)
    {
        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(
            Matching(view.FirewallGroups.Values, context.GetOperation(), request.Filter), group => group.Id, request.PageToken, request.PageSize);
        return new Wire.ListFirewallGroupsResponse { Groups = { page.Items.Select(group => group.ToWire()) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.FirewallGroup> UpdateFirewallGroup(Wire.FirewallGroup request, ServerCallContext context) =>
        (await groups.UpdateAsync(context.GetOperation(), request.Id, request.Onto, context.CancellationToken)).ToWire();

    public override async Task<Empty> DeleteFirewallGroup(Wire.DeleteFirewallRequest request, ServerCallContext context)
    {
        await groups.DeleteAsync(context.GetOperation(), request.Id, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchFirewallGroups(
        Wire.WatchFirewallsRequest request, IServerStreamWriter<Wire.FirewallGroupEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view.FirewallGroups.Values, operation, request.Filter)
                .Select(group => new Watched<Wire.FirewallGroup>(group.Id, new Sources(group, null), group.ToWire)),
            (revision, group) => responseStream.WriteAsync(new Wire.FirewallGroupEvent { StoreRevision = revision, Changed = group }),
            (revision, id) => responseStream.WriteAsync(new Wire.FirewallGroupEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.FirewallGroupEvent { StoreRevision = revision, Synced = true }));
    }

    private static IEnumerable<T> Matching<T>(IEnumerable<T> all, OperationContext operation, Wire.FirewallFilter? filter)
        where T : FirewallObject =>
        all.Where(thing => operation.Sees(thing) && (filter is null ||
            (filter.Ids.Allows(thing.Id) && filter.Names.Allows(thing.Name) && filter.ProjectIds.Allows(thing.ProjectId))));
}

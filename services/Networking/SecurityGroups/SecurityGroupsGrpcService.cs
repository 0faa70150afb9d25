using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Grpc;
using Nephos.Networking.State;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.SecurityGroups;

internal sealed class SecurityGroupsGrpcService(
    SecurityGroupService groups, DefaultGroups defaults, NetworkStore store, GrpcStreams streams) : Wire.SecurityGroups.SecurityGroupsBase
{
    public override async Task<Wire.SecurityGroup> CreateSecurityGroup(Wire.CreateSecurityGroupRequest request, ServerCallContext context) =>
        (await groups.CreateAsync(context.GetOperation(), request.ToNew(), context.CancellationToken)).ToWire();

    public override async Task<Wire.SecurityGroup> GetSecurityGroup(Wire.GetSecurityGroupRequest request, ServerCallContext context) =>
        (await store.ViewAsync(context.CancellationToken)).SecurityGroup(context.GetOperation(), request.SecurityGroupId).ToWire();

    public override async Task<Wire.ListSecurityGroupsResponse> ListSecurityGroups(
        Wire.ListSecurityGroupsRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        if (operation.ProjectId is { } projectId)
        {
            await defaults.EnsureAsync(projectId, context.CancellationToken);
        }

        var view = await store.ViewAsync(context.CancellationToken);
        var page = Paging.Cut(Matching(view, operation, request.Filter), group => group.Id, request.PageToken, request.PageSize);
        return new Wire.ListSecurityGroupsResponse
        {
            SecurityGroups = { page.Items.Select(group => group.ToWire()) },
            NextPageToken = page.NextToken ?? "",
        };
    }

    public override async Task<Wire.SecurityGroup> UpdateSecurityGroup(Wire.UpdateSecurityGroupRequest request, ServerCallContext context) =>
        (await groups.UpdateAsync(
            context.GetOperation(), request.SecurityGroup?.Id ?? "", request.ToChanges(), context.CancellationToken)).ToWire();

    public override async Task<Empty> DeleteSecurityGroup(Wire.DeleteSecurityGroupRequest request, ServerCallContext context)
    {
        await groups.DeleteAsync(context.GetOperation(), request.SecurityGroupId, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchSecurityGroups(
        Wire.WatchSecurityGroupsRequest request, IServerStreamWriter<Wire.SecurityGroupEvent> responseStream, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return streams.WatchAsync(
            context,
            view => Matching(view, operation, request.Filter).Select(group => new Watched<Wire.SecurityGroup>(group.Id, new Sources(group, null), group.ToWire)),
            (revision, group) => responseStream.WriteAsync(new Wire.SecurityGroupEvent { StoreRevision = revision, Changed = group }),
            (revision, id) => responseStream.WriteAsync(new Wire.SecurityGroupEvent { StoreRevision = revision, Deleted = id }),
            revision => responseStream.WriteAsync(new Wire.SecurityGroupEvent { StoreRevision = revision, Synced = true }));
    }

    public override async Task<Wire.SecurityGroupRule> CreateSecurityGroupRule(
        Wire.CreateSecurityGroupRuleRequest request, ServerCallContext context)
    {
        var added = await groups.AddRulesAsync(context.GetOperation(), [request.ToNew()], context.CancellationToken);
        return added[0].Rule.ToWire(added[0].Group);
    }

    public override async Task<Wire.CreateSecurityGroupRulesResponse> CreateSecurityGroupRules(
        Wire.CreateSecurityGroupRulesRequest request, ServerCallContext context)
    {
        var added = await groups.AddRulesAsync(
            context.GetOperation(), [.. request.Rules.Select(SecurityGroupMapping.ToNew)], context.CancellationToken);
        return new Wire.CreateSecurityGroupRulesResponse { Rules = { added.Select(pair => pair.Rule.ToWire(pair.Group)) } };
    }

    public override async Task<Wire.SecurityGroupRule> GetSecurityGroupRule(
        Wire.GetSecurityGroupRuleRequest request, ServerCallContext context)
    {
        var (group, rule) = (await store.ViewAsync(context.CancellationToken)).Rule(context.GetOperation(), request.RuleId);
        return rule.ToWire(group);
    }

    public override async Task<Wire.ListSecurityGroupRulesResponse> ListSecurityGroupRules(
        Wire.ListSecurityGroupRulesRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var view = await store.ViewAsync(context.CancellationToken);
        var rules = view.SecurityGroups.Values
            .Where(group => operation.Sees(group) && request.SecurityGroupIds.Allows(group.Id) && request.ProjectIds.Allows(group.ProjectId))
            .SelectMany(group => group.Rules, (group, rule) => rule.ToWire(group))
            .OrderBy(rule => rule.Id, StringComparer.Ordinal);
        var page = Paging.Cut(rules, rule => rule.Id, request.PageToken, request.PageSize);
        return new Wire.ListSecurityGroupRulesResponse { Rules = { page.Items }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Empty> DeleteSecurityGroupRule(Wire.DeleteSecurityGroupRuleRequest request, ServerCallContext context)
    {
        await groups.DeleteRuleAsync(context.GetOperation(), request.RuleId, context.CancellationToken);
        return new Empty();
    }

    private static IEnumerable<SecurityGroup> Matching(NetworkView view, OperationContext operation, Wire.SecurityGroupFilter? filter) =>
        view.SecurityGroups.Values.Where(group => operation.Sees(group) && (filter is null ||
            (filter.Ids.Allows(group.Id) && filter.Names.Allows(group.Name) && filter.ProjectIds.Allows(group.ProjectId))));
}

internal static class SecurityGroupMapping
{
    public static Wire.SecurityGroup ToWire(this SecurityGroup group) => new()
    {
        Id = group.Id,
        ProjectId = group.ProjectId,
        Name = group.Name,
        Description = group.Description,
        Stateful = group.Stateful,
        Rules = { group.Rules.Select(rule => rule.ToWire(group)) },
        Tags = { group.Tags },
        CreatedAt = group.CreatedAt.ToWire(),
        UpdatedAt = group.UpdatedAt.ToWire(),
        Revision = group.Revision,
    };

    public static Wire.SecurityGroupRule ToWire(this SecurityGroupRule rule, SecurityGroup group)
    {
        var wire = new Wire.SecurityGroupRule
        {
            Id = rule.Id,
            ProjectId = group.ProjectId,
            SecurityGroupId = group.Id,
            Direction = rule.Direction == RuleDirection.Ingress ? Wire.RuleDirection.Ingress : Wire.RuleDirection.Egress,
            IpVersion = rule.IpVersion,
            Protocol = rule.Protocol ?? "",
            RemoteIpPrefix = rule.RemoteIpPrefix ?? "",
            RemoteGroupId = rule.RemoteGroupId ?? "",
            RemoteAddressGroupId = rule.RemoteAddressGroupId ?? "",
            CreatedAt = rule.CreatedAt.ToWire(),
        };
        if (rule.PortRangeMin is { } min)
        {
            wire.PortRangeMin = min;
        }

        if (rule.PortRangeMax is { } max)
        {
            wire.PortRangeMax = max;
        }

        if (rule.Description is { } description)
        {
            wire.Description = description;
        }

        return wire;
    }

    public static NewSecurityGroup ToNew(this Wire.CreateSecurityGroupRequest request) => new()
    {
        ProjectId = request.ProjectId,
        Name = request.Name,
        Description = request.Description,
        Stateful = !request.HasStateful || request.Stateful,
        Tags = [.. request.Tags],
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };

    public static SecurityGroupChanges ToChanges(this Wire.UpdateSecurityGroupRequest request)
    {
        var group = request.SecurityGroup ?? new Wire.SecurityGroup();
        var paths = request.UpdateMask.Paths("name", "description", "stateful", "tags");
        return new SecurityGroupChanges
        {
            Name = paths.When("name", () => group.Name),
            Description = paths.When("description", () => group.Description),
            Stateful = paths.When("stateful", () => group.Stateful),
            Tags = paths.When<IReadOnlyList<string>>("tags", () => [.. group.Tags]),
        };
    }

    public static NewRule ToNew(this Wire.CreateSecurityGroupRuleRequest request) => new()
    {
        SecurityGroupId = request.SecurityGroupId,
        Direction = request.Direction switch
        {
            Wire.RuleDirection.Ingress => RuleDirection.Ingress,
            Wire.RuleDirection.Egress => RuleDirection.Egress,
            _ => throw Faults.Invalid("direction", "must be ingress or egress"),
        },
        IpVersion = request.IpVersion switch
        {
            0 => 4,
            4 or 6 => request.IpVersion,
            _ => throw Faults.Invalid("ip_version", "must be 4 or 6"),
        },
        Protocol = request.Protocol.NullIfEmpty(),
        PortRangeMin = request.HasPortRangeMin ? request.PortRangeMin : null,
        PortRangeMax = request.HasPortRangeMax ? request.PortRangeMax : null,
        RemoteIpPrefix = request.RemoteIpPrefix.NullIfEmpty(),
        RemoteGroupId = request.RemoteGroupId.NullIfEmpty(),
        RemoteAddressGroupId = request.RemoteAddressGroupId.NullIfEmpty(),
        Description = request.Description,
        IdempotencyKey = request.IdempotencyKey.NullIfEmpty(),
    };
}

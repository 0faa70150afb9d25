using Google.Protobuf.WellKnownTypes;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Compute.Seams;

/// <param name="RemoteGroupId">Null: any, or by <paramref name="Cidr"/>.</param>
internal sealed record GroupRule(string Id, string? Protocol, int? From, int? To, string? Cidr, string? RemoteGroupId);

internal sealed record GroupInfo(string Id, string ProjectId, string Name, string Description, IReadOnlyList<GroupRule> IngressRules);

/// <summary>Security groups of the network service, for the old calls of the compute API; always with the rights of the user.</summary>
internal sealed class SecurityGroupProxy(Wire.SecurityGroups.SecurityGroupsClient groups, ServiceCalls calls)
{
    private const int PageItems = 1000;

    /// <param name="allProjects">Of everybody, for administrators; else of the caller's project.</param>
    public async Task<IReadOnlyList<GroupInfo>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        var filter = new Wire.SecurityGroupFilter();
        if (!allProjects || !operation.IsAdmin)
        {
            filter.ProjectIds.Add(operation.RequireProject());
        }
        var answer = await groups.ListSecurityGroupsAsync(
            new Wire.ListSecurityGroupsRequest { Filter = filter, PageSize = PageItems }, await calls.WithUserRightsAsync(operation, cancellationToken));
        return [.. answer.SecurityGroups.Select(ToInfo)];
    }

    public async Task<GroupInfo> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        await FoundAsync(id, async () => ToInfo(await groups.GetSecurityGroupAsync(
            new Wire.GetSecurityGroupRequest { SecurityGroupId = id }, await calls.WithUserRightsAsync(operation, cancellationToken))));

    public async Task<GroupInfo> CreateAsync(OperationContext operation, string name, string description, CancellationToken cancellationToken) =>
        ToInfo(await groups.CreateSecurityGroupAsync(
            new Wire.CreateSecurityGroupRequest { Name = name, Description = description }, await calls.WithUserRightsAsync(operation, cancellationToken)));

    public async Task<GroupInfo> UpdateAsync(OperationContext operation, string id, string name, string description, CancellationToken cancellationToken) =>
        await FoundAsync(id, async () => ToInfo(await groups.UpdateSecurityGroupAsync(new Wire.UpdateSecurityGroupRequest
        {
            SecurityGroup = new Wire.SecurityGroup { Id = id, Name = name, Description = description },
            UpdateMask = new FieldMask { Paths = { "name", "description" } },
        }, await calls.WithUserRightsAsync(operation, cancellationToken))));

    public Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        FoundAsync(id, async () => await groups.DeleteSecurityGroupAsync(
            new Wire.DeleteSecurityGroupRequest { SecurityGroupId = id }, await calls.WithUserRightsAsync(operation, cancellationToken)));

    public async Task<GroupRule> AddRuleAsync(
        OperationContext operation, string groupId, string? protocol, int? from, int? to, string? cidr, string? remoteGroupId, CancellationToken cancellationToken)
    {
        var request = new Wire.CreateSecurityGroupRuleRequest
        {
            SecurityGroupId = groupId,
            Direction = Wire.RuleDirection.Ingress,
            IpVersion = cidr is not null && cidr.Contains(':') ? 6 : 4,
            Protocol = protocol ?? "",
            RemoteIpPrefix = cidr ?? "",
            RemoteGroupId = remoteGroupId ?? "",
        };
        if (!Ids.IsUuid(groupId))
        {
            throw ComputeFaults.Refers("parent_group_id", "Security group id is not uuid");
        }
        if (from is >= 0)
        {
            request.PortRangeMin = from.Value;
        }
        if (to is >= 0)
        {
            request.PortRangeMax = to.Value;
        }
        return await FoundAsync(groupId, async () => ToRule(await groups.CreateSecurityGroupRuleAsync(
            request, await calls.WithUserRightsAsync(operation, cancellationToken))));
    }

    public async Task DeleteRuleAsync(OperationContext operation, string ruleId, CancellationToken cancellationToken)
    {
        if (!Ids.IsUuid(ruleId))
        {
            throw ComputeFaults.Refers("id", "Rule id is not uuid");
        }
        await groups.DeleteSecurityGroupRuleAsync(
            new Wire.DeleteSecurityGroupRuleRequest { RuleId = ruleId }, await calls.WithUserRightsAsync(operation, cancellationToken));
    }

    private static async Task<T> FoundAsync<T>(string id, Func<Task<T>> call)
    {
        if (!Ids.IsUuid(id))
        {
            throw Missing(id);
        }
        try
        {
            return await call();
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
        {
            throw Missing(id);
        }
        catch (FaultException fault) when (fault.Rule.Code is Code.FailedPrecondition or Code.AlreadyExists)
        {
            // In use, the default group, or a rule that is there: a bad request in this API.
            throw ComputeFaults.Refers("security_group", fault.Message);
        }
    }

    private static FaultException Missing(string id) => new(ErrorReason.NotFound, $"Security group {id} does not exist",
        new Dictionary<string, string> { ["kind"] = "SecurityGroup", ["id"] = id });

    private static GroupInfo ToInfo(Wire.SecurityGroup group) => new(
        group.Id, group.ProjectId, group.Name, group.Description,
        [.. group.Rules.Where(rule => rule.Direction == Wire.RuleDirection.Ingress).Select(ToRule)]);

    private static GroupRule ToRule(Wire.SecurityGroupRule rule) => new(
        rule.Id,
        rule.Protocol.Length == 0 ? null : rule.Protocol,
        rule.HasPortRangeMin ? rule.PortRangeMin : null,
        rule.HasPortRangeMax ? rule.PortRangeMax : null,
        rule.RemoteIpPrefix.Length == 0 ? null : rule.RemoteIpPrefix,
        rule.RemoteGroupId.Length == 0 ? null : rule.RemoteGroupId);
}

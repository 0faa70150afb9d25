using Nephos.Compute.Instances;
using Nephos.Compute.Quotas;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Groups;

/// <param name="Members">Ids of instances that are not deleted, the oldest first.</param>
internal sealed record GroupDetails(ServerGroup Group, IReadOnlyList<string> Members);

internal sealed class ServerGroupService(IStateStore store, QuotaService quotas, TimeProvider time)
{
    public const int PerHostMax = 1000;

    public async Task<GroupDetails> CreateAsync(
        OperationContext operation, string name, GroupPolicy policy, int maxPerHost, string? idempotencyKey, CancellationToken cancellationToken)
    {
        operation.RequireMember("os_compute_api:os-server-groups:create");
        var projectId = operation.RequireProject();
        InstanceRules.Name(name);
        if (maxPerHost is < 1 or > PerHostMax)
        {
            throw Faults.Invalid("max_per_host", $"must be between 1 and {PerHostMax}");
        }
        if (maxPerHost != 1 && policy != GroupPolicy.AntiAffinity)
        {
            throw ComputeFaults.Refers("rules", "Only anti-affinity policy supports rules.");
        }
        var key = string.IsNullOrEmpty(idempotencyKey) ? null
            : idempotencyKey.Length <= 255 ? $"{projectId}/{idempotencyKey}" : throw Faults.Invalid("idempotency_key", "at most 255 characters");
        var group = new ServerGroup(Ids.NewUuid(), projectId, operation.UserId, name, policy, maxPerHost, key, time.GetUtcNow());
        var made = await store.TransactAsync(async transaction =>
        {
            if (key is not null && await transaction.FindAsync(ServerGroup.Table, "idempotency", key, cancellationToken) is { } before)
            {
                return before;
            }
            var limit = await quotas.LimitAsync(projectId, QuotaResource.ServerGroups, cancellationToken);
            var have = (await transaction.ListByAsync(ServerGroup.Table, "project", projectId, cancellationToken)).Count;
            if (limit >= 0 && have >= limit)
            {
                throw new FaultException(ErrorReason.QuotaExceeded, "Quota exceeded, too many server groups.",
                    new Dictionary<string, string> { ["resource"] = QuotaResource.ServerGroups, ["limit"] = $"{limit}" });
            }
            transaction.Insert(ServerGroup.Table, group);
            return group;
        }, cancellationToken);
        return await DetailsAsync(made, cancellationToken);
    }

    public async Task<GroupDetails> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        await DetailsAsync(await FindAsync(operation, id, cancellationToken), cancellationToken);

    /// <summary>In the order of creation.</summary>
    public async Task<IReadOnlyList<GroupDetails>> ListAsync(OperationContext operation, bool allProjects, CancellationToken cancellationToken)
    {
        if (allProjects && !operation.IsAdmin)
        {
            throw Faults.Forbidden("os_compute_api:os-server-groups:index:all_projects");
        }
        var groups = allProjects
            ? await store.ListAsync(ServerGroup.Table, "", cancellationToken)
            : await store.ListByAsync(ServerGroup.Table, "project", operation.RequireProject(), cancellationToken);
        return await Task.WhenAll(groups.OrderBy(group => group.CreatedAt).ThenBy(group => group.Id, StringComparer.Ordinal)
            .Select(group => DetailsAsync(group, cancellationToken)));
    }

    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireMember("os_compute_api:os-server-groups:delete");
        await FindAsync(operation, id, cancellationToken);
        await store.TransactAsync(transaction =>
        {
            transaction.Delete(ServerGroup.Table, id);
            return Task.CompletedTask;
        }, cancellationToken);
    }

    /// <summary>Checks the hints of a request to create an instance.</summary>
    public async Task CheckAsync(OperationContext operation, PlaceHints hints, CancellationToken cancellationToken)
    {
        if (hints.GroupId is { } groupId)
        {
            try
            {
                await FindAsync(operation, groupId, cancellationToken);
            }
            catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
            {
                throw ComputeFaults.Refers("group", $"Instance group {groupId} could not be found.");
            }
        }
    }

    private async Task<ServerGroup> FindAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        Ids.IsUuid(id) && await store.GetAsync(ServerGroup.Table, id, cancellationToken) is { } group && operation.CanSee(group.ProjectId)
            ? group
            : throw new FaultException(ErrorReason.NotFound, $"Instance group {id} could not be found.",
                new Dictionary<string, string> { ["kind"] = "ServerGroup", ["id"] = id });

    private async Task<GroupDetails> DetailsAsync(ServerGroup group, CancellationToken cancellationToken)
    {
        var members = await store.ListByAsync(Instance.Table, Instance.GroupIndex, group.Id, cancellationToken);
        return new GroupDetails(group, [.. members.OrderBy(member => member.CreatedAt).Select(member => member.Id)]);
    }
}

using Nephos.Compute.Instances;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Actions;

/// <summary>Reads what was asked of instances, also of deleted ones.</summary>
internal sealed class ActionReader(IStateStore store)
{
    /// <summary>Newest first.</summary>
    public async Task<IReadOnlyList<InstanceAction>> ListAsync(OperationContext operation, string instanceId, CancellationToken cancellationToken)
    {
        var instance = Ids.IsUuid(instanceId) ? await store.GetAsync(Instance.Table, instanceId, cancellationToken) : null;
        return instance is not null && operation.CanSee(instance.ProjectId)
            ? await store.ListAsync(InstanceAction.Table, instanceId + "/", cancellationToken)
            : throw ComputeFaults.InstanceNotFound(instanceId);
    }

    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<InstanceAction> GetAsync(OperationContext operation, string instanceId, string requestId, CancellationToken cancellationToken) =>
        (await ListAsync(operation, instanceId, cancellationToken)).FirstOrDefault(action => action.RequestId == requestId)
        ?? throw new FaultException(ErrorReason.NotFound, $"Action for request_id {requestId} on instance {instanceId} not found",
            new Dictionary<string, string> { ["kind"] = "InstanceAction", ["id"] = requestId });
}

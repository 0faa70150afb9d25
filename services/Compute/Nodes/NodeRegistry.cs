using Nephos.Compute.Placement;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Nodes;

/// <summary>The nodes there are, who of them lives, and what is promised of them.</summary>
internal sealed class NodeRegistry(
    IStateStore store,
    TableCache<Node> nodes,
    TableCache<NodeUsage> usages,
    TableCache<NodeLease> leases,
    ComputeOptions options,
    TimeProvider time)
{
    public Node? Find(string nodeId) => nodes.Get(nodeId);

    /// <summary>The node has kept its lease.</summary>
    public bool IsUp(string? nodeId) => nodeId is not null && leases.Get(nodeId) is not null;

    public IReadOnlyList<Node> List() => nodes.List();

    /// <summary>Every node as placement sees it.</summary>
    public IReadOnlyList<Candidate> Candidates() =>
        [.. nodes.List().Select(node => new Candidate(node, usages.Get(node.Id) ?? new NodeUsage(node.Id, 0, 0, 0, 0), IsUp(node.Id)))];

    public Candidate? FindCandidate(string idOrName) =>
        Candidates().FirstOrDefault(candidate => candidate.Node.Uuid == idOrName || candidate.Node.HostName == idOrName
            || candidate.Node.Id == idOrName || $"{candidate.Node.Number}" == idOrName);

    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        await nodes.CatchUpAsync(cancellationToken);
        await usages.CatchUpAsync(cancellationToken);
        await leases.CatchUpAsync(cancellationToken);
    }

    /// <summary>Writes down what a node said about itself. What an administrator set of it stays.</summary>
    public Task<Node> IntroduceAsync(Node introduced, CancellationToken cancellationToken) => store.TransactAsync(async transaction =>
    {
        var now = time.GetUtcNow();
        var known = await transaction.GetAsync(Node.Table, introduced.Id, cancellationToken);
        var number = known?.Number ?? (await transaction.ListAsync(Node.Table, "", cancellationToken)).Select(node => node.Number).DefaultIfEmpty().Max() + 1;
        var node = introduced with
        {
            Number = number,
            Uuid = known?.Uuid ?? (Ids.IsUuid(introduced.Id) ? introduced.Id : Ids.NewUuid()),
            AvailabilityZone = known?.AvailabilityZone is { Length: > 0 } zone ? zone : options.AvailabilityZone,
            Enabled = known?.Enabled ?? true,
            DisabledReason = known?.DisabledReason ?? "",
            FirstSeenAt = known?.FirstSeenAt ?? now,
            ConnectedAt = now,
        };
        transaction.Put(Node.Table, node);
        return node;
    }, cancellationToken);

    /// <summary>Starts the life of a node under a session; an earlier session of it ends when it notices.</summary>
    public async Task<LeaseId> BeginLeaseAsync(string nodeId, string sessionId, CancellationToken cancellationToken)
    {
        var lease = await store.GrantLeaseAsync(options.NodeLease, cancellationToken);
        await store.TransactAsync(transaction =>
        {
            transaction.Put(NodeLease.Table, new NodeLease(nodeId, sessionId, time.GetUtcNow()), lease);
            return Task.CompletedTask;
        }, cancellationToken);
        return lease;
    }

    public async Task<Node> SetEnabledAsync(OperationContext operation, string nodeId, bool enabled, string reason, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-services:update");
        if (reason.Length > 255)
        {
            throw Faults.Invalid("disabled_reason", "at most 255 characters");
        }
        return await store.TransactAsync(async transaction =>
        {
            var node = await transaction.GetAsync(Node.Table, nodeId, cancellationToken) ?? throw Faults.NotFound("Hypervisor", nodeId);
            var changed = node with { Enabled = enabled, DisabledReason = enabled ? "" : reason };
            transaction.Put(Node.Table, changed);
            return changed;
        }, cancellationToken);
    }
}

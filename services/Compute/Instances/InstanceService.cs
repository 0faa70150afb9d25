using System.Net.Sockets;
using Nephos.Compute.Actions;
using Nephos.Compute.Flavors;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Migrations;
using Nephos.Compute.Nodes;
using Nephos.Compute.Quotas;
using Nephos.Compute.Seams;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>What can be done with an instance that exists. Each call writes what is wanted and answers.</summary>
internal sealed partial class InstanceService(
    IStateStore store,
    InstanceViews views,
    InstanceCreation creation,
    WishResolver resolver,
    FlavorService flavors,
    KeypairService keypairs,
    QuotaService quotas,
    ActionLog actions,
    MigrationLog migrations,
    InstanceWorker worker,
    AgentSessions sessions,
    INetworkApi network,
    ImageSaver saver,
    ComputeOptions options,
    TimeProvider time)
{
    private static readonly VmState[] Powered = [VmState.Active, VmState.Paused, VmState.Stopped];

    /// <summary>An instance that the caller may see, with what it does now.</summary>
    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<InstanceDetails> GetAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        var instance = Ids.IsUuid(id) ? await store.GetAsync(Instance.Table, id, cancellationToken) : null;
        return instance is { DeletedAt: null } && operation.CanSee(instance.ProjectId)
            ? await views.ReadAsync(instance, cancellationToken)
            : throw ComputeFaults.InstanceNotFound(id);
    }

    public Task<InstanceDetails> StartAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "start", [VmState.Stopped], (instance, now) => instance.Wanting(DesiredState.Running, now) with
        {
            PowerGeneration = instance.PowerGeneration + 1,
        }, cancellationToken);

    public Task<InstanceDetails> StopAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "stop", [VmState.Active, VmState.Error], (instance, now) => instance.Wanting(DesiredState.Stopped, now), cancellationToken);

    public Task<InstanceDetails> PauseAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "pause", [VmState.Active], (instance, now) => instance.Wanting(DesiredState.Paused, now), cancellationToken);

    public Task<InstanceDetails> UnpauseAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "unpause", [VmState.Paused], (instance, now) => instance.Wanting(DesiredState.Running, now), cancellationToken);

    public Task<InstanceDetails> SuspendAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "suspend", [VmState.Active], (instance, now) => instance.Wanting(DesiredState.Suspended, now), cancellationToken);

    public Task<InstanceDetails> ResumeAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "resume", [VmState.Suspended], (instance, now) => instance.Wanting(DesiredState.Running, now) with
        {
            PowerGeneration = instance.PowerGeneration + 1,
        }, cancellationToken);

    public Task<InstanceDetails> ShelveAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "shelve", [VmState.Active, VmState.Stopped, VmState.Paused, VmState.Suspended],
            (instance, now) => instance.Wanting(DesiredState.Shelved, now) with
            {
                ShelvedImageId = instance.Disks.Any(disk => disk is { IsRoot: true, Hidden: true }) ? Ids.NewUuid() : null,
            }, cancellationToken);

    /// <summary>Frees the node of a shelved instance, which is under way already: shelving does so by itself.</summary>
    public async Task<InstanceDetails> OffloadAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-shelve:shelve_offload");
        var details = await GetAsync(operation, id, cancellationToken);
        return details.Instance.Desired == DesiredState.Shelved
            ? details
            : throw ComputeFaults.InvalidState(id, "shelveOffload", "vm_state", Wordings.Of(details.View.VmState));
    }

    /// <param name="zone">The zone from now on, when it is set; null: any.</param>
    /// <param name="host">Name of the node; null: any.</param>
    public Task<InstanceDetails> UnshelveAsync(
        OperationContext operation, string id, (bool Set, string? Value) zone, string? host, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "unshelve", [VmState.ShelvedOffloaded], async (transaction, before, now) =>
        {
            var instance = zone.Set ? before with { AvailabilityZone = zone.Value } : before;
            var (claim, notes) = await creation.ClaimAsync(transaction, instance, instance.Flavor, host, preferNode: null, avoidNode: null, cancellationToken);
            return claim is null
                ? throw NoValidHost(notes)
                : instance.Wanting(DesiredState.Running, now) with
                {
                    Claim = claim, Epoch = instance.Epoch + 1, PowerGeneration = instance.PowerGeneration + 1, PlacementNotes = notes,
                };
        }, cancellationToken);

    /// <summary>A hard reboot also takes an instance out of an error and starts one that is off.</summary>
    public Task<InstanceDetails> RebootAsync(OperationContext operation, string id, RebootKind kind, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "reboot",
            kind == RebootKind.Soft ? [VmState.Active] : [VmState.Active, VmState.Stopped, VmState.Paused, VmState.Suspended, VmState.Error],
            (instance, now) => instance.Claim is null
                ? throw ComputeFaults.InvalidState(id, "reboot", "vm_state", "error")
                : instance.Wanting(DesiredState.Running, now) with
                {
                    RebootNonce = instance.RebootNonce + 1,
                    RebootKind = kind,
                    PowerGeneration = instance.PowerGeneration + (instance.Desired == DesiredState.Running ? 0 : 1),
                    Fault = null,
                }, cancellationToken);

    /// <summary>Possible in every state; asked again it changes nothing.</summary>
    public async Task DeleteAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        await ChangeAsync(operation, id, "delete", anyTask: true, allowed: null, respectLock: true, (transaction, instance, _, now) =>
        {
            if (instance.Desired == DesiredState.Deleted)
            {
                return Task.FromResult<(Instance, bool)>((instance, false));
            }
            return Task.FromResult<(Instance, bool)>((instance.Wanting(DesiredState.Deleted, now) with { DeleteRequestedAt = now }, true));
        }, cancellationToken);

    public async Task<InstanceDetails> LockAsync(OperationContext operation, string id, string? reason, CancellationToken cancellationToken) =>
        await ChangeAsync(operation, id, "lock", anyTask: true, allowed: null, respectLock: false, (_, instance, _, now) =>
            Task.FromResult((instance with { Locked = true, LockedReason = Reason(reason), UpdatedAt = now }, true)), cancellationToken);

    public async Task<InstanceDetails> UnlockAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        await ChangeAsync(operation, id, "unlock", anyTask: true, allowed: null, respectLock: false, (_, instance, _, now) =>
            Task.FromResult((instance with { Locked = false, LockedReason = null, UpdatedAt = now }, true)), cancellationToken);

    /// <param name="name">Null: as it is; likewise the others.</param>
    public async Task<InstanceDetails> UpdateAsync(
        OperationContext operation, string id, string? name, (bool Set, string? Value) description, string? hostName, string? accessIpv4, string? accessIpv6,
        bool? autoDiskConfig, CancellationToken cancellationToken) =>
        await ChangeAsync(operation, id, action: null, anyTask: true, allowed: null, respectLock: true, (_, instance, _, now) => Task.FromResult((instance.Changed(now) with
        {
            Name = name is null ? instance.Name : InstanceRules.Name(name),
            Description = description.Set ? InstanceRules.Description(description.Value) : instance.Description,
            HostName = hostName is null ? instance.HostName : InstanceRules.HostName(hostName),
            AccessIpv4 = accessIpv4 is null ? instance.AccessIpv4 : InstanceRules.AccessIp(accessIpv4, AddressFamily.InterNetwork, "accessIPv4"),
            AccessIpv6 = accessIpv6 is null ? instance.AccessIpv6 : InstanceRules.AccessIp(accessIpv6, AddressFamily.InterNetworkV6, "accessIPv6"),
            AutoDiskConfig = autoDiskConfig ?? instance.AutoDiskConfig,
        }, true)), cancellationToken);

    public async Task<InstanceDetails> UpdateMetadataAsync(
        OperationContext operation, string id, IReadOnlyDictionary<string, string> set, IReadOnlyList<string> remove, bool replace,
        CancellationToken cancellationToken) =>
        await ChangeAsync(operation, id, action: null, anyTask: true, allowed: null, respectLock: true, async (_, instance, _, now) =>
        {
            var metadata = replace ? [] : instance.Metadata.ToDictionary();
            foreach (var key in remove)
            {
                if (!metadata.Remove(key))
                {
                    throw new FaultException(Protos.Errors.V1.ErrorReason.NotFound, "Metadata item was not found");
                }
            }
            foreach (var (key, value) in set)
            {
                metadata[key] = value;
            }
            var itemsMax = await quotas.LimitAsync(instance.ProjectId, QuotaResource.MetadataItems, cancellationToken);
            return (instance.Changed(now) with { Metadata = InstanceRules.Metadata(metadata, itemsMax) }, true);
        }, cancellationToken);

    public async Task<InstanceDetails> UpdateTagsAsync(
        OperationContext operation, string id, IReadOnlyList<string> add, IReadOnlyList<string> remove, bool replace, CancellationToken cancellationToken) =>
        await ChangeAsync(operation, id, action: null, anyTask: true, allowed: null, respectLock: true, (_, instance, _, now) =>
        {
            var tags = replace ? [] : instance.Tags.ToList();
            foreach (var tag in remove)
            {
                if (!tags.Remove(tag))
                {
                    throw new FaultException(Protos.Errors.V1.ErrorReason.NotFound, $"Server tag '{tag}' could not be found.");
                }
            }
            tags.AddRange(add);
            return Task.FromResult((instance with { Tags = InstanceRules.Tags(tags), UpdatedAt = now }, true));
        }, cancellationToken);

    /// <summary>The console from its end.</summary>
    /// <param name="lines">0 or less: everything that is kept.</param>
    public async Task<string> GetConsoleAsync(OperationContext operation, string id, int lines, CancellationToken cancellationToken)
    {
        var details = await GetAsync(operation, id, cancellationToken);
        if (details.Node is null || details.Parts?.OrderFor(details.Node.Id) is null)
        {
            throw Faults.Conflict($"Instance {id} is not ready");
        }
        var session = sessions.Find(details.Node.Id)
            ?? throw Faults.Unavailable("The hypervisor of this instance is not connected here; try again.");
        return await session.ReadConsoleAsync(id, lines, cancellationToken);
    }

    /// <summary>An action without anything else to read or write.</summary>
    private Task<InstanceDetails> ActAsync(
        OperationContext operation, string id, string action, VmState[] allowed, Func<Instance, DateTimeOffset, Instance> change, CancellationToken cancellationToken) =>
        ActAsync(operation, id, action, allowed, (_, instance, now) => Task.FromResult(change(instance, now)), cancellationToken);

    private Task<InstanceDetails> ActAsync(
        OperationContext operation, string id, string action, VmState[] allowed, Func<StateTransaction, Instance, DateTimeOffset, Task<Instance>> change,
        CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, action, anyTask: false, allowed, respectLock: true,
            async (transaction, instance, _, now) => (await change(transaction, instance, now), true), cancellationToken);

    /// <summary>Reads, checks and writes one instance in one commit.</summary>
    /// <param name="action">As the log of actions calls it; null: not logged.</param>
    /// <param name="anyTask">Allowed while something else is under way.</param>
    /// <param name="allowed">States that allow it; null: any.</param>
    /// <param name="respectLock">A locked instance refuses it, but from administrators.</param>
    /// <param name="change">Answers the new record, and whether there is anything to write.</param>
    private async Task<InstanceDetails> ChangeAsync(
        OperationContext operation, string id, string? action, bool anyTask, VmState[]? allowed, bool respectLock,
        Func<StateTransaction, Instance, InstanceDetails, DateTimeOffset, Task<(Instance After, bool Write)>> change, CancellationToken cancellationToken)
    {
        operation.RequireMember($"os_compute_api:servers:{action ?? "update"}");
        var changed = await store.TransactAsync(async transaction =>
        {
            var instance = Ids.IsUuid(id) ? await transaction.GetAsync(Instance.Table, id, cancellationToken) : null;
            if (instance is not { DeletedAt: null } || !operation.CanSee(instance.ProjectId))
            {
                throw ComputeFaults.InstanceNotFound(id);
            }
            if (respectLock && instance.Locked && !operation.IsAdmin)
            {
                throw ComputeFaults.Locked(id);
            }
            var details = await views.ReadAsync(instance, cancellationToken);
            Check(details, action ?? "update", anyTask, allowed);
            var now = time.GetUtcNow();
            var (after, write) = await change(transaction, instance, details, now);
            if (!write)
            {
                return instance;
            }
            if (action is not null)
            {
                var key = actions.Start(transaction, operation, id, instance.ProjectId, action, now);
                after = after with { OpenActions = [.. after.OpenActions, key] };
            }
            transaction.Put(Instance.Table, after);
            return after;
        }, cancellationToken);
        return await views.ReadAsync(changed, cancellationToken);
    }

    private static void Check(InstanceDetails details, string action, bool anyTask, VmState[]? allowed)
    {
        var view = details.View;
        if (allowed is not null && !allowed.Contains(view.VmState))
        {
            throw ComputeFaults.InvalidState(details.Instance.Id, action, "vm_state", Wordings.Of(view.VmState));
        }
        if (!anyTask && view.TaskState is { } task)
        {
            throw ComputeFaults.InvalidState(details.Instance.Id, action, "task_state", task);
        }
    }

    private static string? Reason(string? reason) =>
        reason is null || reason.Length is > 0 and <= 255 ? reason : throw Faults.Invalid("locked_reason", "1 to 255 characters");

    private static FaultException NoValidHost(IReadOnlyList<string> notes) =>
        ComputeFaults.Refers("host", $"No valid host was found. {string.Join("; ", notes)}");
}

using Nephos.Compute.Flavors;
using Nephos.Compute.Migrations;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <summary>Rescuing, and what administrators do: moving instances and setting their state.</summary>
internal sealed partial class InstanceService
{
    /// <summary>Boots the instance from a fresh disk made of an image, with its own disks beside it.</summary>
    /// <param name="imageId">Null: the image of the instance.</param>
    public async Task<InstanceDetails> RescueAsync(OperationContext operation, string id, string? imageId, CancellationToken cancellationToken)
    {
        var details = await GetAsync(operation, id, cancellationToken);
        Check(details, "rescue", anyTask: false, [VmState.Active, VmState.Stopped, VmState.Error]);
        var wanted = imageId ?? details.Instance.ImageId
            ?? throw ComputeFaults.Refers("rescue_image_ref", $"Instance {id} cannot be rescued: it boots from a volume, so an image has to be named.");
        var flavor = details.Instance.Flavor with { RootGib = 0 };
        var image = await resolver.ImageAsync(operation, wanted, flavor, local: true, cancellationToken);
        return await ActAsync(operation, id, "rescue", [VmState.Active, VmState.Stopped, VmState.Error], (instance, now) =>
        {
            // Seen running is enough: the record says so a moment later.
            if (instance.Claim is null || (instance.LaunchedAt ?? details.Seen?.FirstRunningAt) is null)
            {
                throw ComputeFaults.InvalidState(id, "rescue", "vm_state", "error");
            }
            var device = WishResolver.NextDevice(instance.Disks.Select(disk => disk.Device));
            return Restarted(instance, now) with
            {
                RescueDisk = new Disk(
                    Ids.NewUuid(), DiskSource.Image, image.Id, Hidden: true, -1, 0, DeleteOnTermination: true, device, null, null, now),
                Fault = null,
            };
        }, cancellationToken);
    }

    public Task<InstanceDetails> UnrescueAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "unrescue", [VmState.Rescued], (instance, now) =>
        {
            var after = Restarted(instance, now);
            return after with { RescueDisk = null, UnrescuePowerGeneration = after.PowerGeneration };
        }, cancellationToken);

    /// <summary>Moves an instance to another node by ending its guest there and starting it here; waits for confirmation like a resize.</summary>
    /// <param name="host">Name of the node; null: any other.</param>
    public async Task<InstanceDetails> MigrateAsync(OperationContext operation, string id, string? host, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-migrate-server:migrate");
        var details = await GetAsync(operation, id, cancellationToken);
        CheckHost(details, host);
        return await ActAsync(operation, id, "migrate", [VmState.Active, VmState.Stopped], async (transaction, instance, now) =>
        {
            var (claim, notes) = await creation.ClaimAsync(
                transaction, instance, instance.Flavor, host, preferNode: null, avoidNode: instance.Claim?.NodeId, cancellationToken);
            return claim is null
                ? throw NoValidHost(notes)
                : await ResizedAsync(transaction, operation, MigrationKind.Migration, instance, instance.Flavor, claim, notes, now, cancellationToken);
        }, cancellationToken);
    }

    /// <summary>Starts an instance elsewhere whose node is gone. What the node still writes is fenced off by the new epoch.</summary>
    public async Task<InstanceDetails> EvacuateAsync(OperationContext operation, string id, string? host, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-evacuate");
        var details = await GetAsync(operation, id, cancellationToken);
        if (details.NodeUp || details.Instance.Claim is null)
        {
            throw ComputeFaults.Refers("host", $"Compute service of {details.Node?.HostName ?? "no host"} is still in use.");
        }
        CheckHost(details, host);
        return await ChangeAsync(operation, id, "evacuate", anyTask: true, [VmState.Active, VmState.Stopped, VmState.Paused, VmState.Suspended, VmState.Error], respectLock: true,
            async (transaction, instance, _, now) =>
            {
                if (instance.Resize is not null || instance.Desired == DesiredState.Deleted)
                {
                    throw ComputeFaults.InvalidState(id, "evacuate", "vm_state", instance.Resize is null ? "deleting" : "resized");
                }
                var old = instance.Claim!;
                var (claim, notes) = await creation.ClaimAsync(
                    transaction, instance, instance.Flavor, host, preferNode: null, avoidNode: old.NodeId, cancellationToken);
                if (claim is null)
                {
                    throw NoValidHost(notes);
                }
                await InstanceReconciler.ReleaseClaimAsync(transaction, old, cancellationToken);
                // The saved memory of a suspended guest is on the lost node.
                var desired = instance.Desired is DesiredState.Suspended or DesiredState.Paused ? DesiredState.Running : instance.Desired;
                var after = (instance.Wanting(desired, now) with
                {
                    Fault = null, PlacementNotes = notes, Deadline = instance.LaunchedAt is null ? now + options.BuildDeadline : instance.Deadline,
                }).MovedTo(claim);
                await migrations.StartAsync(transaction, operation, MigrationKind.Evacuation, instance, after, now, cancellationToken);
                return (after, true);
            }, cancellationToken);
    }

    /// <summary>Puts an instance into error, or takes it out.</summary>
    public async Task<InstanceDetails> ResetStateAsync(OperationContext operation, string id, bool error, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-admin-actions:reset_state");
        return await ChangeAsync(operation, id, action: null, anyTask: true, allowed: null, respectLock: false, (_, instance, _, now) =>
            Task.FromResult((instance.Changed(now) with
            {
                Fault = error ? new Fault(500, "The state was set to error by an administrator.", "", now) : null,
                ImageSave = null,
                Deadline = instance.LaunchedAt is null ? now + options.BuildDeadline : instance.Deadline,
            }, true)), cancellationToken);
    }

    /// <summary>Reads again what is known of the ports of an instance, and tells its node.</summary>
    public async Task RefreshNetworkAsync(OperationContext operation, string id, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("os_compute_api:os-admin-actions:reset_network");
        await GetAsync(operation, id, cancellationToken);
        worker.RefreshPorts(id);
    }

    /// <summary>The instance with another size or place, waiting for confirmation.</summary>
    private async Task<Instance> ResizedAsync(
        Kernel.State.StateTransaction transaction, OperationContext operation, MigrationKind kind, Instance instance, Flavor flavor, Nodes.Claim claim,
        IReadOnlyList<string> notes, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var after = (instance.Changed(now) with
        {
            Flavor = flavor, PlacementNotes = notes,
        }).MovedTo(claim);
        var number = await migrations.StartAsync(transaction, operation, kind, instance, after, now, cancellationToken);
        return after with { Resize = new Resize(ResizeStep.Resizing, instance.Flavor, instance.Claim, instance.Desired, now, number) };
    }

    /// <summary>Started anew from its disks, at once.</summary>
    private static Instance Restarted(Instance instance, DateTimeOffset now) => instance.Wanting(DesiredState.Running, now) with
    {
        RebootNonce = instance.RebootNonce + 1, RebootKind = RebootKind.Hard, PowerGeneration = instance.PowerGeneration + 1,
    };

    private static void CheckHost(InstanceDetails details, string? host)
    {
        if (host is not null && host == details.Node?.HostName)
        {
            throw ComputeFaults.Refers("host", $"The target host can't be the same one: instance {details.Instance.Id} is on {host} already.");
        }
    }
}

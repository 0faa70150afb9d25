using System.Net.Sockets;
using Nephos.Compute.Flavors;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Migrations;
using Nephos.Compute.Quotas;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <param name="Name">Null: as it is; likewise the others, but for those that say whether they are set.</param>
internal sealed record RebuildWish(
    string ImageId,
    string? Name,
    (bool Set, string? Value) Description,
    string? HostName,
    IReadOnlyDictionary<string, string>? Metadata,
    (bool Set, string? Value) KeyName,
    (bool Set, string? Value) UserData,
    string? AccessIpv4,
    string? AccessIpv6,
    bool? AutoDiskConfig);

/// <summary>Resizing and rebuilding.</summary>
internal sealed partial class InstanceService
{
    /// <summary>Moves an instance to another flavor; capacity of both is held until it is confirmed.</summary>
    /// <param name="autoDiskConfig">Null: as it is.</param>
    public async Task<InstanceDetails> ResizeAsync(
        OperationContext operation, string id, string flavorId, bool? autoDiskConfig, CancellationToken cancellationToken)
    {
        var details = await GetAsync(operation, id, cancellationToken);
        Flavor flavor;
        try
        {
            flavor = await flavors.GetAsync(operation, flavorId, cancellationToken);
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            throw ComputeFaults.Refers("flavorRef", $"Flavor {flavorId} could not be found.");
        }
        if (flavor.Id == details.Instance.Flavor.Id)
        {
            throw ComputeFaults.Refers("flavorRef", "When resizing, instances must change flavor!");
        }
        var local = details.Instance.Disks.Any(disk => disk is { IsRoot: true, Hidden: true });
        if (local && flavor.RootGib < details.Instance.Flavor.RootGib)
        {
            throw ComputeFaults.Refers("flavorRef", "Resize to a flavor with a smaller root disk is not possible.");
        }
        return await ActAsync(operation, id, "resize", [VmState.Active, VmState.Stopped], async (transaction, instance, now) =>
        {
            await quotas.ChangeAsync(
                transaction, instance.ProjectId, 0, Math.Max(0, flavor.Vcpus - instance.Flavor.Vcpus),
                Math.Max(0, flavor.MemoryMib - instance.Flavor.MemoryMib), cancellationToken);
            var (claim, notes) = await creation.ClaimAsync(
                transaction, instance, flavor, host: null, preferNode: instance.Claim?.NodeId, avoidNode: null, cancellationToken);
            return claim is null
                ? throw NoValidHost(notes)
                : await ResizedAsync(
                    transaction, operation, MigrationKind.Resize, instance with { AutoDiskConfig = autoDiskConfig ?? instance.AutoDiskConfig }, flavor, claim, notes, now, cancellationToken);
        }, cancellationToken);
    }

    public Task<InstanceDetails> ConfirmResizeAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "confirmResize", [VmState.Resized], async (transaction, instance, now) =>
        {
            await InstanceReconciler.EndResizeAsync(transaction, instance, quotas, cancellationToken);
            await migrations.EndAsync(transaction, instance.Resize!.Migration, MigrationEnd.Confirmed, now, cancellationToken);
            return instance.Changed(now) with { Resize = null };
        }, cancellationToken);

    public Task<InstanceDetails> RevertResizeAsync(OperationContext operation, string id, CancellationToken cancellationToken) =>
        ActAsync(operation, id, "revertResize", [VmState.Resized], async (transaction, instance, now) =>
        {
            await migrations.EndAsync(transaction, instance.Resize!.Migration, MigrationEnd.Reverted, now, cancellationToken);
            return (instance.Changed(now) with
            {
                Resize = instance.Resize with { Step = ResizeStep.Reverting, OldFlavor = instance.Flavor, OldClaim = instance.Claim, StartedAt = now },
                Flavor = instance.Resize.OldFlavor,
            }).MovedTo(instance.Resize.OldClaim!);
        }, cancellationToken);

    /// <summary>Gives the instance a new root disk made of an image. An instance in error gets out of it.</summary>
    public async Task<InstanceDetails> RebuildAsync(OperationContext operation, string id, RebuildWish wish, CancellationToken cancellationToken)
    {
        var details = await GetAsync(operation, id, cancellationToken);
        if (details.Instance.Locked && !operation.IsAdmin)
        {
            throw ComputeFaults.Locked(id);
        }
        Check(details, "rebuild", anyTask: false, [VmState.Active, VmState.Stopped, VmState.Error]);
        if (details.Instance.Disks.Any(disk => disk is { IsRoot: true, Hidden: false }))
        {
            throw Faults.Invalid("imageRef", "an instance that boots from a volume cannot be rebuilt; give it another volume");
        }
        var image = await resolver.ImageAsync(operation, wish.ImageId, details.Instance.Flavor, local: true, cancellationToken);
        InstanceKey? key = null;
        if (wish.KeyName is { Set: true, Value: { } keyName })
        {
            key = await keypairs.FindAsync(operation.UserId, keyName, cancellationToken) is { } pair
                ? new InstanceKey(pair.Name, pair.Type, pair.PublicKey)
                : throw ComputeFaults.Refers("key_name", "Invalid key_name provided.");
        }
        return await ActAsync(operation, id, "rebuild", [VmState.Active, VmState.Stopped, VmState.Error], async (_, instance, now) =>
        {
            var itemsMax = await quotas.LimitAsync(instance.ProjectId, QuotaResource.MetadataItems, cancellationToken);
            return instance.Claim is null ? throw ComputeFaults.InvalidState(id, "rebuild", "vm_state", "error") : instance.Changed(now) with
            {
                ImageId = image.Id,
                ImageProperties = WishResolver.Kept(image.Properties),
                Disks = [.. instance.Disks.Select(disk => disk.IsRoot ? disk with { SourceId = image.Id, Source = DiskSource.Image } : disk)],
                RootNonce = instance.RootNonce + 1,
                RebootNonce = instance.RebootNonce + 1,
                RebootKind = RebootKind.Hard,
                PowerGeneration = instance.PowerGeneration + 1,
                RootPowerGeneration = instance.PowerGeneration + 1,
                Fault = null,
                Deadline = instance.LaunchedAt is null ? now + options.BuildDeadline : instance.Deadline,
                Name = wish.Name is null ? instance.Name : InstanceRules.Name(wish.Name),
                Description = wish.Description.Set ? InstanceRules.Description(wish.Description.Value) : instance.Description,
                HostName = wish.HostName is null ? instance.HostName : InstanceRules.HostName(wish.HostName),
                Metadata = wish.Metadata is null ? instance.Metadata : InstanceRules.Metadata(wish.Metadata, itemsMax),
                Key = wish.KeyName.Set ? key : instance.Key,
                UserData = wish.UserData.Set ? InstanceRules.UserData(wish.UserData.Value) : instance.UserData,
                AccessIpv4 = wish.AccessIpv4 is null ? instance.AccessIpv4 : InstanceRules.AccessIp(wish.AccessIpv4, AddressFamily.InterNetwork, "accessIPv4"),
                AccessIpv6 = wish.AccessIpv6 is null ? instance.AccessIpv6 : InstanceRules.AccessIp(wish.AccessIpv6, AddressFamily.InterNetworkV6, "accessIPv6"),
                AutoDiskConfig = wish.AutoDiskConfig ?? instance.AutoDiskConfig,
            };
        }, cancellationToken);
    }
}

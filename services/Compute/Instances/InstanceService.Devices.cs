using Nephos.Compute.Seams;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <summary>Volumes, ports and security groups of instances.</summary>
internal sealed partial class InstanceService
{
    private const int DisksMax = 24;
    private const int NicsMax = 16;

    public async Task<(InstanceDetails Details, Disk Disk)> AttachVolumeAsync(
        OperationContext operation, string id, string volumeId, string? device, string? tag, bool deleteOnTermination, CancellationToken cancellationToken)
    {
        await GetAsync(operation, id, cancellationToken);
        var volume = await resolver.VolumeAsync(operation, volumeId, cancellationToken);
        Disk? made = null;
        var details = await ChangeAsync(operation, id, "attach_volume", anyTask: false, [.. Powered, VmState.ShelvedOffloaded], respectLock: true, (_, instance, _, now) =>
        {
            if (instance.Disks.Any(disk => disk.Source == DiskSource.Volume && disk.SourceId == volume.Id))
            {
                throw ComputeFaults.Refers("volumeId", $"Invalid volume: volume {volumeId} is already attached to instance {id}");
            }
            if (instance.Disks.Count >= DisksMax)
            {
                throw new FaultException(ErrorReason.Forbidden, $"The maximum allowed number of {DisksMax} disk devices is exceeded.");
            }
            var used = instance.Disks.Select(disk => disk.Device);
            made = new Disk(
                Ids.NewUuid(), DiskSource.Volume, volume.Id, Hidden: false, -1, 0, deleteOnTermination, DeviceOf(device, used), null,
                InstanceRules.DeviceTag(tag), now);
            return Task.FromResult((instance.Changed(now) with { Disks = [.. instance.Disks, made] }, true));
        }, cancellationToken);
        return (details, made!);
    }

    public async Task<InstanceDetails> DetachVolumeAsync(OperationContext operation, string id, string volumeId, CancellationToken cancellationToken)
    {
        var before = await GetAsync(operation, id, cancellationToken);
        if (IsPlugging(before) && before.Instance.Disks.FirstOrDefault(disk => disk.Source == DiskSource.Volume && disk.SourceId == volumeId) is { } plugged
            && AttachmentOf(before, plugged, before.Parts) is null)
        {
            await WaitForPartAsync(before.Instance, parts => AttachmentOf(before, plugged, parts), now => now.Disks.Any(disk => disk.Id == plugged.Id), cancellationToken);
        }
        return await ChangeAsync(operation, id, "detach_volume", anyTask: true, [VmState.Active, VmState.Paused, VmState.Stopped, VmState.Suspended, VmState.Error, VmState.ShelvedOffloaded],
            respectLock: true, (_, instance, details, now) =>
            {
                var disk = FindDisk(details, volumeId);
                return disk.IsRoot
                    ? throw new FaultException(ErrorReason.Forbidden, "Cannot detach a root device volume")
                    : Task.FromResult((instance.Changed(now) with { Disks = [.. instance.Disks.Where(item => item.Id != disk.Id)] }, true));
            }, cancellationToken);
    }

    public Task<InstanceDetails> UpdateVolumeAttachmentAsync(
        OperationContext operation, string id, string volumeId, bool deleteOnTermination, CancellationToken cancellationToken) =>
        ChangeAsync(operation, id, action: null, anyTask: true, allowed: null, respectLock: true, (_, instance, details, now) =>
        {
            var disk = FindDisk(details, volumeId);
            return Task.FromResult((instance.Changed(now) with
            {
                Disks = [.. instance.Disks.Select(item => item.Id == disk.Id ? item with { DeleteOnTermination = deleteOnTermination } : item)],
            }, true));
        }, cancellationToken);

    /// <summary>The disk that a volume is on, as users see it.</summary>
    /// <exception cref="FaultException">NotFound.</exception>
    public static Disk FindDisk(InstanceDetails details, string volumeId) =>
        details.Instance.Disks.FirstOrDefault(disk => !disk.Hidden && VolumeIdOf(details, disk) == volumeId)
        ?? throw new FaultException(ErrorReason.NotFound, $"volume {volumeId} is not attached to instance {details.Instance.Id}",
            new Dictionary<string, string> { ["kind"] = "VolumeAttachment", ["id"] = volumeId });

    /// <summary>The volume of a disk; null while it is being made.</summary>
    public static string? VolumeIdOf(InstanceDetails details, Disk disk) =>
        disk.Source == DiskSource.Volume ? disk.SourceId : details.Parts?.DiskOf(disk, details.Instance.RootNonce)?.VolumeId;

    /// <summary>Plugs in a port: given, or a new one that this call makes, so that its address can be answered.</summary>
    public async Task<(InstanceDetails Details, Nic Nic, string PortId)> AttachPortAsync(
        OperationContext operation, string id, NicWish wish, CancellationToken cancellationToken)
    {
        var details = await GetAsync(operation, id, cancellationToken);
        Check(details, "attach_interface", anyTask: false, Powered);
        if (details.Instance.Locked && !operation.IsAdmin)
        {
            throw ComputeFaults.Locked(id);
        }
        if (wish is { PortId: null, NetworkId: null })
        {
            var used = details.Instance.Nics.Select(nic => nic.NetworkId).ToHashSet();
            var usable = (await network.ListUsableNetworksAsync(operation, cancellationToken)).Where(item => !used.Contains(item.Id)).ToList();
            wish = usable.Count == 1 ? wish with { NetworkId = usable[0].Id } : throw ComputeFaults.Refers("net_id", "Must input network_id when request IP address, because there is not exactly one other network.");
        }
        var nic = await resolver.NicAsync(operation, wish, cancellationToken) with { Id = Ids.NewUuid() };
        var after = await ChangeAsync(operation, id, "attach_interface", anyTask: false, Powered, respectLock: true, (_, instance, _, now) =>
            instance.Nics.Count >= NicsMax
                ? throw Faults.Invalid("interfaces", $"an instance has at most {NicsMax} interfaces")
                : Task.FromResult((instance.Changed(now) with { Nics = [.. instance.Nics, nic] }, true)), cancellationToken);
        return (after, nic, nic.PortId ?? (await WaitForPortAsync(after.Instance, nic, cancellationToken)).PortId);
    }

    public async Task<InstanceDetails> DetachPortAsync(OperationContext operation, string id, string portId, CancellationToken cancellationToken)
    {
        var before = await GetAsync(operation, id, cancellationToken);
        if (IsPlugging(before) && before.Instance.Nics.FirstOrDefault(nic => nic.PortId == portId) is { } plugged && before.Parts?.PortOf(plugged) is null)
        {
            await WaitForPortAsync(before.Instance, plugged, cancellationToken);
        }
        return await ChangeAsync(operation, id, "detach_interface", anyTask: true, Powered, respectLock: true, (_, instance, details, now) =>
        {
            var nicId = details.Parts?.Ports.FirstOrDefault(port => port.PortId == portId)?.NicId;
            return instance.Nics.Any(nic => nic.Id == nicId)
                ? Task.FromResult((instance.Changed(now) with { Nics = [.. instance.Nics.Where(nic => nic.Id != nicId)] }, true))
                : throw new FaultException(ErrorReason.NotFound, $"Port {portId} is not attached to instance {id}.",
                    new Dictionary<string, string> { ["kind"] = "Port", ["id"] = portId });
        }, cancellationToken);
    }

    // What is on its way into a machine is let go of by what is written down of it, so that is waited for.
    private static bool IsPlugging(InstanceDetails details) => details.Instance is { Claim: not null, Fault: null, Desired: not DesiredState.Shelved };

    private static string? AttachmentOf(InstanceDetails details, Disk disk, InstanceParts? parts) =>
        parts?.DiskOf(disk, details.Instance.RootNonce)?.AttachmentId;

    private Task<PartPort> WaitForPortAsync(Instance asked, Nic nic, CancellationToken cancellationToken) =>
        WaitForPartAsync(asked, parts => parts.PortOf(nic), now => now.Nics.Any(item => item.Id == nic.Id), cancellationToken);

    public async Task<InstanceDetails> AddSecurityGroupAsync(OperationContext operation, string id, string nameOrId, CancellationToken cancellationToken)
    {
        var group = await network.FindSecurityGroupAsync(operation, nameOrId, cancellationToken);
        return await SetGroupsAsync(operation, id, groups => [.. groups.Where(item => item.Id != group.Id), group], cancellationToken);
    }

    public async Task<InstanceDetails> RemoveSecurityGroupAsync(OperationContext operation, string id, string nameOrId, CancellationToken cancellationToken)
    {
        var group = await network.FindSecurityGroupAsync(operation, nameOrId, cancellationToken);
        return await SetGroupsAsync(operation, id, groups => groups.Any(item => item.Id == group.Id)
            ? [.. groups.Where(item => item.Id != group.Id)]
            : throw new FaultException(ErrorReason.NotFound, $"Security group {nameOrId} not associated with the instance {id}",
                new Dictionary<string, string> { ["kind"] = "SecurityGroup", ["id"] = nameOrId }), cancellationToken);
    }

    private async Task<InstanceDetails> SetGroupsAsync(
        OperationContext operation, string id, Func<IReadOnlyList<GroupRef>, IReadOnlyList<GroupRef>> change, CancellationToken cancellationToken)
    {
        var before = await GetAsync(operation, id, cancellationToken);
        if (before.Instance.Locked && !operation.IsAdmin)
        {
            throw ComputeFaults.Locked(id);
        }
        var groups = before.Instance.SecurityGroups;
        if (groups.Any(item => item.Id.Length == 0))
        {
            var known = await network.FindSecurityGroupAsync(operation, "default", cancellationToken);
            groups = [.. groups.Select(item => item.Id.Length == 0 ? known : item)];
        }
        var after = change(groups);
        foreach (var port in before.Parts?.Ports ?? [])
        {
            await network.SetPortGroupsAsync(operation, port.PortId, [.. after.Select(item => item.Id)], cancellationToken);
        }
        return await ChangeAsync(operation, id, action: null, anyTask: true, allowed: null, respectLock: true,
            (_, instance, _, now) => Task.FromResult((instance.Changed(now) with { SecurityGroups = after }, true)), cancellationToken);
    }

    /// <summary>Waits until something of an instance is made and written down.</summary>
    /// <param name="part">Answers it; null while it is not there.</param>
    /// <param name="isWanted">False when the instance has given it up meanwhile.</param>
    private async Task<T> WaitForPartAsync<T>(
        Instance asked, Func<InstanceParts, T?> part, Func<Instance, bool> isWanted, CancellationToken cancellationToken)
        where T : class
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(PartDeadline);
        try
        {
            await foreach (var parts in views.WatchPartsAsync(asked.Id, deadline.Token))
            {
                if (part(parts) is { } made)
                {
                    return made;
                }
                if (views.Find(asked.Id) is { } now && now.Generation > asked.Generation && !isWanted(now))
                {
                    throw Faults.Conflict(parts.LastError ?? $"A device of instance {asked.Id} could not be made.");
                }
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Faults.Unavailable("The device is not made yet; it will be.");
        }
        throw Faults.Unavailable("The service stops.");
    }

    private static readonly TimeSpan PartDeadline = TimeSpan.FromSeconds(20);

    private static string DeviceOf(string? asked, IEnumerable<string?> used)
    {
        if (string.IsNullOrEmpty(asked))
        {
            return WishResolver.NextDevice(used);
        }
        if (asked.Length > 255 || !asked.StartsWith("/dev/", StringComparison.Ordinal) || asked.AsSpan(5).ContainsAnyExcept("abcdefghijklmnopqrstuvwxyz0123456789"))
        {
            throw ComputeFaults.Refers("device", $"The supplied device path ({asked}) is invalid.");
        }
        return used.Any(device => device is { Length: > 0 } && device[^1] == asked[^1])
            ? throw Faults.Conflict($"The supplied device path ({asked}) is in use.")
            : asked;
    }
}

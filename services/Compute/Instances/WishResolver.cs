using System.Net;
using Nephos.Compute.Flavors;
using Nephos.Compute.Seams;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <param name="ImageId">Null when the root disk is a volume of the user.</param>
internal sealed record ResolvedDisks(IReadOnlyList<Disk> Disks, string? ImageId, IReadOnlyDictionary<string, string> ImageProperties);

/// <summary>Finds what a wish names in the other services, on behalf of its user, and says what is wrong with it.</summary>
internal sealed class WishResolver(INetworkApi network, IVolumeApi volumes, IImageApi images, TimeProvider time)
{
    private const long Gib = 1L << 30;
    private const int DisksMax = 20;
    private const int NicsMax = 16;

    /// <summary>Properties of an image that decide about the machine or that images made of it inherit.</summary>
    private static readonly string[] KeptPrefixes = ["hw_", "os_", "owner_specified.", "img_", "base_image_ref"];

    public async Task<ResolvedDisks> DisksAsync(OperationContext operation, InstanceWish wish, Flavor flavor, CancellationToken cancellationToken)
    {
        var wishes = wish.Disks;
        if (wishes.Count > DisksMax)
        {
            throw Faults.Invalid("block_device_mapping_v2", $"at most {DisksMax} devices");
        }
        var roots = wishes.Where(disk => disk.BootIndex == 0).ToList();
        if (roots.Count > 1)
        {
            throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid.");
        }
        var root = roots.FirstOrDefault();
        if (root is null)
        {
            if (wish.ImageId is null)
            {
                throw ComputeFaults.Refers("imageRef", "Missing imageRef attribute");
            }
            root = new DiskWish(DiskSource.Image, wish.ImageId, Local: true, 0, null, DeleteOnTermination: true, null, null, null, Swap: false);
        }
        else if (wish.ImageId is not null && (root.Source != DiskSource.Image || root.SourceId != wish.ImageId))
        {
            throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: the image and a boot device that is not of this image exclude each other.");
        }
        var disks = new List<Disk>();
        var (rootDisk, properties) = await RootAsync(operation, root, flavor, cancellationToken);
        disks.Add(rootDisk);
        foreach (var other in wishes.Where(disk => !ReferenceEquals(disk, root)))
        {
            disks.Add(await OtherAsync(operation, other, cancellationToken));
        }
        if (flavor.EphemeralGib > 0 && !wishes.Any(disk => disk is { Source: DiskSource.Blank, Local: true, Swap: false }))
        {
            disks.Add(Blank(flavor.EphemeralGib));
        }
        if (flavor.SwapMib > 0 && !wishes.Any(disk => disk.Swap))
        {
            disks.Add(Blank((flavor.SwapMib + 1023) / 1024));
        }
        var imageId = rootDisk is { Source: DiskSource.Image, Hidden: true } ? rootDisk.SourceId : null;
        return new ResolvedDisks(Named(disks), imageId, properties);
    }

    /// <summary>An image that a machine can boot from, as large as the flavor allows.</summary>
    public async Task<ImageRef> ImageAsync(OperationContext operation, string imageId, Flavor flavor, bool local, CancellationToken cancellationToken)
    {
        ImageRef image;
        if (!Ids.IsUuid(imageId))
        {
            throw ComputeFaults.Refers("imageRef", "Invalid imageRef provided.");
        }
        try
        {
            image = await images.GetImageAsync(operation, imageId, cancellationToken);
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
        {
            throw ComputeFaults.Refers("imageRef", $"Can not find requested image {imageId}.");
        }
        if (!image.IsActive)
        {
            throw ComputeFaults.Refers("imageRef", $"Image {imageId} is not active.");
        }
        if (image.MinRamMib > flavor.MemoryMib)
        {
            throw ComputeFaults.Refers("flavorRef", "Flavor's memory is too small for requested image.");
        }
        var needed = Math.Max(image.VirtualSizeBytes, image.MinDiskGib * Gib);
        if (local && flavor.RootGib > 0 && needed > flavor.RootGib * Gib)
        {
            throw ComputeFaults.Refers("flavorRef",
                $"Flavor's disk is too small for requested image. Flavor disk is {flavor.RootGib * Gib} bytes, image is {needed} bytes.");
        }
        return image;
    }

    public async Task<IReadOnlyList<Nic>> NicsAsync(OperationContext operation, InstanceWish wish, CancellationToken cancellationToken)
    {
        if (wish.Nics.Count > NicsMax)
        {
            throw Faults.Invalid("networks", $"at most {NicsMax} interfaces");
        }
        if (wish.NoNetwork)
        {
            return [];
        }
        if (wish.Nics.Count == 0)
        {
            var usable = await network.ListUsableNetworksAsync(operation, cancellationToken);
            return usable.Count switch
            {
                0 when wish.AutoNetwork => [new Nic("", null, await AutoNetworkAsync(operation, cancellationToken), null, null)],
                0 => [],
                1 => [new Nic("", null, usable[0].Id, null, null)],
                _ => throw Faults.Conflict("Multiple possible networks found, use a Network ID to be more specific."),
            };
        }
        var ports = wish.Nics.Where(nic => nic.PortId is not null).Select(nic => nic.PortId).ToList();
        if (ports.Distinct().Count() != ports.Count)
        {
            throw ComputeFaults.Refers("networks", "Duplicate ports were requested.");
        }
        return await Task.WhenAll(wish.Nics.Select(nic => NicAsync(operation, nic, cancellationToken)));
    }

    private async Task<string> AutoNetworkAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        try
        {
            return (await network.EnsureAutoAllocatedNetworkAsync(operation, cancellationToken)).Id;
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.AutoAllocationImpossible)
        {
            throw ComputeFaults.Refers("networks", $"Unable to automatically allocate a network for project {operation.ProjectId}: {fault.Message}");
        }
    }

    public async Task<Nic> NicAsync(OperationContext operation, NicWish wish, CancellationToken cancellationToken)
    {
        if (wish.FixedIp is not null && !IPAddress.TryParse(wish.FixedIp, out _))
        {
            throw ComputeFaults.Refers("fixed_ip", $"Invalid input for field/attribute fixed_ip. Value: {wish.FixedIp}. It is not an IP address.");
        }
        var tag = InstanceRules.DeviceTag(wish.Tag);
        if (wish.PortId is { } portId)
        {
            var port = await RefersAsync("port", $"Port id {portId} could not be found.", () => network.GetPortAsync(operation, portId, cancellationToken));
            return port.DeviceId.Length == 0
                ? new Nic("", port.Id, port.NetworkId, null, tag)
                : throw Faults.Conflict($"Port {portId} is still in use.");
        }
        var networkId = wish.NetworkId ?? throw ComputeFaults.Refers("networks", "Bad network format: missing 'uuid'");
        if (!Ids.IsUuid(networkId))
        {
            throw ComputeFaults.Refers("networks", $"Bad networks format: network uuid is not in proper format ({networkId})");
        }
        var found = await RefersAsync("networks", $"Network {networkId} could not be found.", () => network.GetNetworkAsync(operation, networkId, cancellationToken));
        if (found is { External: true, Shared: false } && !operation.IsAdmin && found.ProjectId != operation.ProjectId)
        {
            throw Faults.Forbidden($"It is not allowed to create an interface on external network {networkId}");
        }
        return found.HasSubnets
            ? new Nic("", null, found.Id, wish.FixedIp, tag)
            : throw ComputeFaults.Refers("networks", $"Network {networkId} requires a subnet in order to boot instances on.");
    }

    public async Task<IReadOnlyList<GroupRef>> GroupsAsync(OperationContext operation, IReadOnlyList<string> namesOrIds, CancellationToken cancellationToken)
    {
        var wanted = namesOrIds.Distinct(StringComparer.Ordinal).ToList();
        if (wanted.Count == 0 || (wanted.Count == 1 && wanted[0] == "default"))
        {
            // The network service knows which group that is.
            return [new GroupRef("", "default")];
        }
        if (wanted.Count > 100)
        {
            throw Faults.Invalid("security_groups", "at most 100 groups");
        }
        var groups = await Task.WhenAll(wanted.Select(group => RefersAsync(
            "security_groups", $"Security group {group} not found.", () => network.FindSecurityGroupAsync(operation, group, cancellationToken))));
        return [.. groups.DistinctBy(group => group.Id)];
    }

    /// <summary>A volume that the caller may attach now.</summary>
    public async Task<VolumeRef> VolumeAsync(OperationContext operation, string volumeId, CancellationToken cancellationToken)
    {
        var volume = await volumes.GetVolumeAsync(operation, volumeId, cancellationToken);
        return volume.State == VolumeState.Available || (volume.State == VolumeState.InUse && volume.Multiattach)
            ? volume
            : throw ComputeFaults.Refers("volumeId", $"Invalid volume: volume '{volumeId}' status must be 'available'. Currently in '{NameOf(volume.State)}' status.");
    }

    internal static string NextDevice(IEnumerable<string?> used)
    {
        var taken = used.Where(device => device is not null).Select(device => device!.Length > 0 ? device[^1] : ' ').ToHashSet();
        for (var letter = 'a'; letter <= 'z'; letter++)
        {
            if (!taken.Contains(letter))
            {
                return $"/dev/vd{letter}";
            }
        }
        throw Faults.Invalid("device", "an instance has at most 26 disks");
    }

    private async Task<(Disk Disk, IReadOnlyDictionary<string, string> Properties)> RootAsync(
        OperationContext operation, DiskWish wish, Flavor flavor, CancellationToken cancellationToken)
    {
        switch (wish.Source)
        {
            case DiskSource.Image:
                var image = await ImageAsync(operation, Source(wish), flavor, wish.Local, cancellationToken);
                var smallest = Math.Max(image.MinDiskGib, (image.VirtualSizeBytes + Gib - 1) / Gib);
                var size = wish.Local ? flavor.RootGib : wish.SizeGib ?? 0;
                if (!wish.Local && size == 0)
                {
                    throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: You specified an image with destination volume, so 'volume_size' is needed.");
                }
                if (!wish.Local && size < smallest)
                {
                    throw ComputeFaults.Refers("block_device_mapping_v2", $"Volume is smaller than the minimum size specified in image metadata. Volume size is {size} GiB, minimum is {smallest} GiB.");
                }
                return (Of(wish, 0, size, wish.Local), Kept(image.Properties));
            case DiskSource.Volume:
                var volume = await RefersAsync("block_device_mapping_v2", $"Block Device Mapping is Invalid: failed to get volume {wish.SourceId}.",
                    () => VolumeAsync(operation, Source(wish), cancellationToken));
                return volume.Bootable
                    ? (Of(wish, 0, 0, hidden: false), Kept(volume.ImageProperties))
                    : throw ComputeFaults.Refers("block_device_mapping_v2", $"Block Device {wish.SourceId} is not bootable.");
            case DiskSource.Snapshot:
                return (await OtherAsync(operation, wish, cancellationToken) with { BootIndex = 0 }, new Dictionary<string, string>());
            default:
                throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: a blank device cannot be booted from.");
        }
    }

    private async Task<Disk> OtherAsync(OperationContext operation, DiskWish wish, CancellationToken cancellationToken)
    {
        var bootIndex = wish.BootIndex is { } index and >= 0 ? index : -1;
        switch (wish.Source)
        {
            case DiskSource.Volume:
                await RefersAsync("block_device_mapping_v2", $"Block Device Mapping is Invalid: failed to get volume {wish.SourceId}.",
                    () => VolumeAsync(operation, Source(wish), cancellationToken));
                return Of(wish, bootIndex, 0, hidden: false);
            case DiskSource.Snapshot:
                var snapshot = await RefersAsync("block_device_mapping_v2", $"Block Device Mapping is Invalid: failed to get snapshot {wish.SourceId}.",
                    () => volumes.GetSnapshotAsync(operation, Source(wish), cancellationToken));
                return snapshot.Available
                    ? Of(wish, bootIndex, Math.Max(wish.SizeGib ?? 0, (snapshot.SizeBytes + Gib - 1) / Gib), hidden: false)
                    : throw ComputeFaults.Refers("block_device_mapping_v2", $"Snapshot {wish.SourceId} is not available.");
            case DiskSource.Image:
                if (wish.Local || wish.SizeGib is not > 0)
                {
                    throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: an image that is not booted needs destination_type volume and volume_size.");
                }
                _ = await RefersAsync("block_device_mapping_v2", $"Block Device Mapping is Invalid: failed to get image {wish.SourceId}.",
                    () => images.GetImageAsync(operation, Source(wish), cancellationToken));
                return Of(wish, bootIndex, wish.SizeGib.Value, hidden: false);
            default:
                return wish.SizeGib is > 0
                    ? Of(wish, -1, wish.SizeGib.Value, wish.Local)
                    : throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: a blank device needs volume_size.");
        }
    }

    private Disk Of(DiskWish wish, int bootIndex, long sizeGib, bool hidden) => new(
        "", wish.Source, wish.SourceId, hidden, bootIndex, sizeGib, hidden || wish.DeleteOnTermination, wish.Device, wish.VolumeType,
        InstanceRules.DeviceTag(wish.Tag), time.GetUtcNow());

    private Disk Blank(long sizeGib) =>
        new("", DiskSource.Blank, null, Hidden: true, -1, sizeGib, DeleteOnTermination: true, null, null, null, time.GetUtcNow());

    private static List<Disk> Named(List<Disk> disks)
    {
        var named = new List<Disk>(disks.Count);
        foreach (var disk in disks)
        {
            named.Add(disk with { Device = NextDevice(named.Select(item => item.Device)) });
        }
        return named;
    }

    private static string Source(DiskWish wish) =>
        wish.SourceId is { } id && Ids.IsUuid(id) ? id : throw ComputeFaults.Refers("block_device_mapping_v2", "Block Device Mapping is Invalid: 'uuid' is missing or no UUID.");

    internal static Dictionary<string, string> Kept(IReadOnlyDictionary<string, string> properties) => properties
        .Where(item => KeptPrefixes.Any(prefix => item.Key.StartsWith(prefix, StringComparison.Ordinal)))
        .ToDictionary(item => item.Key, item => item.Value);

    private static string NameOf(VolumeState state) => state switch
    {
        VolumeState.Available => "available",
        VolumeState.InUse => "in-use",
        VolumeState.Error => "error",
        VolumeState.Deleting => "deleting",
        _ => "creating",
    };

    /// <summary>What does not exist, or what the caller may not see, makes the request wrong.</summary>
    private static async Task<T> RefersAsync<T>(string field, string message, Func<Task<T>> find)
    {
        try
        {
            return await find();
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.NotFound)
        {
            throw ComputeFaults.Refers(field, message);
        }
    }
}

using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

/// <summary>What was made for an instance, and what its nodes were told. Written by the reconciler only.</summary>
internal sealed record InstanceParts
{
    public required string InstanceId { get; init; }

    /// <summary>Grows with each write, so that two reconcilers do not overwrite each other.</summary>
    public long Version { get; init; }

    public IReadOnlyList<PartPort> Ports { get; init; } = [];

    public IReadOnlyList<PartDisk> Disks { get; init; } = [];

    /// <summary>What each node should do about the instance. More than one while it leaves a node.</summary>
    public IReadOnlyList<Order> Orders { get; init; } = [];

    /// <summary>The image of the shelved root disk whose upload was begun; null: none.</summary>
    public string? ShelvedImageId { get; init; }

    /// <summary>The image that is seen to get its content; null: none was yet.</summary>
    public string? UploadingImageId { get; init; }

    /// <summary>The last failure of making a part, for people; null when the last pass was clean.</summary>
    public string? LastError { get; init; }

    public DateTimeOffset? FailingSince { get; init; }

    public static readonly TableSchema<InstanceParts> Table =
        new("compute/parts", parts => parts.InstanceId, ComputeJson.Default.InstanceParts);

    public PartPort? PortOf(Nic nic) => Ports.FirstOrDefault(port => port.NicId == nic.Id);

    public PartDisk? DiskOf(Disk disk, long rootNonce) =>
        Disks.FirstOrDefault(part => part.DiskId == disk.Id && part.RootNonce == (disk.IsRoot ? rootNonce : 0));

    public Order? OrderFor(string nodeId) => Orders.FirstOrDefault(order => order.NodeId == nodeId);
}

/// <param name="Made">For this instance, so it goes with it.</param>
/// <param name="BoundNode">The node it was last bound to for this instance; null: not bound.</param>
/// <param name="BoundEpoch">Epoch of the instance it was bound for.</param>
/// <param name="BindingEpoch">What the network service was told; grows over all instances that ever had the port.</param>
internal sealed record PartPort(
    string NicId,
    string PortId,
    bool Made,
    string? BoundNode,
    long BoundEpoch,
    long BindingEpoch,
    PortDetails? Details,
    DateTimeOffset? ReleasingSince);

/// <summary>What a guest and its users need to know of a port.</summary>
internal sealed record PortDetails(
    string NetworkId,
    string NetworkName,
    string MacAddress,
    int Mtu,
    bool Active,
    IReadOnlyList<PortAddress> Addresses,
    IReadOnlyList<GroupRef> SecurityGroups);

/// <param name="Floating">Floating addresses that lead to this one.</param>
internal sealed record PortAddress(
    string SubnetId,
    string Address,
    string Cidr,
    string Gateway,
    IReadOnlyList<string> DnsServers,
    IReadOnlyList<PortRoute> Routes,
    bool Dhcp,
    IReadOnlyList<string> Floating)
{
    public int IpVersion => Address.Contains(':') ? 6 : 4;
}

internal sealed record PortRoute(string Destination, string NextHop);

/// <param name="RootNonce">0 for other disks than the root disk.</param>
/// <param name="Available">The volume has been seen usable.</param>
/// <param name="Token">Secret that opens the attachment; never logged, never shown.</param>
/// <param name="AttachedNode">The node the attachment was made for.</param>
/// <param name="AttachedEpoch">Epoch of the instance for which the attachment was last known to be there.</param>
internal sealed record PartDisk(
    string DiskId,
    long RootNonce,
    string VolumeId,
    bool Hidden,
    bool Made,
    bool Available,
    long SizeBytes,
    string? AttachmentId,
    string? Token,
    string? AttachedNode,
    long AttachedEpoch,
    string Device,
    DateTimeOffset? ReleasingSince)
{
    public override string ToString() => $"disk {DiskId} on volume {VolumeId}";
}

/// <summary>What one node is told about an instance.</summary>
/// <param name="Generation">Grows with each change of <paramref name="Spec"/>.</param>
/// <param name="Removes">The node should get rid of the instance.</param>
/// <param name="Spec">The message of the agents' protocol, without its generation.</param>
internal sealed record Order(string NodeId, long Epoch, long Generation, bool Removes, byte[] Spec, DateTimeOffset Since);

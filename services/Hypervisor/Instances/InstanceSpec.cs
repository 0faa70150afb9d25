using System.Net;
using System.Text.Json.Serialization;

namespace Nephos.Hypervisor.Instances;

internal enum DesiredState { Running, Stopped, Paused, Suspended, Deleted }

internal enum RebootType { Soft, Hard }

/// <summary>What one instance on this node should be. Parsed from the wire by <see cref="InstanceMapping"/>: whatever parses is valid.</summary>
/// <param name="PowerGeneration">Grows with each wish about power; a guest that switched itself off stays off until then.</param>
/// <param name="RebootNonce">The process that runs must have been started for this number.</param>
internal sealed record InstanceSpec(
    Guid Id,
    string Name,
    long Epoch,
    long Generation,
    DesiredState Desired,
    long PowerGeneration,
    long RebootNonce,
    RebootType RebootType,
    int Vcpus,
    long MemoryMib,
    IReadOnlyList<PortSpec> Ports,
    IReadOnlyList<VolumeSpec> Volumes,
    MachineHints Hints,
    bool ConfigDrive,
    GuestMetadata Metadata)
{
    /// <summary>Volumes that were wanted before and that the machine may still have. Ours, not the control plane's: to let go of a disk
    /// cleanly its head has to be open, also after a restart of the agent.</summary>
    public IReadOnlyList<VolumeSpec> Leaving { get; init; } = [];

    /// <summary>The node is being taken down: the machine is to end, but what is desired of it stays. Ours and never stored.</summary>
    [JsonIgnore]
    public bool Halted { get; init; }

    /// <summary>The process that the spec asks for.</summary>
    [JsonIgnore]
    public LaunchMark Mark => new(Epoch, PowerGeneration, RebootNonce);
}

/// <summary>Written into the name of a process, so that a process says by itself for which wish it was started.</summary>
internal readonly record struct LaunchMark(long Epoch, long PowerGeneration, long RebootNonce);

/// <param name="Order">0 is the guest's first interface.</param>
internal sealed record PortSpec(Guid Id, Guid NetworkId, string MacAddress, int Mtu, int Order, IReadOnlyList<FixedIp> FixedIps, string Tag);

internal sealed record FixedIp(
    Guid SubnetId,
    string Address,
    string Cidr,
    string Gateway,
    IReadOnlyList<string> DnsServers,
    IReadOnlyList<HostRoute> Routes,
    bool Dhcp)
{
    [JsonIgnore]
    public IPAddress Ip => IPAddress.Parse(Address);

    [JsonIgnore]
    public IPNetwork Network => IPNetwork.Parse(Cidr);
}

internal sealed record HostRoute(string Destination, string NextHop);

/// <param name="Token">Secret that opens the attachment at the block service; never logged.</param>
/// <param name="BootIndex">0 boots first; negative is no boot disk.</param>
internal sealed record VolumeSpec(
    Guid AttachmentId,
    Guid VolumeId,
    string Token,
    int BootIndex,
    string DeviceHint,
    bool ReadOnly,
    string Tag)
{
    public override string ToString() => $"volume {VolumeId} by attachment {AttachmentId}";
}

internal enum DiskBus { Virtio, Scsi, Ide }

internal enum VifModel { Virtio, E1000 }

internal enum VideoModel { None, Vga, Virtio }

internal sealed record MachineHints(DiskBus DiskBus, VifModel VifModel, bool Rng, VideoModel Video);

/// <summary>What the guest may learn about itself.</summary>
internal sealed record GuestMetadata(
    string HostName,
    string ProjectId,
    string UserId,
    string AvailabilityZone,
    IReadOnlyDictionary<string, string> Meta,
    IReadOnlyList<GuestKey> Keys,
    byte[] UserData,
    byte[] VendorData,
    int LaunchIndex,
    string ReservationId,
    string ImageId,
    string FlavorName,
    IReadOnlyList<string> SecurityGroups,
    IReadOnlyList<GuestFile> Files);

internal sealed record GuestKey(string Name, string Type, string PublicKey);

internal sealed record GuestFile(string Path, byte[] Contents);

[JsonSerializable(typeof(InstanceSpec))]
[JsonSourceGenerationOptions(UseStringEnumConverter = true)]
internal sealed partial class InstanceJson : JsonSerializerContext;

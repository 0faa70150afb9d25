using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Hypervisor.Instances;

/// <summary>Wire to record. The agent trusts the control plane to decide, not to be free of faults: names end up in command lines
/// and file names, so everything is parsed and bounded here.</summary>
internal static partial class InstanceMapping
{
    private const int VcpusMax = 256;
    private const long MemoryMibMax = 16L << 20;
    private const int DevicesMax = 26;
    private const int UserDataBytesMax = 64 * 1024;
    private const int MetaItemsMax = 1024;
    private const int TextCharsMax = 64 * 1024;

    public static InstanceSpec ToSpec(this Wire.InstanceSpec wire)
    {
        var metadata = wire.Metadata ?? new Wire.InstanceMetadata();
        var hints = wire.Hints ?? new Wire.MachineHints();
        if (wire.Ports.Count + wire.Volumes.Count > DevicesMax)
        {
            throw Faults.Invalid("ports and volumes", $"at most {DevicesMax} devices fit into one machine.");
        }
        var spec = new InstanceSpec(
            Id(wire.InstanceId, "instance_id"),
            Text(wire.Name, "name", charsMax: 255),
            AtLeast(wire.Epoch, 0, "epoch"),
            AtLeast(wire.Generation, 0, "generation"),
            wire.DesiredState switch
            {
                Wire.DesiredState.Running => DesiredState.Running,
                Wire.DesiredState.Stopped => DesiredState.Stopped,
                Wire.DesiredState.Paused => DesiredState.Paused,
                Wire.DesiredState.Suspended => DesiredState.Suspended,
                Wire.DesiredState.Deleted => DesiredState.Deleted,
                _ => throw Faults.Invalid("desired_state", "must be one of the known states."),
            },
            AtLeast(wire.PowerGeneration, 0, "power_generation"),
            AtLeast(wire.RebootNonce, 0, "reboot_nonce"),
            wire.RebootType == Wire.RebootType.Hard ? RebootType.Hard : RebootType.Soft,
            (int)Between(wire.Vcpus, 1, VcpusMax, "vcpus"),
            Between(wire.MemoryMib, 1, MemoryMibMax, "memory_mib"),
            [.. wire.Ports.Select(ToPort).OrderBy(port => port.Order)],
            [.. wire.Volumes.Select(ToVolume)],
            new MachineHints(
                hints.DiskBus switch
                {
                    "" or "virtio" => DiskBus.Virtio,
                    "scsi" => DiskBus.Scsi,
                    "ide" or "sata" => DiskBus.Ide,
                    _ => throw Faults.Invalid("hints.disk_bus", "must be virtio, scsi, ide or sata."),
                },
                hints.VifModel switch
                {
                    "" or "virtio" => VifModel.Virtio,
                    "e1000" => VifModel.E1000,
                    _ => throw Faults.Invalid("hints.vif_model", "must be virtio or e1000."),
                },
                Rng: hints.RngModel != "none",
                hints.VideoModel switch
                {
                    "" or "none" => VideoModel.None,
                    "virtio" => VideoModel.Virtio,
                    _ => VideoModel.Vga,
                }),
            wire.ConfigDrive,
            ToMetadata(metadata));
        if (spec.Volumes.DistinctBy(volume => volume.AttachmentId).Count() != spec.Volumes.Count
            || spec.Ports.DistinctBy(port => port.Id).Count() != spec.Ports.Count)
        {
            throw Faults.Invalid("ports and volumes", "each may be listed once.");
        }
        return spec;
    }

    private static PortSpec ToPort(Wire.PortSpec wire) => new(
        Id(wire.PortId, "ports.port_id"),
        Id(wire.NetworkId, "ports.network_id"),
        MacAddress().IsMatch(wire.MacAddress) ? wire.MacAddress.ToLowerInvariant()
            : throw Faults.Invalid("ports.mac_address", "must be six pairs of hex digits separated by colons."),
        wire.Mtu == 0 ? 1500 : (int)Between(wire.Mtu, 68, 65521, "ports.mtu"),
        wire.Order,
        [.. wire.FixedIps.Select(ToFixedIp)],
        Text(wire.Tag, "ports.tag", charsMax: 255));

    private static FixedIp ToFixedIp(Wire.FixedIp wire) => new(
        Id(wire.SubnetId, "fixed_ips.subnet_id"),
        Address(wire.IpAddress, "fixed_ips.ip_address"),
        IPNetwork.TryParse(wire.Cidr, out var network) ? network.ToString() : throw Faults.Invalid("fixed_ips.cidr", "must be a network such as 10.0.0.0/24."),
        wire.GatewayIp.Length == 0 ? "" : Address(wire.GatewayIp, "fixed_ips.gateway_ip"),
        [.. wire.DnsServers.Select(server => Address(server, "fixed_ips.dns_servers"))],
        [.. wire.HostRoutes.Select(route => new HostRoute(
            IPNetwork.TryParse(route.Destination, out var to) ? to.ToString() : throw Faults.Invalid("host_routes.destination", "must be a network."),
            Address(route.NextHop, "host_routes.next_hop")))],
        wire.DhcpEnabled);

    private static VolumeSpec ToVolume(Wire.VolumeSpec wire) => new(
        Id(wire.AttachmentId, "volumes.attachment_id"),
        Id(wire.VolumeId, "volumes.volume_id"),
        Text(wire.Token, "volumes.token", charsMax: 4096),
        wire.BootIndex,
        Text(wire.DeviceHint, "volumes.device_hint", charsMax: 255),
        wire.ReadOnly,
        Text(wire.Tag, "volumes.tag", charsMax: 255));

    private static GuestMetadata ToMetadata(Wire.InstanceMetadata wire)
    {
        if (wire.UserData.Length > UserDataBytesMax || wire.VendorData.Length > UserDataBytesMax)
        {
            throw Faults.TooLarge("user_data", UserDataBytesMax);
        }
        if (wire.Meta.Count > MetaItemsMax || wire.Keys.Count > MetaItemsMax || wire.Files.Count > MetaItemsMax)
        {
            throw Faults.Invalid("metadata", $"at most {MetaItemsMax} items of a kind.");
        }
        return new GuestMetadata(
            Text(wire.HostName, "metadata.host_name", charsMax: 255),
            Text(wire.ProjectId, "metadata.project_id", charsMax: 255),
            Text(wire.UserId, "metadata.user_id", charsMax: 255),
            Text(wire.AvailabilityZone, "metadata.availability_zone", charsMax: 255),
            wire.Meta.ToDictionary(pair => Text(pair.Key, "metadata.meta", 255), pair => Text(pair.Value, "metadata.meta", TextCharsMax)),
            [.. wire.Keys.Select(key => new GuestKey(Text(key.Name, "keys.name", 255), key.Type.Length == 0 ? "ssh" : key.Type, Text(key.PublicKey, "keys.public_key", TextCharsMax)))],
            wire.UserData.ToByteArray(),
            wire.VendorData.ToByteArray(),
            wire.LaunchIndex,
            Text(wire.ReservationId, "metadata.reservation_id", charsMax: 255),
            Text(wire.ImageId, "metadata.image_id", charsMax: 255),
            Text(wire.FlavorName, "metadata.flavor_name", charsMax: 255),
            [.. wire.SecurityGroups],
            [.. wire.Files.Select(file => new GuestFile(Text(file.Path, "files.path", 255), file.Contents.ToByteArray()))]);
    }

    private static Guid Id(string text, string field) =>
        Guid.TryParseExact(text, "D", out var id) ? id : throw Faults.Invalid(field, "must be a UUID.");

    private static string Text(string text, string field, int charsMax) =>
        text.Length <= charsMax ? text : throw Faults.Invalid(field, $"must have at most {charsMax} characters.");

    private static long AtLeast(long value, long min, string field) => value >= min ? value : throw Faults.Invalid(field, $"must be at least {min}.");

    private static long Between(long value, long min, long max, string field) =>
        value >= min && value <= max ? value : throw Faults.Invalid(field, $"must be between {min} and {max}.");

    private static string Address(string text, string field) =>
        IPAddress.TryParse(text, out var address) && address.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6
            ? address!.ToString() : throw Faults.Invalid(field, "must be an IP address.");

    [GeneratedRegex("^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$")]
    private static partial Regex MacAddress();
}

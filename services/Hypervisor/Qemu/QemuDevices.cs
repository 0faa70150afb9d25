using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Names and descriptions of devices: the same objects on the command line and over QMP.</summary>
internal static class QemuDevices
{
    private const int SshForwardPort = 2222;

    private const int VirtioSerialCharsMax = 20;
    private const string VolumePrefix = "vol-";
    private const string PortPrefix = "port-";

    /// <summary>A block node's name has at most 31 characters: too few for the hex digits of an id, enough for its base 64.</summary>
    public static string VolumeNode(Guid attachmentId) => $"v{Base64Url.EncodeToString(attachmentId.ToByteArray())}";

    public static bool TryVolumeNode(string node, out Guid attachmentId)
    {
        Span<byte> bytes = stackalloc byte[16];
        var known = node.Length == 23 && node[0] == 'v' && Base64Url.TryDecodeFromChars(node.AsSpan(1), bytes, out var written) && written == 16;
        attachmentId = known ? new Guid(bytes) : default;
        return known;
    }

    public static string VolumeDevice(Guid attachmentId) => $"{VolumePrefix}{attachmentId:N}";

    public static string PortDevice(Guid portId) => $"{PortPrefix}{portId:N}";

    public static string Netdev(Guid portId) => $"n{portId:N}";

    public static string TapDescriptor(Guid portId) => $"fd-{portId:N}";

    public static bool TryVolume(string device, out Guid attachmentId) => TryId(device, VolumePrefix, out attachmentId);

    public static bool TryPort(string device, out Guid portId) => TryId(device, PortPrefix, out portId);

    public static bool TryNetdev(string netdev, out Guid portId) => TryId(netdev, "n", out portId);

    /// <summary>The disk behind a volume: QEMU's own NBD client.</summary>
    /// <remarks>The head may be away for minutes (a restart or an upgrade of the agent): requests wait and nothing reaches the guest.
    /// Opening waits shortly only, because it holds the whole machine.</remarks>
    public static JsonObject BlockNode(VolumeEndpoint endpoint) => new()
    {
        ["driver"] = "nbd",
        ["node-name"] = VolumeNode(endpoint.Volume.AttachmentId),
        ["server"] = new JsonObject { ["type"] = "unix", ["path"] = endpoint.SocketPath },
        ["export"] = endpoint.ExportName,
        ["reconnect-delay"] = 300,
        ["open-timeout"] = 5,
        ["read-only"] = endpoint.Volume.ReadOnly,
        ["discard"] = "unmap",
    };

    /// <summary>The guest's side of a volume. It pauses when the disk fails, it never sees an error.</summary>
    /// <param name="slot">PCI slot of a virtio disk; the number of the unit on the other buses.</param>
    /// <param name="bootOrder">0 is no boot disk.</param>
    public static JsonObject Disk(VolumeSpec volume, DiskBus bus, int slot, int bootOrder)
    {
        var serial = volume.VolumeId.ToString();
        var device = new JsonObject
        {
            ["driver"] = bus switch
            {
                DiskBus.Virtio => "virtio-blk-pci",
                DiskBus.Scsi => "scsi-hd",
                DiskBus.Ide => "ide-hd",
                _ => throw new ArgumentOutOfRangeException(nameof(bus)),
            },
            ["id"] = VolumeDevice(volume.AttachmentId),
            ["drive"] = VolumeNode(volume.AttachmentId),
            ["serial"] = serial[..VirtioSerialCharsMax],
            ["werror"] = "stop",
            ["rerror"] = "stop",
        };
        switch (bus)
        {
            case DiskBus.Virtio:
                device["addr"] = PciAddress(slot);
                break;
            case DiskBus.Scsi:
                device["bus"] = "scsi0.0";
                device["scsi-id"] = slot;
                break;
            default:
                device["bus"] = $"ide.{slot / 2}";
                device["unit"] = slot % 2;
                break;
        }
        if (bootOrder > 0)
        {
            device["bootindex"] = bootOrder;
        }
        return device;
    }

    /// <summary>A card on a tap that was passed under <see cref="TapDescriptor"/>.</summary>
    public static JsonObject TapNetdev(Guid portId) => new() { ["type"] = "tap", ["id"] = Netdev(portId), ["fd"] = TapDescriptor(portId) };

    /// <summary>A card on QEMU's user networking that looks like the subnet of the port: the guest gets the port's address by DHCP.</summary>
    public static JsonObject UserNetdev(PortSpec port)
    {
        var netdev = new JsonObject
        {
            ["type"] = "user",
            ["id"] = Netdev(port.Id),
            ["hostfwd"] = new JsonArray(new JsonObject { ["str"] = $"tcp:{SshForward(port.Id).Address}:{SshForward(port.Id).Port}-:22" }),
        };
        var address = port.FixedIps.FirstOrDefault(ip => ip.Ip.AddressFamily == AddressFamily.InterNetwork);
        if (address is not null)
        {
            netdev["net"] = address.Cidr;
            netdev["dhcpstart"] = address.Address;
            if (address.Gateway.Length > 0 && address.Gateway != address.Address)
            {
                netdev["host"] = address.Gateway;
                // Left alone the name server takes the third address, which may be the guest's.
                netdev["dns"] = FreeAddress(address);
            }
        }
        return netdev;
    }

    /// <summary>
    /// Where the host reaches port 22 of a guest on user networking: a loopback address made of the port's id, so that nothing has to be
    /// remembered and guests do not compete for numbers.
    /// </summary>
    public static IPEndPoint SshForward(Guid portId)
    {
        Span<byte> id = stackalloc byte[16];
        portId.TryWriteBytes(id);
        // The last bytes are random in every version of id. 127.1.x.1 to 127.254.x.254: never the address everything else listens on.
        return new IPEndPoint(new IPAddress([127, (byte)(1 + id[13] % 254), id[14], (byte)(1 + id[15] % 254)]), SshForwardPort);
    }

    public static JsonObject Card(PortSpec port, VifModel model, int slot)
    {
        var device = new JsonObject
        {
            ["driver"] = model == VifModel.E1000 ? "e1000" : "virtio-net-pci",
            ["id"] = PortDevice(port.Id),
            ["netdev"] = Netdev(port.Id),
            ["mac"] = port.MacAddress,
            ["addr"] = PciAddress(slot),
            ["romfile"] = "",
        };
        if (model == VifModel.Virtio)
        {
            device["host_mtu"] = port.Mtu;
        }
        return device;
    }

    private static string PciAddress(int slot) => $"0x{slot.ToString("x", CultureInfo.InvariantCulture)}";

    /// <summary>An address of the subnet that is neither the guest's nor the gateway's: the last but one.</summary>
    private static string FreeAddress(FixedIp address)
    {
        var network = address.Network;
        var bytes = network.BaseAddress.GetAddressBytes();
        var first = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        var last = first | (network.PrefixLength == 0 ? uint.MaxValue : (uint)((1L << (32 - network.PrefixLength)) - 1));
        for (var candidate = last - 1; candidate > first; candidate--)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, candidate);
            var text = new IPAddress(bytes).ToString();
            if (text != address.Address && text != address.Gateway)
            {
                return text;
            }
        }
        return address.Gateway;
    }

    private static bool TryId(string name, string prefix, out Guid id)
    {
        id = default;
        return name.StartsWith(prefix, StringComparison.Ordinal) && Guid.TryParseExact(name.AsSpan(prefix.Length), "N", out id);
    }
}

using Google.Protobuf;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Nodes;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Instances;

/// <summary>Writes what a node is told about an instance.</summary>
internal static class InstanceOrders
{
    /// <summary>The order that a node should have; the one it has when nothing in it changed.</summary>
    public static Order Run(Instance instance, InstanceParts parts, Node node, string zone, DateTimeOffset now) =>
        Next(parts.OrderFor(node.Id), node.Id, instance.Epoch, removes: false, SpecOf(instance, parts, zone), now);

    /// <summary>The order to get rid of an instance.</summary>
    public static Order Remove(Order order, DateTimeOffset now)
    {
        if (order.Removes)
        {
            return order;
        }
        var spec = Wire.InstanceSpec.Parser.ParseFrom(order.Spec);
        spec.DesiredState = Wire.DesiredState.Deleted;
        return Next(order, order.NodeId, order.Epoch, removes: true, spec, now);
    }

    /// <summary>The order to end the guest properly, before it leaves the node.</summary>
    public static Order Stop(Order order, DateTimeOffset now)
    {
        var spec = Wire.InstanceSpec.Parser.ParseFrom(order.Spec);
        spec.DesiredState = Wire.DesiredState.Stopped;
        return Next(order, order.NodeId, order.Epoch, removes: false, spec, now);
    }

    /// <summary>The message for the agent.</summary>
    public static Wire.InstanceSpec ToWire(this Order order)
    {
        var spec = Wire.InstanceSpec.Parser.ParseFrom(order.Spec);
        spec.Generation = order.Generation;
        return spec;
    }

    private static Order Next(Order? current, string nodeId, long epoch, bool removes, Wire.InstanceSpec spec, DateTimeOffset now)
    {
        var bytes = spec.ToByteArray();
        return current is not null && current.Epoch == epoch && current.Removes == removes && current.Spec.AsSpan().SequenceEqual(bytes)
            ? current
            : new Order(nodeId, epoch, (current?.Generation ?? 0) + 1, removes, bytes, now);
    }

    private static Wire.InstanceSpec SpecOf(Instance instance, InstanceParts parts, string zone)
    {
        var spec = new Wire.InstanceSpec
        {
            InstanceId = instance.Id,
            Name = instance.Name,
            Epoch = instance.Epoch,
            DesiredState = instance.Desired switch
            {
                DesiredState.Running => Wire.DesiredState.Running,
                DesiredState.Stopped => Wire.DesiredState.Stopped,
                DesiredState.Paused => Wire.DesiredState.Paused,
                DesiredState.Suspended => Wire.DesiredState.Suspended,
                _ => Wire.DesiredState.Deleted,
            },
            PowerGeneration = instance.PowerGeneration,
            RebootNonce = instance.RebootNonce,
            RebootType = instance.RebootKind == RebootKind.Soft ? Wire.RebootType.Soft : Wire.RebootType.Hard,
            Vcpus = instance.Flavor.Vcpus,
            MemoryMib = instance.Flavor.MemoryMib,
            ConfigDrive = instance.ConfigDrive,
            Hints = new Wire.MachineHints
            {
                DiskBus = Hint(instance, "hw_disk_bus"),
                VifModel = Hint(instance, "hw_vif_model"),
                RngModel = Hint(instance, "hw_rng_model"),
                VideoModel = Hint(instance, "hw_video_model"),
            },
            Metadata = MetadataOf(instance, zone),
        };
        var order = 0;
        foreach (var nic in instance.Nics)
        {
            if (parts.PortOf(nic) is { Details: { } details, BoundNode: not null } part)
            {
                spec.Ports.Add(PortOf(part.PortId, details, nic.Tag, order));
            }
            order++;
        }
        foreach (var disk in instance.AllDisks)
        {
            if (parts.DiskOf(disk, instance.RootNonce) is { AttachmentId: { } attachmentId } part)
            {
                spec.Volumes.Add(new Wire.VolumeSpec
                {
                    AttachmentId = attachmentId,
                    VolumeId = part.VolumeId,
                    Token = part.Token ?? "",
                    BootIndex = instance.RescueDisk is null ? disk.BootIndex : ReferenceEquals(disk, instance.RescueDisk) ? 0 : -1,
                    DeviceHint = part.Device,
                    Tag = disk.Tag ?? "",
                });
            }
        }
        return spec;
    }

    private static string Hint(Instance instance, string property) => instance.ImageProperties.GetValueOrDefault(property) ?? "";

    private static Wire.PortSpec PortOf(string portId, PortDetails details, string? tag, int order) => new()
    {
        PortId = portId,
        NetworkId = details.NetworkId,
        MacAddress = details.MacAddress,
        Mtu = details.Mtu,
        Order = order,
        Tag = tag ?? "",
        FixedIps =
        {
            details.Addresses.Select(address => new Wire.FixedIp
            {
                SubnetId = address.SubnetId,
                IpAddress = address.Address,
                Cidr = address.Cidr,
                GatewayIp = address.Gateway,
                DnsServers = { address.DnsServers },
                HostRoutes = { address.Routes.Select(route => new Wire.HostRoute { Destination = route.Destination, NextHop = route.NextHop }) },
                DhcpEnabled = address.Dhcp,
            }),
        },
    };

    private static Wire.InstanceMetadata MetadataOf(Instance instance, string zone)
    {
        var metadata = new Wire.InstanceMetadata
        {
            HostName = instance.HostName,
            ProjectId = instance.ProjectId,
            UserId = instance.UserId,
            AvailabilityZone = zone,
            UserData = instance.UserData is { } data ? ByteString.FromBase64(data) : ByteString.Empty,
            LaunchIndex = instance.LaunchIndex,
            ReservationId = instance.ReservationId,
            ImageId = instance.ImageId ?? "",
            FlavorName = instance.Flavor.Name,
            SecurityGroups = { instance.SecurityGroups.Select(group => group.Name) },
            Files = { instance.Files.Select(file => new Wire.GuestFile { Path = file.Path, Contents = ByteString.FromBase64(file.ContentsBase64) }) },
        };
        // Maps of the wire have no order of their own; sorted, the same content is the same bytes.
        foreach (var (key, value) in instance.Metadata.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            metadata.Meta.Add(key, value);
        }
        if (instance.Key is { } pair)
        {
            metadata.Keys.Add(new Wire.GuestKey
            {
                Name = pair.Name, Type = pair.Type == KeypairType.X509 ? "x509" : "ssh", PublicKey = pair.PublicKey,
            });
        }
        return metadata;
    }
}

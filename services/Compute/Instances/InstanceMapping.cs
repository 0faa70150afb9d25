using Google.Protobuf.WellKnownTypes;
using Nephos.Compute.Actions;
using Nephos.Compute.Flavors;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Instances;

internal static class InstanceMapping
{
    /// <param name="admin">The reader may know where instances run and why.</param>
    public static Wire.Instance ToWire(this InstanceDetails details, bool admin)
    {
        var (instance, parts, _, view, node, _) = details;
        var wire = new Wire.Instance
        {
            Id = instance.Id,
            ProjectId = instance.ProjectId,
            UserId = instance.UserId,
            Name = instance.Name,
            Description = instance.Description ?? "",
            Hostname = instance.HostName,
            Status = ToWire(view.Status),
            TaskState = view.TaskState ?? "",
            PowerState = view.Power switch
            {
                Power.Running => Wire.PowerState.Running,
                Power.Paused => Wire.PowerState.Paused,
                Power.Shutdown => Wire.PowerState.Shutdown,
                Power.Crashed => Wire.PowerState.Crashed,
                Power.Suspended => Wire.PowerState.Suspended,
                _ => Wire.PowerState.Unspecified,
            },
            Conditions =
            {
                view.Conditions.Select(condition => new Wire.InstanceCondition
                {
                    Name = condition.Name, Met = condition.Met, Message = condition.Message, Since = condition.Since?.ToTimestamp(),
                }),
            },
            Flavor = instance.Flavor.ToWire(),
            ImageId = instance.ImageId ?? "",
            KeyName = instance.Key?.Name ?? "",
            KeyData = instance.Key?.PublicKey ?? "",
            Metadata = { instance.Metadata.ToDictionary() },
            Tags = { instance.Tags },
            SecurityGroups = { instance.SecurityGroups.Select(group => group.Name) },
            AvailabilityZone = node?.AvailabilityZone ?? instance.AvailabilityZone ?? "",
            HypervisorName = admin ? node?.HostName ?? "" : "",
            Locked = instance.Locked,
            LockedReason = instance.LockedReason ?? "",
            ConfigDrive = instance.ConfigDrive,
            AccessIpv4 = instance.AccessIpv4,
            AccessIpv6 = instance.AccessIpv6,
            CreatedAt = instance.CreatedAt.ToTimestamp(),
            UpdatedAt = instance.UpdatedAt.ToTimestamp(),
            LaunchedAt = instance.LaunchedAt?.ToTimestamp(),
            DeletedAt = instance.DeletedAt?.ToTimestamp(),
            ReservationId = instance.ReservationId,
            LaunchIndex = instance.LaunchIndex,
            GroupId = instance.GroupId ?? "",
            Generation = instance.Generation,
            Epoch = instance.Epoch,
            AutoDiskConfig = instance.AutoDiskConfig,
            UserData = instance.UserData ?? "",
        };
        if (view.Fault is { } fault)
        {
            wire.Fault = new Wire.InstanceFault { Code = fault.Code, Message = fault.Message, Details = admin ? fault.Details : "", At = fault.At.ToTimestamp() };
        }
        if (admin)
        {
            wire.PlacementExplanation.Add(instance.PlacementNotes);
        }
        wire.Ports.Add(instance.Nics.Select(nic => ToWire(nic, parts?.PortOf(nic))));
        wire.Volumes.Add(instance.Disks.Select(disk =>
        {
            var part = parts?.DiskOf(disk, instance.RootNonce);
            return new Wire.InstanceVolume
            {
                VolumeId = InstanceService.VolumeIdOf(details, disk) ?? "",
                Device = disk.Device ?? "",
                Boot = disk.IsRoot,
                DeleteOnTermination = disk.DeleteOnTermination,
                Tag = disk.Tag ?? "",
                AttachmentId = part?.AttachmentId ?? "",
                Hidden = disk.Hidden,
                Ready = part?.AttachmentId is not null,
            };
        }));
        return wire;
    }

    public static Wire.InstanceAction ToWire(this InstanceAction action, bool admin) => new()
    {
        Action = action.Action,
        InstanceId = action.InstanceId,
        RequestId = action.RequestId,
        UserId = action.UserId,
        ProjectId = action.ProjectId,
        StartedAt = action.StartedAt.ToTimestamp(),
        UpdatedAt = (action.UpdatedAt ?? action.StartedAt).ToTimestamp(),
        Message = action.Message ?? "",
        Events =
        {
            action.Events.Select(item => new Wire.InstanceActionEvent
            {
                Name = item.Name,
                StartedAt = item.StartedAt.ToTimestamp(),
                FinishedAt = item.FinishedAt?.ToTimestamp(),
                Result = item.Result ?? "",
                Details = item.Details ?? "",
                HypervisorName = admin ? item.NodeName ?? "" : "",
            }),
        },
    };

    public static InstanceStatus? FromWire(Wire.InstanceStatus status) =>
        status == Wire.InstanceStatus.Unspecified ? null : System.Enum.Parse<InstanceStatus>(status.ToString());

    private static Wire.InstanceStatus ToWire(InstanceStatus status) => System.Enum.Parse<Wire.InstanceStatus>(status.ToString());

    private static Wire.InstancePort ToWire(Nic nic, PartPort? part)
    {
        var port = new Wire.InstancePort
        {
            PortId = part?.PortId ?? nic.PortId ?? "",
            NetworkId = nic.NetworkId,
            NetworkName = part?.Details?.NetworkName ?? "",
            MacAddress = part?.Details?.MacAddress ?? "",
            Tag = nic.Tag ?? "",
            DeleteOnTermination = nic.PortId is null,
            Ready = part?.BoundNode is not null,
        };
        foreach (var address in part?.Details?.Addresses ?? [])
        {
            port.Addresses.Add(new Wire.InstanceAddress { Address = address.Address, SubnetId = address.SubnetId, IpVersion = address.IpVersion });
            port.Addresses.Add(address.Floating.Select(floating => new Wire.InstanceAddress { Address = floating, IpVersion = 4, Floating = true }));
        }
        return port;
    }
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Nephos.Compute.Flavors;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Instances;

/// <summary>How servers look in the REST API. The keys of each microversion are exactly those that clients check for.</summary>
internal static class ServerJson
{
    /// <summary>Which answer a server is shown in; they differ in what they leave out.</summary>
    public enum Shape
    {
        /// <summary>GET of one or of a detailed list.</summary>
        Show,
        Detail,

        /// <summary>The answers to an update and to a rebuild, which were shorter up to microversion 2.74.</summary>
        Update,
        Rebuild,
    }

    private static readonly InstanceStatus[] WithProgress =
        [InstanceStatus.Active, InstanceStatus.Build, InstanceStatus.Rebuild, InstanceStatus.Resize, InstanceStatus.VerifyResize];

    public static JsonObject Basic(RestCall call, Instance instance) => new()
    {
        ["id"] = instance.Id, ["name"] = instance.Name, ["links"] = call.Links($"servers/{instance.Id}"),
    };

    public static JsonObject Full(RestCall call, InstanceDetails details, Shape shape)
    {
        var (instance, _, _, view, node, _) = details;
        var whole = shape is Shape.Show or Shape.Detail || call.From(75);
        var admin = call.Operation.IsAdmin;
        var json = new JsonObject
        {
            ["id"] = instance.Id,
            ["name"] = instance.Name,
            ["status"] = Wordings.Of(view.Status),
            ["tenant_id"] = instance.ProjectId,
            ["user_id"] = instance.UserId,
            ["metadata"] = RestParts.Map(instance.Metadata),
            ["hostId"] = HostId(instance),
            ["image"] = instance.ImageId is { } imageId
                ? new JsonObject { ["id"] = imageId, ["links"] = call.Bookmark($"images/{imageId}") }
                : "",
            ["flavor"] = call.From(47)
                ? FlavorEndpoints.Embedded(call, instance.Flavor)
                : new JsonObject { ["id"] = instance.Flavor.Id, ["links"] = call.Bookmark($"flavors/{instance.Flavor.Id}") },
            ["created"] = RestParts.Seconds(instance.CreatedAt),
            ["updated"] = RestParts.Seconds(instance.UpdatedAt),
            ["addresses"] = Addresses(details, extended: whole),
            ["accessIPv4"] = instance.AccessIpv4,
            ["accessIPv6"] = instance.AccessIpv6,
            ["links"] = call.Links($"servers/{instance.Id}"),
            ["OS-DCF:diskConfig"] = instance.AutoDiskConfig ? "AUTO" : "MANUAL",
        };
        if (view.Fault is { } fault && view.Status is InstanceStatus.Error or InstanceStatus.Deleted)
        {
            json["fault"] = FaultJson(view.Fault, admin);
        }
        if (WithProgress.Contains(view.Status))
        {
            json["progress"] = 0;
        }
        if (whole)
        {
            AddWhole(call, json, details);
            if (admin)
            {
                AddForAdministrators(call, json, details);
            }
            else if (call.From(90))
            {
                json["OS-EXT-SRV-ATTR:hostname"] = instance.HostName;
            }
            if (call.From(16) && admin)
            {
                json["host_status"] = node is null ? "" : !details.NodeUp ? "DOWN" : node.Enabled ? "UP" : "MAINTENANCE";
            }
        }
        else
        {
            if (call.From(54) && shape == Shape.Rebuild)
            {
                json["key_name"] = instance.Key?.Name;
            }
            if (call.From(57) && shape == Shape.Rebuild)
            {
                json["user_data"] = instance.UserData;
            }
        }
        if (call.From(75) && shape == Shape.Rebuild)
        {
            json["user_data"] = instance.UserData;
            json.Remove("OS-EXT-SRV-ATTR:user_data");
        }
        if (call.From(9))
        {
            json["locked"] = instance.Locked;
        }
        if (call.From(73))
        {
            json["locked_reason"] = instance.LockedReason;
        }
        if (call.From(19))
        {
            json["description"] = instance.Description;
        }
        if (call.From(26))
        {
            json["tags"] = RestParts.Texts(instance.Tags);
        }
        if (call.From(63))
        {
            json["trusted_image_certificates"] = null;
        }
        if (call.From(71) && shape != Shape.Detail)
        {
            json["server_groups"] = instance.GroupId is { } groupId ? new JsonArray(groupId) : new JsonArray();
        }
        return json;
    }

    public static JsonObject Addresses(InstanceDetails details, bool extended)
    {
        var json = new JsonObject();
        foreach (var nic in details.Instance.Nics)
        {
            if (details.Parts?.PortOf(nic)?.Details is not { } port)
            {
                continue;
            }
            if (json[port.NetworkName] is not JsonArray list)
            {
                json[port.NetworkName] = list = new JsonArray();
            }
            foreach (var address in port.Addresses)
            {
                list.Add(Address(address.Address, address.IpVersion, "fixed", port.MacAddress, extended));
                foreach (var floating in address.Floating)
                {
                    list.Add(Address(floating, 4, "floating", port.MacAddress, extended));
                }
            }
        }
        return json;
    }

    /// <summary>Names a host to its tenants without telling which it is.</summary>
    public static string HostId(Instance instance) =>
        instance.Claim is { } claim ? HostId(instance.ProjectId, claim.NodeId) : "";

    public static string HostId(string projectId, string nodeId) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{projectId}{nodeId}")))[..56];

    private static void AddWhole(RestCall call, JsonObject json, InstanceDetails details)
    {
        var (instance, _, _, view, node, _) = details;
        json["OS-EXT-AZ:availability_zone"] = node?.AvailabilityZone ?? instance.AvailabilityZone ?? "";
        json["config_drive"] = instance.ConfigDrive ? "True" : "";
        json["key_name"] = instance.Key?.Name;
        json["OS-SRV-USG:launched_at"] = RestParts.MicrosOrNull(instance.LaunchedAt ?? details.Seen?.FirstRunningAt);
        json["OS-SRV-USG:terminated_at"] = RestParts.MicrosOrNull(instance.DeletedAt);
        json["OS-EXT-STS:task_state"] = view.TaskState;
        json["OS-EXT-STS:vm_state"] = Wordings.Of(view.VmState);
        json["OS-EXT-STS:power_state"] = (int)view.Power;
        json["os-extended-volumes:volumes_attached"] = RestParts.Array(Volumes(details).Select(item =>
        {
            var volume = new JsonObject { ["id"] = item.VolumeId };
            if (call.From(3))
            {
                volume["delete_on_termination"] = item.Disk.DeleteOnTermination;
            }
            return volume;
        }));
        if (instance.SecurityGroups.Count > 0)
        {
            json["security_groups"] = RestParts.Array(instance.SecurityGroups.Select(group => new JsonObject { ["name"] = group.Name }));
        }
    }

    private static void AddForAdministrators(RestCall call, JsonObject json, InstanceDetails details)
    {
        var (instance, _, _, _, node, _) = details;
        json["OS-EXT-SRV-ATTR:host"] = node?.HostName;
        json["OS-EXT-SRV-ATTR:instance_name"] = $"instance-{instance.Id[..8]}";
        json["OS-EXT-SRV-ATTR:hypervisor_hostname"] = node?.HostName;
        if (call.From(3))
        {
            json["OS-EXT-SRV-ATTR:reservation_id"] = instance.ReservationId;
            json["OS-EXT-SRV-ATTR:launch_index"] = instance.LaunchIndex;
            json["OS-EXT-SRV-ATTR:hostname"] = instance.HostName;
            json["OS-EXT-SRV-ATTR:kernel_id"] = "";
            json["OS-EXT-SRV-ATTR:ramdisk_id"] = "";
            json["OS-EXT-SRV-ATTR:root_device_name"] = instance.Disks.FirstOrDefault(disk => disk.IsRoot)?.Device;
            json["OS-EXT-SRV-ATTR:user_data"] = instance.UserData;
        }
    }

    /// <summary>The volumes that users know of.</summary>
    public static IEnumerable<(Disk Disk, string VolumeId)> Volumes(InstanceDetails details)
    {
        foreach (var disk in details.Instance.Disks.Where(disk => !disk.Hidden))
        {
            if (InstanceService.VolumeIdOf(details, disk) is { } volumeId)
            {
                yield return (disk, volumeId);
            }
        }
    }

    private static JsonObject FaultJson(Fault fault, bool admin)
    {
        var json = new JsonObject { ["code"] = fault.Code, ["created"] = RestParts.Seconds(fault.At), ["message"] = fault.Message };
        if (admin && fault.Details.Length > 0)
        {
            json["details"] = fault.Details;
        }
        return json;
    }

    private static JsonObject Address(string address, int version, string type, string mac, bool extended)
    {
        var json = new JsonObject { ["version"] = version, ["addr"] = address };
        if (extended)
        {
            json["OS-EXT-IPS:type"] = type;
            json["OS-EXT-IPS-MAC:mac_addr"] = mac;
        }
        return json;
    }
}

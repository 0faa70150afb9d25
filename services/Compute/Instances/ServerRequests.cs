using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Nephos.Compute.Groups;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Instances;

/// <summary>Reads the request to create a server, which has grown with the microversions.</summary>
internal static class ServerRequests
{
    private const int CountMax = 10_000;
    private const int PasswordChars = 12;
    private const int HintServersMax = 100;

    public static InstanceWish ToWish(RestCall call, JsonObject body, out string password, out bool reservationOnly)
    {
        foreach (var (key, _) in body)
        {
            if (key is not ("server" or "os:scheduler_hints" or "OS-SCH-HNT:scheduler_hints"))
            {
                throw ComputeFaults.Refers(key, $"Additional properties are not allowed ('{(key.Length > 64 ? key[..64] : key)}' was unexpected)");
            }
        }
        var fields = Fields.Root(body, "server").Only(Names(call));
        password = fields.Text("adminPass") ?? NewPassword();
        reservationOnly = fields.Bool("return_reservation_id") ?? false;
        var hints = Hints(body);
        var (nics, noNetwork, autoNetwork) = Networks(call, fields);
        var min = fields.Integer("min_count", 1, CountMax);
        var max = fields.Integer("max_count", 1, CountMax);
        return new InstanceWish
        {
            Name = fields.Required("name"),
            Description = fields.TextOrNull("description"),
            HostName = fields.Text("hostname"),
            FlavorId = fields.TextOrNumber("flavorRef"),
            ImageId = ImageOf(fields.Text("imageRef")),
            Nics = nics,
            NoNetwork = noNetwork,
            AutoNetwork = autoNetwork,
            Disks = [.. (fields.Objects("block_device_mapping_v2") ?? []).Select(device => Disk(call, device)), .. Legacy(fields)],
            UserData = fields.TextOrNull("user_data"),
            Files = [.. (fields.Objects("personality") ?? []).Select(file => new InjectedFile(file.Required("path"), file.Required("contents")))],
            ConfigDrive = fields.IsText("config_drive") && fields.Text("config_drive") == "" ? false : fields.Bool("config_drive") ?? false,
            KeyName = KeyName(fields),
            Metadata = fields.Map("metadata") ?? new Dictionary<string, string>(),
            Tags = fields.Texts("tags") ?? [],
            SecurityGroups = [.. (fields.Objects("security_groups") ?? []).Select(group => group.Only("name").Required("name"))],
            AvailabilityZone = AvailabilityZone(call, fields),
            Hints = hints,
            MinCount = (int)(min ?? 1),
            MaxCount = (int)(max ?? min ?? 1),
            AccessIpv4 = fields.Text("accessIPv4") ?? "",
            AccessIpv6 = fields.Text("accessIPv6") ?? "",
            AutoDiskConfig = DiskConfig(fields) ?? false,
        };
    }

    public static string NewPassword() => RandomNumberGenerator.GetString("23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", PasswordChars);

    public static bool? DiskConfig(Fields fields) => fields.Text("OS-DCF:diskConfig") switch
    {
        null => null,
        "AUTO" => true,
        "MANUAL" => false,
        var other => throw ComputeFaults.Refers("OS-DCF:diskConfig", $"Invalid input for field/attribute OS-DCF:diskConfig. Value: {other}. '{other}' is not one of ['AUTO', 'MANUAL']"),
    };

    /// <summary>An image may be named by its id or by a link to it.</summary>
    public static string? ImageOf(string? reference) => string.IsNullOrEmpty(reference) ? null : reference[(reference.LastIndexOf('/') + 1)..];

    public static NicWish Nic(RestCall call, Fields nic)
    {
        nic.Only(call.From(32) ? ["uuid", "port", "fixed_ip", "tag"] : ["uuid", "port", "fixed_ip"]);
        var port = nic.TextOrNull("port");
        var network = nic.TextOrNull("uuid");
        if (port is null && network is null)
        {
            throw ComputeFaults.Refers("networks", "Bad network format: missing 'uuid'");
        }
        if (network is not null && port is null && !Kernel.Ids.IsUuid(network))
        {
            throw ComputeFaults.Refers("uuid", $"Invalid input for field/attribute uuid. Value: {(network.Length > 64 ? network[..64] : network)}. It is not a 'uuid'");
        }
        var fixedIp = nic.Text("fixed_ip");
        if (fixedIp is not null && !IPAddress.TryParse(fixedIp, out _))
        {
            throw ComputeFaults.Refers("fixed_ip", $"Invalid input for field/attribute fixed_ip. Value: {(fixedIp.Length > 64 ? fixedIp[..64] : fixedIp)}. It is not an IP address");
        }
        if (port is not null && fixedIp is not null)
        {
            throw ComputeFaults.Refers("networks", "Specified Fixed IP cannot be used with a port: the two exclude each other.");
        }
        return new NicWish(port, port is null ? network : null, fixedIp, nic.Text("tag"));
    }

    private static string[] Names(RestCall call)
    {
        List<string> names =
        [
            "name", "imageRef", "flavorRef", "adminPass", "metadata", "networks", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6", "availability_zone",
            "block_device_mapping", "block_device_mapping_v2", "config_drive", "key_name", "min_count", "max_count", "return_reservation_id",
            "security_groups", "user_data",
        ];
        if (!call.From(57))
        {
            names.Add("personality");
        }
        if (call.From(19))
        {
            names.Add("description");
        }
        if (call.From(52))
        {
            names.Add("tags");
        }
        if (call.From(74))
        {
            names.AddRange(["host", "hypervisor_hostname"]);
        }
        if (call.From(90))
        {
            names.Add("hostname");
        }
        return [.. names];
    }

    private static string? KeyName(Fields fields) => fields.Has("key_name") && !fields.IsNull("key_name")
        ? fields.Text("key_name") is { Length: > 0 } name ? name : throw ComputeFaults.Refers("key_name", "Invalid input for field/attribute key_name. Value: . '' is too short")
        : null;

    private static string? AvailabilityZone(RestCall call, Fields fields)
    {
        var zone = fields.TextOrNull("availability_zone");
        var host = call.From(74) ? fields.Text("host") ?? fields.Text("hypervisor_hostname") : null;
        return host is null ? zone : $"{zone}:{host}";
    }

    private static PlaceHints? Hints(JsonObject body)
    {
        foreach (var name in new[] { "os:scheduler_hints", "OS-SCH-HNT:scheduler_hints" })
        {
            if (body[name] is JsonObject { Count: > 0 } json)
            {
                var hints = new Fields(json);
                foreach (var unknown in hints.Names.Where(hint => hint is "query" or "build_near_host_ip" or "cidr" or "target_cell" or "different_cell"))
                {
                    // To leave out a wish about the place would look like having followed it.
                    throw ComputeFaults.Refers(unknown, $"The scheduler hint '{unknown}' is not supported by this cloud.");
                }
                var group = hints.TextOrNull("group");
                return new PlaceHints(group is null || Kernel.Ids.IsUuid(group) ? group : throw NotUuid("group", group), Servers(hints, "same_host"), Servers(hints, "different_host"));
            }
        }
        return null;
    }

    private static IReadOnlyList<string> Servers(Fields hints, string name)
    {
        var ids = hints.IsText(name) ? [hints.Required(name)] : hints.Texts(name) ?? [];
        return ids.Count > HintServersMax ? throw Faults.Invalid(name, $"at most {HintServersMax} servers")
            : ids.FirstOrDefault(id => !Kernel.Ids.IsUuid(id)) is { } wrong ? throw NotUuid(name, wrong) : ids;
    }

    private static FaultException NotUuid(string name, string value) =>
        ComputeFaults.Refers(name, $"Invalid input for field/attribute {name}. Value: {(value.Length > 64 ? value[..64] : value)}. It is not a 'uuid'");

    private static (IReadOnlyList<NicWish> Nics, bool None, bool Auto) Networks(RestCall call, Fields fields)
    {
        if (call.From(37))
        {
            if (!fields.Has("networks"))
            {
                throw ComputeFaults.Refers("networks", "Invalid input for field/attribute server. 'networks' is a required property");
            }
            if (fields.IsText("networks"))
            {
                return fields.Text("networks") switch
                {
                    "none" => ([], true, false),
                    "auto" => ([], false, true),
                    var other => throw ComputeFaults.Refers("networks", $"Invalid input for field/attribute networks. Value: {other}. It is not one of 'none', 'auto'"),
                };
            }
        }
        return ([.. (fields.Objects("networks") ?? []).Select(nic => Nic(call, nic))], false, false);
    }

    private static DiskWish Disk(RestCall call, Fields device)
    {
        List<string> names =
        [
            "virtual_name", "volume_id", "snapshot_id", "volume_size", "device_name", "delete_on_termination", "no_device", "source_type", "uuid",
            "image_id", "destination_type", "guest_format", "device_type", "disk_bus", "boot_index", "connection_info",
        ];
        if (call.From(32))
        {
            names.Add("tag");
        }
        if (call.From(67))
        {
            names.Add("volume_type");
        }
        device.Only([.. names]);
        var source = device.Text("source_type") switch
        {
            "volume" => DiskSource.Volume,
            "snapshot" => DiskSource.Snapshot,
            "image" => DiskSource.Image,
            "blank" => DiskSource.Blank,
            _ => throw ComputeFaults.Refers("source_type", "Block Device Mapping is Invalid: source_type must be one of volume, image, snapshot, blank"),
        };
        var destination = device.TextOrNull("destination_type");
        if (destination is not (null or "local" or "volume"))
        {
            throw ComputeFaults.Refers("destination_type", "Block Device Mapping is Invalid: destination_type must be local or volume");
        }
        var local = destination == "local" || (destination is null && source is DiskSource.Image or DiskSource.Blank);
        if (local && source is DiskSource.Volume or DiskSource.Snapshot)
        {
            throw ComputeFaults.Refers("destination_type", "Block Device Mapping is Invalid: a volume or snapshot cannot be mapped to a local disk");
        }
        var bootIndex = device.IsNull("boot_index") || (device.IsText("boot_index") && device.Text("boot_index") is "None" or "none") ? null : device.Integer("boot_index", -1, 100);
        var size = device.IsText("volume_size") && device.Text("volume_size") == "" ? null : device.Integer("volume_size", 1, int.MaxValue);
        return new DiskWish(
            source, device.TextOrNull("uuid") ?? device.TextOrNull("volume_id") ?? device.TextOrNull("snapshot_id") ?? device.TextOrNull("image_id"), local,
            (int?)bootIndex, size, device.Bool("delete_on_termination") ?? local, device.TextOrNull("device_name"), device.TextOrNull("volume_type"),
            device.Text("tag"), Swap: device.TextOrNull("guest_format") == "swap");
    }

    /// <summary>The form of before: volumes and snapshots by device name; the first is booted when there is no image.</summary>
    private static IEnumerable<DiskWish> Legacy(Fields fields)
    {
        if (fields.Objects("block_device_mapping") is not { } devices)
        {
            yield break;
        }
        if (fields.Has("block_device_mapping_v2"))
        {
            throw ComputeFaults.Refers("block_device_mapping", "Using different block_device_mapping syntaxes is not allowed in the same request.");
        }
        var boots = string.IsNullOrEmpty(fields.Text("imageRef"));
        foreach (var device in devices)
        {
            var volumeId = device.TextOrNull("volume_id");
            var snapshotId = device.TextOrNull("snapshot_id");
            yield return new DiskWish(
                volumeId is not null ? DiskSource.Volume : snapshotId is not null ? DiskSource.Snapshot : throw Faults.Invalid("block_device_mapping", "needs volume_id or snapshot_id"),
                volumeId ?? snapshotId, Local: false, boots ? 0 : -1, device.Integer("volume_size", 1, int.MaxValue),
                device.Bool("delete_on_termination") ?? false, device.TextOrNull("device_name"), null, null, Swap: false);
            boots = false;
        }
    }
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Metadata;

/// <summary>What a guest can read about itself, by path: the same documents on the config drive and from the metadata service.</summary>
/// <remarks>Paths as cloud-init and the EC2 tools ask for them (OpenStack user guide, "Metadata"; EC2 instance metadata categories).
/// Passwords are never among them.</remarks>
internal static class GuestDocuments
{
    /// <summary>Versions of the OpenStack tree that guests look for; the content does not depend on it, newer keys are ignored by old guests.</summary>
    public static readonly string[] OpenStackVersions =
    [
        "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27", "2020-10-14", "latest",
    ];

    public static readonly string[] Ec2Versions =
    [
        "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "latest",
    ];

    private const int RandomSeedBytes = 512;
    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Files of one version folder of the OpenStack tree.</summary>
    public static IReadOnlyDictionary<string, byte[]> OpenStack(InstanceSpec spec)
    {
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal)
        {
            ["meta_data.json"] = Json(MetaData(spec)),
            ["network_data.json"] = Json(NetworkData.Build(spec)),
            ["vendor_data.json"] = spec.Metadata.VendorData.Length > 0 ? spec.Metadata.VendorData : "{}"u8.ToArray(),
            ["vendor_data2.json"] = "{}"u8.ToArray(),
        };
        if (spec.Metadata.UserData.Length > 0)
        {
            files["user_data"] = spec.Metadata.UserData;
        }
        return files;
    }

    /// <summary>Files that meta_data.json names by content_path, by their name below openstack/content.</summary>
    public static IReadOnlyList<byte[]> Contents(InstanceSpec spec) => [.. spec.Metadata.Files.Select(file => file.Contents)];

    public static string ContentName(int index) => index.ToString("D4", CultureInfo.InvariantCulture);

    /// <summary>The EC2 tree below a version: leaves by path, without a leading slash.</summary>
    public static IReadOnlyDictionary<string, byte[]> Ec2(InstanceSpec spec)
    {
        var metadata = spec.Metadata;
        var host = FullHostName(spec);
        var address = spec.Ports.SelectMany(port => port.FixedIps).FirstOrDefault()?.Address ?? "";
        var leaves = new SortedDictionary<string, byte[]>(StringComparer.Ordinal)
        {
            ["meta-data/ami-id"] = Text(metadata.ImageId),
            ["meta-data/ami-launch-index"] = Text(metadata.LaunchIndex.ToString(CultureInfo.InvariantCulture)),
            ["meta-data/block-device-mapping/ami"] = Text("vda"),
            ["meta-data/block-device-mapping/root"] = Text("/dev/vda"),
            ["meta-data/hostname"] = Text(host),
            ["meta-data/instance-action"] = Text("none"),
            ["meta-data/instance-id"] = Text(Ec2Id(spec)),
            ["meta-data/instance-type"] = Text(metadata.FlavorName),
            ["meta-data/local-hostname"] = Text(host),
            ["meta-data/local-ipv4"] = Text(address),
            ["meta-data/placement/availability-zone"] = Text(metadata.AvailabilityZone),
            ["meta-data/public-hostname"] = Text(host),
            ["meta-data/reservation-id"] = Text(metadata.ReservationId),
            ["meta-data/security-groups"] = Text(string.Join('\n', metadata.SecurityGroups)),
        };
        for (var index = 0; index < metadata.Keys.Count; index++)
        {
            leaves[$"meta-data/public-keys/{index}/openssh-key"] = Text(metadata.Keys[index].PublicKey);
        }
        if (metadata.UserData.Length > 0)
        {
            leaves["user-data"] = metadata.UserData;
        }
        return leaves;
    }

    private static JsonObject MetaData(InstanceSpec spec)
    {
        var metadata = spec.Metadata;
        var document = new JsonObject
        {
            ["uuid"] = spec.Id.ToString(),
            ["name"] = spec.Name,
            ["hostname"] = FullHostName(spec),
            ["launch_index"] = metadata.LaunchIndex,
            ["availability_zone"] = metadata.AvailabilityZone,
            ["project_id"] = metadata.ProjectId,
            ["random_seed"] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(RandomSeedBytes)),
            ["devices"] = Devices(spec),
            ["dedicated_cpus"] = new JsonArray(),
        };
        if (metadata.Meta.Count > 0)
        {
            document["meta"] = new JsonObject(metadata.Meta.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)pair.Value)));
        }
        if (metadata.Keys.Count > 0)
        {
            document["public_keys"] = new JsonObject(
                metadata.Keys.DistinctBy(key => key.Name).Select(key => KeyValuePair.Create(key.Name, (JsonNode?)key.PublicKey)));
            document["keys"] = new JsonArray([.. metadata.Keys.Select(key =>
                new JsonObject { ["name"] = key.Name, ["type"] = key.Type, ["data"] = key.PublicKey })]);
        }
        if (metadata.Files.Count > 0)
        {
            document["files"] = new JsonArray([.. metadata.Files.Select((file, index) =>
                new JsonObject { ["content_path"] = $"/content/{ContentName(index)}", ["path"] = file.Path })]);
        }
        return document;
    }

    /// <summary>Devices with a tag, so that a guest can tell its disks and cards apart.</summary>
    private static JsonArray Devices(InstanceSpec spec) =>
    [
        .. spec.Ports.Where(port => port.Tag.Length > 0).Select(port => new JsonObject
        {
            ["type"] = "nic", ["bus"] = "none", ["address"] = "none", ["mac"] = port.MacAddress, ["tags"] = new JsonArray(port.Tag),
        }),
        .. spec.Volumes.Where(volume => volume.Tag.Length > 0).Select(volume => new JsonObject
        {
            ["type"] = "disk", ["bus"] = "none", ["address"] = "none", ["serial"] = volume.VolumeId.ToString(), ["tags"] = new JsonArray(volume.Tag),
        }),
    ];

    private static string FullHostName(InstanceSpec spec) => spec.Metadata.HostName.Length > 0 ? spec.Metadata.HostName : spec.Name;

    /// <summary>EC2 ids are short; ours is the beginning of the UUID.</summary>
    private static string Ec2Id(InstanceSpec spec) => $"i-{spec.Id.ToString("N")[..8]}";

    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    private static byte[] Json(JsonNode node) => JsonSerializer.SerializeToUtf8Bytes(node, Compact);
}

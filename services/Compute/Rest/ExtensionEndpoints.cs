using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Rest;

/// <summary>The parts of the API that are served here, under the names that clients look for.</summary>
internal static class ExtensionEndpoints
{
    private const string Updated = "2014-12-03T00:00:00Z";

    private static readonly (string Alias, string Name)[] Served =
    [
        ("OS-DCF", "DiskConfig"), ("OS-EXT-AZ", "ExtendedAvailabilityZone"), ("OS-EXT-IMG-SIZE", "ImageSize"), ("OS-EXT-IPS", "ExtendedIps"),
        ("OS-EXT-IPS-MAC", "ExtendedIpsMac"), ("OS-EXT-SRV-ATTR", "ExtendedServerAttributes"), ("OS-EXT-STS", "ExtendedStatus"),
        ("OS-FLV-DISABLED", "FlavorDisabled"), ("OS-FLV-EXT-DATA", "FlavorExtraData"), ("OS-SRV-USG", "ServerUsage"),
        ("flavors", "Flavors"), ("images", "Images"), ("image-size", "ImageSize"), ("ips", "Ips"), ("limits", "Limits"),
        ("os-aggregates", "Aggregates"), ("os-attach-interfaces", "AttachInterfaces"), ("os-availability-zone", "AvailabilityZone"),
        ("os-config-drive", "ConfigDrive"), ("os-console-output", "ConsoleOutput"),
        ("os-extended-volumes", "ExtendedVolumes"), ("os-flavor-access", "FlavorAccess"), ("os-flavor-extra-specs", "FlavorExtraSpecs"),
        ("os-flavor-manage", "FlavorManage"), ("os-flavor-rxtx", "FlavorRxtx"), ("os-floating-ips", "FloatingIps"), ("os-hosts", "Hosts"), ("os-hypervisors", "Hypervisors"),
        ("os-instance-actions", "InstanceActions"), ("os-keypairs", "Keypairs"), ("os-lock-server", "LockServer"),
        ("os-multiple-create", "MultipleCreate"), ("os-pause-server", "PauseServer"), ("os-quota-sets", "Quotas"),
        ("os-networks", "Networks"),
        ("os-security-groups", "SecurityGroups"), ("os-server-diagnostics", "ServerDiagnostics"), ("os-server-external-events", "ServerExternalEvents"),
        ("os-server-password", "ServerPassword"), ("os-server-groups", "ServerGroups"), ("os-services", "Services"), ("os-simple-tenant-usage", "SimpleTenantUsage"), ("os-shelve", "Shelve"), ("os-suspend-server", "SuspendServer"),
        ("os-user-data", "UserData"), ("os-volumes", "Volumes"), ("os-tenant-networks", "TenantNetworks"), ("image-metadata", "ImageMetadata"), ("server-metadata", "ServerMetadata"), ("servers", "Servers"), ("versions", "Versions"),
    ];

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/extensions", _ => Task.FromResult(RestResult.Json(200, new JsonObject
        {
            ["extensions"] = RestParts.Array(Served.Select(Json)),
        })));
        rest.Get(root + "/extensions/{alias}", call =>
        {
            var found = Served.FirstOrDefault(item => item.Alias == call.Route("alias"));
            return found.Alias is null
                ? throw new FaultException(ErrorReason.NotFound, "The resource could not be found.")
                : Task.FromResult(RestResult.Json(200, new JsonObject { ["extension"] = Json(found) }));
        });
    }

    private static JsonObject Json((string Alias, string Name) item) => new()
    {
        ["alias"] = item.Alias,
        ["name"] = item.Name,
        ["description"] = $"{item.Name} of the compute API.",
        ["updated"] = Updated,
        ["namespace"] = "http://docs.openstack.org/compute/ext/fake_xml",
        ["links"] = new JsonArray(),
    };
}

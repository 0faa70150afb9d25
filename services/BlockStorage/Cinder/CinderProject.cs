using System.Text.Json.Nodes;
using Nephos.BlockStorage.Devices;
using Nephos.Hosting;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>What the operator runs.</summary>
internal sealed class CinderProject(
    IBlockDevices devices, BlockStorageOptions options, NephosOptions nephos, TimeProvider time)
{
    private static readonly (string Name, string Alias, string Description, string Updated)[] Extensions =
    [
        ("VolumeImageMetadata", "os-vol-image-meta", "Show image metadata associated with the volume.", "2012-12-07T00:00:00+00:00"),
        ("UsedLimits", "os-used-limits", "Provide data on limited resources that are being used.", "2013-10-03T00:00:00+00:00"),
        ("AdminActions", "os-admin-actions", "Enable admin actions.", "2012-08-25T00:00:00+00:00"),
        ("TypesExtraSpecs", "os-types-extra-specs", "Type extra specs support.", "2011-08-24T00:00:00+00:00"),
        ("Quotas", "os-quota-sets", "Quota management support.", "2011-08-08T00:00:00+00:00"),
        ("VolumeActions", "os-volume-actions", "Enable volume actions.", "2012-05-31T00:00:00+00:00"),
        ("AvailabilityZones", "os-availability-zone", "Describe Availability Zones.", "2013-06-27T00:00:00+00:00"),
        ("Services", "os-services", "Services support.", "2012-10-28T00:00:00-00:00"),
        ("Hosts", "os-hosts", "Admin-only host administration.", "2011-06-29T00:00:00+00:00"),
        ("TypesManage", "os-types-manage", "Types manage support.", "2011-08-24T00:00:00+00:00"),
        ("ExtendedSnapshotAttributes", "os-extended-snapshot-attributes", "Extended SnapshotAttributes support.", "2012-06-19T00:00:00+00:00"),
        ("VolumeHostAttribute", "os-vol-host-attr", "Expose host as an attribute of a volume.", "2011-11-03T00:00:00+00:00"),
        ("VolumeTenantAttribute", "os-vol-tenant-attr", "Expose the internal project_id as an attribute of a volume.", "2011-11-03T00:00:00+00:00"),
        ("Scheduler_stats", "scheduler-stats", "Scheduler stats support.", "2014-09-07T00:00:00+00:00"),
    ];

    public void Map(CinderRoutes routes)
    {
        routes.Get("/extensions", _ => Task.FromResult(ListExtensions()));
        routes.Get("/os-availability-zone", _ => Task.FromResult(ListZones()));
        routes.Get("/os-services", ServicesAsync);
        routes.Get("/os-hosts", HostsAsync);
        routes.Get("/scheduler-stats/get_pools", PoolsAsync);
        routes.Get("/capabilities/{host}", CapabilitiesAsync);
    }

    private static RestResult ListExtensions() => RestResult.Json(200, new JsonObject
    {
        ["extensions"] = new JsonArray([.. Extensions.Select(extension => new JsonObject
        {
            ["name"] = extension.Name,
            ["alias"] = extension.Alias,
            ["description"] = extension.Description,
            ["updated"] = extension.Updated,
            ["links"] = new JsonArray(),
        })]),
    });

    private RestResult ListZones() => RestResult.Json(200, new JsonObject
    {
        ["availabilityZoneInfo"] = new JsonArray(
            new JsonObject { ["zoneName"] = options.AvailabilityZone, ["zoneState"] = new JsonObject { ["available"] = true } }),
    });

    private async Task<RestResult> ServicesAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:services:index");
        var now = CinderViews.Time(time.GetUtcNow());
        var services = new JsonArray(Service("cinder-scheduler", nephos.NodeName, up: true));
        foreach (var device in await ListDevicesAsync(call)) services.Add((JsonNode)Service("cinder-volume", $"{device.Id}@nephos", !device.Failed));
        var (host, binary) = (call.Query("host"), call.Query("binary"));
        var wanted = services.Where(service =>
            (binary is null || (string?)service!["binary"] == binary) &&
            (host is null || (string?)service!["host"] is { } name && (name == host || name.Split('@')[0] == host)));
        return RestResult.Json(200, new JsonObject { ["services"] = new JsonArray([.. wanted.Select(service => service!.DeepClone())]) });

        JsonObject Service(string binary, string host, bool up) => new()
        {
            ["binary"] = binary,
            ["host"] = host,
            ["zone"] = options.AvailabilityZone,
            ["status"] = "enabled",
            ["state"] = up ? "up" : "down",
            ["updated_at"] = now,
            ["disabled_reason"] = null,
        };
    }

    private async Task<RestResult> HostsAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:hosts");
        var now = CinderViews.Time(time.GetUtcNow());
        var hosts = new JsonArray(new JsonObject
        {
            ["service-status"] = "available",
            ["service"] = "cinder-scheduler",
            ["zone"] = options.AvailabilityZone,
            ["service-state"] = "enabled",
            ["host_name"] = nephos.NodeName,
            ["last-update"] = now,
        });
        foreach (var device in await ListDevicesAsync(call))
        {
            hosts.Add((JsonNode)new JsonObject
            {
                ["service-status"] = device.Failed ? "unavailable" : "available",
                ["service"] = "cinder-volume",
                ["zone"] = options.AvailabilityZone,
                ["service-state"] = "enabled",
                ["host_name"] = $"{device.Id}@nephos",
                ["last-update"] = now,
            });
        }
        return RestResult.Json(200, new JsonObject { ["hosts"] = hosts });
    }

    private async Task<IReadOnlyList<BlockDevice>> ListDevicesAsync(RestCall call)
    {
        try
        {
            return await devices.ListAsync(call.Cancelled);
        }
        catch (FaultException fault) when (fault.Rule.Code == Protos.Errors.V1.Code.Unavailable)
        {
            return [];
        }
    }

    private const string Protocol = "nbd", Vendor = "Open Source", Backend = "nephos", DriverVersion = "1.0.0";

    private async Task<RestResult> CapabilitiesAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:capabilities");
        var host = call.Route("host");
        if (!(await ListDevicesAsync(call)).Any(device => $"{device.Id}@nephos" == host.Split('#')[0])) throw Faults.NotFound("Host", host);
        return RestResult.Json(200, new JsonObject
        {
            ["namespace"] = $"OS::Storage::Capabilities::{host}",
            ["vendor_name"] = Vendor,
            ["volume_backend_name"] = Backend,
            ["pool_name"] = null,
            ["driver_version"] = DriverVersion,
            ["storage_protocol"] = Protocol,
            ["display_name"] = null,
            ["description"] = null,
            ["visibility"] = null,
            ["replication_targets"] = new JsonArray(),
            ["properties"] = new JsonObject(),
        });
    }

    private async Task<RestResult> PoolsAsync(RestCall call)
    {
        call.Operation.RequireAdmin("scheduler_extension:scheduler_stats:get_pools");
        var detail = CinderInput.QueryFlag(call, "detail") == true;
        var pools = new JsonArray();
        foreach (var device in await ListDevicesAsync(call))
        {
            var pool = new JsonObject { ["name"] = $"{device.Id}@nephos#pool" };
            if (detail)
            {
                pool["capabilities"] = new JsonObject
                {
                    ["total_capacity_gb"] = device.CapacityBytes >> 30,
                    ["free_capacity_gb"] = device.FreeBytes >> 30,
                    ["storage_protocol"] = Protocol,
                    ["vendor_name"] = Vendor,
                    ["volume_backend_name"] = Backend,
                    ["driver_version"] = DriverVersion,
                    ["reserved_percentage"] = 0,
                    ["QoS_support"] = true,
                    ["thin_provisioning_support"] = true,
                };
            }
            pools.Add((JsonNode)pool);
        }
        return RestResult.Json(200, new JsonObject { ["pools"] = pools });
    }
}

using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>What this API offers: extensions, zones, filters of lists.</summary>
internal sealed class CinderOffers(BlockStorageOptions options)
{
    private static readonly Microversion Filters = new(3, 33);

    // What the lists of each resource can be narrowed by.
    private static readonly (string Resource, string[] Filters)[] ListFiltersOf =
    [
        ("volume", ["name", "status", "metadata", "bootable", "availability_zone", "volume_type", "size"]),
        ("snapshot", ["name", "status", "volume_id"]),
        ("backup", ["name", "status", "volume_id"]),
        ("attachment", ["volume_id", "instance_id"]),
        ("group", ["name", "status"]),
        ("group_snapshot", ["status", "group_id"]),
        ("message", ["resource_type", "resource_uuid", "event_id", "request_id", "message_level"]),
    ];

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
        routes.Get("/resource_filters", call => Task.FromResult(ListFilters(call)));
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

    private static RestResult ListFilters(RestCall call)
    {
        if (call.Version < Filters) throw Faults.NotFound("Resource", call.Http.Request.Path);
        var wanted = ListFiltersOf.Where(entry => call.Query("resource") is not { } resource || entry.Resource == resource);
        return RestResult.Json(200, new JsonObject
        {
            ["resource_filters"] = new JsonArray([.. wanted.Select(entry => new JsonObject
            {
                ["resource"] = entry.Resource, ["filters"] = new JsonArray([.. entry.Filters.Select(filter => (JsonNode)filter)]),
            })]),
        });
    }
}

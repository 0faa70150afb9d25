using System.Text.Json.Nodes;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Operators;
using Nephos.BlockStorage.Snapshots;
using Nephos.BlockStorage.Volumes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Cinder;

/// <summary>What the operator runs, over REST.</summary>
internal sealed class CinderOperators(
    OperatorService operators, TableCache<Volume> volumes, TableCache<Snapshot> snapshots, BlockStorageOptions options, TimeProvider time)
{
    private static readonly Microversion Clusters = new(3, 7);

    public void Map(CinderRoutes routes)
    {
        routes.Get("/os-services", ListServicesAsync);
        routes.Put("/os-services/{action}", ActAsync);
        routes.Get("/os-hosts", ListHostsAsync);
        routes.Get("/os-hosts/{host}", ShowHostAsync);
        routes.Get("/clusters", call => Task.FromResult(ListClusters(call, "clusters")));
        routes.Get("/clusters/detail", call => Task.FromResult(ListClusters(call, "clusters")));
        routes.Get("/scheduler-stats/get_pools", ListPoolsAsync);
        routes.Get("/capabilities/{host}", ShowCapabilitiesAsync);
    }

    private async Task<RestResult> ListServicesAsync(RestCall call)
    {
        var (host, binary) = (call.Query("host"), call.Query("binary"));
        var services = (await operators.ListAsync(call.Operation, call.Cancelled))
            .Where(service => binary is null || service.Binary == binary)
            .Where(service => host is null || service.Host == host || service.Host.Split('@')[0] == host);
        return RestResult.Json(200, new JsonObject
        {
            ["services"] = new JsonArray([.. services.Select(service => new JsonObject
            {
                ["binary"] = service.Binary,
                ["host"] = service.Host,
                ["zone"] = options.AvailabilityZone,
                ["status"] = service.State.Disabled ? "disabled" : "enabled",
                ["state"] = service.Up ? "up" : "down",
                ["updated_at"] = Now(),
                ["disabled_reason"] = service.State.DisabledReason,
            })]),
        });
    }

    private string? Now() => CinderViews.Time(time.GetUtcNow());

    private async Task<RestResult> ActAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:services:update");
        var body = await call.ReadJsonAsync();
        var action = call.Route("action");
        switch (action)
        {
            case "enable":
                return await SwitchAsync(call, body, disabled: false, reason: null, withReason: true);
            case "disable":
                return await SwitchAsync(call, body, disabled: true, reason: null, withReason: false);
            case "disable-log-reason":
                var reason = CinderInput.Text(body, "disabled_reason") ?? throw Faults.Invalid("disabled_reason", "is required");
                return await SwitchAsync(call, body, disabled: true, reason, withReason: true);
            case "freeze" or "thaw":
                await operators.FreezeAsync(call.Operation, CinderInput.Text(body, "host") ?? "", frozen: action == "freeze", call.Cancelled);
                return RestResult.Empty(200);
            default:
                throw Faults.NotFound("Resource", call.Http.Request.Path);
        }
    }

    private async Task<RestResult> SwitchAsync(RestCall call, JsonObject body, bool disabled, string? reason, bool withReason)
    {
        var binary = CinderInput.Text(body, "binary") ?? CinderInput.Text(body, "service");
        var host = CinderInput.Text(body, "host") ?? throw Faults.Invalid("host", "is required");
        var service = await operators.SwitchAsync(call.Operation, binary, host, disabled, reason, call.Cancelled);
        var answer = new JsonObject
        {
            ["host"] = service.Host,
            ["service"] = service.Binary,
            ["binary"] = service.Binary,
            ["disabled"] = disabled,
            ["status"] = disabled ? "disabled" : "enabled",
        };
        if (withReason) answer["disabled_reason"] = reason;
        return RestResult.Json(200, answer);
    }

    private async Task<RestResult> ListHostsAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:hosts");
        return RestResult.Json(200, new JsonObject
        {
            ["hosts"] = new JsonArray([.. (await operators.ListAsync(call.Operation, call.Cancelled)).Select(service => new JsonObject
            {
                ["service-status"] = service.Up ? "available" : "unavailable",
                ["service"] = service.Binary,
                ["zone"] = options.AvailabilityZone,
                ["service-state"] = service.State.Disabled ? "disabled" : "enabled",
                ["host_name"] = service.Host,
                ["last-update"] = Now(),
            })]),
        });
    }

    // What is on a host, in all and by project.
    private async Task<RestResult> ShowHostAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:hosts");
        var host = call.Route("host");
        var device = (await operators.ListDevicesAsync(call.Cancelled)).FirstOrDefault(device => OperatorService.HostOf(device.Id) == host)
            ?? throw Faults.NotFound("Host", host);
        await volumes.CatchUpAsync(call.Cancelled);
        await snapshots.CatchUpAsync(call.Cancelled);
        var here = volumes.List().Where(volume => volume.DeviceId == device.Id && !volume.Hidden).ToLookup(volume => volume.ProjectId);
        var frozen = snapshots.List().Where(snapshot => snapshot.DeviceId == device.Id).ToLookup(snapshot => snapshot.ProjectId);
        var projects = here.Select(group => group.Key).Union(frozen.Select(group => group.Key)).Order(StringComparer.Ordinal);
        return RestResult.Json(200, new JsonObject
        {
            ["host"] = new JsonArray(
                [Resource("(total)", here.SelectMany(group => group), frozen.SelectMany(group => group)), .. projects.Select(id => Resource(id, here[id], frozen[id]))]),
        });

        JsonNode Resource(string project, IEnumerable<Volume> own, IEnumerable<Snapshot> taken) => new JsonObject
        {
            ["resource"] = new JsonObject
            {
                ["host"] = host,
                ["project"] = project,
                ["volume_count"] = $"{own.Count()}",
                ["total_volume_gb"] = $"{own.Sum(volume => volume.SizeGib)}",
                ["snapshot_count"] = $"{taken.Count()}",
                ["total_snapshot_gb"] = $"{taken.Sum(snapshot => snapshot.SizeGib)}",
            },
        };
    }

    // Devices are not clustered: there are none.
    private static RestResult ListClusters(RestCall call, string name)
    {
        if (call.Version < Clusters) throw Faults.NotFound("Resource", call.Http.Request.Path);
        call.Operation.RequireAdmin("clusters:get_all");
        return RestResult.Json(200, new JsonObject { [name] = new JsonArray() });
    }

    private async Task<RestResult> ShowCapabilitiesAsync(RestCall call)
    {
        call.Operation.RequireAdmin("volume_extension:capabilities");
        var host = call.Route("host");
        if (!(await operators.ListDevicesAsync(call.Cancelled)).Any(device => OperatorService.HostOf(device.Id) == host.Split('#')[0])) throw Faults.NotFound("Host", host);
        return RestResult.Json(200, new JsonObject
        {
            ["namespace"] = $"OS::Storage::Capabilities::{host}",
            ["vendor_name"] = Backend.Vendor,
            ["volume_backend_name"] = Backend.Name,
            ["pool_name"] = null,
            ["driver_version"] = Backend.DriverVersion,
            ["storage_protocol"] = Backend.Protocol,
            ["display_name"] = null,
            ["description"] = null,
            ["visibility"] = null,
            ["replication_targets"] = new JsonArray(),
            ["properties"] = new JsonObject(),
        });
    }

    private async Task<RestResult> ListPoolsAsync(RestCall call)
    {
        call.Operation.RequireAdmin("scheduler_extension:scheduler_stats:get_pools");
        var detail = CinderInput.QueryFlag(call, "detail") == true;
        return RestResult.Json(200, new JsonObject
        {
            ["pools"] = new JsonArray([.. (await operators.ListDevicesAsync(call.Cancelled)).Select(device => Pool(device, detail))]),
        });
    }

    private static JsonNode Pool(BlockDevice device, bool detail)
    {
        var pool = new JsonObject { ["name"] = $"{OperatorService.HostOf(device.Id)}#{Backend.Pool}" };
        if (!detail) return pool;
        pool["capabilities"] = new JsonObject
        {
            ["total_capacity_gb"] = device.CapacityBytes >> 30,
            ["free_capacity_gb"] = device.FreeBytes >> 30,
            ["storage_protocol"] = Backend.Protocol,
            ["vendor_name"] = Backend.Vendor,
            ["volume_backend_name"] = Backend.Name,
            ["driver_version"] = Backend.DriverVersion,
            ["reserved_percentage"] = 0,
            ["QoS_support"] = true,
            ["thin_provisioning_support"] = true,
        };
        return pool;
    }
}

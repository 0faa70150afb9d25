using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Compute.Instances;
using Nephos.Compute.Placement;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Nodes;

/// <summary>Availability zones, hypervisors, and the services that run on them.</summary>
internal static class NodeEndpoints
{
    /// <summary>What was asked by itself before is part of a hypervisor.</summary>
    private const int UptimeShownFrom = 88;

    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-availability-zone", call => ZonesAsync(call, detail: false));
        rest.Get(root + "/os-availability-zone/detail", call => ZonesAsync(call, detail: true));
        rest.Get(root + "/os-hypervisors", call => HypervisorsAsync(call, detail: false));
        rest.Get(root + "/os-hypervisors/detail", call => HypervisorsAsync(call, detail: true));
        rest.Get(root + "/os-hypervisors/statistics", StatisticsAsync);
        rest.Get(root + "/os-hypervisors/{id}", HypervisorAsync);
        rest.Get(root + "/os-hypervisors/{id}/uptime", UptimeAsync);
        rest.Get(root + "/os-services", ServicesAsync);
        rest.Put(root + "/os-services/{id}", UpdateServiceAsync);
    }

    private static async Task<NodeRegistry> NodesAsync(RestCall call)
    {
        var nodes = call.Service<NodeRegistry>();
        await nodes.CatchUpAsync(call.Cancelled);
        return nodes;
    }

    private static async Task<RestResult> ZonesAsync(RestCall call, bool detail)
    {
        if (detail)
        {
            call.Operation.RequireAdmin("os_compute_api:os-availability-zone:detail");
        }
        var zones = HypervisorsGrpcService.Zones(await NodesAsync(call), call.Service<ComputeOptions>());
        return RestResult.Json(200, new JsonObject
        {
            ["availabilityZoneInfo"] = RestParts.Array(zones.Select(zone => new JsonObject
            {
                ["zoneName"] = zone.Name,
                ["zoneState"] = new JsonObject { ["available"] = zone.Available },
                ["hosts"] = detail
                    ? new JsonObject(zone.Nodes.Select(item => KeyValuePair.Create(item.Node.HostName, (JsonNode?)new JsonObject
                    {
                        ["nova-compute"] = new JsonObject
                        {
                            ["available"] = item.Up, ["active"] = item.Node.Enabled, ["updated_at"] = RestParts.Micros(item.Node.ConnectedAt),
                        },
                    })))
                    : null,
            })),
        });
    }

    private static async Task<RestResult> HypervisorsAsync(RestCall call, bool detail)
    {
        call.Operation.RequireAdmin("os_compute_api:os-hypervisors:list");
        var pattern = call.From(53) ? call.Query("hypervisor_hostname_pattern") : null;
        Candidate[] all = [.. (await NodesAsync(call)).Candidates().Where(item => pattern is null || item.Node.HostName.Contains(pattern, StringComparison.Ordinal))
            .OrderBy(item => item.Node.Number)];
        var (items, more) = call.From(33) ? call.Page(all, item => IdOf(call, item)) : (all, false);
        var answer = new JsonObject { ["hypervisors"] = RestParts.Array(items.Select(item => Json(call, item, detail))) };
        if (more)
        {
            call.AddNext(answer, "hypervisors_links", detail ? "os-hypervisors/detail" : "os-hypervisors", IdOf(call, items[^1]));
        }
        return RestResult.Json(200, answer);
    }

    private static async Task<RestResult> HypervisorAsync(RestCall call)
    {
        call.Operation.RequireAdmin("os_compute_api:os-hypervisors:show");
        return RestResult.Json(200, new JsonObject { ["hypervisor"] = Json(call, await FindAsync(call), detail: true) });
    }

    private static async Task<RestResult> UptimeAsync(RestCall call)
    {
        call.RequireBefore(UptimeShownFrom);
        call.Operation.RequireAdmin("os_compute_api:os-hypervisors:uptime");
        var found = await FindAsync(call);
        var json = Json(call, found, detail: false);
        json["uptime"] = Uptime(call, found)
            ?? throw ComputeFaults.Refers("hypervisor", $"Hypervisor {found.Node.HostName} does not say how long it has been up.");
        return RestResult.Json(200, new JsonObject { ["hypervisor"] = json });
    }

    private static async Task<Candidate> FindAsync(RestCall call)
    {
        var id = call.Route("id");
        return (await NodesAsync(call)).Candidates().FirstOrDefault(item => IdOf(call, item) == id)
            ?? throw new FaultException(ErrorReason.NotFound, $"Hypervisor with ID '{id}' could not be found.");
    }

    /// <summary>As the command of that name begins; null of a node that is not there.</summary>
    private static string? Uptime(RestCall call, Candidate item)
    {
        if (!item.Up || item.Node.BootedAt is not { } booted)
        {
            return null;
        }
        var now = call.Service<TimeProvider>().GetUtcNow();
        var up = now > booted ? now - booted : TimeSpan.Zero;
        return string.Create(CultureInfo.InvariantCulture, $"{now:HH:mm:ss} up {up.Days} days, {up.Hours}:{up.Minutes:00}");
    }

    private static async Task<RestResult> StatisticsAsync(RestCall call)
    {
        call.RequireBefore(UptimeShownFrom);
        call.Operation.RequireAdmin("os_compute_api:os-hypervisors:statistics");
        var all = (await NodesAsync(call)).Candidates();
        return RestResult.Json(200, new JsonObject
        {
            ["hypervisor_statistics"] = new JsonObject
            {
                ["count"] = all.Count,
                ["current_workload"] = 0,
                ["disk_available_least"] = all.Sum(item => item.Node.DiskGib - item.Usage.DiskGib),
                ["free_disk_gb"] = all.Sum(item => item.Node.DiskGib - item.Usage.DiskGib),
                ["free_ram_mb"] = all.Sum(item => item.Node.MemoryMib - item.Usage.MemoryMib),
                ["local_gb"] = all.Sum(item => item.Node.DiskGib),
                ["local_gb_used"] = all.Sum(item => item.Usage.DiskGib),
                ["memory_mb"] = all.Sum(item => item.Node.MemoryMib),
                ["memory_mb_used"] = all.Sum(item => item.Usage.MemoryMib),
                ["running_vms"] = all.Sum(item => item.Usage.Instances),
                ["vcpus"] = all.Sum(item => item.Node.Vcpus),
                ["vcpus_used"] = all.Sum(item => item.Usage.Vcpus),
            },
        });
    }

    private static string IdOf(RestCall call, Candidate item) => call.From(53) ? item.Node.Uuid : $"{item.Node.Number}";

    private static JsonNode Id(RestCall call, Node node) => call.From(53) ? node.Uuid : node.Number;

    private static JsonObject Json(RestCall call, Candidate item, bool detail)
    {
        var (node, usage, up) = item;
        var json = new JsonObject
        {
            ["id"] = Id(call, node),
            ["hypervisor_hostname"] = node.HostName,
            ["state"] = up ? "up" : "down",
            ["status"] = node.Enabled ? "enabled" : "disabled",
        };
        if (!detail)
        {
            return json;
        }
        json["hypervisor_type"] = node.HypervisorType;
        json["hypervisor_version"] = node.HypervisorVersion;
        json["host_ip"] = node.HostIp.Length > 0 ? node.HostIp : "127.0.0.1";
        json["service"] = new JsonObject
        {
            ["id"] = Id(call, node), ["host"] = node.HostName, ["disabled_reason"] = node.Enabled ? null : node.DisabledReason,
        };
        if (call.From(UptimeShownFrom))
        {
            json["uptime"] = Uptime(call, item);
            return json;
        }
        json["vcpus"] = node.Vcpus;
        json["vcpus_used"] = usage.Vcpus;
        json["memory_mb"] = node.MemoryMib;
        json["memory_mb_used"] = usage.MemoryMib;
        json["free_ram_mb"] = node.MemoryMib - usage.MemoryMib;
        json["local_gb"] = node.DiskGib;
        json["local_gb_used"] = usage.DiskGib;
        json["free_disk_gb"] = node.DiskGib - usage.DiskGib;
        json["disk_available_least"] = node.DiskGib - usage.DiskGib;
        json["running_vms"] = usage.Instances;
        json["current_workload"] = 0;
        var cpu = new JsonObject { ["arch"] = node.CpuArchitecture, ["model"] = node.CpuModel };
        json["cpu_info"] = call.From(28) ? cpu : cpu.ToJsonString();
        return json;
    }

    private static async Task<RestResult> ServicesAsync(RestCall call)
    {
        call.Operation.RequireAdmin("os_compute_api:os-services:list");
        var all = (await NodesAsync(call)).Candidates().OrderBy(item => item.Node.Number)
            .Where(item => (call.Query("host") is not { } host || item.Node.HostName == host) && call.Query("binary") is null or "nova-compute");
        return RestResult.Json(200, new JsonObject { ["services"] = RestParts.Array(all.Select(item => Service(call, item))) });
    }

    private static async Task<RestResult> UpdateServiceAsync(RestCall call)
    {
        call.Operation.RequireAdmin("os_compute_api:os-services:update");
        call.RequireFrom(53);
        var fields = new Fields(await call.ReadJsonAsync()).Only("status", "disabled_reason", "forced_down");
        var nodes = await NodesAsync(call);
        var found = nodes.Candidates().FirstOrDefault(item => item.Node.Uuid == call.Route("id"))
            ?? throw new FaultException(ErrorReason.NotFound, $"Service {call.Route("id")} could not be found.");
        var enabled = fields.Text("status") switch
        {
            "enabled" => true,
            "disabled" => false,
            null => found.Node.Enabled,
            _ => throw ComputeFaults.Refers("status", "Invalid input for field/attribute status: must be enabled or disabled"),
        };
        var node = await nodes.SetEnabledAsync(call.Operation, found.Node.Id, enabled, fields.Text("disabled_reason") ?? "", call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["service"] = Service(call, found with { Node = node }) });
    }

    private static JsonObject Service(RestCall call, Candidate item)
    {
        var json = new JsonObject
        {
            ["id"] = Id(call, item.Node),
            ["binary"] = "nova-compute",
            ["host"] = item.Node.HostName,
            ["zone"] = item.Node.AvailabilityZone,
            ["status"] = item.Node.Enabled ? "enabled" : "disabled",
            ["state"] = item.Up ? "up" : "down",
            ["updated_at"] = RestParts.Micros(item.Node.ConnectedAt),
            ["disabled_reason"] = item.Node.Enabled ? null : item.Node.DisabledReason,
        };
        if (call.From(11))
        {
            json["forced_down"] = false;
        }
        return json;
    }
}

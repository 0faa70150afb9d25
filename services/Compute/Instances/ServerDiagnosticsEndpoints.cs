using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Instances;

/// <summary>What is known of a running machine beside what was asked for; and the password that its guest gave itself.</summary>
internal static class ServerDiagnosticsEndpoints
{
    private const int KibPerMib = 1024;

    public static void Map(RestRoutes rest, string root)
    {
        var server = root + "/servers/{id}";
        rest.Get(server + "/diagnostics", DiagnosticsAsync);
        // Guests of this cloud take keys; none tells a password.
        rest.Get(server + "/os-server-password", async call =>
        {
            await FindAsync(call);
            return RestResult.Json(200, new JsonObject { ["password"] = "" });
        });
        rest.Delete(server + "/os-server-password", async call =>
        {
            await FindAsync(call);
            return RestResult.Empty(204);
        });
    }

    private static Task<InstanceDetails> FindAsync(RestCall call) =>
        call.Service<InstanceService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static async Task<RestResult> DiagnosticsAsync(RestCall call)
    {
        call.Operation.RequireAdmin("os_compute_api:os-server-diagnostics");
        var details = await FindAsync(call);
        var (instance, view) = (details.Instance, details.View);
        if (details.Node is not { } node || view.VmState is VmState.Building or VmState.ShelvedOffloaded or VmState.Error)
        {
            throw ComputeFaults.InvalidState(instance.Id, "get_diagnostics", "vm_state", Wordings.Of(view.VmState));
        }
        if (!call.From(48))
        {
            return RestResult.Json(200, new JsonObject { ["memory"] = instance.Flavor.MemoryMib * KibPerMib });
        }
        var ports = details.Parts?.Ports ?? [];
        var disks = details.Parts?.Disks ?? [];
        // What the node does not measure is null.
        return RestResult.Json(200, new JsonObject
        {
            ["state"] = view.Power switch
            {
                Power.Running => "running", Power.Paused => "paused", Power.Shutdown => "shutdown", Power.Crashed => "crashed", Power.Suspended => "suspended", _ => "pending",
            },
            // Clients know this value only for machines of QEMU.
            ["driver"] = "libvirt",
            ["hypervisor"] = node.HypervisorType.ToLowerInvariant(),
            ["hypervisor_os"] = "linux",
            ["uptime"] = view.Power == Power.Running && details.Seen?.LaunchedAt is { } since
                ? (long)(call.Service<TimeProvider>().GetUtcNow() - since).TotalSeconds : null,
            ["config_drive"] = instance.ConfigDrive,
            ["num_cpus"] = instance.Flavor.Vcpus,
            ["num_nics"] = ports.Count,
            ["num_disks"] = disks.Count,
            ["memory_details"] = new JsonObject { ["maximum"] = instance.Flavor.MemoryMib, ["used"] = null },
            ["cpu_details"] = RestParts.Array(Enumerable.Range(0, instance.Flavor.Vcpus)
                .Select(id => new JsonObject { ["id"] = id, ["time"] = null, ["utilisation"] = null })),
            ["nic_details"] = RestParts.Array(ports.Select(port => Unmeasured(new JsonObject { ["mac_address"] = port.Details?.MacAddress },
                "rx_octets", "rx_errors", "rx_drop", "rx_packets", "rx_rate", "tx_octets", "tx_errors", "tx_drop", "tx_packets", "tx_rate"))),
            ["disk_details"] = RestParts.Array(disks.Select(_ => Unmeasured([], "read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count"))),
        });
    }

    private static JsonObject Unmeasured(JsonObject json, params string[] names)
    {
        foreach (var name in names)
        {
            json[name] = null;
        }
        return json;
    }
}

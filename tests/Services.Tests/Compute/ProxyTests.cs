using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>Old calls of the compute API, at the microversions that have them.</summary>
public sealed class ProxyTests
{
    [Fact]
    public async Task Hosts_are_shown_with_what_each_project_has_of_them_until_they_went_away()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("rack-1", vcpus: 8);
        await cloud.CreateServerAsync();

        var hosts = (await cloud.AdminAsync("GET", "/v2.1/os-hosts")).Json["hosts"]!.AsArray();
        Assert.Contains(hosts, host => (string)host!["host_name"]! == "rack-1" && (string)host["service"]! == "compute");
        var rows = (await cloud.AdminAsync("GET", "/v2.1/os-hosts/rack-1")).Json["host"]!.AsArray().Select(row => row!["resource"]!).ToList();
        Assert.Equal(["(total)", "(used_now)", "(used_max)", ComputeWorld.Project], rows.Select(row => (string)row["project"]!));
        Assert.Equal([8, 1, 1, 1], rows.Select(row => (int)row["cpu"]!));
        ComputeCloud.Assert(await cloud.AdminAsync("GET", "/v2.1/os-hosts/nowhere"), 404);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-hosts"), 403);
        ComputeCloud.Assert(await cloud.AdminAsync("GET", "/v2.1/os-hosts", version: "2.43"), 404);
        ComputeCloud.Assert(await cloud.AdminAsync("PUT", "/v2.1/os-hosts/rack-1", new JsonObject()), 400);
        ComputeCloud.Assert(await cloud.AdminAsync("GET", "/v2.1/os-hosts/rack-1/reboot"), 501);

        var off = await cloud.AdminAsync("PUT", "/v2.1/os-hosts/rack-1", new JsonObject { ["status"] = "disable" });
        Assert.Equal("disabled", (string)off.Json["status"]!);
        var services = (await cloud.AdminAsync("GET", "/v2.1/os-services")).Json["services"]!.AsArray();
        Assert.Contains(services, service => (string)service!["host"]! == "rack-1" && (string)service["status"]! == "disabled");
    }

    [Fact]
    public async Task Networks_of_everybody_are_shown_to_administrators_only()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        var outside = cloud.Network.AddNetwork("outside", ComputeWorld.OtherProject, external: true);

        var all = (await cloud.AdminAsync("GET", "/v2.1/os-networks")).Json["networks"]!.AsArray();
        var own = (await cloud.CallAsync("GET", "/v2.1/os-networks")).Json["networks"]!.AsArray();

        Assert.Contains(all, network => (string)network!["id"]! == outside);
        Assert.Equal("private", (string)Assert.Single(own)!["label"]!);
    }

    [Fact]
    public async Task Properties_of_images_are_read_set_replaced_and_deleted()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        var metadata = $"/v2.1/images/{cloud.ImageId}/metadata";
        ComputeCloud.Assert(await cloud.CallAsync("PUT", metadata, Metadata(("a", "1"), ("b", "2"))), 200);
        var merged = await cloud.CallAsync("POST", metadata, Metadata(("b", "3")));
        Assert.Equal(("1", "3"), ((string)merged.Json["metadata"]!["a"]!, (string)merged.Json["metadata"]!["b"]!));
        ComputeCloud.Assert(await cloud.CallAsync("PUT", $"{metadata}/c", new JsonObject { ["meta"] = new JsonObject { ["c"] = "4" } }), 200);
        ComputeCloud.Assert(await cloud.CallAsync("PUT", $"{metadata}/c", new JsonObject { ["meta"] = new JsonObject { ["d"] = "4" } }), 400);
        Assert.Equal("4", (string)(await cloud.CallAsync("GET", $"{metadata}/c")).Json["meta"]!["c"]!);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", $"{metadata}/a"), 204);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", $"{metadata}/a"), 404);
        Assert.Equal(["b", "c"], (await cloud.CallAsync("GET", metadata)).Json["metadata"]!.AsObject().Select(item => item.Key).Order());
        ComputeCloud.Assert(await cloud.CallAsync("GET", metadata, version: "2.39"), 404);
    }

    [Fact]
    public async Task Events_of_other_services_are_answered_one_by_one()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync();
        var id = await cloud.CreateServerAsync();
        var one = await cloud.AdminAsync("POST", "/v2.1/os-server-external-events", Events(("network-changed", id)));
        ComputeCloud.Assert(one, 200);
        Assert.Equal((200, id), ((int)one.Json["events"]![0]!["code"]!, (string)one.Json["events"]![0]!["server_uuid"]!));

        var missing = Guid.NewGuid().ToString();
        var both = await cloud.AdminAsync("POST", "/v2.1/os-server-external-events", Events(("network-changed", id), ("network-changed", missing)));
        ComputeCloud.Assert(both, 207);
        Assert.Equal([200, 404], both.Json["events"]!.AsArray().Select(item => (int)item!["code"]!));
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-server-external-events", Events(("something", id))), 400);
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-server-external-events", Events(("network-changed", id))), 403);
    }

    [Fact]
    public async Task Diagnostics_say_what_is_known_of_a_machine_that_runs()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync();
        var id = await cloud.CreateServerAsync();
        var diagnostics = (await cloud.AdminAsync("GET", $"/v2.1/servers/{id}/diagnostics", version: "2.48")).Json;
        Assert.Equal(("running", 1, 1, 1), ((string)diagnostics["state"]!, (int)diagnostics["num_cpus"]!, (int)diagnostics["num_nics"]!, (int)diagnostics["num_disks"]!));
        Assert.Equal(128, (int)diagnostics["memory_details"]!["maximum"]!);
        Assert.Equal(128 * 1024, (int)(await cloud.AdminAsync("GET", $"/v2.1/servers/{id}/diagnostics")).Json["memory"]!);
        ComputeCloud.Assert(await cloud.CallAsync("GET", $"/v2.1/servers/{id}/diagnostics"), 403);
        Assert.Equal("", (string)(await cloud.CallAsync("GET", $"/v2.1/servers/{id}/os-server-password")).Json["password"]!);
    }

    [Fact]
    public async Task Networks_are_shown_by_name_until_they_went_away_and_what_was_taken_away_says_so()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        foreach (var path in new[] { "/v2.1/os-networks", "/v2.1/os-tenant-networks" })
        {
            Assert.Equal("private", (string)Assert.Single((await cloud.CallAsync("GET", path)).Json["networks"]!.AsArray())!["label"]!);
            Assert.Equal(cloud.NetworkId, (string)(await cloud.CallAsync("GET", $"{path}/{cloud.NetworkId}")).Json["network"]!["id"]!);
            ComputeCloud.Assert(await cloud.CallAsync("GET", $"{path}/{Guid.NewGuid()}"), 404);
            ComputeCloud.Assert(await cloud.CallAsync("GET", path, version: "2.36"), 404);
        }
        var audit = (await cloud.AdminAsync("GET", "/v2.1/os-instance_usage_audit_log/2026-03-15 10:00:00")).Json["instance_usage_audit_log"]!;
        Assert.Equal(("2026-02-01 00:00:00", "2026-03-01 00:00:00"), ((string)audit["period_beginning"]!, (string)audit["period_ending"]!));
        ComputeCloud.Assert(await cloud.AdminAsync("GET", "/v2.1/os-instance_usage_audit_log/yesterday"), 400);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-instance_usage_audit_log"), 403);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-agents"), 410);
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-cloudpipe", new JsonObject()), 410);
    }

    private static JsonObject Metadata(params (string Key, string Value)[] items) => new()
    {
        ["metadata"] = new JsonObject(items.Select(item => KeyValuePair.Create(item.Key, (JsonNode?)item.Value))),
    };

    private static JsonObject Events(params (string Name, string Server)[] items) => new()
    {
        ["events"] = new JsonArray([.. items.Select(item => new JsonObject { ["name"] = item.Name, ["server_uuid"] = item.Server })]),
    };
}

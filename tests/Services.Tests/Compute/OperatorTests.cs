using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>What operators ask: who used what, which nodes there are, what runs on them.</summary>
public sealed class OperatorTests
{
    [Fact]
    public async Task Usage_counts_a_server_for_its_project_and_only_administrators_see_all()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("a");
        var server = await cloud.WaitAsync(await cloud.CreateServerAsync(), "ACTIVE");
        var project = (string)server["tenant_id"]!;

        var all = await cloud.AdminAsync("GET", "/v2.1/os-simple-tenant-usage?detailed=1&start=2000-01-01T00:00:00&end=2100-01-01T00:00:00");
        var usage = Assert.Single(all.Json["tenant_usages"]!.AsArray(), item => (string)item!["tenant_id"]! == project)!;
        var one = Assert.Single(usage["server_usages"]!.AsArray())!;
        Assert.Equal((string)server["id"]!, (string)one["instance_id"]!);
        Assert.Equal((double)one["hours"]! * (long)one["vcpus"]!, (double)usage["total_vcpus_usage"]!, precision: 9);

        var own = await cloud.CallAsync("GET", $"/v2.1/os-simple-tenant-usage/{project}");
        ComputeCloud.Assert(own, 200);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-simple-tenant-usage"), 403);
        ComputeCloud.Assert(await cloud.CallAsync("GET", $"/v2.1/os-simple-tenant-usage/{project}?start=nonsense"), 400);
        var before = await cloud.CallAsync("GET", $"/v2.1/os-simple-tenant-usage/{project}?start=2000-01-01T00:00:00&end=2000-01-02T00:00:00");
        Assert.Empty(before.Json["tenant_usage"]!.AsObject());
    }

    [Fact]
    public async Task Nodes_are_found_by_name_with_their_servers_and_are_switched_off_and_on()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("east-1");
        await cloud.AddNodeAsync("west-1");
        var found = await cloud.AdminAsync("GET", "/v2.1/os-hypervisors/east/search");
        Assert.Equal("east-1", (string)Assert.Single(found.Json["hypervisors"]!.AsArray())!["hypervisor_hostname"]!);
        ComputeCloud.Assert(await cloud.AdminAsync("GET", "/v2.1/os-hypervisors/north/search"), 404);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-hypervisors/east/search"), 403);

        var off = await cloud.AdminAsync("PUT", "/v2.1/os-services/disable-log-reason", Body("""{"host": "east-1", "binary": "nova-compute", "disabled_reason": "a new disk"}"""));
        ComputeCloud.Assert(off, 200);
        Assert.Equal("disabled", (string)off.Json["service"]!["status"]!);
        var server = await cloud.WaitAsync(await cloud.CreateServerAsync(), "ACTIVE");
        var west = Assert.Single((await cloud.AdminAsync("GET", "/v2.1/os-hypervisors/west/servers")).Json["hypervisors"]!.AsArray())!;
        Assert.Equal((string)server["id"]!, (string)Assert.Single(west["servers"]!.AsArray())!["uuid"]!);

        var on = await cloud.AdminAsync("PUT", "/v2.1/os-services/enable", Body("""{"host": "east-1", "binary": "nova-compute"}"""));
        Assert.Equal("enabled", (string)on.Json["service"]!["status"]!);
        ComputeCloud.Assert(await cloud.AdminAsync("PUT", "/v2.1/os-services/enable", Body("""{"host": "nobody", "binary": "nova-compute"}""")), 404);
    }

    [Fact]
    public async Task Nodes_say_how_long_they_have_been_up()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("a");

        var uptime = (string)(await cloud.AdminAsync("GET", "/v2.1/os-hypervisors/1/uptime")).Json["hypervisor"]!["uptime"]!;
        var shown = (await cloud.AdminAsync("GET", "/v2.1/os-hypervisors/detail", version: "2.88")).Json["hypervisors"]![0]!;

        Assert.Matches("^[0-9]{2}:[0-9]{2}:[0-9]{2} up 3 days, [0-9]+:[0-9]{2}$", uptime);
        Assert.Contains("up 3 days", (string)shown["uptime"]!, StringComparison.Ordinal);
        ComputeCloud.Assert(await cloud.AdminAsync("GET", $"/v2.1/os-hypervisors/{(string)shown["id"]!}/uptime", version: "2.88"), 404);
        ComputeCloud.Assert(await cloud.AdminAsync("GET", "/v2.1/os-hypervisors/7/uptime"), 404);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-hypervisors/1/uptime"), 403);
    }

    [Fact]
    public async Task The_default_class_of_quotas_keeps_what_other_services_limit_for_those_who_read_it_back()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        var shown = (JsonObject)(await cloud.AdminAsync("GET", "/v2.1/os-quota-class-sets/default")).Json["quota_class_set"]!.DeepClone();
        shown.Remove("id");
        foreach (var name in shown.Select(item => item.Key).ToList())
        {
            shown[name] = (long)shown[name]! + 100;
        }

        var set = await cloud.AdminAsync("PUT", "/v2.1/os-quota-class-sets/default", new JsonObject { ["quota_class_set"] = shown.DeepClone() });

        ComputeCloud.Assert(set, 200);
        Assert.Contains("floating_ips", shown.Select(item => item.Key));
        var after = (await cloud.AdminAsync("GET", "/v2.1/os-quota-class-sets/default")).Json["quota_class_set"]!;
        Assert.All(shown, item => Assert.Equal((long)item.Value!, (long)after[item.Key]!));
        Assert.Null((await cloud.AdminAsync("GET", "/v2.1/os-quota-class-sets/default", version: "2.50")).Json["quota_class_set"]!["floating_ips"]);
    }

    private static JsonObject Body(string json) => JsonNode.Parse(json)!.AsObject();
}

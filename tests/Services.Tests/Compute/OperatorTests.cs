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

    private static JsonObject Body(string json) => JsonNode.Parse(json)!.AsObject();
}

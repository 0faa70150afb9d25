using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

public sealed class AggregateTests
{
    [Fact]
    public async Task An_aggregate_with_a_zone_moves_its_empty_hosts_into_it_and_servers_can_ask_for_it()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("a");
        await cloud.AddNodeAsync("b");
        var made = await cloud.AdminAsync("POST", "/v2.1/os-aggregates", Body("""{"aggregate": {"name": "east", "availability_zone": "east"}}"""));
        ComputeCloud.Assert(made, 200);
        var path = $"/v2.1/os-aggregates/{(long)made.Json["aggregate"]!["id"]!}";

        ComputeCloud.Assert(await cloud.AdminAsync("POST", path + "/action", Body("""{"add_host": {"host": "b"}}""")), 200);
        var zones = (await cloud.CallAsync("GET", "/v2.1/os-availability-zone")).Json["availabilityZoneInfo"]!.AsArray();
        Assert.Equal(["east", "nova"], zones.Select(zone => (string)zone!["zoneName"]!));

        var body = cloud.ServerBody();
        body["server"]!["availability_zone"] = "east";
        var server = await cloud.WaitAsync(await cloud.CreateServerAsync(body: body), "ACTIVE");
        Assert.Equal("east", (string)server["OS-EXT-AZ:availability_zone"]!);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", path + "/action", Body("""{"remove_host": {"host": "b"}}""")), 409);
        ComputeCloud.Assert(await cloud.AdminAsync("DELETE", path), 400);

        ComputeCloud.Assert(await cloud.CallAsync("DELETE", $"/v2.1/servers/{(string)server["id"]!}"), 204);
        await cloud.WaitAsync((string)server["id"]!, "DELETED");
        ComputeCloud.Assert(await cloud.AdminAsync("POST", path + "/action", Body("""{"remove_host": {"host": "b"}}""")), 200);
        ComputeCloud.Assert(await cloud.AdminAsync("DELETE", path), 200);
        ComputeCloud.Assert(await cloud.AdminAsync("GET", path), 404);
    }

    [Fact]
    public async Task A_host_moves_with_servers_that_asked_for_no_zone()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("a");
        var id = await cloud.CreateServerAsync();
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates", Body("""{"aggregate": {"name": "east", "availability_zone": "east"}}""")), 200);

        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/1/action", Body("""{"add_host": {"host": "a"}}""")), 200);

        // This call waits until what was written of nodes has arrived.
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-availability-zone"), 200);
        Assert.Equal("east", (string)(await cloud.WaitAsync(id, "ACTIVE"))["OS-EXT-AZ:availability_zone"]!);
    }

    [Fact]
    public async Task A_host_is_in_one_zone_only()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync("a");
        foreach (var name in new[] { "one", "two" })
        {
            ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates", Body($$$"""{"aggregate": {"name": "{{{name}}}", "availability_zone": "{{{name}}}"}}""")), 200);
        }
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates", Body("""{"aggregate": {"name": "one"}}""")), 409);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/1/action", Body("""{"add_host": {"host": "a"}}""")), 200);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/1/action", Body("""{"add_host": {"host": "a"}}""")), 409);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/2/action", Body("""{"add_host": {"host": "a"}}""")), 409);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/2/action", Body("""{"add_host": {"host": "nobody"}}""")), 404);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/2/action", Body("""{"set_metadata": {"metadata": {"availability_zone": null, "ssd": "true"}}}""")), 200);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", "/v2.1/os-aggregates/2/action", Body("""{"add_host": {"host": "a"}}""")), 200);
        ComputeCloud.Assert(await cloud.CallAsync("GET", "/v2.1/os-aggregates"), 403);
    }

    private static JsonObject Body(string json) => JsonNode.Parse(json)!.AsObject();
}

using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

public sealed class ServerListTests : IAsyncLifetime
{
    private ComputeCloud _cloud = null!;
    private string _one = "";
    private string _two = "";
    private string _three = "";

    public async Task InitializeAsync()
    {
        _cloud = await ComputeCloud.StartAsync();
        await _cloud.AddNodeAsync();
        _one = await _cloud.CreateServerAsync("web-one");
        var other = _cloud.ServerBody("web-two");
        other["server"]!["flavorRef"] = "84";
        _two = await _cloud.CreateServerAsync(body: other);
        _three = await _cloud.CreateServerAsync("db-three");
        await _cloud.CallAsync("POST", $"/v2.1/servers/{_three}/action", new JsonObject { ["os-stop"] = null });
        await _cloud.WaitAsync(_three, "SHUTOFF");
    }

    public async Task DisposeAsync() => await _cloud.DisposeAsync();

    [Fact]
    public async Task Filters_choose_and_combine()
    {
        Assert.Equal([_three, _two, _one], await ListAsync(""));
        Assert.Equal([_two, _one], await ListAsync("name=web"));
        Assert.Equal([_two], await ListAsync("name=%5Eweb-t"));
        Assert.Equal([_three], await ListAsync("status=SHUTOFF"));
        Assert.Equal([_three], await ListAsync("status=shutoff"));
        Assert.Equal([_three, _two, _one], await ListAsync("status=SHUTOFF&status=ACTIVE"));
        Assert.Equal([_two], await ListAsync("flavor=84"));
        Assert.Equal([_three, _one], await ListAsync("flavor=42"));
        Assert.Empty(await ListAsync("flavor=84&status=SHUTOFF"));
        Assert.Empty(await ListAsync("flavor=there-is-none"));
        Assert.Empty(await ListAsync("image=there-is-none"));
        Assert.Equal([_three, _two, _one], await ListAsync($"image={_cloud.ImageId}"));
        Assert.Equal([_one], await ListAsync("ip=10.0.0.11"));
        Assert.Equal([_three, _two, _one], await ListAsync("ip=%5E10.0.0."));
        Assert.Empty(await ListAsync("changes-since=2051-01-01T12:34:00Z"));
        Assert.Equal([_three, _two, _one], await ListAsync("changes-since=2011-01-01T12:34:00Z"));
        // Filters for administrators are ignored for others.
        Assert.Equal([_three, _two, _one], await ListAsync("host=nowhere"));
        Assert.Equal([_one, _two, _three], await ListAsync("sort_key=created_at&sort_dir=asc"));
        Assert.Equal([_three, _one, _two], await ListAsync("sort_key=display_name&sort_dir=asc"));
    }

    [Fact]
    public async Task Pages_follow_each_other_by_their_links_and_the_last_has_none()
    {
        var seen = new List<string>();
        var path = "/v2.1/servers/detail?limit=2&name=e";
        string? next = path;
        var pages = 0;
        while (next is not null)
        {
            var answer = await _cloud.CallAsync("GET", next);
            seen.AddRange(answer.Json["servers"]!.AsArray().Select(server => (string)server!["id"]!));
            next = ((string?)answer.Json["servers_links"]?[0]?["href"])?.Replace("http://cloud.example/compute", "", StringComparison.Ordinal);
            Assert.True(++pages <= 3);
        }

        Assert.Equal([_three, _two, _one], seen);
        Assert.Equal(2, pages);
        Assert.Empty(await ListAsync("limit=0"));
    }

    [Fact]
    public async Task Deleted_servers_show_only_among_changes()
    {
        await _cloud.CallAsync("DELETE", $"/v2.1/servers/{_one}");
        await _cloud.WaitAsync(_one, "DELETED");

        Assert.Equal([_three, _two], await ListAsync(""));
        Assert.Contains(_one, await ListAsync("changes-since=2011-01-01T12:34:00Z"));
        var deleted = await _cloud.AdminAsync("GET", "/v2.1/servers/detail?deleted=true");
        Assert.Equal(("DELETED", _one), ((string)deleted.Json["servers"]![0]!["status"]!, (string)deleted.Json["servers"]![0]!["id"]!));
    }

    [Fact]
    public async Task Tags_filter_from_2_26_on()
    {
        await _cloud.CallAsync("PUT", $"/v2.1/servers/{_one}/tags", new JsonObject { ["tags"] = new JsonArray("red", "old") }, "2.26");
        await _cloud.CallAsync("PUT", $"/v2.1/servers/{_two}/tags", new JsonObject { ["tags"] = new JsonArray("red") }, "2.26");

        Assert.Equal([_one], await ListAsync("tags=red,old", "2.26"));
        Assert.Equal([_two, _one], await ListAsync("tags-any=red,old", "2.26"));
        Assert.Equal([_three, _two], await ListAsync("not-tags=red,old", "2.26"));
        Assert.Equal([_three], await ListAsync("not-tags-any=red,old", "2.26"));
    }

    private async Task<string[]> ListAsync(string query, string? version = null)
    {
        var answer = await _cloud.CallAsync("GET", $"/v2.1/servers?{query}", version: version);
        ComputeCloud.Assert(answer, 200);
        return [.. answer.Json["servers"]!.AsArray().Select(server => (string)server!["id"]!)];
    }
}

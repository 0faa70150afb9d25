using System.Text.Json.Nodes;
using Nephos.Kernel;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>The exact codes that the conformance tests insist on.</summary>
public sealed class ServerRestNegativeTests : IAsyncLifetime
{
    private ComputeCloud _cloud = null!;

    public async Task InitializeAsync()
    {
        _cloud = await ComputeCloud.StartAsync();
        await _cloud.AddNodeAsync();
    }

    public async Task DisposeAsync() => await _cloud.DisposeAsync();

    public static TheoryData<string, string> BadServers() => new()
    {
        { "flavorRef", "-1" },
        { "flavorRef", "\"\"" },
        { "imageRef", "\"-1\"" },
        { "imageRef", "\"c4a3b1a2-0000-4000-8000-000000000000\"" },
        { "name", "\"\"" },
        { "name", "12345" },
        { "name", $"\"{new string('a', 256)}\"" },
        { "networks", """[{"uuid": "a-b-c-d-e-f-g-h-i-j"}]""" },
        { "networks", """[{"uuid": "c4a3b1a2-0000-4000-8000-000000000000"}]""" },
        { "networks", """[{"fixed_ip": "10.0.0.1"}]""" },
        { "accessIPv4", "\"1.1.1.1.1.1\"" },
        { "accessIPv6", "\"notvalid\"" },
        { "key_name", "\"there-is-none\"" },
        { "key_name", "\"\"" },
        { "metadata", $$"""{"a": "{{new string('b', 260)}}"}""" },
        { "metadata", $$"""{"{{new string('k', 256)}}": "v"}""" },
        { "metadata", """{"a": 1}""" },
        { "user_data", "\"not base64!\"" },
        { "min_count", "0" },
        { "min_count", "5" },
        { "max_count", "\"many\"" },
        { "availability_zone", "\"mars\"" },
        { "security_groups", """[{"name": "there-is-none"}]""" },
        { "OS-DCF:diskConfig", "\"SOMETIMES\"" },
        { "description", "\"not before 2.19\"" },
        { "block_device_mapping_v2", """[{"source_type": "volume", "uuid": "c4a3b1a2-0000-4000-8000-000000000000", "destination_type": "volume", "boot_index": 1}]""" },
        { "unknown", "1" },
    };

    [Theory]
    [MemberData(nameof(BadServers))]
    public async Task A_create_with_a_wrong_field_is_a_bad_request_and_makes_nothing(string field, string json)
    {
        var body = _cloud.ServerBody();
        body["server"]![field] = JsonNode.Parse(json);
        if (field == "min_count")
        {
            body["server"]!["max_count"] = 2;
        }

        var answer = await _cloud.CallAsync("POST", "/v2.1/servers", body);

        ComputeCloud.Assert(answer, 400);
        Assert.Equal(400, (int)answer.Json["badRequest"]!["code"]!);
        Assert.Equal("application/json", answer.Headers.ContentType.ToString());
        Assert.Empty((await _cloud.CallAsync("GET", "/v2.1/servers")).Json["servers"]!.AsArray());
    }

    [Theory]
    [InlineData("GET", "", null)]
    [InlineData("DELETE", "", null)]
    [InlineData("PUT", "", """{"server": {"name": "x"}}""")]
    [InlineData("POST", "/action", """{"reboot": {"type": "SOFT"}}""")]
    [InlineData("POST", "/action", """{"os-stop": null}""")]
    [InlineData("POST", "/action", """{"rebuild": {"imageRef": "c4a3b1a2-0000-4000-8000-000000000000"}}""")]
    [InlineData("POST", "/action", """{"resize": {"flavorRef": "84"}}""")]
    [InlineData("POST", "/action", """{"pause": null}""")]
    [InlineData("GET", "/metadata", null)]
    [InlineData("GET", "/metadata/a", null)]
    [InlineData("GET", "/os-volume_attachments", null)]
    [InlineData("GET", "/os-security-groups", null)]
    public async Task A_server_that_is_not_there_is_not_found(string method, string path, string? body)
    {
        foreach (var id in new[] { Ids.NewUuid(), "-1", "9223372036854775808", new string('a', 37), "%00" })
        {
            var answer = await _cloud.CallAsync(method, $"/v2.1/servers/{id}{path}", body is null ? null : JsonNode.Parse(body));
            ComputeCloud.Assert(answer, 404);
        }
    }

    [Theory]
    [InlineData("GET", "/v2.1/servers/")]
    [InlineData("DELETE", "/v2.1/servers/")]
    [InlineData("GET", "/v2.1/os-security-groups/")]
    [InlineData("PUT", "/v2.1/os-security-groups/")]
    [InlineData("DELETE", "/v2.1/os-security-groups/")]
    [InlineData("GET", "/v2.1/flavors/")]
    [InlineData("GET", "/v2.1/nothing")]
    public async Task An_empty_id_is_not_found_and_is_not_the_list(string method, string path) =>
        ComputeCloud.Assert(await _cloud.CallAsync(method, path, method == "PUT" ? new JsonObject() : null), 404);

    [Fact]
    public async Task Changing_a_server_refuses_wrong_names_and_addresses()
    {
        var id = await _cloud.CreateServerAsync();
        foreach (var server in new[] { """{"name": ""}""", $$"""{"name": "{{new string('a', 256)}}"}""", """{"accessIPv6": "2001:2001::zz"}""", """{"metadata": {}}""" })
        {
            ComputeCloud.Assert(await _cloud.CallAsync("PUT", $"/v2.1/servers/{id}", new JsonObject { ["server"] = JsonNode.Parse(server) }), 400);
        }
        var named = await _cloud.CallAsync("PUT", $"/v2.1/servers/{id}", new JsonObject { ["server"] = new JsonObject { ["name"] = "пример 雲", ["accessIPv6"] = "0::BABE:202:202" } });
        ComputeCloud.Assert(named, 200);
        Assert.Equal(("пример 雲", "::babe:202:202"), ((string)named.Json["server"]!["name"]!, (string)named.Json["server"]!["accessIPv6"]!));
    }

    [Fact]
    public async Task Resizing_to_nothing_is_a_bad_request()
    {
        var id = await _cloud.CreateServerAsync();
        foreach (var flavor in new[] { "\"\"", "\"there-is-none\"", "\"42\"", "null" })
        {
            ComputeCloud.Assert(
                await _cloud.CallAsync("POST", $"/v2.1/servers/{id}/action", new JsonObject { ["resize"] = new JsonObject { ["flavorRef"] = JsonNode.Parse(flavor) } }), 400);
        }
    }

    [Fact]
    public async Task A_deleted_server_cannot_be_rebuilt()
    {
        var id = await _cloud.CreateServerAsync();
        await _cloud.CallAsync("DELETE", $"/v2.1/servers/{id}");
        await _cloud.WaitAsync(id, "DELETED");

        ComputeCloud.Assert(await _cloud.CallAsync(
            "POST", $"/v2.1/servers/{id}/action", new JsonObject { ["rebuild"] = new JsonObject { ["imageRef"] = _cloud.ImageId } }), 404);
    }

    [Theory]
    [InlineData("limit=-1")]
    [InlineData("limit=testing")]
    [InlineData("changes-since=2011/01/01")]
    [InlineData("name=(")]
    [InlineData("marker=there-is-none")]
    [InlineData("sort_key=colour")]
    public async Task A_list_with_a_wrong_parameter_is_a_bad_request(string query) =>
        ComputeCloud.Assert(await _cloud.CallAsync("GET", $"/v2.1/servers?{query}"), 400);

    [Fact]
    public async Task An_unknown_status_is_an_empty_list_up_to_2_37()
    {
        await _cloud.CreateServerAsync();
        Assert.Empty((await _cloud.CallAsync("GET", "/v2.1/servers?status=non_existing_status", version: "2.37")).Json["servers"]!.AsArray());
        ComputeCloud.Assert(await _cloud.CallAsync("GET", "/v2.1/servers?status=non_existing_status", version: "2.38"), 400);
    }

    [Fact]
    public async Task A_network_without_addresses_or_several_to_choose_from_are_refused()
    {
        var bare = _cloud.Network.AddNetwork("bare", ComputeWorld.Project, hasSubnets: false);
        var body = _cloud.ServerBody();
        body["server"]!["networks"] = new JsonArray(new JsonObject { ["uuid"] = bare });
        ComputeCloud.Assert(await _cloud.CallAsync("POST", "/v2.1/servers", body), 400);
        body["server"]!.AsObject().Remove("networks");
        ComputeCloud.Assert(await _cloud.CallAsync("POST", "/v2.1/servers", body), 409);
        ComputeCloud.Assert(await _cloud.CallAsync("POST", "/v2.1/servers", body, "2.37"), 400);
    }

    [Fact]
    public async Task A_port_that_is_in_use_is_a_conflict()
    {
        var port = _cloud.Network.AddPort(_cloud.NetworkId, ComputeWorld.Project);
        var body = _cloud.ServerBody();
        body["server"]!["networks"] = new JsonArray(new JsonObject { ["port"] = port.Id });
        await _cloud.CreateServerAsync(body: (JsonObject)body.DeepClone());

        ComputeCloud.Assert(await _cloud.CallAsync("POST", "/v2.1/servers", body), 409);
    }

    [Fact]
    public async Task An_image_that_does_not_fit_into_the_flavor_is_refused()
    {
        foreach (var image in new[] { _cloud.Images.Add(minRamMib: 256), _cloud.Images.Add(virtualSizeBytes: 2L << 30), _cloud.Images.Add(minDiskGib: 5), _cloud.Images.Add(status: "queued") })
        {
            var body = _cloud.ServerBody();
            body["server"]!["imageRef"] = image;
            ComputeCloud.Assert(await _cloud.CallAsync("POST", "/v2.1/servers", body), 400);
        }
    }

    [Fact]
    public async Task A_full_quota_is_forbidden_and_says_which()
    {
        ComputeCloud.Assert(await _cloud.AdminAsync("PUT", $"/v2.1/os-quota-sets/{ComputeWorld.Project}", new JsonObject { ["quota_set"] = new JsonObject { ["cores"] = 1 } }), 200);
        await _cloud.CreateServerAsync();

        var answer = await _cloud.CallAsync("POST", "/v2.1/servers", _cloud.ServerBody());

        ComputeCloud.Assert(answer, 403);
        Assert.Equal("Quota exceeded for cores: Requested 1, but already used 1 of 1 cores", (string)answer.Json["forbidden"]!["message"]!);
    }

    [Fact]
    public async Task What_came_later_or_went_earlier_is_not_found()
    {
        ComputeCloud.Assert(await _cloud.CallAsync("GET", $"/v2.1/images/{_cloud.ImageId}", version: "2.35"), 200);
        ComputeCloud.Assert(await _cloud.CallAsync("GET", $"/v2.1/images/{_cloud.ImageId}", version: "2.36"), 404);
        ComputeCloud.Assert(await _cloud.CallAsync("GET", "/v2.1/images/there-is-none"), 404);
    }
}

using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

public sealed class ServerRestTests : IAsyncLifetime
{
    private ComputeCloud _cloud = null!;

    public async Task InitializeAsync()
    {
        _cloud = await ComputeCloud.StartAsync();
        await _cloud.AddNodeAsync();
    }

    public async Task DisposeAsync() => await _cloud.DisposeAsync();

    [Fact]
    public async Task The_version_documents_need_no_token_and_begin_with_the_old_one()
    {
        var list = await _cloud.CallAsync("GET", "/", who: "");
        Assert.Equal(
            ["v2.0", "v2.1"], list.Json["versions"]!.AsArray().Select(version => (string)version!["id"]!));
        Assert.Equal("2.93", (string)list.Json["versions"]![1]!["version"]!);
        foreach (var path in new[] { "/v2.1", "/v2.1/", "/v2/" })
        {
            var answer = await _cloud.CallAsync("GET", path, who: "");
            ComputeCloud.Assert(answer, 200);
            Assert.Equal($"http://cloud.example/compute{path.TrimEnd('/')}/", (string)answer.Json["version"]!["links"]![0]!["href"]!);
        }
        ComputeCloud.Assert(await _cloud.CallAsync("GET", "/v2.1/servers", who: ""), 401);
    }

    [Fact]
    public async Task Both_version_headers_carry_the_number_that_was_served()
    {
        var plain = await _cloud.CallAsync("GET", "/v2.1/flavors");
        Assert.Equal(("compute 2.1", "2.1"), (plain.Headers["OpenStack-API-Version"].ToString(), plain.Headers["X-OpenStack-Nova-API-Version"].ToString()));
        var latest = await _cloud.CallAsync("GET", "/v2.1/flavors", version: "latest");
        Assert.Equal(("compute 2.93", "2.93"), (latest.Headers["OpenStack-API-Version"].ToString(), latest.Headers["X-OpenStack-Nova-API-Version"].ToString()));
        var beyond = await _cloud.CallAsync("GET", "/v2.1/flavors", version: "2.999");
        ComputeCloud.Assert(beyond, 406);
        Assert.Equal("Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.93.", (string)beyond.Json["computeFault"]!["message"]!);
    }

    [Fact]
    public async Task A_server_is_created_shown_and_deleted()
    {
        var created = await _cloud.CallAsync("POST", "/v2.1/servers", _cloud.ServerBody());
        ComputeCloud.Assert(created, 202);
        Assert.Equal(
            ["id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"], created.Json["server"]!.AsObject().Select(item => item.Key));
        var id = (string)created.Json["server"]!["id"]!;
        Assert.Equal($"http://cloud.example/compute/v2.1/servers/{id}", created.Headers.Location.ToString());

        var server = await _cloud.WaitAsync(id, "ACTIVE");
        Assert.Equal(
            [
                "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created", "updated", "addresses", "accessIPv4",
                "accessIPv6", "links", "OS-DCF:diskConfig", "progress", "OS-EXT-AZ:availability_zone", "config_drive", "key_name", "OS-SRV-USG:launched_at",
                "OS-SRV-USG:terminated_at", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached",
                "security_groups",
            ],
            server.Select(item => item.Key));
        Assert.Equal("10.0.0.11", (string)server["addresses"]!["private"]![0]!["addr"]!);
        Assert.Equal(1, (int)server["OS-EXT-STS:power_state"]!);

        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", $"/v2.1/servers/{id}"), 204);
        await _cloud.WaitAsync(id, "DELETED");
        Assert.Empty(_cloud.Network.Ports);
        Assert.Empty(_cloud.Volumes.Volumes);
    }

    /// <summary>The keys that a microversion adds to or takes from a server, for its owner.</summary>
    [Theory]
    [InlineData("2.8", new[] { "locked", "description", "tags" }, false)]
    [InlineData("2.9", new[] { "locked" }, true)]
    [InlineData("2.19", new[] { "description" }, true)]
    [InlineData("2.25", new[] { "tags" }, false)]
    [InlineData("2.26", new[] { "tags" }, true)]
    [InlineData("2.62", new[] { "trusted_image_certificates" }, false)]
    [InlineData("2.63", new[] { "trusted_image_certificates" }, true)]
    [InlineData("2.71", new[] { "server_groups" }, true)]
    [InlineData("2.72", new[] { "locked_reason" }, false)]
    [InlineData("2.73", new[] { "locked_reason" }, true)]
    [InlineData("2.89", new[] { "OS-EXT-SRV-ATTR:hostname", "OS-EXT-SRV-ATTR:host", "host_status" }, false)]
    [InlineData("2.90", new[] { "OS-EXT-SRV-ATTR:hostname" }, true)]
    public async Task A_key_of_a_server_comes_with_its_microversion(string version, string[] keys, bool there)
    {
        var id = await _cloud.CreateServerAsync();

        var server = (await _cloud.CallAsync("GET", $"/v2.1/servers/{id}", version: version)).Json["server"]!.AsObject();

        Assert.All(keys, key => Assert.Equal(there, server.ContainsKey(key)));
    }

    [Fact]
    public async Task The_flavor_is_embedded_from_2_47_on_and_swap_is_a_number_from_2_75_on()
    {
        var id = await _cloud.CreateServerAsync();

        var before = (await _cloud.CallAsync("GET", $"/v2.1/servers/{id}", version: "2.46")).Json["server"]!["flavor"]!.AsObject();
        var after = (await _cloud.CallAsync("GET", $"/v2.1/servers/{id}", version: "2.47")).Json["server"]!["flavor"]!.AsObject();
        Assert.Equal(["id", "links"], before.Select(item => item.Key));
        Assert.Equal(["vcpus", "ram", "disk", "ephemeral", "swap", "original_name", "extra_specs"], after.Select(item => item.Key));
        Assert.Equal("", (string)(await _cloud.CallAsync("GET", "/v2.1/flavors/42", version: "2.74")).Json["flavor"]!["swap"]!);
        Assert.Equal(0, (int)(await _cloud.CallAsync("GET", "/v2.1/flavors/42", version: "2.75")).Json["flavor"]!["swap"]!);
    }

    [Fact]
    public async Task Only_administrators_see_where_a_server_runs()
    {
        var id = await _cloud.CreateServerAsync();

        var server = (await _cloud.AdminAsync("GET", $"/v2.1/servers/{id}", version: "2.16")).Json["server"]!.AsObject();

        Assert.Equal(("node", "UP"), ((string)server["OS-EXT-SRV-ATTR:host"]!, (string)server["host_status"]!));
    }

    [Fact]
    public async Task Servers_of_others_are_not_found_whatever_is_asked_of_them()
    {
        var id = await _cloud.CreateServerAsync();
        const string stranger = $"other:{ComputeWorld.OtherProject}:member";

        foreach (var (method, path, body) in new (string, string, JsonObject?)[]
        {
            ("GET", "", null), ("DELETE", "", null), ("PUT", "", new() { ["server"] = new JsonObject { ["name"] = "mine" } }),
            ("POST", "/action", new() { ["os-stop"] = null }), ("GET", "/metadata", null), ("GET", "/os-interface", null),
            ("GET", "/os-volume_attachments", null), ("GET", "/os-instance-actions", null), ("GET", "/ips", null),
        })
        {
            ComputeCloud.Assert(await _cloud.CallAsync(method, $"/v2.1/servers/{id}{path}", body, who: stranger), 404);
        }
        Assert.Empty((await _cloud.CallAsync("GET", "/v2.1/servers/detail", who: stranger)).Json["servers"]!.AsArray());
        ComputeCloud.Assert(await _cloud.CallAsync("GET", "/v2.1/servers?all_tenants=1"), 403);
        Assert.Single((await _cloud.AdminAsync("GET", "/v2.1/servers?all_tenants=1")).Json["servers"]!.AsArray());
    }

    [Fact]
    public async Task Readers_may_look_and_change_nothing()
    {
        var id = await _cloud.CreateServerAsync();
        const string reader = $"reader:{ComputeWorld.Project}:reader";

        ComputeCloud.Assert(await _cloud.CallAsync("GET", $"/v2.1/servers/{id}", who: reader), 200);
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", $"/v2.1/servers/{id}", who: reader), 403);
        ComputeCloud.Assert(await _cloud.CallAsync("POST", "/v2.1/servers", _cloud.ServerBody(), who: reader), 403);
    }

    [Fact]
    public async Task A_server_goes_through_its_actions_and_refuses_those_that_do_not_fit()
    {
        var id = await _cloud.CreateServerAsync();

        await ActAsync(id, "os-stop", 202, "SHUTOFF");
        await ActAsync(id, "os-stop", 409, null);
        await ActAsync(id, "os-start", 202, "ACTIVE");
        await ActAsync(id, "pause", 202, "PAUSED");
        await ActAsync(id, "unpause", 202, "ACTIVE");
        await ActAsync(id, "suspend", 202, "SUSPENDED");
        await ActAsync(id, "resume", 202, "ACTIVE");
        await ActAsync(id, "reboot", 202, "ACTIVE", new JsonObject { ["type"] = "HARD" });
        await ActAsync(id, "resize", 202, "VERIFY_RESIZE", new JsonObject { ["flavorRef"] = "84" });
        await ActAsync(id, "confirmResize", 204, "ACTIVE");
        await ActAsync(id, "resize", 202, "VERIFY_RESIZE", new JsonObject { ["flavorRef"] = "1" });
        await ActAsync(id, "revertResize", 202, "ACTIVE");
        await ActAsync(id, "lock", 202, "ACTIVE");
        var locked = await ActAsync(id, "os-stop", 409, null);
        Assert.Equal($"Instance {id} is locked", (string)locked.Json["conflictingRequest"]!["message"]!);
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", $"/v2.1/servers/{id}"), 409);
        await ActAsync(id, "unlock", 202, "ACTIVE");
        await ActAsync(id, "shelve", 202, "SHELVED_OFFLOADED");
        await ActAsync(id, "unshelve", 202, "ACTIVE");
        await ActAsync(id, "flyToTheMoon", 400, null);
    }

    [Fact]
    public async Task A_rebuild_answers_the_server_and_keeps_id_and_addresses()
    {
        var id = await _cloud.CreateServerAsync();
        var other = _cloud.Images.Add("other");

        var answer = await ActAsync(id, "rebuild", 202, null, new JsonObject
        {
            ["imageRef"] = other, ["name"] = "rebuilt", ["metadata"] = new JsonObject { ["a"] = "b" }, ["adminPass"] = "secret",
        });

        Assert.Equal("REBUILD", (string)answer.Json["server"]!["status"]!);
        Assert.Equal("secret", (string)answer.Json["server"]!["adminPass"]!);
        Assert.False(answer.Json["server"]!.AsObject().ContainsKey("OS-EXT-STS:vm_state"));
        var server = await _cloud.WaitAsync(id, "ACTIVE");
        Assert.Equal(("rebuilt", other), ((string)server["name"]!, (string)server["image"]!["id"]!));
        Assert.Equal("10.0.0.11", (string)server["addresses"]!["private"]![0]!["addr"]!);
    }

    [Fact]
    public async Task Volumes_are_attached_listed_and_detached()
    {
        var id = await _cloud.CreateServerAsync();
        var volume = _cloud.Volumes.AddVolume(ComputeWorld.Project);
        var path = $"/v2.1/servers/{id}/os-volume_attachments";

        var attached = await _cloud.CallAsync("POST", path, new JsonObject { ["volumeAttachment"] = new JsonObject { ["volumeId"] = volume } });
        ComputeCloud.Assert(attached, 200);
        Assert.Equal(["id", "serverId", "volumeId", "device"], attached.Json["volumeAttachment"]!.AsObject().Select(item => item.Key));
        Assert.Equal("/dev/vdb", (string)attached.Json["volumeAttachment"]!["device"]!);
        var newest = await _cloud.CallAsync("GET", $"{path}/{volume}", version: "2.89");
        Assert.Equal(
            ["serverId", "volumeId", "device", "tag", "delete_on_termination", "attachment_id", "bdm_uuid"],
            newest.Json["volumeAttachment"]!.AsObject().Select(item => item.Key));
        ComputeCloud.Assert(await _cloud.CallAsync("POST", path, new JsonObject { ["volumeAttachment"] = new JsonObject { ["volumeId"] = volume } }), 400);

        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", $"{path}/{volume}"), 202);
        Assert.Empty((await _cloud.CallAsync("GET", path)).Json["volumeAttachments"]!.AsArray());
        ComputeCloud.Assert(await _cloud.CallAsync("GET", $"{path}/{volume}"), 404);
    }

    [Fact]
    public async Task A_volume_for_several_servers_is_attached_from_version_2_60_on()
    {
        var id = await _cloud.CreateServerAsync();
        var volume = _cloud.Volumes.AddVolume(ComputeWorld.Project);
        _cloud.Volumes.Volumes[volume] = _cloud.Volumes.Volumes[volume] with { Multiattach = true };
        var path = $"/v2.1/servers/{id}/os-volume_attachments";
        JsonObject Body() => new() { ["volumeAttachment"] = new JsonObject { ["volumeId"] = volume } };

        var refused = await _cloud.CallAsync("POST", path, Body(), version: "2.59");
        ComputeCloud.Assert(refused, 400);
        Assert.Equal("Multiattach volumes are only supported starting with compute API version 2.60.", (string)refused.Json["badRequest"]!["message"]!);
        ComputeCloud.Assert(await _cloud.CallAsync("POST", path, Body(), version: "2.60"), 200);
    }

    [Fact]
    public async Task Interfaces_are_plugged_in_with_their_address_at_once_and_unplugged()
    {
        var id = await _cloud.CreateServerAsync();
        var path = $"/v2.1/servers/{id}/os-interface";

        var attached = await _cloud.CallAsync("POST", path, new JsonObject { ["interfaceAttachment"] = new JsonObject { ["net_id"] = _cloud.NetworkId } });
        ComputeCloud.Assert(attached, 200);
        var made = attached.Json["interfaceAttachment"]!.AsObject();
        Assert.Equal("10.0.0.12", (string)made["fixed_ips"]![0]!["ip_address"]!);
        Assert.Equal(2, (await _cloud.CallAsync("GET", path)).Json["interfaceAttachments"]!.AsArray().Count);

        var port = (string)made["port_id"]!;
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", $"{path}/{port}"), 202);
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", $"{path}/{port}"), 404);
    }

    [Fact]
    public async Task Metadata_and_tags_are_set_one_by_one_and_all_at_once()
    {
        var id = await _cloud.CreateServerAsync();
        var metadata = $"/v2.1/servers/{id}/metadata";
        await _cloud.CallAsync("PUT", metadata, new JsonObject { ["metadata"] = new JsonObject { ["a"] = "1", ["b"] = "2" } });
        var merged = await _cloud.CallAsync("POST", metadata, new JsonObject { ["metadata"] = new JsonObject { ["a"] = "x" } });
        Assert.Equal("""{"metadata":{"a":"x","b":"2"}}""", merged.Text.Replace(" ", "", StringComparison.Ordinal));
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", metadata + "/a"), 204);
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", metadata + "/a"), 404);
        ComputeCloud.Assert(await _cloud.CallAsync("GET", metadata + "/b"), 200);
        ComputeCloud.Assert(await _cloud.CallAsync("PUT", metadata + "/b", new JsonObject { ["meta"] = new JsonObject { ["c"] = "3" } }), 400);

        var tags = $"/v2.1/servers/{id}/tags";
        ComputeCloud.Assert(await _cloud.CallAsync("GET", tags), 404);
        ComputeCloud.Assert(await _cloud.CallAsync("PUT", tags + "/red", version: "2.26"), 201);
        ComputeCloud.Assert(await _cloud.CallAsync("PUT", tags + "/red", version: "2.26"), 204);
        ComputeCloud.Assert(await _cloud.CallAsync("GET", tags + "/red", version: "2.26"), 204);
        ComputeCloud.Assert(await _cloud.CallAsync("GET", tags + "/blue", version: "2.26"), 404);
        ComputeCloud.Assert(await _cloud.CallAsync("PUT", tags, new JsonObject { ["tags"] = new JsonArray("blue", "green") }, "2.26"), 200);
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", tags + "/red", version: "2.26"), 404);
        ComputeCloud.Assert(await _cloud.CallAsync("DELETE", tags, version: "2.26"), 204);
    }

    [Fact]
    public async Task An_action_is_found_by_the_request_id_of_the_call()
    {
        var created = await _cloud.CallAsync("POST", "/v2.1/servers", _cloud.ServerBody());
        var id = (string)created.Json["server"]!["id"]!;
        await _cloud.WaitForActionsAsync(id);
        var request = created.Headers["x-openstack-request-id"].ToString();

        var action = await _cloud.CallAsync("GET", $"/v2.1/servers/{id}/os-instance-actions/{request}", version: "2.51");

        ComputeCloud.Assert(action, 200);
        Assert.Equal("create", (string)action.Json["instanceAction"]!["action"]!);
        Assert.Equal("Success", (string)action.Json["instanceAction"]!["events"]![0]!["result"]!);
    }

    private async Task<RestAnswer> ActAsync(string id, string action, int status, string? becomes, JsonObject? arguments = null)
    {
        var answer = await _cloud.CallAsync("POST", $"/v2.1/servers/{id}/action", new JsonObject { [action] = arguments });
        ComputeCloud.Assert(answer, status);
        if (becomes is not null)
        {
            await _cloud.WaitAsync(id, becomes);
        }
        return answer;
    }
}

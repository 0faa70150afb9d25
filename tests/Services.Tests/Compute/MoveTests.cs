using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>Groups, moves between nodes, rescue, and what an administrator sets.</summary>
public sealed class MoveTests
{
    [Fact]
    public async Task Members_of_an_anti_affinity_group_are_on_different_nodes_and_one_too_many_is_told_why()
    {
        await using var cloud = await CloudAsync("a", "b");
        var group = await GroupAsync(cloud, "anti-affinity");
        var hosts = new[] { await HostOfAsync(cloud, await InGroupAsync(cloud, group, "one")), await HostOfAsync(cloud, await InGroupAsync(cloud, group, "two")) };
        Assert.Equal(["a", "b"], hosts.Order());

        var third = await cloud.CallAsync("POST", "/v2.1/servers", Hinted(cloud, group, "three"));
        ComputeCloud.Assert(third, 202);
        var failed = await cloud.WaitAsync((string)third.Json["server"]!["id"]!, "ERROR");
        Assert.Contains("No valid host", (string)failed["fault"]!["message"]!, StringComparison.Ordinal);

        var shown = (await cloud.CallAsync("GET", $"/v2.1/os-server-groups/{group}")).Json["server_group"]!;
        Assert.Equal(3, shown["members"]!.AsArray().Count);
        Assert.Equal(["anti-affinity"], shown["policies"]!.AsArray().Select(policy => (string)policy!));
    }

    [Theory]
    [InlineData("affinity", 1)]
    [InlineData("soft-affinity", 1)]
    [InlineData("soft-anti-affinity", 2)]
    public async Task A_group_of_another_policy_fills_as_it_says(string policy, int nodes)
    {
        await using var cloud = await CloudAsync("a", "b");
        var group = await GroupAsync(cloud, policy);
        var hosts = new List<string>();
        foreach (var name in new[] { "one", "two", "three" })
        {
            hosts.Add(await HostOfAsync(cloud, await InGroupAsync(cloud, group, name)));
        }
        Assert.Equal(nodes, hosts.Distinct().Count());
    }

    [Fact]
    public async Task A_group_belongs_to_its_project_and_is_bounded_by_the_quota()
    {
        await using var cloud = await CloudAsync("a");
        var group = await GroupAsync(cloud, "affinity");
        ComputeCloud.Assert(await cloud.CallAsync("GET", $"/v2.1/os-server-groups/{group}", who: $"user:{Guid.NewGuid():N}:member"), 404);
        ComputeCloud.Assert(await cloud.AdminAsync("PUT", $"/v2.1/os-quota-sets/{ComputeWorld.Project}", Body("""{"quota_set": {"server_groups": 1, "server_group_members": 1}}""")), 200);
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/os-server-groups", Body("""{"server_group": {"name": "g", "policies": ["affinity"]}}""")), 403);
        await InGroupAsync(cloud, group, "one");
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/servers", Hinted(cloud, group, "two")), 403);
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/servers", Hinted(cloud, Guid.NewGuid().ToString(), "three")), 400);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", $"/v2.1/os-server-groups/{group}"), 204);
        ComputeCloud.Assert(await cloud.CallAsync("DELETE", $"/v2.1/os-server-groups/{group}"), 404);
    }

    [Fact]
    public async Task A_server_migrates_to_another_node_and_stays_there_when_confirmed()
    {
        await using var cloud = await CloudAsync("a", "b");
        var id = await cloud.CreateServerAsync();
        var before = await HostOfAsync(cloud, id);
        ComputeCloud.Assert(await cloud.CallAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"migrate": null}""")), 403);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"migrate": null}""")), 202);
        await cloud.WaitAsync(id, "VERIFY_RESIZE");
        Assert.Equal("finished", await MigrationStatusAsync(cloud, id));
        ComputeCloud.Assert(await cloud.AdminAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"confirmResize": null}""")), 204);
        await cloud.WaitAsync(id, "ACTIVE");
        Assert.NotEqual(before, await HostOfAsync(cloud, id));
        Assert.Equal("confirmed", await MigrationStatusAsync(cloud, id));
    }

    [Fact]
    public async Task A_reverted_migration_leaves_the_server_where_it_was()
    {
        await using var cloud = await CloudAsync("a", "b");
        var id = await cloud.CreateServerAsync();
        var before = await HostOfAsync(cloud, id);
        ComputeCloud.Assert(await cloud.AdminAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"migrate": null}""")), 202);
        await cloud.WaitAsync(id, "VERIFY_RESIZE");
        ComputeCloud.Assert(await cloud.AdminAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"revertResize": null}""")), 202);
        await cloud.WaitAsync(id, "ACTIVE");
        Assert.Equal(before, await HostOfAsync(cloud, id));
        Assert.Equal("reverted", await MigrationStatusAsync(cloud, id));
    }

    [Fact]
    public async Task Without_another_node_a_migration_is_refused_and_changes_nothing()
    {
        await using var cloud = await CloudAsync("a");
        var id = await cloud.CreateServerAsync();
        ComputeCloud.Assert(await cloud.AdminAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"migrate": null}""")), 400);
        await cloud.WaitAsync(id, "ACTIVE");
    }

    [Fact]
    public async Task A_rescued_server_comes_back_to_what_it_was()
    {
        await using var cloud = await CloudAsync("a");
        var id = await cloud.CreateServerAsync();
        var disks = cloud.Volumes.Volumes.Count;
        var answer = await cloud.CallAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"rescue": {"adminPass": "secret"}}"""));
        ComputeCloud.Assert(answer, 200);
        Assert.Equal("secret", (string)answer.Json["adminPass"]!);
        await cloud.WaitAsync(id, "RESCUE");
        Assert.Equal(disks + 1, cloud.Volumes.Volumes.Count);
        ComputeCloud.Assert(await cloud.CallAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"rescue": null}""")), 409);
        ComputeCloud.Assert(await cloud.CallAsync("POST", $"/v2.1/servers/{id}/action", Body("""{"unrescue": null}""")), 202);
        await cloud.WaitAsync(id, "ACTIVE");
        await cloud.WaitForActionsAsync(id);
        Assert.Equal(disks, cloud.Volumes.Volumes.Count);
    }

    [Fact]
    public async Task The_defaults_of_quotas_hold_for_projects_that_have_none_of_their_own()
    {
        await using var cloud = await CloudAsync("a");
        ComputeCloud.Assert(await cloud.CallAsync("PUT", "/v2.1/os-quota-class-sets/default", Body("""{"quota_class_set": {"instances": 1}}""")), 403);
        ComputeCloud.Assert(await cloud.AdminAsync("PUT", "/v2.1/os-quota-class-sets/default", Body("""{"quota_class_set": {"instances": 1}}""")), 200);
        await cloud.CreateServerAsync("one");
        ComputeCloud.Assert(await cloud.CallAsync("POST", "/v2.1/servers", cloud.ServerBody("two")), 403);
        ComputeCloud.Assert(await cloud.AdminAsync("PUT", $"/v2.1/os-quota-sets/{ComputeWorld.Project}", Body("""{"quota_set": {"instances": 2}}""")), 200);
        await cloud.CreateServerAsync("two");
    }

    private static async Task<ComputeCloud> CloudAsync(params string[] nodes)
    {
        var cloud = await ComputeCloud.StartAsync();
        foreach (var node in nodes)
        {
            await cloud.AddNodeAsync(node);
        }
        return cloud;
    }

    private static async Task<string> GroupAsync(ComputeCloud cloud, string policy)
    {
        var made = await cloud.CallAsync(
            "POST", "/v2.1/os-server-groups", Body($$$"""{"server_group": {"name": "group", "policies": ["{{{policy}}}"]}}"""), version: "2.15");
        ComputeCloud.Assert(made, 200);
        return (string)made.Json["server_group"]!["id"]!;
    }

    private static JsonObject Hinted(ComputeCloud cloud, string group, string name)
    {
        var body = cloud.ServerBody(name);
        body["os:scheduler_hints"] = new JsonObject { ["group"] = group };
        return body;
    }

    private static Task<string> InGroupAsync(ComputeCloud cloud, string group, string name) => cloud.CreateServerAsync(body: Hinted(cloud, group, name));

    private static async Task<string> HostOfAsync(ComputeCloud cloud, string id) =>
        (string)(await cloud.AdminAsync("GET", $"/v2.1/servers/{id}")).Json["server"]!["OS-EXT-SRV-ATTR:host"]!;

    private static async Task<string> MigrationStatusAsync(ComputeCloud cloud, string id)
    {
        var migrations = (await cloud.AdminAsync("GET", $"/v2.1/os-migrations?instance_uuid={id}")).Json["migrations"]!.AsArray();
        return (string)Assert.Single(migrations)!["status"]!;
    }

    private static JsonObject Body(string json) => JsonNode.Parse(json)!.AsObject();
}

using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Probe.Tests.Cloud;

/// <summary>A cloud with room for one more of everything, and many who want it at the same moment through REST. Exactly as many get it as
/// there is room for; the others are told so in the words of the service; nothing of theirs is left.</summary>
public sealed class RaceTests
{
    private const int Rivals = 50;

    [Fact]
    public async Task Of_many_who_want_the_last_of_something_at_once_one_gets_it_and_nothing_leaks()
    {
        await using var process = await CloudProcess.StartAsync("Hypervisor:Vcpus=1", "Compute:CpuAllocationRatio=1");
        using var cloud = new CloudClient(process);
        await cloud.LogInAsync();
        var things = await CloudFixture.CreateAsync(cloud);

        await LastAddressAsync(cloud);
        await LastPlaceAsync(cloud, things);
        await LastOfQuotaAsync(cloud, things);
        await LastVolumeAsync(cloud);
    }

    private static async Task LastAddressAsync(CloudClient cloud)
    {
        var network = (string)(await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/networks", new { network = new { name = "small" } }))["network"]!["id"]!;
        await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/subnets", new
        {
            subnet = new
            {
                network_id = network, cidr = "10.91.0.0/24", ip_version = 4, allocation_pools = new[] { new { start = "10.91.0.10", end = "10.91.0.11" } },
            },
        });
        await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/ports", new { port = new { network_id = network } });

        var answers = await AtOnceAsync(_ => cloud.PostAsync("/network/v2.0/ports", new { port = new { network_id = network } }));
        OneWins(answers, HttpStatusCode.Conflict, "IpAddressGenerationFailure");
        Assert.Equal(2, (await cloud.ListAsync($"/network/v2.0/ports?network_id={network}", "ports")).Count);

        // Floating addresses come from a pool in the same way.
        var external = (string)(await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/networks", new JsonObject
        {
            ["network"] = new JsonObject
            {
                ["name"] = "outside", ["router:external"] = true, ["provider:network_type"] = "flat", ["provider:physical_network"] = "provider",
            },
        }))["network"]!["id"]!;
        await cloud.MustAsync(HttpMethod.Post, "/network/v2.0/subnets", new
        {
            subnet = new
            {
                network_id = external, cidr = "10.92.0.0/24", ip_version = 4, allocation_pools = new[] { new { start = "10.92.0.10", end = "10.92.0.10" } },
            },
        });
        answers = await AtOnceAsync(_ => cloud.PostAsync("/network/v2.0/floatingips", new { floatingip = new { floating_network_id = external } }));
        OneWins(answers, HttpStatusCode.Conflict, "IpAddressGenerationFailure");
        Assert.Single(await cloud.ListAsync("/network/v2.0/floatingips", "floatingips"));
    }

    private static async Task LastPlaceAsync(CloudClient cloud, CloudFixture things)
    {
        foreach (var resource in new[] { "instances", "cores", "ram" })
        {
            await cloud.MustAsync(HttpMethod.Put, $"/compute/v2.1/os-quota-sets/{cloud.ProjectId}", new { quota_set = new Dictionary<string, int> { [resource] = -1 } });
        }
        var answers = await AtOnceAsync(number => CreateServerAsync(cloud, things, $"place-{number}"));
        Assert.All(answers, answer => Assert.True(answer.Status == HttpStatusCode.Accepted, answer.ToString()));
        var states = new List<string>();
        await UntilAsync(async () =>
        {
            states = [.. (await cloud.ListAsync("/compute/v2.1/servers/detail", "servers")).Select(server => (string)server!["status"]!)];
            return states.Count == Rivals && states.All(status => status is "ACTIVE" or "ERROR");
        });
        Assert.Single(states, "ACTIVE");
        var faults = (await cloud.ListAsync("/compute/v2.1/servers/detail?status=ERROR", "servers")).Select(server => (string?)server!["fault"]?["message"]).Distinct();
        Assert.Equal("No valid host was found. There are not enough hosts available.", Assert.Single(faults));
        Assert.Equal(1, await UsedAsync(cloud));
        await DeleteServersAsync(cloud);
        Assert.Equal(0, await UsedAsync(cloud));
    }

    private static async Task<long> UsedAsync(CloudClient cloud) => (long)(await cloud.ListAsync("/compute/v2.1/os-hypervisors/detail", "hypervisors"))[0]!["vcpus_used"]!;

    private static async Task LastOfQuotaAsync(CloudClient cloud, CloudFixture things)
    {
        await cloud.MustAsync(HttpMethod.Put, $"/compute/v2.1/os-quota-sets/{cloud.ProjectId}", new { quota_set = new { instances = 1 } });
        var answers = await AtOnceAsync(number => CreateServerAsync(cloud, things, $"quota-{number}"));
        OneWins(answers, HttpStatusCode.Forbidden, "Quota exceeded for instances");
        Assert.Single(await cloud.ListAsync("/compute/v2.1/servers", "servers"));
        await DeleteServersAsync(cloud);
        Assert.Equal(0, (long)(await cloud.MustAsync(HttpMethod.Get, "/compute/v2.1/limits"))["limits"]!["absolute"]!["totalInstancesUsed"]!);
    }

    private static async Task LastVolumeAsync(CloudClient cloud)
    {
        var volumes = $"/volume/v3/{cloud.ProjectId}/volumes";
        await cloud.MustAsync(HttpMethod.Put, $"/volume/v3/{cloud.ProjectId}/os-quota-sets/{cloud.ProjectId}", new { quota_set = new { volumes = 1 } });
        var answers = await AtOnceAsync(number => cloud.PostAsync(volumes, new { volume = new { size = 1, name = $"race-{number}" } }));
        OneWins(answers, HttpStatusCode.RequestEntityTooLarge, "VolumeLimitExceeded");
        var made = Assert.Single(await cloud.ListAsync(volumes, "volumes"));
        await UntilAsync(async () => (await cloud.SendAsync(HttpMethod.Delete, $"{volumes}/{made!["id"]}")).Status == HttpStatusCode.NotFound);
    }

    private static Task<CloudAnswer> CreateServerAsync(CloudClient cloud, CloudFixture things, string name) => cloud.PostAsync("/compute/v2.1/servers", new
    {
        server = new { name, imageRef = things.Image, flavorRef = things.SmallFlavor, networks = new[] { new { uuid = things.Network } } },
    });

    private static Task<CloudAnswer[]> AtOnceAsync(Func<int, Task<CloudAnswer>> ask) => Task.WhenAll(Enumerable.Range(0, Rivals).Select(ask));

    private static void OneWins(CloudAnswer[] answers, HttpStatusCode refusal, string word)
    {
        Assert.True(answers.Count(answer => answer.IsOk) == 1, string.Join('\n', answers.Select(answer => answer.ToString()).Distinct()));
        Assert.All(answers.Where(answer => !answer.IsOk), answer => Assert.True(answer.Status == refusal && answer.ToString().Contains(word), answer.ToString()));
    }

    private static async Task DeleteServersAsync(CloudClient cloud)
    {
        foreach (var server in await cloud.ListAsync("/compute/v2.1/servers", "servers"))
        {
            await cloud.MustAsync(HttpMethod.Delete, $"/compute/v2.1/servers/{server!["id"]}");
        }
        await UntilAsync(async () => (await cloud.ListAsync("/compute/v2.1/servers", "servers")).Count == 0);
    }

    private static async Task UntilAsync(Func<Task<bool>> isTrue)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (!await isTrue())
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), limit.Token);
        }
    }
}

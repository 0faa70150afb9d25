using System.Globalization;
using Xunit;

namespace Nephos.Probe.Tests.Cloud;

/// <summary>
/// Kills the process of a whole cloud while servers are created, changed and deleted, and starts it again; then everything it acknowledged
/// comes true, nothing is stuck, and in the end nothing is left. <c>NEPHOS_KILLS</c> sets how often (default 3), <c>NEPHOS_SEED</c> what
/// happens.
/// </summary>
public sealed class ServerKillTests
{
    private const int LivesAtOnce = 4;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LongestLife = TimeSpan.FromSeconds(4);

    private static readonly int Kills = Setting("NEPHOS_KILLS", 3);
    private static readonly int Seed = Setting("NEPHOS_SEED", 20261123);

    [Fact]
    public async Task A_killed_cloud_does_what_it_has_acknowledged_and_leaves_nothing_half_done()
    {
        await using var process = await CloudProcess.StartAsync();
        using var cloud = new CloudClient(process);
        await cloud.LogInAsync();
        var things = await CloudFixture.CreateAsync(cloud);
        var before = await CountAsync(cloud);
        var random = new Random(Seed);
        var lives = Enumerable.Range(0, LivesAtOnce).Select(number => new ServerLife(cloud, things, number, new Random(random.Next()))).ToList();
        try
        {
            for (var kill = 1; kill <= Kills; kill++)
            {
                using var killed = new CancellationTokenSource();
                var living = Task.WhenAll(lives.Select(life => life.LiveAsync(killed.Token)));
                await Task.WhenAny(living, Task.Delay(random.NextDouble() * LongestLife));
                await killed.CancelAsync();
                await process.KillAsync();
                await living;
                await process.StartAsync();
                await cloud.LogInAsync();
                await Task.WhenAll(lives.Select(life => life.CheckAsync()));
            }
            Assert.True(lives.Sum(life => life.Acknowledged) >= Kills, "Hardly anything was acknowledged between the kills.");
            await Task.WhenAll(lives.Select(life => life.EndAsync()));
            await DeleteImagesAsync(cloud, things);
            await NothingIsLeftAsync(cloud, before);
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"Seed {Seed}: {exception.Message}\n{process.Log}", exception);
        }
    }

    /// <summary>Also the images of snapshots that were not answered are whole: one that can never get its content is not left.</summary>
    private static async Task DeleteImagesAsync(CloudClient cloud, CloudFixture things)
    {
        await UntilAsync(async () => (await cloud.ListAsync("/image/v2/images", "images")).All(image => (string)image!["status"]! == "active"), "every image is active");
        foreach (var image in await cloud.ListAsync("/image/v2/images?limit=1000", "images"))
        {
            if ((string)image!["id"]! != things.Image)
            {
                await cloud.MustAsync(HttpMethod.Delete, $"/image/v2/images/{image["id"]}");
            }
        }
    }

    private static async Task NothingIsLeftAsync(CloudClient cloud, IReadOnlyDictionary<string, long> before)
    {
        IReadOnlyDictionary<string, long> after = before;
        await UntilAsync(async () => (after = await CountAsync(cloud)).SequenceEqual(before),
            $"as many things are there as before: {Shown(before)}", () => $"there are {Shown(after)}");
    }

    /// <summary>What there is of each kind, as listed and as counted against quota and capacity.</summary>
    private static async Task<IReadOnlyDictionary<string, long>> CountAsync(CloudClient cloud)
    {
        var limits = (await cloud.MustAsync(HttpMethod.Get, "/compute/v2.1/limits"))["limits"]!["absolute"]!;
        var node = (await cloud.ListAsync("/compute/v2.1/os-hypervisors/detail", "hypervisors"))[0]!;
        var storage = (await cloud.MustAsync(HttpMethod.Get, $"/volume/v3/{cloud.ProjectId}/limits"))["limits"]!["absolute"]!;
        var quota = (await cloud.MustAsync(HttpMethod.Get, $"/network/v2.0/quotas/{cloud.ProjectId}/details.json"))["quota"]!;
        return new SortedDictionary<string, long>(StringComparer.Ordinal)
        {
            ["servers"] = (await cloud.ListAsync("/compute/v2.1/servers?all_tenants=1", "servers")).Count,
            ["instances of the quota"] = (long)limits["totalInstancesUsed"]!,
            ["cores of the quota"] = (long)limits["totalCoresUsed"]!,
            ["memory of the quota"] = (long)limits["totalRAMUsed"]!,
            ["processors of the node"] = (long)node["vcpus_used"]!,
            ["running on the node"] = (long)node["running_vms"]!,
            ["volumes"] = (await cloud.ListAsync($"/volume/v3/{cloud.ProjectId}/volumes?all_tenants=1", "volumes")).Count,
            ["volumes of the quota"] = (long)storage["totalVolumesUsed"]!,
            ["gigabytes of the quota"] = (long)storage["totalGigabytesUsed"]!,
            ["ports"] = (await cloud.ListAsync("/network/v2.0/ports", "ports")).Count,
            ["ports of the quota"] = (long)quota["port"]!["used"]!,
            ["images"] = (await cloud.ListAsync("/image/v2/images?limit=1000", "images")).Count,
        };
    }

    private static string Shown(IReadOnlyDictionary<string, long> counts) => string.Join(", ", counts.Select(count => $"{count.Value} {count.Key}"));

    private static async Task UntilAsync(Func<Task<bool>> isTrue, string what, Func<string>? observed = null)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (!await isTrue())
        {
            Assert.False(limit.IsCancellationRequested, $"Not within {Patience.TotalSeconds:0} s: {what}; {observed?.Invoke()}");
            await Task.Delay(TimeSpan.FromMilliseconds(100));
        }
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : otherwise;
}

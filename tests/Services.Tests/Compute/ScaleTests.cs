using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Nephos.Compute.Instances;
using Nephos.Kernel.State;
using Xunit;
using Xunit.Abstractions;

namespace Nephos.Services.Tests.Compute;

public sealed class ScaleTests(ITestOutputHelper output)
{
    private const int Servers = 200;

    /// <summary>The times are printed, not judged: the machine may be busy. What is judged is that all come up and all go.</summary>
    [Fact]
    public async Task Two_hundred_servers_come_up_and_go_without_leaving_anything()
    {
        await using var cloud = await ComputeCloud.StartAsync();
        await cloud.AddNodeAsync();
        var clock = Stopwatch.StartNew();

        var answers = await Task.WhenAll(Enumerable.Range(0, Servers).Select(async index =>
        {
            var began = clock.Elapsed;
            var answer = await cloud.CallAsync("POST", "/v2.1/servers", cloud.ServerBody($"vm-{index}"));
            ComputeCloud.Assert(answer, 202);
            return (Id: (string)answer.Json["server"]!["id"]!, Took: clock.Elapsed - began);
        }));
        output.WriteLine($"{Servers} creates at once answered after {clock.ElapsedMilliseconds} ms");
        await WaitForAllAsync(cloud, "ACTIVE", Servers);
        output.WriteLine($"{Servers} servers ACTIVE after {clock.ElapsedMilliseconds} ms");

        var listed = clock.Elapsed;
        Assert.Equal(Servers, (await cloud.CallAsync("GET", "/v2.1/servers/detail")).Json["servers"]!.AsArray().Count);
        output.WriteLine($"list with details: {(clock.Elapsed - listed).TotalMilliseconds:F1} ms");
        Assert.Equal(Servers, cloud.Network.Ports.Count);
        Assert.Equal(Servers, cloud.Volumes.Attachments.Count);

        var deleted = clock.Elapsed;
        await Task.WhenAll(answers.Select(async answer => ComputeCloud.Assert(await cloud.CallAsync("DELETE", $"/v2.1/servers/{answer.Id}"), 204)));
        await WaitForAllAsync(cloud, "ACTIVE", 0);
        output.WriteLine($"deleted after {(clock.Elapsed - deleted).TotalMilliseconds:F0} ms");
        Assert.Empty(cloud.Network.Ports);
        Assert.Empty(cloud.Volumes.Volumes);
        Assert.Empty(await cloud.Services.GetRequiredService<IStateStore>().ListAsync(InstanceParts.Table, "", CancellationToken.None));
    }

    private static async Task WaitForAllAsync(ComputeCloud cloud, string status, int count)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var views = cloud.Services.GetRequiredService<InstanceViews>();
        await foreach (var _ in views.WatchAsync(deadline.Token))
        {
            var left = (await views.ListAsync(deadline.Token)).Where(instance => instance.DeletedAt is null).Select(views.Of).ToList();
            if (left.Count == count && left.All(view => Wordings.Of(view.Status) == status && view.TaskState is null))
            {
                return;
            }
        }
    }
}

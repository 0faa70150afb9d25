using System.Diagnostics;
using Nephos.LoadTests.Scenarios;

namespace Nephos.LoadTests;

/// <summary>How long a number of servers take to be ACTIVE, and how long listing them takes.</summary>
internal static class Boot
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    public static async Task RunAsync(Target target, int count, CancellationToken cancellationToken)
    {
        var (image, network) = await ServerSetup.PrepareAsync(target, cancellationToken);
        var servers = new List<string>();
        var cpu = target.Process.CpuTime();
        var clock = Stopwatch.StartNew();
        try
        {
            await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken },
                async (index, token) =>
                {
                    var id = await ServerSetup.CreateAsync(target, image, network, $"boot-{index}", token);
                    lock (servers)
                    {
                        servers.Add(id);
                    }
                });
            Console.WriteLine($"{count} creates answered      {clock.Elapsed.TotalMilliseconds,8:0} ms");
            var wanted = servers.ToHashSet(StringComparer.Ordinal);
            int active;
            while ((active = await ServerSetup.CountActiveAsync(target, wanted, cancellationToken)) < count)
            {
                if (clock.Elapsed > Limit)
                {
                    throw new InvalidOperationException($"Only {active} of {count} servers were ACTIVE after {Limit.TotalSeconds:0} s.");
                }
                await Task.Delay(50, cancellationToken);
            }
            Console.WriteLine($"{count} servers ACTIVE         {clock.Elapsed.TotalMilliseconds,8:0} ms, {(target.Process.CpuTime() - cpu).TotalMilliseconds / count:0.0} ms of server CPU each");
            var times = new List<double>();
            for (var round = 0; round < 11; round++)
            {
                clock.Restart();
                await target.SendAsync(HttpMethod.Get, "/compute/v2.1/servers/detail?limit=1000", null, cancellationToken);
                times.Add(clock.Elapsed.TotalMilliseconds);
            }
            Console.WriteLine($"list of {Math.Min(count, 1000)} with details  {times.Order().ElementAt(times.Count / 2),8:0.0} ms (median of {times.Count})");
        }
        finally
        {
            await ServerSetup.DeleteAsync(target, servers, CancellationToken.None);
        }
    }
}

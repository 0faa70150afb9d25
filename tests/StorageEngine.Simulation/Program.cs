using System.Globalization;
using Nephos.StorageEngine.Simulation.Engine;
using Nephos.StorageEngine.Simulation.Groups;
using Nephos.StorageEngine.Simulation.Volumes;

namespace Nephos.StorageEngine.Simulation;

/// <summary>Runs simulations from the command line, one after the other, until one fails.</summary>
internal static class Program
{
    private const string Usage =
        """
        Usage: ./nephos simulate [--seeds N] [--first SEED] [--crash-images] [--groups | --volumes | --cluster] [--trace]

          --seeds N        how many seeds to run (default 1000)
          --first SEED     the first one (default 1); a failure names its seed, and --first SEED --seeds 1 repeats it
          --crash-images   lose power at every write of the run of each seed, in every way, and recover
          --groups         only the replica groups, with a network that loses, repeats and reorders
          --volumes        only the replicas of a volume: heads, devices, journals
          --cluster        several processes on a network that is late, loses and is cut
          --trace          print what happens, for one seed
        """;

    private static int Main(string[] arguments)
    {
        var (seeds, first, images, groups, volumes, cluster, traced) = (1000, 1, false, false, false, false, false);
        for (var n = 0; n < arguments.Length; n++)
        {
            switch (arguments[n])
            {
                case "--seeds" when n + 1 < arguments.Length && int.TryParse(arguments[n + 1], CultureInfo.InvariantCulture, out var count) && count > 0:
                    (seeds, n) = (count, n + 1);
                    break;
                case "--first" when n + 1 < arguments.Length && int.TryParse(arguments[n + 1], CultureInfo.InvariantCulture, out var seed):
                    (first, n) = (seed, n + 1);
                    break;
                case "--crash-images":
                    images = true;
                    break;
                case "--trace":
                    traced = true;
                    break;
                case "--volumes":
                    volumes = true;
                    break;
                case "--cluster":
                    cluster = true;
                    break;
                case "--groups":
                    groups = true;
                    break;
                default:
                    Console.Error.WriteLine(Usage);
                    return 2;
            }
        }

        var clock = TimeProvider.System;
        var started = clock.GetTimestamp();
        var (done, acknowledged, failed) = (0, 0L, 0);
        for (var seed = first; seed < first + seeds; seed++)
        {
            try
            {
                acknowledged += groups ? GroupSimulation.Run(seed)
                    : volumes ? VolumeSimulation.Run(seed, traced ? Console.WriteLine : null)
                    : cluster ? ClusterSimulation.Run(seed, new EngineFaults { IsTraced = traced })
                    : images ? Runs.CrashImages(seed, every: 1)
                    : EngineSimulation.Run(seed, new EngineFaults { IsTraced = traced });
            }
            catch (Exception failure)
            {
                failed++;
                Console.WriteLine($"Seed {seed} FAILED: {(seeds == 1 || failure is not SimulationException ? failure : failure.Message)}");
                if (failed == 10)
                {
                    break;
                }
            }

            if (++done % 100 == 0)
            {
                Console.WriteLine($"{done} seeds, {acknowledged} {(images ? "crash images" : "changes acknowledged")}, {failed} failed, {clock.GetElapsedTime(started).TotalSeconds:f0} s");
            }
        }

        Console.WriteLine($"{done} seeds, {acknowledged} {(images ? "crash images" : "changes acknowledged")}, {failed} failed, {clock.GetElapsedTime(started).TotalSeconds:f0} s");
        return failed == 0 ? 0 : 1;
    }
}

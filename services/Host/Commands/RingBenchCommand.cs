using System.CommandLine;
using System.Globalization;
using Nephos.Placement;

namespace Nephos.Host.Commands;

/// <summary><c>nephos ring bench</c>: how long a large ring takes to make and to rebalance. Needs no running cloud.</summary>
internal static class RingBenchCommand
{
    private const int DevicesPerNode = 20;
    private const int NodesPerZone = 25;

    public static Command Create()
    {
        var devices = new Option<int>("--devices") { Description = "Devices of the ring", DefaultValueFactory = _ => 10_000 };
        var power = new Option<int>("--power") { Description = "2 to this power partitions", DefaultValueFactory = _ => 20 };
        var command = new Command("bench", "Measure how long a large ring takes to make and to rebalance; needs no running cloud") { devices, power };
        command.SetAction(parse => Run(parse.GetValue(devices), parse.GetValue(power)));
        return command;
    }

    private static int Run(int count, int power)
    {
        var (clock, before) = (TimeProvider.System, Enumerable.Range(0, count).Select(Device).ToList());
        var started = clock.GetTimestamp();
        var ring = RingBuilder.Create(power, replicas: 3, before);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"made: {count} devices, {ring.PartitionCount} partitions, 3 replicas, {clock.GetElapsedTime(started).TotalSeconds:0.0} s"));

        // One device in a hundred leaves, as many come.
        var changes = Math.Max(1, count / 100);
        List<RingDevice> after = [.. before.Skip(changes), .. Enumerable.Range(count, changes).Select(Device)];
        started = clock.GetTimestamp();
        var (moved, steps) = (0L, 0);
        while (true)
        {
            var change = RingBuilder.Rebalance(ring, after);
            (ring, moved, steps) = (change.Ring, moved + change.ReplicasMoved, steps + 1);
            if (change.IsBalanced)
            {
                break;
            }
        }

        var least = 3L * ring.PartitionCount * changes / count;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"rebalanced: {changes} devices left, {changes} came, {moved} replicas moved ({moved / (double)least:0.00} of the least) in {steps} steps, {clock.GetElapsedTime(started).TotalSeconds:0.0} s"));
        return 0;
    }

    private static RingDevice Device(int id)
    {
        var node = id / DevicesPerNode;
        return new RingDevice(id, "region", $"zone-{node / NodesPerZone}", $"node-{node}", 1);
    }
}

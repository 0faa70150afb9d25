using System.CommandLine;
using System.Globalization;
using Wire = Nephos.Protos.Storage.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos ring</c>: where objects are kept, and how that changes.</summary>
internal static class RingCommand
{
    private const double NearlyFull = 0.9;

    public static Command Create()
    {
        var command = new Command("ring", "Show and change which devices hold the objects");
        command.Subcommands.Add(RingBenchCommand.Create());
        command.Subcommands.Add(Power());
        command.Subcommands.Add(Weighted("plan", "Show what setting a weight would move", withWeight: true, PlanAsync));
        command.Subcommands.Add(Weighted("set-weight", "Change a device's share; data follows in the background", withWeight: true, SetAsync));
        command.Subcommands.Add(Weighted("drain", "Move everything off a device", withWeight: false, SetAsync));
        command.Subcommands.Add(Weighted("add", "Take a device of a storage process into the ring, or back into it", withWeight: true, AddAsync));
        command.Subcommands.Add(Weighted("remove", "Take a drained or lost device out of the ring", withWeight: false, RemoveAsync));
        var state = ServeCommand.StateOption();
        var status = new Command("status", "Show the ring and whether the data follows it") { state };
        status.SetAction((parse, cancellationToken) => StatusAsync(parse.GetValue(state)!, cancellationToken));
        command.Subcommands.Add(status);
        return command;
    }

    private static Command Power()
    {
        var state = ServeCommand.StateOption();
        var power = new Argument<int>("power") { Description = "2 to this power partitions, 0 to 16" };
        var command = new Command("power", "Change the number of partitions; more move nothing, fewer move data in the background") { state, power };
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var connection = await AdminConnection.OpenAsync(parse.GetValue(state)!, cancellationToken);
            Print(await new Wire.ObjectRing.ObjectRingClient(connection.Channel).SetPartitionPowerAsync(
                new Wire.PartitionPower { Power = parse.GetValue(power) }, connection.Options(cancellationToken)));
            return 0;
        });
        return command;
    }

    private static Command Weighted(
        string name, string description, bool withWeight, Func<Wire.ObjectRing.ObjectRingClient, Wire.DeviceWeight, Grpc.Core.CallOptions, Task> run)
    {
        var state = ServeCommand.StateOption();
        var device = new Argument<int>("device") { Description = "Number of the device" };
        var weight = new Argument<double>("weight") { Description = "Share relative to the others; 0 drains" };
        var command = new Command(name, description) { state, device };
        if (withWeight)
        {
            command.Arguments.Add(weight);
        }

        command.SetAction(async (parse, cancellationToken) =>
        {
            using var connection = await AdminConnection.OpenAsync(parse.GetValue(state)!, cancellationToken);
            var request = new Wire.DeviceWeight { Device = parse.GetValue(device), Weight = withWeight ? parse.GetValue(weight) : 0 };
            await run(new Wire.ObjectRing.ObjectRingClient(connection.Channel), request, connection.Options(cancellationToken));
            return 0;
        });
        return command;
    }

    private static async Task<int> StatusAsync(string state, CancellationToken cancellationToken)
    {
        using var connection = await AdminConnection.OpenAsync(state, cancellationToken);
        Print(await new Wire.ObjectRing.ObjectRingClient(connection.Channel).GetRingAsync(
            new Wire.GetRingRequest(), connection.Options(cancellationToken)));
        return 0;
    }

    private static async Task PlanAsync(Wire.ObjectRing.ObjectRingClient ring, Wire.DeviceWeight request, Grpc.Core.CallOptions options)
    {
        var plan = await ring.PlanDeviceWeightAsync(request, options);
        var time = plan.Duration?.ToTimeSpan() is { } known ? $"{known:d\\.hh\\:mm\\:ss} at the rate of the last copies" : "how long is known once copies have been made";
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{plan.ReplicasMoved} replicas of partitions move in {plan.Steps} steps, about {plan.BytesMoved / (1024.0 * 1024):0.0} MiB, {time}."));
        Console.WriteLine("Risk: " + string.Join("; ", Risks(plan)) + ". Afterwards:");
        Print(plan.Devices);
    }

    private static IEnumerable<string> Risks(Wire.RingPlan plan)
    {
        yield return "every replica stays readable where it is until its new copy was verified";
        yield return plan.SharedDomains == 0
            ? "all replicas of a partition are in different failure domains"
            : $"{plan.SharedDomains} partitions have two replicas in one failure domain (now {plan.SharedDomainsNow})";
        foreach (var device in plan.Devices.Where(d => d.Fill > NearlyFull))
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"device {device.Device} would be {device.Fill:p0} full{(device.Fill < 1 ? "" : ", more than it takes")}");
        }
    }

    private static async Task SetAsync(Wire.ObjectRing.ObjectRingClient ring, Wire.DeviceWeight request, Grpc.Core.CallOptions options) =>
        Print(await ring.SetDeviceWeightAsync(request, options));

    private static async Task AddAsync(Wire.ObjectRing.ObjectRingClient ring, Wire.DeviceWeight request, Grpc.Core.CallOptions options) =>
        Print(await ring.AddDeviceAsync(request, options));

    private static async Task RemoveAsync(Wire.ObjectRing.ObjectRingClient ring, Wire.DeviceWeight request, Grpc.Core.CallOptions options) =>
        Print(await ring.RemoveDeviceAsync(new Wire.RemoveDeviceRequest { Device = request.Device }, options));

    private static void Print(Wire.RingStatus status)
    {
        Console.WriteLine($"ring {status.Version}: {status.Partitions} partitions, {status.ReplicaCount} replicas; "
            + (status.ReplicasToMove > 0 ? $"{status.ReplicasToMove} replicas still to move" : status.Settled ? "settled" : "copies on their way"));
        Print(status.Devices);
        Console.WriteLine($"namespace: {status.Shards.Count} shards" + (status.ShardChange.Length > 0 ? $"; shard {status.ShardChange} on its way" : ""));
        Console.WriteLine($"{"shard",6}  {"from",-16} {"objects",10} {"in sync",9}  state");
        foreach (var shard in status.Shards)
        {
            var objects = shard.HasObjects ? shard.Objects.ToString(CultureInfo.InvariantCulture) : "-";
            Console.WriteLine($"{shard.Shard,6}  {shard.FirstHash,-16:x16} {objects,10} {$"{shard.ReplicasInSync} of {shard.Replicas}",9}  {shard.State}");
        }
    }

    private static void Print(IEnumerable<Wire.RingDevice> devices)
    {
        Console.WriteLine($"{"device",6}  {"zone",-16} {"weight",8} {"replicas",9} {"live MiB",10} {"full",6}");
        foreach (var device in devices)
        {
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{device.Device,6}  {device.Zone,-16} {device.Weight,8:0.##} {device.Replicas,9} {device.LiveBytes / (1024.0 * 1024),10:0.0} {device.Fill,6:p0}"));
        }
    }
}

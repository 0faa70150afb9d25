using System.CommandLine;
using Grpc.Core;
using Nephos.Hypervisor;
using Nephos.Hypervisor.Network;
using Wire = Nephos.Protos.Host.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos doctor</c>: what this machine can do, and what nothing owns any more. <c>nephos cleanup</c> removes the latter.</summary>
internal static class DoctorCommand
{
    /// <summary>Longer than a guest is given to switch itself off.</summary>
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(45);

    public static Command CreateDoctor()
    {
        var state = ServeCommand.StateOption();
        var orphans = new Option<bool>("--orphans") { Description = "List processes, links, namespaces and exports that nothing owns" };
        var command = new Command("doctor", "Say what is missing on this machine") { state, orphans };
        command.SetAction((parse, cancellationToken) => parse.GetValue(orphans)
            ? ListOrphansAsync(parse.GetValue(state)!, cancellationToken)
            : Task.FromResult(Probe(parse.GetValue(state)!)));
        return command;
    }

    public static Command CreateCleanup()
    {
        var state = ServeCommand.StateOption();
        var stop = new Option<bool>("--stop-instances")
        {
            Description = "Only end the instances, each guest asked first; the server must still run, since it serves their disks",
        };
        var command = new Command("cleanup", "End what is left of a stopped cloud on this machine: machines, links, namespaces") { state, stop };
        command.SetAction(async (parse, cancellationToken) =>
        {
            var directory = parse.GetValue(state)!;
            var count = await HypervisorModule.StopInstancesAsync(directory, StopPatience, cancellationToken);
            if (count > 0)
            {
                Console.Error.WriteLine($"{count} instances ended; they come back with the next start");
            }
            if (!parse.GetValue(stop))
            {
                NodeNetworkModule.RemoveObjects(NodeOf(directory), directory);
            }
        });
        return command;
    }

    private static int Probe(string state)
    {
        var (canWire, reason) = NodeNetworkModule.Probe(NodeOf(state), state);
        Console.Error.WriteLine(canWire ? "ok       tenant networks (namespaces, taps, VXLAN, nftables)" : $"missing  tenant networks: {reason}");
        return canWire ? 0 : 1;
    }

    private static async Task<int> ListOrphansAsync(string state, CancellationToken cancellationToken)
    {
        var found = NodeNetworkModule.ListObjects(NodeOf(state), state);
        foreach (var line in found)
        {
            Console.WriteLine(line);
        }
        Console.Error.WriteLine($"{found.Count} objects of this cloud are on this machine");
        var orphans = HypervisorModule.ListOrphans(state).Select(orphan => $"{orphan.Kind} {orphan.OwnerId} {orphan.Detail}")
            .Concat(await NetworkOrphansAsync(state, found, cancellationToken)).ToList();
        foreach (var orphan in orphans)
        {
            Console.WriteLine($"orphan {orphan}");
        }
        Console.Error.WriteLine($"{orphans.Count} of them belong to nothing that this node shall have");
        return orphans.Count == 0 ? 0 : 1;
    }

    /// <summary>What the running server does not want of the network on this machine; everything when no server runs.</summary>
    private static async Task<IReadOnlyList<string>> NetworkOrphansAsync(string state, IReadOnlyList<string> all, CancellationToken cancellationToken)
    {
        if (RunningServer.Read(state) is not { } server || !Directory.Exists($"/proc/{server.Pid}"))
        {
            return all;
        }
        try
        {
            using var connection = await AdminConnection.OpenAsync(state, cancellationToken);
            var status = await new Wire.ProcessStatus.ProcessStatusClient(connection.Channel).GetProcessStatusAsync(
                new Wire.GetProcessStatusRequest(), connection.Options(cancellationToken));
            return status.Facts.FirstOrDefault(fact => fact.Name == NodeNetworkModule.OrphansFact)?.Value
                .Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable)
        {
            // It has just ended, or its number went to another process.
            return all;
        }
    }

    private static string NodeOf(string state) => RunningServer.Read(state)?.NodeName ?? "node-1";
}

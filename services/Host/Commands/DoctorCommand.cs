using System.CommandLine;
using Nephos.Hypervisor.Network;

namespace Nephos.Host.Commands;

/// <summary><c>nephos doctor</c>: what this machine can do, and what nothing owns any more. <c>nephos cleanup</c> removes the latter.</summary>
internal static class DoctorCommand
{
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
        var command = new Command("cleanup", "End what is left of a stopped cloud on this machine: machines, links, namespaces") { state };
        command.SetAction(parse =>
        {
            var directory = parse.GetValue(state)!;
            NodeNetworkModule.RemoveObjects(NodeOf(directory), directory);
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
        await Task.CompletedTask.WaitAsync(cancellationToken);
        var found = NodeNetworkModule.ListObjects(NodeOf(state), state);
        foreach (var line in found)
        {
            Console.WriteLine(line);
        }
        Console.Error.WriteLine($"{found.Count} objects of this cloud are on this machine");
        return 0;
    }

    private static string NodeOf(string state) => RunningServer.Read(state)?.NodeName ?? "node-1";
}

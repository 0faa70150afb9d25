using System.CommandLine;
using Grpc.Core;
using Grpc.Net.Client;
using Wire = Nephos.Protos.Host.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos status</c>: what runs, and how every reconciler is doing.</summary>
internal static class StatusCommand
{
    public static Command Create()
    {
        var state = ServeCommand.StateOption();
        var command = new Command("status", "Show what runs and how every reconciler is doing") { state };
        command.SetAction((parse, cancellationToken) => RunAsync(parse.GetValue(state)!, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(string state, CancellationToken cancellationToken)
    {
        using var connection = await AdminConnection.OpenAsync(state, cancellationToken);
        var answered = true;
        foreach (var server in RunningServer.ReadAll(state))
        {
            using var channel = GrpcChannel.ForAddress(server.GrpcUrl);
            try
            {
                Print(server, await new Wire.ProcessStatus.ProcessStatusClient(channel).GetProcessStatusAsync(
                    new Wire.GetProcessStatusRequest(), connection.Options(cancellationToken)));
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.Unavailable)
            {
                Console.WriteLine($"process {server.Pid} at {server.GrpcUrl} does not answer: {exception.Status.Detail}");
                answered = false;
            }
        }
        return answered ? 0 : 1;
    }

    private static void Print(RunningServer server, Wire.GetProcessStatusResponse status)
    {
        var now = TimeProvider.System.GetUtcNow();
        var roles = status.Roles.Count == 0 ? "all roles" : string.Join(", ", status.Roles);
        Console.WriteLine(
            $"{status.NodeName}  {roles}, process {server.Pid}, up {Age(now - status.StartedAt.ToDateTimeOffset())}, {status.ResidentBytes / (1024 * 1024)} MiB");
        Console.WriteLine();
        Console.WriteLine($"{"reconciler",-34} {"passes",8} {"last pass",10} {"took",8} {"backlog",8}  last error");
        foreach (var reconciler in status.Reconcilers)
        {
            var last = reconciler.LastPassAt is { } at ? Age(now - at.ToDateTimeOffset()) : "never";
            var took = $"{reconciler.LastDuration?.ToTimeSpan().TotalMilliseconds ?? 0:0} ms";
            Console.WriteLine($"{reconciler.Name,-34} {reconciler.Passes,8} {last,10} {took,8} {reconciler.Backlog,8}  {reconciler.LastError}");
        }
        Console.WriteLine();
        foreach (var fact in status.Facts)
        {
            Console.WriteLine($"{fact.Name,-44} {fact.Value}");
        }
        Console.WriteLine();
    }

    private static string Age(TimeSpan age) => age switch
    {
        { TotalSeconds: < 120 } => $"{Math.Max(0, age.TotalSeconds):0} s",
        { TotalMinutes: < 120 } => $"{age.TotalMinutes:0} min",
        _ => $"{age.TotalHours:0} h",
    };
}

using System.CommandLine;
using Grpc.Core;
using Wire = Nephos.Protos.Host.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos status</c>: what runs, and how every reconciler is doing.</summary>
internal static class StatusCommand
{
    /// <summary>A process that is frozen must not hold up what the others say for longer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public static Command Create()
    {
        var state = ServeCommand.StateOption();
        var command = new Command("status", "Show what runs and how every reconciler is doing") { state };
        command.SetAction((parse, cancellationToken) => WriteAsync(parse.GetValue(state)!, Console.Out, cancellationToken));
        return command;
    }

    /// <summary>Writes the status of every process; of one that cannot be asked, why.</summary>
    /// <returns>0 when all answered.</returns>
    internal static async Task<int> WriteAsync(string state, TextWriter output, CancellationToken cancellationToken)
    {
        RunningServer.Require(state);
        var servers = RunningServer.ReadAll(state).ToList();
        using var connection = await AuthenticateAsync(servers, state, output, cancellationToken);
        if (connection is null)
        {
            await output.WriteLineAsync("No process gives a token, and without one none says how it is.");
            return 1;
        }
        var answered = true;
        foreach (var server in servers)
        {
            try
            {
                using var channel = server.Connect();
                Print(output, server, await new Wire.ProcessStatus.ProcessStatusClient(channel).GetProcessStatusAsync(
                    new Wire.GetProcessStatusRequest(),
                    connection.Options(cancellationToken).WithDeadline(TimeProvider.System.GetUtcNow().UtcDateTime + Patience)));
            }
            catch (Exception exception) when (IsOfThisProcess(exception, cancellationToken))
            {
                await output.WriteLineAsync(Describe(server, exception));
                answered = false;
            }
        }
        return answered ? 0 : 1;
    }

    /// <summary>A token from the first process that gives one: the gateway, or else the one with the role identity.</summary>
    private static async Task<AdminConnection?> AuthenticateAsync(
        List<RunningServer> servers, string state, TextWriter output, CancellationToken cancellationToken)
    {
        var failures = new List<string>();
        foreach (var server in servers)
        {
            try
            {
                return await AdminConnection.OpenAsync(server, state, cancellationToken);
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.Unimplemented)
            {
                // It has another role.
            }
            catch (Exception exception) when (IsOfThisProcess(exception, cancellationToken))
            {
                failures.Add(Describe(server, exception));
            }
        }
        foreach (var failure in failures)
        {
            await output.WriteLineAsync(failure);
        }
        return null;
    }

    private static bool IsOfThisProcess(Exception exception, CancellationToken cancellationToken) =>
        exception is RpcException or CommandException && !cancellationToken.IsCancellationRequested;

    private static string Describe(RunningServer server, Exception exception) => exception is RpcException { Status: var status }
        ? $"Process {server.Pid} at {server.GrpcUrl} does not answer: {status.StatusCode}: {status.Detail}"
        : exception.Message;

    private static void Print(TextWriter output, RunningServer server, Wire.GetProcessStatusResponse status)
    {
        var now = TimeProvider.System.GetUtcNow();
        var roles = status.Roles.Count == 0 ? "all roles" : string.Join(", ", status.Roles);
        output.WriteLine(
            $"{status.NodeName}  {roles}, process {server.Pid}, up {Age(now - status.StartedAt.ToDateTimeOffset())}, {status.ResidentBytes / (1024 * 1024)} MiB");
        output.WriteLine();
        output.WriteLine($"{"reconciler",-34} {"passes",8} {"last pass",10} {"took",8} {"backlog",8}  last error");
        foreach (var reconciler in status.Reconcilers)
        {
            var last = reconciler.LastPassAt is { } at ? Age(now - at.ToDateTimeOffset()) : "never";
            var took = $"{reconciler.LastDuration?.ToTimeSpan().TotalMilliseconds ?? 0:0} ms";
            output.WriteLine($"{reconciler.Name,-34} {reconciler.Passes,8} {last,10} {took,8} {reconciler.Backlog,8}  {reconciler.LastError}");
        }
        output.WriteLine();
        foreach (var fact in status.Facts)
        {
            output.WriteLine($"{fact.Name,-44} {fact.Value}");
        }
        output.WriteLine();
    }

    private static string Age(TimeSpan age) => age switch
    {
        { TotalSeconds: < 120 } => $"{Math.Max(0, age.TotalSeconds):0} s",
        { TotalMinutes: < 120 } => $"{age.TotalMinutes:0} min",
        _ => $"{age.TotalHours:0} h",
    };
}

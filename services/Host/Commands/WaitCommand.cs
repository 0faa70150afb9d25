using System.CommandLine;
using Grpc.Core;

namespace Nephos.Host.Commands;

/// <summary><c>nephos wait</c>: returns once the server answers, or fails when its process has ended.</summary>
internal static class WaitCommand
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    public static Command Create()
    {
        var state = ServeCommand.StateOption();
        var pid = new Option<int>("--pid") { Description = "The process to wait for", Required = true };
        var timeout = new Option<int>("--timeout") { Description = "Seconds", DefaultValueFactory = _ => 60 };
        var command = new Command("wait", "Wait until the server is ready") { state, pid, timeout };
        command.SetAction((parse, cancellationToken) =>
            RunAsync(parse.GetValue(state)!, parse.GetValue(pid), TimeSpan.FromSeconds(parse.GetValue(timeout)), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(string state, int pid, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        string reason = "it has not begun to listen";
        while (clock.Elapsed < timeout)
        {
            if (!Directory.Exists($"/proc/{pid}"))
            {
                throw new CommandException($"The server (process {pid}) ended while starting");
            }
            if (RunningServer.Read(state) is { } server && server.Pid == pid)
            {
                try
                {
                    using var connection = await AdminConnection.OpenAsync(state, cancellationToken);
                    return 0;
                }
                catch (Exception exception) when (exception is RpcException or CommandException)
                {
                    reason = exception.Message;
                }
            }
            await Task.Delay(Interval, cancellationToken);
        }
        throw new CommandException($"The server was not ready within {timeout.TotalSeconds:0} s: {reason}");
    }
}

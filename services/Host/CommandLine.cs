using System.CommandLine;
using Grpc.Core;
using Nephos.Host.Commands;

namespace Nephos.Host;

/// <summary>The command line of the one executable.</summary>
internal static class CommandLine
{
    public static async Task<int> RunAsync(string[] args)
    {
        var root = new RootCommand("Nephos: a whole cloud in one program.");
        foreach (var command in new[]
        {
            ServeCommand.Create(), SeedCommand.Create(), EnvCommand.CreateEnv(), EnvCommand.CreateRoles(), StatusCommand.Create(), StateCommand.Create(), ClusterCommand.Create(), RingCommand.Create(), ExportCommand.Create(),
            DoctorCommand.CreateDoctor(), DoctorCommand.CreateCleanup(),
        })
        {
            root.Subcommands.Add(command);
        }
        try
        {
            return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (CommandException exception)
        {
            await Console.Error.WriteLineAsync($"nephos: {exception.Message}");
        }
        catch (RpcException exception)
        {
            await Console.Error.WriteLineAsync($"nephos: the server answered {exception.StatusCode}: {exception.Status.Detail}");
        }
        return 1;
    }
}

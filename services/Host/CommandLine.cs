using System.CommandLine;

namespace Nephos.Host;

/// <summary>The command line of the one executable.</summary>
internal static class CommandLine
{
    public static Task<int> RunAsync(string[] args)
    {
        var root = new RootCommand("Nephos: a whole cloud in one program.");
        root.Subcommands.Add(ServeCommand.Create());
        return root.Parse(args).InvokeAsync();
    }
}

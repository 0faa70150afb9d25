using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Nephos.Hosting;
using Nephos.Hosting.Readiness;
using Nephos.Kernel.State;

namespace Nephos.Host.Commands;

/// <summary><c>nephos serve</c>: runs the chosen roles until it is told to stop.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var roles = new Option<string[]>("--roles")
        {
            Description = $"Roles to run: all, {string.Join(", ", Roles.All.Select(role => role.Name))}",
            AllowMultipleArgumentsPerToken = true,
        };
        var state = StateOption();
        var portBase = new Option<int?>("--port-base") { Description = "REST listens here, gRPC one above, S3 920 above (default 8080)" };
        var listen = new Option<string?>("--listen") { Description = "Address to listen on (default 127.0.0.1; * for all)" };
        var publicHost = new Option<string?>("--public-host") { Description = "Name or address that clients reach this cloud by" };
        var node = new Option<string?>("--node") { Description = "Name of this node" };
        var set = new Option<string[]>("--set")
        {
            Description = "Any setting as Section:Name=value, e.g. Compute:Hypervisor=simulated",
        };
        var command = new Command("serve", "Run roles of the cloud in this process") { roles, state, portBase, listen, publicHost, node, set };
        command.SetAction((parse, cancellationToken) => RunAsync(
            [
                .. Setting("Nephos:StateDirectory", Path.GetFullPath(parse.GetValue(state)!)),
                .. Setting("Nephos:PortBase", parse.GetValue(portBase)?.ToString()),
                .. Setting("Nephos:ListenAddress", parse.GetValue(listen)),
                .. Setting("Nephos:PublicHost", parse.GetValue(publicHost)),
                .. Setting("Nephos:NodeName", parse.GetValue(node)),
                .. (parse.GetValue(roles) ?? []).SelectMany(value => value.Split(','))
                    .Select((role, index) => KeyValuePair.Create($"Nephos:Roles:{index}", (string?)role)),
                .. (parse.GetValue(set) ?? []).Select(pair => pair.Split('=', 2))
                    .Select(pair => KeyValuePair.Create(pair[0], pair.Length == 2 ? pair[1] : null)),
            ],
            cancellationToken));
        return command;
    }

    /// <summary>Where a cloud keeps its state unless it is told otherwise.</summary>
    public static string DefaultStateDirectory => Path.Combine(
        Environment.GetEnvironmentVariable("XDG_STATE_HOME") is { Length: > 0 } home
            ? home
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state"),
        "nephos");

    public static Option<string> StateOption() => new("--state")
    {
        Description = "State directory",
        DefaultValueFactory = _ => DefaultStateDirectory,
    };

    private static IEnumerable<KeyValuePair<string, string?>> Setting(string key, string? value) =>
        value is null ? [] : [KeyValuePair.Create(key, (string?)value)];

    private static async Task<int> RunAsync(KeyValuePair<string, string?>[] settings, CancellationToken cancellationToken)
    {
        try
        {
            await using var app = NephosApplication.Build(Roles.All, settings);
            var options = app.Services.GetRequiredService<NephosOptions>();
            app.Lifetime.ApplicationStarted.Register(() => RunningServer.Write(options));
            _ = WriteWhenReadyAsync(app.Services.GetRequiredService<ReadinessGate>(), options);
            await app.RunAsync(cancellationToken);
            return 0;
        }
        catch (Exception exception) when (exception is ValidationException or Microsoft.Extensions.Options.OptionsValidationException)
        {
            await Console.Error.WriteLineAsync($"nephos serve: the configuration is wrong:{Environment.NewLine}{exception.Message}");
            return 2;
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or StateUnavailableException)
        {
            // A port or a store that another process holds, a full disk, a format of a newer program.
            await Console.Error.WriteLineAsync($"nephos serve: cannot start: {exception.Message}");
            return 1;
        }
    }

    private static async Task WriteWhenReadyAsync(ReadinessGate gate, NephosOptions options)
    {
        await gate.Ready;
        RunningServer.WriteReady(options);
    }
}

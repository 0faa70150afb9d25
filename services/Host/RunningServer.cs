using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Hosting;

namespace Nephos.Host;

/// <summary>What a running server tells the other commands: where it listens. Written to <c>run/server.json</c> once it does.</summary>
internal sealed record RunningServer(int Pid, string Address, string PublicHost, int RestPort, int GrpcPort, int S3Port, string Region, string NodeName)
{
    public string RestUrl => $"http://{PublicHost}:{RestPort}";

    public string S3Url => $"http://{PublicHost}:{S3Port}";

    public string GrpcUrl => $"http://{Address}:{GrpcPort}";

    public static string FileOf(string stateDirectory) => Path.Combine(stateDirectory, "run", "server.json");

    public static void Write(NephosOptions options)
    {
        var file = FileOf(options.StateDirectory);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        var server = new RunningServer(
            Environment.ProcessId, options.ListenAddress is "0.0.0.0" or "*" ? "127.0.0.1" : options.ListenAddress, options.PublicHost,
            options.RestPort, options.GrpcPort, options.S3Port, options.Region, options.NodeName);
        var temporary = file + ".tmp";
        File.WriteAllText(temporary, JsonSerializer.Serialize(server, RunningServerJson.Default.RunningServer));
        File.Move(temporary, file, overwrite: true);
    }

    /// <returns>Null when no server has run in this state directory, or the file is being replaced.</returns>
    public static RunningServer? Read(string stateDirectory)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(FileOf(stateDirectory)), RunningServerJson.Default.RunningServer);
        }
        catch (Exception exception) when (exception is IOException or JsonException)
        {
            return null;
        }
    }

    /// <exception cref="CommandException">There is none.</exception>
    public static RunningServer Require(string stateDirectory) =>
        Read(stateDirectory) ?? throw new CommandException($"No server runs with the state directory {stateDirectory}; start one with ./nephos up");
}

[JsonSerializable(typeof(RunningServer))]
internal sealed partial class RunningServerJson : JsonSerializerContext;

/// <summary>Ends a command with a message for people.</summary>
internal sealed class CommandException(string message) : Exception(message);

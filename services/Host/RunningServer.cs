using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Grpc.Net.Client;
using Nephos.Hosting;
using Nephos.Host.Commands;

namespace Nephos.Host;

/// <summary>What a running server tells the other commands: where it listens. Written to <c>run/server.json</c> once it does.</summary>
/// <param name="Pid">Of the process.</param>
/// <param name="Address">Where this machine reaches it.</param>
/// <param name="PublicHost">Where clients reach it.</param>
/// <param name="RestPort">Without TLS, as the next two.</param>
/// <param name="GrpcPort">gRPC.</param>
/// <param name="S3Port">S3.</param>
/// <param name="TlsPort">Where clients come to for all three, when there is a certificate.</param>
/// <param name="Region">Of the cloud.</param>
/// <param name="NodeName">Of the machine.</param>
/// <param name="Cluster">What its ports want to be shown, when they take connections of the cluster's processes only.</param>
internal sealed record RunningServer(
    int Pid, string Address, string PublicHost, int RestPort, int GrpcPort, int S3Port, int? TlsPort, string Region, string NodeName, ClusterFiles? Cluster = null)
{
    public string RestUrl => TlsPort is { } port ? $"https://{PublicHost}:{port}" : $"http://{PublicHost}:{RestPort}";

    public string S3Url => TlsPort is null ? $"http://{PublicHost}:{S3Port}" : RestUrl;

    public string PublicGrpc => $"{PublicHost}:{TlsPort ?? GrpcPort}";

    public string GrpcUrl => $"{(Cluster is null ? Uri.UriSchemeHttp : Uri.UriSchemeHttps)}://{Address}:{GrpcPort}";

    /// <summary>A channel to its gRPC port, with the certificate that the process itself shows to others where one is wanted.</summary>
    /// <exception cref="CommandException">The certificate cannot be read here.</exception>
    public GrpcChannel Connect()
    {
        var handler = new SocketsHttpHandler();
        try
        {
            if (Cluster is { } files)
            {
                handler.SslOptions = new ClusterTls(files.Certificate, files.Key, files.Authority).ClientOptions;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            handler.Dispose();
            throw new CommandException($"The certificate of process {Pid} at {GrpcUrl} cannot be used: {exception.Message}");
        }
        return GrpcChannel.ForAddress(GrpcUrl, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    public static string FileOf(string stateDirectory) => Path.Combine(stateDirectory, "run", "server.json");

    /// <summary>Says that the process is ready: its id, then for people where everything is.</summary>
    public static void WriteReady(NephosOptions options)
    {
        var server = Of(options);
        Replace(ReadyFileOf(options.StateDirectory), $"""
            {server.Pid}
            Ready.
              REST   {server.RestUrl}/identity/v3
              S3     {server.S3Url}
              gRPC   {server.PublicGrpc}
              eval "$(./nephos env{StateArgument(options.StateDirectory)})" gives the openstack command its credentials

            """);
    }

    public static void Write(NephosOptions options)
    {
        var file = FileOf(options.StateDirectory);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.Delete(ReadyFileOf(options.StateDirectory));
        Replace(file, JsonSerializer.Serialize(Of(options), RunningServerJson.Default.RunningServer));
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

    /// <summary>Every process of the cloud that lives: the one whose directory it is, and those of roles in directories below it.</summary>
    public static IEnumerable<RunningServer> ReadAll(string stateDirectory) => Directory.EnumerateDirectories(stateDirectory)
        .Order(StringComparer.Ordinal).Prepend(stateDirectory).Select(Read).OfType<RunningServer>()
        .Where(server => Directory.Exists($"/proc/{server.Pid}"));

    /// <exception cref="CommandException">There is none.</exception>
    public static RunningServer Require(string stateDirectory) =>
        Read(stateDirectory) ?? throw new CommandException($"No server runs with the state directory {stateDirectory}; start one with ./nephos up");

    /// <summary>What the command of people needs to find the state directory, quoted for the shell; nothing for the usual one.</summary>
    internal static string StateArgument(string stateDirectory) => stateDirectory == ServeCommand.DefaultStateDirectory
        ? ""
        : $" --state '{stateDirectory.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static string ReadyFileOf(string stateDirectory) => Path.Combine(stateDirectory, "run", "ready");

    private static RunningServer Of(NephosOptions options) => new(
        Environment.ProcessId, options.OwnAddress, options.PublicHost, options.RestPort, options.GrpcPort, options.S3Port,
        options.ServesTls ? options.TlsPort : null, options.Region, options.NodeName,
        options is { ServesClusterOnly: true, ClusterCertificateFile: { } certificate, ClusterKeyFile: { } key, ClusterAuthorityFile: { } authority }
            ? new ClusterFiles(Path.GetFullPath(certificate), Path.GetFullPath(key), Path.GetFullPath(authority))
            : null);

    private static void Replace(string file, string text)
    {
        var temporary = file + ".tmp";
        File.WriteAllText(temporary, text);
        File.Move(temporary, file, overwrite: true);
    }
}

/// <summary>PEM files of a process of a cluster: paths, nothing of what is in them.</summary>
internal sealed record ClusterFiles(string Certificate, string Key, string Authority);

[JsonSerializable(typeof(RunningServer))]
internal sealed partial class RunningServerJson : JsonSerializerContext;

/// <summary>Ends a command with a message for people.</summary>
internal sealed class CommandException(string message) : Exception(message);

using System.Diagnostics;
using Nephos.Probe.Tests.State;

namespace Nephos.Probe.Tests;

/// <summary>The processes that probes start, kill and look after: this assembly, started as a program.</summary>
internal static class ProbeProgram
{
    public static async Task<int> Main(string[] arguments)
    {
        switch (arguments)
        {
            case ["state-writer", var path]:
                await StateWriter.RunAsync(path);
                return 0;

            case ["object-writer", var path, var seed]:
                await Objects.ObjectWriter.RunAsync(path, int.Parse(seed, System.Globalization.CultureInfo.InvariantCulture));
                return 0;

            case ["block-server", var folder, var size, var replicas, .. var how]:
                await Block.BlockServer.RunAsync(
                    folder, long.Parse(size, System.Globalization.CultureInfo.InvariantCulture), int.Parse(replicas, System.Globalization.CultureInfo.InvariantCulture),
                    encrypted: how is ["encrypted"]);
                return 0;

            case ["block-storage", var folder]:
                await Block.StorageProcess.RunAsync(folder);
                return 0;

            case ["block-head", var folder, var size, var epoch]:
                await Block.HeadProcess.RunAsync(
                    folder, long.Parse(size, System.Globalization.CultureInfo.InvariantCulture), long.Parse(epoch, System.Globalization.CultureInfo.InvariantCulture));
                return 0;

            case ["volume-agent", var port, var secrets, var node, var socket]:
                await Block.VolumeAgent.RunAsync(int.Parse(port, System.Globalization.CultureInfo.InvariantCulture), secrets, node, socket);
                return 0;

            default:
                await Console.Error.WriteLineAsync("usage: state-writer PATH | object-writer PATH SEED | block-server FOLDER BYTES REPLICAS [encrypted] | block-storage FOLDER | block-head FOLDER BYTES EPOCH | volume-agent PORT SECRETS NODE SOCKET");
                return 2;
        }
    }

    /// <summary>Starts this assembly as a program; its output can be read.</summary>
    public static Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo(
        Environment.ProcessPath!, ["exec", typeof(ProbeProgram).Assembly.Location, .. arguments])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
    })!;
}

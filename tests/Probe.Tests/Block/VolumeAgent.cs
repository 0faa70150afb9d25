using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Transport;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Probe.Tests.Block;

/// <summary>A process with the head of an attached volume, whose replicas are in storage processes: what the agent of a node is to volumes.</summary>
internal sealed class VolumeAgent : IDisposable
{
    private const int KeyBytes = 32;

    private readonly Process _process;

    private VolumeAgent(Process process, string exportName, string socketPath) => (_process, ExportName, SocketPath) = (process, exportName, socketPath);

    public string ExportName { get; }

    public string SocketPath { get; }

    public int ProcessId => _process.Id;

    /// <summary>Starts the process, which opens the attachment at the volume role.</summary>
    public static async Task<VolumeAgent> StartAsync(int grpcPort, string secretsDirectory, string userToken, Wire.CreateAttachmentResponse made, string socketPath)
    {
        var process = ProbeProgram.Start("volume-agent", grpcPort.ToString(CultureInfo.InvariantCulture), secretsDirectory, made.Attachment.Node, socketPath);
        // Not as arguments, which everybody can see.
        foreach (var secret in new[] { userToken, made.Attachment.Id, made.Token }) await process.StandardInput.WriteLineAsync(secret);
        await process.StandardInput.FlushAsync();
        var line = await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The agent said nothing.");
        return new VolumeAgent(process, line, socketPath);
    }

    /// <summary>Waits until every replica has everything.</summary>
    public async Task UntilCompleteAsync(TimeSpan patience)
    {
        for (var began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < patience; await Task.Delay(100))
        {
            await _process.StandardInput.WriteLineAsync("status");
            await _process.StandardInput.FlushAsync();
            if (await _process.StandardOutput.ReadLineAsync() == "3") return;
        }
        throw new TimeoutException("The replicas are not complete.");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <summary>What the process does.</summary>
    public static async Task RunAsync(int grpcPort, string secretsDirectory, string node, string socketPath)
    {
        var headers = new Metadata { { "authorization", $"Bearer {await Console.In.ReadLineAsync()}" } };
        var request = new Wire.OpenAttachmentRequest { Node = node, AttachmentId = await Console.In.ReadLineAsync(), Token = await Console.In.ReadLineAsync() };
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{grpcPort}");
        var key = SecretFile.ReadOrCreate(secretsDirectory, "storage.key", KeyBytes);
        await using var connector = new RemoteReplicas(new SocketTransport(key, TimeProvider.System));
        var services = new ServiceCollection()
            .AddSingleton<IReplicaConnector>(connector).AddSingleton(TimeProvider.System).AddSingleton(typeof(ILogger<>), typeof(NullLogger<>)).AddVolumeHeads();
        await using var provider = services.BuildServiceProvider();
        var heads = provider.GetRequiredService<IVolumeHeads>();
        var opened = await new Wire.Attachments.AttachmentsClient(channel).OpenAttachmentAsync(request, headers);
        await heads.OpenAsync(OpenedVolume.From(opened), socketPath, CancellationToken.None);
        await Console.Out.WriteLineAsync(opened.ExportName);
        while (await Console.In.ReadLineAsync() is not null) await Console.Out.WriteLineAsync(heads.List().Single().Group.CompleteCount.ToString(CultureInfo.InvariantCulture));
    }
}

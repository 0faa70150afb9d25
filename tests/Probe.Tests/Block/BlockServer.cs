using System.Diagnostics;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Node.Block;

namespace Nephos.Probe.Tests.Block;

/// <summary>A process with one device or several and the head of one volume, to be killed.</summary>
internal sealed class BlockServer : IDisposable
{
    public const string ExportName = "probe";
    public static readonly Guid VolumeId = new("6f0f4d6e-52d5-4a5c-8a0f-1d8a3c1f0001");

    private readonly Process _process;

    private BlockServer(Process process, string folder)
    {
        _process = process;
        Folder = folder;
    }

    public string Folder { get; }

    public string SocketPath => SocketOf(Folder);

    public string Uri => $"nbd+unix:///{ExportName}?socket={SocketPath}";

    public int ProcessId => _process.Id;

    /// <summary>Starts the process and waits until the volume is served.</summary>
    public static async Task<BlockServer> StartAsync(string folder, long sizeBytes, int replicas = 1)
    {
        var process = ProbeProgram.Start("block-server", folder, sizeBytes.ToString(System.Globalization.CultureInfo.InvariantCulture), replicas.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var line = await process.StandardOutput.ReadLineAsync();
        if (line != "ready") throw new InvalidOperationException($"The block server said '{line}'.");
        return new BlockServer(process, folder);
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <summary>What the process does.</summary>
    /// <param name="folder">Where the devices and the socket are.</param>
    /// <param name="sizeBytes">Of the volume.</param>
    /// <param name="replicas">As many devices.</param>
    /// <param name="encrypted">Whether the head encrypts the volume.</param>
    public static async Task RunAsync(string folder, long sizeBytes, int replicas, bool encrypted)
    {
        var options = new BlockDevicesOptions { Directories = [.. Enumerable.Range(1, replicas).Select(number => Path.Combine(folder, $"device-{number}"))], ReserveBytes = 64 << 20 };
        using var devices = new BlockDeviceSet(options, new NephosOptions(), TimeProvider.System, NullLogger<BlockDeviceSet>.Instance);
        var volumes = devices.Devices.Select(store => store.CreateVolume(VolumeId, sizeBytes, null)).ToList();
        var services = new ServiceCollection()
            .AddSingleton<IReplicaConnector>(devices).AddSingleton(TimeProvider.System).AddSingleton(typeof(ILogger<>), typeof(NullLogger<>)).AddVolumeHeads();
        await using var provider = services.BuildServiceProvider();
        var opened = new OpenedVolume
        {
            AttachmentId = VolumeId,
            VolumeId = VolumeId,
            Epoch = volumes.Max(volume => volume.SealedEpoch) / 2 + 1,
            SizeBytes = sizeBytes,
            ReadOnly = false,
            ExportName = ExportName,
            EncryptionKey = encrypted ? SHA512.HashData("probe"u8) : ReadOnlyMemory<byte>.Empty,
            Replicas = [.. devices.Devices.Select(store => new ReplicaEndpoint(store.DeviceId.ToString(), ""))],
        };
        await provider.GetRequiredService<IVolumeHeads>().OpenAsync(opened, SocketOf(folder), CancellationToken.None);
        await Console.Out.WriteLineAsync("ready");
        // Ends with whoever started it.
        while (await Console.In.ReadLineAsync() is not null) { }
    }

    private static string SocketOf(string folder) => Path.Combine(folder, "nbd.sock");
}

using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Transport;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Node.Block;

namespace Nephos.Probe.Tests.Block;

/// <summary>A process with one device, which heads of other processes reach by frames.</summary>
internal sealed class StorageProcess : IDisposable
{
    public static readonly byte[] Key = new byte[32];

    private readonly string _folder;
    private Process _process = null!;

    private StorageProcess(string folder) => _folder = folder;

    public string DeviceId { get; private set; } = "";

    public static string AddressOf(string folder) => $"unix:{Path.Combine(folder, "frames.sock")}";

    public static async Task<StorageProcess> StartAsync(string folder)
    {
        var storage = new StorageProcess(folder);
        await storage.RestartAsync();
        return storage;
    }

    public async Task RestartAsync()
    {
        _process = ProbeProgram.Start("block-storage", _folder);
        DeviceId = await _process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The storage process said nothing.");
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    /// <summary>What the process does.</summary>
    public static async Task RunAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var options = new BlockDevicesOptions { Directories = [Path.Combine(folder, "device")], ReserveBytes = 64 << 20 };
        using var devices = new BlockDeviceSet(options, new NephosOptions(), TimeProvider.System, NullLogger<BlockDeviceSet>.Instance);
        File.Delete(StorageAddress.Parse(AddressOf(folder)).Path);
        await using var listener = new SocketTransport(Key, TimeProvider.System).Listen(StorageAddress.Parse(AddressOf(folder)), new ReplicaServer(devices).HandleAsync);
        await Console.Out.WriteLineAsync(devices.Devices.Single().DeviceId.ToString());
        // Ends with whoever started it.
        while (await Console.In.ReadLineAsync() is not null) { }
    }
}

/// <summary>A process with the head of a volume on three storage processes.</summary>
internal sealed class HeadProcess : IDisposable
{
    private static readonly Guid VolumeId = new("6f0f4d6e-52d5-4a5c-8a0f-1d8a3c1f0002");

    private readonly Process _process;

    private HeadProcess(Process process, string folder, long epoch) => (_process, SocketPath) = (process, SocketOf(folder, epoch));

    public string SocketPath { get; }

    public int ProcessId => _process.Id;

    /// <param name="folder">Holds the folders 1 to 3 of the storage processes.</param>
    public static async Task<HeadProcess> StartAsync(string folder, long sizeBytes, long epoch)
    {
        var process = ProbeProgram.Start("block-head", folder, sizeBytes.ToString(CultureInfo.InvariantCulture), epoch.ToString(CultureInfo.InvariantCulture));
        var line = await process.StandardOutput.ReadLineAsync();
        if (line != "ready") throw new InvalidOperationException($"The head said '{line}'.");
        return new HeadProcess(process, folder, epoch);
    }

    /// <summary>Waits until every replica has everything.</summary>
    public async Task UntilCompleteAsync()
    {
        for (var i = 0; i < 600; i++)
        {
            await _process.StandardInput.WriteLineAsync("status");
            await _process.StandardInput.FlushAsync();
            if (await _process.StandardOutput.ReadLineAsync() == "3") return;
            await Task.Delay(100);
        }
        throw new TimeoutException("The replicas are not complete.");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static string SocketOf(string folder, long epoch) => Path.Combine(folder, $"nbd-{epoch}.sock");

    /// <summary>What the process does.</summary>
    public static async Task RunAsync(string folder, long sizeBytes, long epoch)
    {
        await using var connector = new RemoteReplicas(new SocketTransport(StorageProcess.Key, TimeProvider.System));
        var endpoints = Enumerable.Range(1, 3).Select(number => Path.Combine(folder, $"{number}")).Select(
            place => new ReplicaEndpoint(File.ReadAllText(Path.Combine(place, "id")), StorageProcess.AddressOf(place))).ToList();
        var services = new ServiceCollection()
            .AddSingleton<IReplicaConnector>(connector).AddSingleton(TimeProvider.System).AddSingleton(typeof(ILogger<>), typeof(NullLogger<>)).AddVolumeHeads();
        await using var provider = services.BuildServiceProvider();
        var opened = new OpenedVolume
        {
            AttachmentId = Guid.NewGuid(), VolumeId = VolumeId, Epoch = epoch, SizeBytes = sizeBytes, ReadOnly = false, ExportName = BlockServer.ExportName,
            Replicas = endpoints,
        };
        var heads = provider.GetRequiredService<IVolumeHeads>();
        await heads.OpenAsync(opened, SocketOf(folder, epoch), CancellationToken.None);
        await Console.Out.WriteLineAsync("ready");
        while (await Console.In.ReadLineAsync() is not null) await Console.Out.WriteLineAsync(heads.List().Single().Group.CompleteCount.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Makes the volume on three storage processes that run.</summary>
    public static async Task CreateVolumeAsync(string folder, IReadOnlyList<StorageProcess> storages, long sizeBytes)
    {
        await using var connector = new RemoteReplicas(new SocketTransport(StorageProcess.Key, TimeProvider.System));
        for (var number = 1; number <= storages.Count; number++)
        {
            var place = Path.Combine(folder, $"{number}");
            await File.WriteAllTextAsync(Path.Combine(place, "id"), storages[number - 1].DeviceId);
            var replica = await connector.ConnectAsync(new ReplicaEndpoint(storages[number - 1].DeviceId, StorageProcess.AddressOf(place)), VolumeId, sizeBytes, CancellationToken.None);
            if (replica.Begin(Nephos.Replication.Volumes.VolumeHistory.Empty, complete: true) != ReplicaStatus.Ok) throw new InvalidOperationException("The volume could not be made.");
        }
    }
}

using System.Diagnostics;
using Google.Protobuf;
using Microsoft.Extensions.DependencyInjection;
using Nephos.BlockStorage;
using Nephos.BlockStorage.Backups;
using Nephos.BlockStorage.Images;
using Nephos.Hosting;
using Nephos.Node.Block;
using Nephos.Services.Tests;
using Nephos.Services.Tests.BlockStorage;
using Xunit;
using Storage = Nephos.Protos.Storage.V1;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Probe.Tests.Block;

/// <summary>Block storage with real devices, and tools of others that read what it exports.</summary>
public sealed class ExportCloud() : ServiceHost(
    "/volume/v3/",
    new("BlockDevices:SegmentBytes", $"{4 << 20}"), new("BlockDevices:ReserveBytes", $"{64 << 20}"), new("BlockStorage:ExportPort", "0"))
{
    private const string Caller = "alice";
    private const int MessageBytes = 1 << 20;

    private protected override IReadOnlyList<Role> Roles =>
    [
        new(
            "volume",
            builder =>
            {
                builder.AddBlockStorage();
                builder.Services.AddSingleton<IImages>(new FakeImages());
                builder.Services.AddSingleton<IBackupObjects>(new FakeBackupObjects());
            },
            app => app.MapBlockStorage()),
        new("storage", builder => builder.AddBlockDevices(), app => app.MapBlockDevices()),
    ];

    public async Task<string> CreateVolumeAsync(string type = "")
    {
        var made = await new Wire.Volumes.VolumesClient(Grpc).CreateVolumeAsync(
            new Wire.CreateVolumeRequest { SizeBytes = 1L << 30, VolumeType = type, AvailabilityZone = "nova" }, As(Caller));
        return made.Id;
    }

    /// <summary>Writes as whoever fills a volume does: past its head, in ascending order.</summary>
    public async Task WriteAsync(string volumeId, params (long Offset, byte[] Data)[] pieces)
    {
        var devices = new Storage.BlockDevices.BlockDevicesClient(Grpc);
        var device = (await devices.ListBlockDevicesAsync(new Storage.ListBlockDevicesRequest(), As("service"))).Devices.Single();
        using var call = devices.WriteBlocks(As("service"));
        await call.RequestStream.WriteAsync(new Storage.WriteBlocksRequest { Replica = new Storage.ReplicaRef { DeviceId = device.Id, VolumeId = volumeId } });
        foreach (var (offset, data) in pieces)
        {
            for (var at = 0; at < data.Length; at += MessageBytes)
            {
                var part = ByteString.CopyFrom(data, at, Math.Min(MessageBytes, data.Length - at));
                await call.RequestStream.WriteAsync(new Storage.WriteBlocksRequest { OffsetBytes = offset + at, Data = part });
            }
        }
        await call.RequestStream.CompleteAsync();
        await call.ResponseAsync;
    }

    public async Task<string> SnapshotAsync(string volumeId) =>
        (await new Wire.Snapshots.SnapshotsClient(Grpc).CreateSnapshotAsync(new Wire.CreateSnapshotRequest { VolumeId = volumeId }, As(Caller))).Id;

    public async Task<string> BackUpAsync(string volumeId)
    {
        var backups = new Wire.Backups.BackupsClient(Grpc);
        var made = await backups.CreateBackupAsync(new Wire.CreateBackupRequest { VolumeId = volumeId }, As(Caller));
        for (var round = 0; round < 1200 && made.Status == Wire.BackupStatus.Creating; round++)
        {
            await Task.Delay(50);
            made = await backups.GetBackupAsync(new Wire.GetBackupRequest { BackupId = made.Id }, As(Caller));
        }
        Assert.Equal(Wire.BackupStatus.Available, made.Status);
        return made.Id;
    }

    /// <summary>Exports something, and puts the certificates into a folder.</summary>
    public async Task<Wire.CreateExportResponse> ExportAsync(Wire.CreateExportRequest request, string certificates)
    {
        var made = await new Wire.Exports.ExportsClient(Grpc).CreateExportAsync(request, As(Caller));
        Directory.CreateDirectory(certificates);
        await File.WriteAllTextAsync(Path.Combine(certificates, "ca-cert.pem"), made.AuthorityCertificate);
        await File.WriteAllTextAsync(Path.Combine(certificates, "client-cert.pem"), made.ClientCertificate);
        await File.WriteAllTextAsync(Path.Combine(certificates, "client-key.pem"), made.ClientKey);
        return made;
    }

    public async Task DeleteExportAsync(string id) =>
        await new Wire.Exports.ExportsClient(Grpc).DeleteExportAsync(new Wire.DeleteExportRequest { ExportId = id }, As(Caller));

    /// <summary>Runs a tool to its end.</summary>
    public static async Task<(int Code, string Said)> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = "/usr/bin:/bin:" + Environment.GetEnvironmentVariable("PATH");
        using var process = Process.Start(start)!;
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        var (standard, error) = (process.StandardOutput.ReadToEndAsync(timeout.Token), process.StandardError.ReadToEndAsync(timeout.Token));
        var said = await standard + await error;
        await process.WaitForExitAsync(timeout.Token);
        return (process.ExitCode, said);
    }
}

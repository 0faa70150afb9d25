using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Hypervisor.Qemu;
using Nephos.Node.Block;
using Xunit;

namespace Nephos.Probe.Tests.Block;

public sealed class LiveResizeTests : IDisposable
{
    private const long Size = 64L << 20;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-grow-");

    public void Dispose() => _folder.Delete(recursive: true);

    [ToolFact("qemu-system-x86_64")]
    public async Task B40_A_running_machine_sees_its_disk_grow()
    {
        var none = CancellationToken.None;
        var options = new BlockDevicesOptions { Directories = [Path.Combine(_folder.FullName, "device")], ReserveBytes = 64 << 20 };
        using var devices = new BlockDeviceSet(options, new NephosOptions(), TimeProvider.System, NullLogger<BlockDeviceSet>.Instance);
        var store = devices.Devices.Single();
        var id = Guid.NewGuid();
        store.CreateVolume(id, Size, null);
        await using var provider = new ServiceCollection()
            .AddSingleton<IReplicaConnector>(devices).AddSingleton(TimeProvider.System).AddSingleton(typeof(ILogger<>), typeof(NullLogger<>)).AddVolumeHeads()
            .BuildServiceProvider();
        var heads = provider.GetRequiredService<IVolumeHeads>();
        var (socket, qmp) = (Path.Combine(_folder.FullName, "nbd"), Path.Combine(_folder.FullName, "qmp"));
        await heads.OpenAsync(
            new OpenedVolume
            {
                AttachmentId = id, VolumeId = id, Epoch = 1, SizeBytes = Size, ReadOnly = false, ExportName = "grow", Replicas = [new(store.DeviceId.ToString(), "")],
            },
            socket, none);
        using var machine = Process.Start(new ProcessStartInfo(
            "qemu-system-x86_64",
            [
                "-nodefaults", "-display", "none", "-machine", "q35,accel=tcg", "-m", "64", "-S", "-qmp", $"unix:{qmp},server=on,wait=off",
                "-blockdev", $"driver=nbd,node-name=disk,server.type=unix,server.path={socket},export=grow,reconnect-delay=60",
                "-device", "virtio-blk-pci,drive=disk",
            ])
        { RedirectStandardError = true })!;
        try
        {
            await using var client = await ConnectAsync(qmp, machine);
            Assert.Equal(Size, await QemuDisks.SizeOfAsync(client, "disk", none));
            store.ResizeVolume(id, 3 * Size);
            await heads.ResizeAsync(id, 3 * Size, none);
            await QemuDisks.GrowAsync(client, "disk", 3 * Size, none);
            Assert.Equal(3 * Size, await QemuDisks.SizeOfAsync(client, "disk", none));
            Assert.DoesNotContain("failed", await client.RunHumanAsync($"qemu-io disk \"write -P 7 {2 * Size} 64k\"", none), StringComparison.Ordinal);
            await QemuDisks.GrowAsync(client, "disk", 3 * Size, none);
            Assert.Null(await QemuDisks.SizeOfAsync(client, "other", none));
        }
        finally
        {
            machine.Kill();
            await machine.WaitForExitAsync();
        }
    }

    // The socket is there a moment after the process is.
    private static async Task<QmpClient> ConnectAsync(string path, Process machine)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await QmpClient.ConnectAsync(path, TimeProvider.System, _ => { }, CancellationToken.None);
            }
            catch (QmpException) when (attempt < 100 && !machine.HasExited)
            {
                await Task.Delay(50);
            }
        }
    }
}

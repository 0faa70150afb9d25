using System.Text.Json;
using Xunit;
using Xunit.Abstractions;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Probe.Tests.Block;

/// <summary>Exports of snapshots and backups, read by the tools that everybody uses.</summary>
public sealed class ExportToolTests(ExportCloud cloud, ITestOutputHelper output) : IClassFixture<ExportCloud>, IDisposable
{
    private const int Block = 4096, Mebi = 1 << 20;
    private const long Size = 1L << 30;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-export-");

    public void Dispose() => _folder.Delete(recursive: true);

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (code, said) = await ExportCloud.RunAsync(program, arguments);
        output.WriteLine($"{program} {string.Join(' ', arguments)}\n{said}");
        Assert.True(code == 0, $"{program} ended with {code}: {said}");
        return said;
    }

    private static string Uri(Wire.CreateExportResponse export, string certificates) => $"nbds://{export.Address}/{export.ExportName}?tls-certificates={certificates}";

    private static byte[] Random(int seed, int length)
    {
        var data = new byte[length];
        new Random(seed).NextBytes(data);
        return data;
    }

    private async Task<string> CheckContentAsync(string file, params (long Offset, byte[] Data)[] pieces)
    {
        Assert.Equal(Size, new FileInfo(file).Length);
        var expected = PathOf("expected");
        await using (var raw = File.Create(expected))
        {
            raw.SetLength(Size);
            foreach (var (offset, data) in pieces)
            {
                raw.Position = offset;
                raw.Write(data);
            }
        }
        return await RunAsync("qemu-img", "compare", "-f", "raw", "-F", "raw", expected, file);
    }

    [ToolFact("nbdinfo", "nbdcopy", "qemu-img")]
    public async Task B37_A_snapshot_is_read_over_TLS_with_the_certificate_of_its_export_and_stays_what_it_was()
    {
        var volume = await cloud.CreateVolumeAsync();
        var (one, two) = (Random(1, Mebi), Random(2, Mebi));
        await cloud.WriteAsync(volume, (0, one), (300L * Mebi + 5 * Block, two));
        var snapshot = await cloud.SnapshotAsync(volume);
        await cloud.WriteAsync(volume, (0, Random(3, Mebi)));

        var export = await cloud.ExportAsync(new Wire.CreateExportRequest { SnapshotId = snapshot }, PathOf("tls"));
        var info = await RunAsync("nbdinfo", Uri(export, PathOf("tls")));
        foreach (var expected in new[] { "protocol: newstyle-fixed with TLS", $"export-size: {Size}", "is_read_only: true", "can_multi_conn: true", "base:allocation" })
            Assert.Contains(expected, info, StringComparison.Ordinal);
        await RunAsync("nbdcopy", Uri(export, PathOf("tls")), PathOf("copy"));
        await CheckContentAsync(PathOf("copy"), (0, one), (300L * Mebi + 5 * Block, two));

        var (host, port) = (export.Address.Split(':')[0], export.Address.Split(':')[1]);
        await RunAsync(
            "qemu-img", "convert", "--object", $"tls-creds-x509,id=tls,dir={PathOf("tls")},endpoint=client", "--image-opts",
            $"driver=nbd,host={host},port={port},export={export.ExportName},tls-creds=tls", "-O", "qcow2", PathOf("copy.qcow2"));
        Assert.Contains("identical", await RunAsync("qemu-img", "compare", "-f", "qcow2", "-F", "raw", PathOf("copy.qcow2"), PathOf("copy")), StringComparison.Ordinal);
        Assert.InRange(new FileInfo(PathOf("copy.qcow2")).Length, Mebi, 8L * Mebi);

        // On this machine without TLS, for whoever may reach the socket.
        Assert.Contains("without TLS", await RunAsync("nbdinfo", $"nbd+unix:///{export.ExportName}?socket={export.SocketPath}"), StringComparison.Ordinal);
    }

    [ToolFact("nbdinfo")]
    public async Task B37_Without_TLS_or_with_the_certificate_of_another_export_or_once_deleted_nothing_is_read()
    {
        var volume = await cloud.CreateVolumeAsync();
        var request = new Wire.CreateExportRequest { SnapshotId = await cloud.SnapshotAsync(volume) };
        var export = await cloud.ExportAsync(request, PathOf("right"));
        await cloud.ExportAsync(request, PathOf("other"));
        await RunAsync("nbdinfo", "--size", Uri(export, PathOf("right")));
        foreach (var refused in new[]
        {
            $"nbd://{export.Address}/{export.ExportName}", Uri(export, PathOf("other")), $"nbds://{export.Address}/{export.Export.Id}?tls-certificates={PathOf("right")}",
            $"nbd+unix:///{export.Export.Id}?socket={export.SocketPath}",
        })
        {
            var (code, said) = await ExportCloud.RunAsync("nbdinfo", "--size", refused);
            Assert.True(code != 0, said);
        }
        await cloud.DeleteExportAsync(export.Export.Id);
        Assert.NotEqual(0, (await ExportCloud.RunAsync("nbdinfo", "--size", Uri(export, PathOf("right")))).Code);
    }

    [ToolFact("nbdinfo")]
    public async Task B38_A_key_shared_beforehand_opens_no_export()
    {
        var volume = await cloud.CreateVolumeAsync();
        var export = await cloud.ExportAsync(new Wire.CreateExportRequest { SnapshotId = await cloud.SnapshotAsync(volume) }, PathOf("right"));
        await RunAsync("nbdinfo", "--size", Uri(export, PathOf("right")));
        var keys = PathOf("keys.psk");
        await File.WriteAllTextAsync(keys, $"guest:{Convert.ToHexStringLower(new byte[32])}\n");
        var (code, said) = await ExportCloud.RunAsync("nbdinfo", "--size", $"nbds://guest@{export.Address}/{export.ExportName}?tls-psk-file={keys}");
        Assert.True(code != 0, said);
        Assert.Contains("TLS", said, StringComparison.OrdinalIgnoreCase);
    }

    [ToolFact("nbdinfo")]
    public async Task B6_Nbdinfo_tells_exactly_what_was_written_between_two_snapshots()
    {
        var volume = await cloud.CreateVolumeAsync();
        await cloud.WriteAsync(volume, (0, Random(1, 4 * Mebi)));
        var first = await cloud.SnapshotAsync(volume);
        await cloud.WriteAsync(volume, (3 * Block, Random(2, Block)), (Mebi, Random(3, 2 * Block)), (700L * Mebi, Random(4, 3 * Block)));
        var second = await cloud.SnapshotAsync(volume);
        await cloud.WriteAsync(volume, (0, Random(5, Mebi)));
        var export = await cloud.ExportAsync(new Wire.CreateExportRequest { SnapshotId = second }, PathOf("tls"));
        Assert.Contains($"qemu:dirty-bitmap:{first}", await RunAsync("nbdinfo", Uri(export, PathOf("tls"))), StringComparison.Ordinal);
        var map = JsonDocument.Parse(await RunAsync("nbdinfo", "--json", $"--map=qemu:dirty-bitmap:{first}", Uri(export, PathOf("tls")))).RootElement;
        var dirty = map.EnumerateArray().Where(range => range.GetProperty("type").GetInt32() == 1)
            .Select(range => (range.GetProperty("offset").GetInt64(), range.GetProperty("length").GetInt64()));
        Assert.Equal([(3L * Block, Block), (Mebi, 2L * Block), (700L * Mebi, 3L * Block)], dirty);
        Assert.Equal(Size, map.EnumerateArray().Sum(range => range.GetProperty("length").GetInt64()));
    }

    [ToolFact("nbdcopy", "qemu-img")]
    public async Task A_backup_is_copied_as_it_was_when_its_volume_has_changed()
    {
        var volume = await cloud.CreateVolumeAsync();
        var (one, two) = (Random(1, Mebi), Random(2, Mebi));
        await cloud.WriteAsync(volume, (0, one), (900L * Mebi, two));
        var backup = await cloud.BackUpAsync(volume);
        await cloud.WriteAsync(volume, (0, Random(3, Mebi)));
        var export = await cloud.ExportAsync(new Wire.CreateExportRequest { BackupId = backup }, PathOf("tls"));
        await RunAsync("nbdcopy", Uri(export, PathOf("tls")), PathOf("copy"));
        await CheckContentAsync(PathOf("copy"), (0, one), (900L * Mebi, two));
    }

    [ToolFact("nbdkit", "nbdcopy", "qemu-img")]
    public async Task Nbdkit_serves_an_export_on()
    {
        var volume = await cloud.CreateVolumeAsync();
        var data = Random(7, Mebi);
        await cloud.WriteAsync(volume, (64L * Mebi, data));
        var export = await cloud.ExportAsync(new Wire.CreateExportRequest { SnapshotId = await cloud.SnapshotAsync(volume) }, PathOf("tls"));
        await RunAsync(
            "nbdkit", "--exit-with-parent", "-U", "-", "--readonly", "--filter=cow", "nbd", $"uri=nbds://{export.Address}/{export.ExportName}", $"tls-certificates={PathOf("tls")}", "--run",
            $"nbdcopy \"$uri\" {PathOf("copy")}");
        await CheckContentAsync(PathOf("copy"), (64L * Mebi, data));
    }
}

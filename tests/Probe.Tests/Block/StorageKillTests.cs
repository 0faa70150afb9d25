using Nephos.StorageEngine.Tests.Block;
using Xunit;

namespace Nephos.Probe.Tests.Block;

/// <summary>Heads and storage processes that are killed and frozen while a client reads and writes.</summary>
public sealed class StorageKillTests : IDisposable
{
    private const long Size = 64L << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-storage-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Storage_processes_are_killed_under_a_reader_and_writer_without_one_error()
    {
        var storages = await StartStoragesAsync();
        try
        {
            using var head = await HeadProcess.StartAsync(_folder.FullName, Size, epoch: 1);
            var load = new BlockLoad(head.SocketPath, BlockServer.ExportName);
            for (var kill = 0; kill < 6; kill++)
            {
                await Task.Delay(500);
                await storages[kill % 3].KillAsync();
                await load.GoesOnAsync(100, Patience);
                await storages[kill % 3].RestartAsync();
                // Until it is repaired the next one must not go.
                await head.UntilCompleteAsync();
            }
            await load.StopAsync();
        }
        finally
        {
            foreach (var storage in storages) storage.Dispose();
        }
    }

    [Fact]
    public async Task B32_A_head_that_was_frozen_and_thaws_after_its_volume_was_attached_elsewhere_completes_no_write()
    {
        var storages = await StartStoragesAsync();
        try
        {
            using var old = await HeadProcess.StartAsync(_folder.FullName, Size, epoch: 1);
            using var client = NbdTestClient.Connect(old.SocketPath, BlockServer.ExportName);
            Assert.Equal(0u, client.DoWrite(0, BlockLoad.Content(1)));
            await ProcessSignals.FreezeAsync(old.ProcessId);
            for (var i = 0; i < 8; i++) client.SendRequest(NbdTestClient.Write, 0, 4096, payload: BlockLoad.Content(100 + i));
            using var next = await HeadProcess.StartAsync(_folder.FullName, Size, epoch: 2);
            using var other = NbdTestClient.Connect(next.SocketPath, BlockServer.ExportName);
            Assert.Equal(1, BitConverter.ToInt32(other.DoRead(0, 4096)));
            Assert.Equal(0u, other.DoWrite(0, BlockLoad.Content(2)));
            ProcessSignals.Thaw(old.ProcessId);
            // Not one of the writes is answered; the connection is dropped.
            Assert.True(client.IsClosed());
            Assert.Equal(2, BitConverter.ToInt32(other.DoRead(0, 4096)));
        }
        finally
        {
            foreach (var storage in storages) storage.Dispose();
        }
    }

    private async Task<List<StorageProcess>> StartStoragesAsync()
    {
        var storages = new List<StorageProcess>();
        for (var number = 1; number <= 3; number++) storages.Add(await StorageProcess.StartAsync(Path.Combine(_folder.FullName, $"{number}")));
        await HeadProcess.CreateVolumeAsync(_folder.FullName, storages, Size);
        return storages;
    }
}

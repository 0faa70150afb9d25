using System.Diagnostics;
using System.Runtime.InteropServices;
using Nephos.StorageEngine.Tests.Block;
using Xunit;

namespace Nephos.Probe.Tests.Block;

/// <summary>Heads and storage processes that are killed and frozen while a client reads and writes.</summary>
public sealed class StorageKillTests : IDisposable
{
    private const long Size = 64L << 20;
    private const int Blocks = 256;
    private const int Stop = 19, Continue = 18;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-storage-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Storage_processes_are_killed_under_a_reader_and_writer_without_one_error()
    {
        var storages = await StartStoragesAsync();
        try
        {
            using var head = await HeadProcess.StartAsync(_folder.FullName, Size, epoch: 1);
            using var stop = new CancellationTokenSource();
            var values = new int[Blocks];
            var done = 0;
            var working = Task.Run(() =>
            {
                using var client = NbdTestClient.Connect(head.SocketPath, BlockServer.ExportName);
                var random = new Random(7);
                while (!stop.IsCancellationRequested)
                {
                    var block = random.Next(Blocks);
                    if (random.Next(3) == 0)
                    {
                        Assert.Equal(values[block], BitConverter.ToInt32(client.DoRead((ulong)block * 4096, 4096)));
                    }
                    else
                    {
                        Assert.Equal(0u, client.DoWrite((ulong)block * 4096, Content(++values[block])));
                        if (random.Next(20) == 0) Assert.Equal(0u, client.Do(NbdTestClient.Flush, 0, 0));
                    }
                    Interlocked.Increment(ref done);
                }
            });
            for (var kill = 0; kill < 6; kill++)
            {
                await Task.Delay(500);
                await storages[kill % 3].KillAsync();
                var before = Volatile.Read(ref done);
                for (var i = 0; Volatile.Read(ref done) < before + 100 && !working.IsCompleted; i++)
                {
                    Assert.True(i < 600, "Nothing goes on without one of three.");
                    await Task.Delay(50);
                }
                await storages[kill % 3].RestartAsync();
                // Until it is repaired the next one must not go.
                await head.UntilCompleteAsync();
            }
            await stop.CancelAsync();
            await working;
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
            Assert.Equal(0u, client.DoWrite(0, Content(1)));
            Assert.Equal(0, Kill(old.ProcessId, Stop));
            // A signal returns before every thread has stopped, and one that goes on would take these writes in.
            await UntilFrozenAsync(old.ProcessId);
            for (var i = 0; i < 8; i++) client.SendRequest(NbdTestClient.Write, 0, 4096, payload: Content(100 + i));
            using var next = await HeadProcess.StartAsync(_folder.FullName, Size, epoch: 2);
            using var other = NbdTestClient.Connect(next.SocketPath, BlockServer.ExportName);
            Assert.Equal(1, BitConverter.ToInt32(other.DoRead(0, 4096)));
            Assert.Equal(0u, other.DoWrite(0, Content(2)));
            Assert.Equal(0, Kill(old.ProcessId, Continue));
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

    private static async Task UntilFrozenAsync(int process)
    {
        while (!Directory.GetDirectories($"/proc/{process}/task").All(IsStopped)) await Task.Delay(10);

        static bool IsStopped(string thread)
        {
            try
            {
                return File.ReadAllText(Path.Combine(thread, "stat")).Split(") ")[^1][0] == 'T';
            }
            catch (IOException)
            {
                // It has just ended.
                return false;
            }
        }
    }

    private static byte[] Content(int value)
    {
        var content = new byte[4096];
        MemoryMarshal.Cast<byte, int>(content.AsSpan()).Fill(value);
        return content;
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int process, int signal);
}

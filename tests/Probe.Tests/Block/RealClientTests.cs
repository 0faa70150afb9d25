using System.Diagnostics;
using Nephos.StorageEngine.Tests.Block;
using Xunit;
using Xunit.Abstractions;

namespace Nephos.Probe.Tests.Block;

/// <summary>Our NBD server with the clients that everybody uses.</summary>
public sealed class RealClientTests(ITestOutputHelper output) : IDisposable
{
    private const long Size = 256L << 20;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-nbd-");

    public void Dispose() => _folder.Delete(recursive: true);

    [ToolFact("nbdinfo")]
    public async Task Nbdinfo_reads_what_is_advertised()
    {
        using var server = await BlockServer.StartAsync(_folder.FullName, Size);
        var info = await RunAsync("nbdinfo", server.Uri);
        foreach (var expected in new[]
        {
            "using structured packets", $"export-size: {Size}", "can_multi_conn: true", "can_fua: true", "can_flush: true", "can_trim: true", "can_zero: true",
            "can_fast_zero: true", "can_cache: true", "can_df: true", "base:allocation", "block_size_minimum: 512", "block_size_preferred: 4096", "block_size_maximum: 33554432",
        })
        {
            Assert.Contains(expected, info, StringComparison.Ordinal);
        }
        Assert.Contains("hole,zero", await RunAsync("nbdinfo", "--map", server.Uri), StringComparison.Ordinal);
    }

    [ToolFact("nbdcopy", "cmp")]
    public async Task Nbdcopy_there_and_back_gives_the_same_bytes_and_keeps_holes()
    {
        using var server = await BlockServer.StartAsync(_folder.FullName, Size);
        var (source, copy) = (Path.Combine(_folder.FullName, "source"), Path.Combine(_folder.FullName, "copy"));
        await using (var file = File.Create(source))
        {
            file.SetLength(Size);
            var random = new Random(1);
            var data = new byte[3 << 20];
            foreach (var position in new[] { 0L, 100 << 20, (200 << 20) + 12345 })
            {
                random.NextBytes(data);
                file.Position = position;
                file.Write(data);
            }
        }
        await RunAsync("nbdcopy", "--flush", source, server.Uri);
        await RunAsync("nbdcopy", server.Uri, copy);
        await RunAsync("cmp", source, copy);
        var map = await RunAsync("nbdinfo", "--map", "--totals", server.Uri);
        Assert.Contains("hole,zero", map, StringComparison.Ordinal);
        Assert.Contains("data", map, StringComparison.Ordinal);
    }

    [ToolFact("qemu-img")]
    public async Task Qemu_img_converts_into_the_volume_and_compares_equal()
    {
        using var server = await BlockServer.StartAsync(_folder.FullName, Size);
        var image = Path.Combine(_folder.FullName, "image.qcow2");
        await RunAsync("qemu-img", "create", "-f", "qcow2", image, $"{Size}");
        await RunAsync("qemu-io", "-f", "qcow2", "-c", "write -P 17 1M 5M", "-c", "write -P 99 100000 700", "-c", "write -z 3M 1M", image);
        await RunAsync("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", image, server.Uri);
        Assert.Contains("identical", await RunAsync("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image, server.Uri), StringComparison.Ordinal);
    }

    [ToolFact("qemu-io")]
    public async Task Qemu_io_reads_what_it_wrote_zeroed_and_discarded()
    {
        using var server = await BlockServer.StartAsync(_folder.FullName, Size);
        var said = await RunAsync(
            "qemu-io", "-f", "raw", "-c", "write -P 5 0 1M", "-c", "write -f -P 6 512 512", "-c", "write -z 4096 8192", "-c", "discard 64k 64k", "-c", "flush",
            "-c", "read -P 5 0 512", "-c", "read -P 6 512 512", "-c", "read -P 0 4096 8192", "-c", "read -P 0 64k 64k", "-c", "read -P 5 128k 64k", server.Uri);
        Assert.DoesNotContain("failed", said, StringComparison.Ordinal);
    }

    [ToolFact("fio")]
    public async Task Fio_verifies_random_writes_of_all_sizes()
    {
        using var server = await BlockServer.StartAsync(_folder.FullName, Size);
        await RunAsync(
            "fio", "--name=verify", "--ioengine=nbd", $"--uri={server.Uri}", "--rw=randwrite", "--bsrange=512-256k", "--bs_unaligned=0", "--blockalign=512", "--size=64M",
            "--iodepth=16", "--verify=crc32c", "--verify_fatal=1", "--randseed=4711");
    }

    [ToolFact("nbdsh")]
    public async Task Libnbd_without_its_strict_mode_gets_errors_and_not_a_broken_stream()
    {
        using var server = await BlockServer.StartAsync(_folder.FullName, Size);
        const string script = """
            import nbd, errno
            h.set_strict_mode(0)
            def refused(expected, action):
                try:
                    action()
                except nbd.Error as e:
                    assert e.errnum == expected, (e.errnum, expected)
                    return
                raise AssertionError("was not refused")
            size = h.get_size()
            refused(errno.EINVAL, lambda: h.pread(4096, size))
            refused(errno.ENOSPC, lambda: h.pwrite(bytes(4096), size))
            refused(errno.EINVAL, lambda: h.pwrite(bytes(4096), 0, 1 << 14))
            refused(errno.EINVAL, lambda: h.trim(4096, size))
            refused(errno.ENOSPC, lambda: h.zero(4096, size))
            refused(errno.EINVAL, lambda: h.cache(4096, size))
            h.pwrite(b"x" * 513, 1000)
            assert h.pread(513, 1000) == b"x" * 513
            h.flush()
            """;
        await RunAsync("nbdsh", "-u", server.Uri, "-c", script);
    }

    [ToolFact("qemu-io")]
    public async Task B31_QEMU_comes_back_by_itself_after_the_process_was_killed()
    {
        var server = await BlockServer.StartAsync(_folder.FullName, Size);
        try
        {
            using var client = Process.Start(new ProcessStartInfo(
                "qemu-io",
                [
                    "--image-opts",
                    $"driver=nbd,server.type=unix,server.path={server.SocketPath},export={BlockServer.ExportName},reconnect-delay=60",
                ])
            { RedirectStandardInput = true, RedirectStandardOutput = true })!;
            await client.StandardInput.WriteLineAsync("write -P 11 0 64k");
            await ReadUntilAsync(client, "ops;");
            await server.KillAsync();
            await client.StandardInput.WriteLineAsync("write -P 12 64k 64k");
            await client.StandardInput.FlushAsync();
            server.Dispose();
            server = await BlockServer.StartAsync(_folder.FullName, Size);
            Assert.DoesNotContain("failed", await ReadUntilAsync(client, "ops;"), StringComparison.Ordinal);
            foreach (var read in new[] { "read -P 11 0 64k", "read -P 12 64k 64k" })
            {
                await client.StandardInput.WriteLineAsync(read);
                Assert.DoesNotContain("failed", await ReadUntilAsync(client, "ops;"), StringComparison.Ordinal);
            }
            client.StandardInput.Close();
            await client.WaitForExitAsync();
        }
        finally
        {
            server.Dispose();
        }
    }

    [Fact]
    public async Task B20_B22_After_a_kill_each_block_holds_what_was_acknowledged_or_what_was_on_its_way()
    {
        const int blocks = 512;
        var acknowledged = new int[blocks];
        var sent = new int[blocks];
        var value = 0;
        for (var kill = 0; kill < 4; kill++)
        {
            var server = await BlockServer.StartAsync(_folder.FullName, Size);
            try
            {
                using var client = NbdTestClient.Connect(server.SocketPath, BlockServer.ExportName);
                for (var block = 0; block < blocks; block++)
                {
                    var content = client.DoRead((ulong)block * 4096, 4096);
                    var found = BitConverter.ToInt32(content);
                    Assert.True(content.AsSpan().SequenceEqual(Content(found)), $"Block {block} is torn.");
                    Assert.InRange(found, acknowledged[block], sent[block]);
                    acknowledged[block] = sent[block] = found;
                }
                await WriteUntilKilledAsync(client, server, kill);
            }
            finally
            {
                server.Dispose();
            }
        }
        Assert.True(value > 1000, $"Only {value} writes were done.");

        async Task WriteUntilKilledAsync(NbdTestClient client, BlockServer server, int seed)
        {
            var random = new Random(seed);
            var inFlight = new Dictionary<ulong, (int Block, int Value)>();
            var count = 0;
            Task? killing = null;
            try
            {
                while (true)
                {
                    var block = random.Next(blocks);
                    // One write of a block at a time, so that the order of its values is known.
                    if (inFlight.Count < 16 && !inFlight.Values.Any(write => write.Block == block))
                    {
                        sent[block] = ++value;
                        inFlight[client.SendRequest(NbdTestClient.Write, (ulong)block * 4096, 4096, payload: Content(value))] = (block, value);
                        if (++count == 400 + seed * 300) killing = server.KillAsync();
                        continue;
                    }
                    if (inFlight.Count == 0) continue;
                    var reply = client.ReceiveChunk();
                    Assert.Equal(0u, reply.Error);
                    var (done, written) = inFlight[reply.Cookie];
                    inFlight.Remove(reply.Cookie);
                    acknowledged[done] = written;
                }
            }
            catch (Exception e) when (e is EndOfStreamException or System.Net.Sockets.SocketException)
            {
                await killing!;
            }
        }
    }

    private static byte[] Content(int value)
    {
        var content = new byte[4096];
        if (value != 0) System.Runtime.InteropServices.MemoryMarshal.Cast<byte, int>(content.AsSpan()).Fill(value);
        return content;
    }

    private static async Task<string> ReadUntilAsync(Process process, string mark)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var said = "";
        while (await process.StandardOutput.ReadLineAsync(timeout.Token) is { } line)
        {
            said += line + "\n";
            if (line.Contains(mark, StringComparison.Ordinal) || line.Contains("failed", StringComparison.Ordinal)) return said;
        }
        throw new EndOfStreamException(said);
    }

    private async Task<string> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        // Scripts among the tools belong to the interpreter of the distribution, not to whatever else is first in the path.
        start.Environment["PATH"] = "/usr/bin:/bin:" + Environment.GetEnvironmentVariable("PATH");
        using var process = Process.Start(start)!;
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        var (standard, error) = (process.StandardOutput.ReadToEndAsync(timeout.Token), process.StandardError.ReadToEndAsync(timeout.Token));
        var said = await standard + await error;
        await process.WaitForExitAsync(timeout.Token);
        output.WriteLine($"{program} {string.Join(' ', arguments)}\n{said}");
        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}: {said}");
        return said;
    }
}

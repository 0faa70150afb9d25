using System.Net.Sockets;
using System.Text.Json.Nodes;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Saves the memory of a machine to a file and fills it again: QEMU's migration over a unix socket whose other end we are.</summary>
internal static class MemoryMover
{
    private const long Unlimited = 1L << 40;
    private const int BufferBytes = 1 << 20;
    private static readonly TimeSpan PollPeriod = TimeSpan.FromMilliseconds(20);

    /// <summary>Writes the memory of a stopped machine beside its place, flushes it and renames it: complete or not there.</summary>
    public static async Task SaveAsync(QmpClient client, QemuCommandLine.Paths paths, TimeProvider time, CancellationToken cancellationToken)
    {
        var status = (await client.RunAsync("query-status", null, cancellationToken)).GetProperty("status").GetString();
        if (status == "postmigrate")
        {
            // It was read out before, and the file was not kept: the machine has to go on for a moment to be read again.
            await client.RunAsync("cont", null, cancellationToken);
        }
        await client.RunAsync("stop", null, cancellationToken);
        File.Delete(paths.MemorySocket);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(paths.MemorySocket));
        listener.Listen(1);
        try
        {
            await client.RunAsync("migrate-set-parameters", new JsonObject { ["max-bandwidth"] = Unlimited }, cancellationToken);
            await client.RunAsync("migrate", new JsonObject { ["uri"] = $"unix:{paths.MemorySocket}" }, cancellationToken);
            using var connection = await listener.AcceptAsync(cancellationToken);
            var options = new FileStreamOptions
            {
                Mode = FileMode.Create, Access = FileAccess.Write, BufferSize = 0, Options = FileOptions.Asynchronous,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            await using (var file = new FileStream(paths.Saved + ".new", options))
            {
                await using var stream = new NetworkStream(connection);
                await stream.CopyToAsync(file, BufferBytes, cancellationToken);
                file.Flush(flushToDisk: true);
            }
            await WaitAsync(client, time, cancellationToken);
            File.Move(paths.Saved + ".new", paths.Saved, overwrite: true);
        }
        finally
        {
            File.Delete(paths.MemorySocket);
            File.Delete(paths.Saved + ".new");
        }
    }

    /// <summary>Fills a machine that was started to wait for it. Afterwards the machine is paused.</summary>
    public static async Task RestoreAsync(QmpClient client, QemuCommandLine.Paths paths, TimeProvider time, CancellationToken cancellationToken)
    {
        File.Delete(paths.MemorySocket);
        await client.RunAsync("migrate-incoming", new JsonObject { ["uri"] = $"unix:{paths.MemorySocket}" }, cancellationToken);
        using var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await connection.ConnectAsync(new UnixDomainSocketEndPoint(paths.MemorySocket), cancellationToken);
        await using (var file = new FileStream(paths.Saved, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true))
        {
            await using var stream = new NetworkStream(connection);
            await file.CopyToAsync(stream, BufferBytes, cancellationToken);
        }
        connection.Shutdown(SocketShutdown.Send);
        while ((await client.RunAsync("query-status", null, cancellationToken)).GetProperty("status").GetString() == "inmigrate")
        {
            await Task.Delay(PollPeriod, time, cancellationToken);
        }
        File.Delete(paths.MemorySocket);
    }

    private static async Task WaitAsync(QmpClient client, TimeProvider time, CancellationToken cancellationToken)
    {
        while (true)
        {
            var info = await client.RunAsync("query-migrate", null, cancellationToken);
            switch (info.GetProperty("status").GetString())
            {
                case "completed":
                    return;
                case "failed" or "cancelled":
                    throw new IOException($"the memory could not be saved: {(info.TryGetProperty("error-desc", out var why) ? why.GetString() : "no reason given")}");
                default:
                    await Task.Delay(PollPeriod, time, cancellationToken);
                    break;
            }
        }
    }
}

using System.Globalization;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Something on this machine that belongs to an instance.</summary>
/// <param name="Kind">"process", "folder", "runtime" or "volume-socket".</param>
/// <param name="OwnerId">The instance, or the attachment of a socket.</param>
/// <param name="Detail">For people: a process id or a path.</param>
public sealed record NodeObject(string Kind, Guid OwnerId, string Detail);

/// <summary>Finds and ends what instances have on this machine, also when no agent runs.</summary>
internal static class NodeObjects
{
    private static readonly TimeSpan PollPeriod = TimeSpan.FromMilliseconds(100);

    public static IReadOnlyList<NodeObject> List(string stateDirectory)
    {
        var runtime = new RuntimeFolder(stateDirectory);
        var store = new InstanceStore(stateDirectory);
        return
        [
            .. QemuProcess.FindAll(runtime.Root)
                .Select(found => new NodeObject("process", found.InstanceId, found.Pid.ToString(CultureInfo.InvariantCulture))),
            .. store.List().Select(id => new NodeObject("folder", id, store.Folder(id))),
            .. Named(Path.Combine(runtime.Root, "i")).Select(entry => new NodeObject("runtime", entry.Id, entry.Path)),
            .. Named(Path.Combine(runtime.Root, "v")).Select(entry => new NodeObject("volume-socket", entry.Id, entry.Path)),
        ];
    }

    /// <summary>Asks every guest to switch itself off and ends those that have not after <paramref name="patience"/>.</summary>
    public static async Task<int> StopAllAsync(string stateDirectory, TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        var runtime = new RuntimeFolder(stateDirectory);
        var store = new InstanceStore(stateDirectory);
        var found = QemuProcess.FindAll(runtime.Root);
        await Task.WhenAll(found.Select(machine => StopAsync(machine.InstanceId, machine.Pid)));
        return found.Count;

        async Task StopAsync(Guid id, int pid)
        {
            var paths = new QemuCommandLine.Paths(runtime.Machine(id), store.Folder(id));
            await using var machine = new QemuMachine(id, paths, time, _ => { });
            try
            {
                var client = await machine.ConnectAsync(cancellationToken);
                await AskAsync(client, patience, time, cancellationToken);
            }
            catch (QmpException)
            {
                // It does not listen; it is ended below.
            }
            await QemuProcess.KillAsync(pid, id, time, cancellationToken);
            if (Directory.Exists(paths.Runtime))
            {
                Directory.Delete(paths.Runtime, recursive: true);
            }
        }
    }

    private static async Task AskAsync(QmpClient client, TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        for (var round = 0; time.GetElapsedTime(began) < patience; round++)
        {
            var status = (await client.RunAsync("query-status", null, cancellationToken)).GetProperty("status").GetString();
            if (QemuMachine.State(status ?? "") != RunState.Running)
            {
                return;
            }
            // A guest that is still booting loses the first request.
            if (round % 30 == 0)
            {
                await client.RunAsync("system_powerdown", null, cancellationToken);
            }
            await Task.Delay(PollPeriod, time, cancellationToken);
        }
    }

    private static IEnumerable<(Guid Id, string Path)> Named(string folder) => !Directory.Exists(folder) ? [] :
        Directory.EnumerateFileSystemEntries(folder)
            .Select(path => (Guid.TryParseExact(Path.GetFileName(path), "N", out var id) ? id : Guid.Empty, path)).Where(entry => entry.Item1 != Guid.Empty);
}

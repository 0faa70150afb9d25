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

    /// <summary>Objects that no stored spec explains. An instance that is being deleted explains its own until it is gone.</summary>
    public static IReadOnlyList<NodeObject> ListOrphans(string stateDirectory)
    {
        var store = new InstanceStore(stateDirectory);
        var specs = store.List().Select(store.TryLoad).OfType<InstanceSpec>().ToList();
        var owners = specs.Select(spec => spec.Id)
            .Concat(specs.SelectMany(spec => spec.Volumes.Concat(spec.Leaving)).Select(volume => volume.AttachmentId)).ToHashSet();
        return [.. List(stateDirectory).Where(found => !owners.Contains(found.OwnerId))];
    }

    /// <summary>Ends every process at once.</summary>
    public static async Task KillAllAsync(string stateDirectory, TimeProvider time, CancellationToken cancellationToken)
    {
        var runtime = new RuntimeFolder(stateDirectory);
        foreach (var (id, pid) in QemuProcess.FindAll(runtime.Root))
        {
            await QemuProcess.KillAsync(pid, id, time, cancellationToken);
            var folder = runtime.Machine(id);
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static IEnumerable<(Guid Id, string Path)> Named(string folder) => !Directory.Exists(folder) ? [] :
        Directory.EnumerateFileSystemEntries(folder)
            .Select(path => (Guid.TryParseExact(Path.GetFileName(path), "N", out var id) ? id : Guid.Empty, path)).Where(entry => entry.Item1 != Guid.Empty);
}

using System.Text.Json;

namespace Nephos.Hypervisor.Instances;

/// <summary>The last spec of each instance, so that a node whose control plane is away still knows after a restart what to run.</summary>
/// <remarks>One folder per instance, also used by the driver. Written aside and renamed, not flushed: what a power cut loses comes back
/// with the next snapshot. A file that does not parse is as good as none.</remarks>
internal sealed class InstanceStore(string stateDirectory)
{
    private readonly string _root = Path.Combine(stateDirectory, "instances");

    public string Folder(Guid instanceId) => Path.Combine(_root, instanceId.ToString("D"));

    public bool Contains(Guid instanceId) => Directory.Exists(Folder(instanceId));

    public void Save(InstanceSpec spec)
    {
        var folder = Folder(spec.Id);
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(folder, "spec.json");
        var options = new FileStreamOptions
        {
            Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using (var file = new FileStream(path + ".new", options))
        {
            JsonSerializer.Serialize(file, spec, InstanceJson.Default.InstanceSpec);
        }
        File.Move(path + ".new", path, overwrite: true);
    }

    public InstanceSpec? TryLoad(Guid instanceId)
    {
        try
        {
            using var file = File.OpenRead(Path.Combine(Folder(instanceId), "spec.json"));
            return JsonSerializer.Deserialize(file, InstanceJson.Default.InstanceSpec);
        }
        catch (Exception exception) when (exception is IOException or JsonException)
        {
            return null;
        }
    }

    public IReadOnlyList<Guid> List() => !Directory.Exists(_root) ? [] :
        [.. Directory.EnumerateDirectories(_root).Select(path => Guid.TryParseExact(Path.GetFileName(path), "D", out var id) ? id : Guid.Empty)
            .Where(id => id != Guid.Empty)];

    /// <summary>Removes the folder with everything in it.</summary>
    public void Remove(Guid instanceId)
    {
        var folder = Folder(instanceId);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}

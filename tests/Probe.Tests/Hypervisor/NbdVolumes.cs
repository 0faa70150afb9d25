using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Nephos.Hypervisor.Instances;

namespace Nephos.Probe.Tests.Hypervisor;

/// <summary>Volume heads made of qemu-nbd over raw files: a server that is not ours on the other end of the driver.</summary>
internal sealed class NbdVolumes(string folder, RuntimeFolder runtime, Func<VolumeSpec, string?>? template = null) : IVolumeConnector, IDisposable
{
    private readonly ConcurrentDictionary<Guid, ConcurrentDictionary<Guid, VolumeEndpoint>> _open = new();

    public string FileOf(Guid volumeId) => Path.Combine(folder, $"{volumeId:N}.raw");

    public async Task<VolumeEndpoint> OpenAsync(Guid instanceId, VolumeSpec volume, CancellationToken cancellationToken)
    {
        var open = _open.GetOrAdd(instanceId, _ => new());
        var socket = runtime.VolumeSocket(volume.AttachmentId);
        var endpoint = new VolumeEndpoint(volume, socket, volume.AttachmentId.ToString());
        if (open.ContainsKey(volume.AttachmentId) || PidOf(volume.AttachmentId) is not null)
        {
            return open[volume.AttachmentId] = endpoint;
        }
        runtime.Create();
        var file = FileOf(volume.VolumeId);
        if (!File.Exists(file))
        {
            if (template?.Invoke(volume) is { } image)
            {
                await RunAsync("qemu-img", ["convert", "-O", "raw", image, file], cancellationToken);
            }
            else
            {
                await using var made = File.Create(file);
                made.SetLength(16 << 20);
            }
        }
        await RunAsync("qemu-nbd",
        [
            "--fork", "--persistent", "--shared=4", "--format=raw", $"--socket={socket}", $"--export-name={endpoint.ExportName}",
            $"--pid-file={PidFile(volume.AttachmentId)}", file,
        ], cancellationToken);
        return open[volume.AttachmentId] = endpoint;
    }

    public Task CloseAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken)
    {
        Stop(attachmentId);
        if (_open.TryGetValue(instanceId, out var open))
        {
            open.TryRemove(attachmentId, out _);
        }
        return Task.CompletedTask;
    }

    public IReadOnlyCollection<Guid> OpenFor(Guid instanceId) => _open.TryGetValue(instanceId, out var open) ? [.. open.Keys] : [];

    private void Stop(Guid attachmentId)
    {
        if (PidOf(attachmentId) is { } pid)
        {
            using var process = Process.GetProcessById(pid);
            process.Kill();
            process.WaitForExit();
        }
        File.Delete(PidFile(attachmentId));
        File.Delete(runtime.VolumeSocket(attachmentId));
    }

    /// <summary>Ends every server: what the end of an agent does to its heads.</summary>
    public void Dispose()
    {
        _open.Clear();
        foreach (var file in Directory.EnumerateFiles(folder, "*.nbd"))
        {
            Stop(Guid.ParseExact(Path.GetFileNameWithoutExtension(file), "N"));
        }
    }

    private string PidFile(Guid attachmentId) => Path.Combine(folder, $"{attachmentId:N}.nbd");

    private int? PidOf(Guid attachmentId)
    {
        var file = PidFile(attachmentId);
        return File.Exists(file) && int.Parse(File.ReadAllText(file).Trim(), CultureInfo.InvariantCulture) is var pid
            && File.Exists($"/proc/{pid}/cmdline") && File.ReadAllText($"/proc/{pid}/cmdline").Contains(file, StringComparison.Ordinal) ? pid : null;
    }

    private static async Task RunAsync(string tool, string[] arguments, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardError = true })!;
        var errors = await process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0)
        {
            throw new IOException($"{tool} ended with {process.ExitCode}: {errors}");
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Finds and ends processes of machines. They are no children of the agent: they are recognised by their command line.</summary>
internal static class QemuProcess
{
    private const int KillWaitSteps = 500;
    private static readonly TimeSpan KillWaitStep = TimeSpan.FromMilliseconds(10);

    /// <summary>The process that the pid file names, when it really is the instance's.</summary>
    public static int? Find(QemuCommandLine.Paths paths, Guid instanceId)
    {
        try
        {
            return int.TryParse(File.ReadAllText(paths.Pid).Trim(), CultureInfo.InvariantCulture, out var pid) && IsOf(pid, instanceId) ? pid : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Every process of an instance whose files are under <paramref name="runtimeRoot"/>, also one whose pid file is lost.</summary>
    public static IReadOnlyList<(Guid InstanceId, int Pid)> FindAll(string runtimeRoot)
    {
        var found = new List<(Guid, int)>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid))
            {
                continue;
            }
            var line = CommandLine(pid);
            var name = line.FirstOrDefault(argument => argument.StartsWith("guest=nephos:", StringComparison.Ordinal));
            if (name is not null && line.Any(argument => argument.StartsWith(runtimeRoot + "/", StringComparison.Ordinal))
                && QemuCommandLine.TryParseName(name["guest=".Length..].Split(',')[0], out var id, out _))
            {
                found.Add((id, pid));
            }
        }
        return found;
    }

    /// <summary>Ends the process at once and waits until it is gone.</summary>
    /// <exception cref="IOException">It does not go, for example because the kernel waits for a disk.</exception>
    public static async Task KillAsync(int pid, Guid instanceId, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!IsOf(pid, instanceId))
        {
            return;
        }
        try
        {
            using var process = Process.GetProcessById(pid);
            process.Kill();
        }
        catch (ArgumentException)
        {
            return;
        }
        for (var step = 0; IsOf(pid, instanceId); step++)
        {
            if (step == KillWaitSteps)
            {
                throw new IOException($"process {pid} of instance {instanceId} does not end although it was killed");
            }
            await Task.Delay(KillWaitStep, time, cancellationToken);
        }
    }

    private static bool IsOf(int pid, Guid instanceId)
    {
        var name = "guest=" + QemuCommandLine.NamePrefix(instanceId);
        return CommandLine(pid).Any(argument => argument.StartsWith(name, StringComparison.Ordinal));
    }

    /// <summary>Empty for a process that ended, also while nobody has collected it.</summary>
    private static string[] CommandLine(int pid)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/cmdline")).Split('\0');
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}

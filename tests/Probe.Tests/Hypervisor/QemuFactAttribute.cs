using Xunit;

namespace Nephos.Probe.Tests.Hypervisor;

/// <summary>A fact about real machines; skipped by name where QEMU is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class QemuFactAttribute : FactAttribute
{
    public QemuFactAttribute()
    {
        var missing = new[] { "qemu-system-x86_64", "qemu-nbd" }.Where(tool => Find(tool) is null).ToList();
        if (missing.Count > 0)
        {
            Skip = $"{string.Join(" and ", missing)} not found: install qemu-system-x86 and qemu-utils";
        }
    }

    public static string? Find(string tool) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Select(folder => Path.Combine(folder, tool)).FirstOrDefault(File.Exists);
}

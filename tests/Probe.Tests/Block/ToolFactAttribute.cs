using Xunit;

namespace Nephos.Probe.Tests.Block;

/// <summary>A fact about tools that others wrote; skipped by name where one is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ToolFactAttribute : FactAttribute
{
    public ToolFactAttribute(params string[] tools)
    {
        var missing = tools.Where(tool => !(Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, tool)))).ToList();
        if (missing.Count > 0) Skip = $"{string.Join(", ", missing)} not found: install libnbd-bin, qemu-utils, fio";
    }
}

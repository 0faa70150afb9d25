using System.Globalization;

namespace Nephos.LoadTests.Running;

/// <summary>The processes of the cloud on this machine, for their processor time and memory.</summary>
/// <param name="Pids">One, or one for each role and one for etcd.</param>
public sealed record ServerProcess(IReadOnlyList<int> Pids)
{
    /// <summary>Linux reports process times in hundredths of a second on every architecture .NET runs on.</summary>
    private const int TicksPerSecond = 100;

    public TimeSpan CpuTime() => TimeSpan.FromSeconds((double)Pids.Sum(Ticks) / TicksPerSecond);

    public long ResidentBytes() => Pids.Sum(pid =>
    {
        var line = File.ReadLines($"/proc/{pid}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    });

    private static long Ticks(int pid)
    {
        var stat = File.ReadAllText($"/proc/{pid}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
    }
}

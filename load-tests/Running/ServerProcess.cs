using System.Globalization;

namespace Nephos.LoadTests.Running;

/// <summary>The server's process on this machine, for its processor time and memory.</summary>
public sealed record ServerProcess(int Pid)
{
    /// <summary>Linux reports process times in hundredths of a second on every architecture .NET runs on.</summary>
    private const int TicksPerSecond = 100;

    public TimeSpan CpuTime()
    {
        var stat = File.ReadAllText($"/proc/{Pid}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        var ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        return TimeSpan.FromSeconds((double)ticks / TicksPerSecond);
    }

    public long ResidentBytes()
    {
        var line = File.ReadLines($"/proc/{Pid}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}

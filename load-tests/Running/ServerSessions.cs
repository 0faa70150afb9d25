using System.Globalization;

namespace Nephos.LoadTests.Running;

/// <summary>The processes of a peer on this machine: all in the sessions of those whose ids are in the files of a folder.</summary>
internal sealed class ServerSessions(string folder) : IProcessorTime
{
    public TimeSpan CpuTime()
    {
        var sessions = Directory.EnumerateFiles(folder).Select(Leader).OfType<int>().ToHashSet();
        var total = TimeSpan.Zero;
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out _)
                && TryRead(directory) is { } process && sessions.Contains(process.Session))
            {
                total += process.CpuTime;
            }
        }
        return total;
    }

    private static int? Leader(string file) =>
        int.TryParse(File.ReadAllText(file), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var pid) && TryRead($"/proc/{pid}") is { } process
            ? process.Session
            : null;

    /// <summary>Null when the process has ended meanwhile.</summary>
    private static ProcessStat? TryRead(string directory)
    {
        try
        {
            return ProcessStat.Read(Path.Combine(directory, "stat"));
        }
        catch (IOException)
        {
            return null;
        }
    }
}

/// <summary>What the kernel says of one process, with its threads and the children it has waited for.</summary>
internal readonly record struct ProcessStat(int Session, TimeSpan CpuTime)
{
    /// <summary>Linux reports process times in hundredths of a second on every architecture .NET runs on.</summary>
    private const int TicksPerSecond = 100;

    public static ProcessStat Read(string file)
    {
        var stat = File.ReadAllText(file);
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        var ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        return new ProcessStat(int.Parse(fields[3], CultureInfo.InvariantCulture), TimeSpan.FromSeconds((double)ticks / TicksPerSecond));
    }
}

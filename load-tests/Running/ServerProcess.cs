using System.Globalization;

namespace Nephos.LoadTests.Running;

/// <summary>What the processes of a server have used so far.</summary>
public interface IProcessorTime
{
    TimeSpan CpuTime();
}

/// <summary>The processes of the cloud on this machine, for their processor time and memory.</summary>
/// <param name="Pids">One, or one for each role and one for etcd.</param>
public sealed record ServerProcess(IReadOnlyList<int> Pids) : IProcessorTime
{
    public TimeSpan CpuTime() => Pids.Aggregate(TimeSpan.Zero, (total, pid) => total + ProcessStat.Read($"/proc/{pid}/stat").CpuTime);

    public long ResidentBytes() => Pids.Sum(pid =>
    {
        var line = File.ReadLines($"/proc/{pid}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    });
}

using System.Collections.Concurrent;
using System.Text;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Simulation;

/// <summary>The machines of a simulated node. Lives longer than the agent that looks at it, as processes do.</summary>
/// <param name="failureRate">Share of driver calls that fail, 0 to 1.</param>
internal sealed class SimulatedWorld(TimeProvider time, int seed, double failureRate)
{
    private readonly Random _random = new(seed);
    private readonly Lock _lock = new();

    public ConcurrentDictionary<Guid, SimulatedMachine> Machines { get; } = new();

    /// <summary>Guests in this set ignore the power button and keep their devices.</summary>
    public ConcurrentDictionary<Guid, bool> Stubborn { get; } = new();

    /// <summary>Instances that cannot be looked at.</summary>
    public ConcurrentDictionary<Guid, bool> Unseen { get; } = new();

    /// <summary>Every change of a machine, in order: what a test counts.</summary>
    public ConcurrentQueue<(Guid InstanceId, string What)> History { get; } = new();

    public double FailureRate { get; set; } = failureRate;

    public TimeProvider Time => time;

    public void MaybeFail(string call)
    {
        lock (_lock)
        {
            if (FailureRate > 0 && _random.NextDouble() < FailureRate)
            {
                throw new IOException($"simulated failure of {call}");
            }
        }
    }
}

internal sealed class SimulatedMachine
{
    public bool Up { get; set; }
    public RunState State { get; set; }
    public LaunchMark Mark { get; set; }
    public DateTimeOffset? LaunchedAt { get; set; }
    public bool Saved { get; set; }
    public HashSet<Guid> Volumes { get; } = [];
    public HashSet<Guid> Ports { get; } = [];
    public StringBuilder Console { get; } = new();
}

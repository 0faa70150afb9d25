namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>Several processes in one thread and one time; the seed decides whose turn it is.</summary>
internal sealed class SimulatedWorld(Random random)
{
    private readonly List<SimulatedProcess> _processes = [];

    public SimulatedTime Time { get; } = new();

    public SimulatedProcess Begin(DateTimeOffset start)
    {
        var process = new SimulatedProcess(random, start, Time);
        _processes.Add(process);
        return process;
    }

    /// <summary>Nothing of the process will run again.</summary>
    public void End(SimulatedProcess process)
    {
        process.Bury();
        _processes.Remove(process);
    }

    /// <exception cref="SimulationException">Nothing can happen any more, or it takes too long.</exception>
    public void RunUntil(Func<bool> isDone, TimeSpan atMost, Func<string> what)
    {
        var limit = Time.Now + atMost.Ticks;
        var ready = new List<SimulatedProcess>();
        while (!isDone())
        {
            ready.Clear();
            ready.AddRange(_processes.Where(p => p is { HasPower: true, Clock.IsPaused: false, Scheduler.HasWork: true }));
            if (ready.Count > 0)
            {
                var process = ready[random.Next(ready.Count)];
                process.Scheduler.RunOne();
                if (process.HasPower && process.Scheduler.Fault is { } fault)
                {
                    throw new SimulationException($"Background work failed: {fault}");
                }
            }
            else if (Time.Now > limit)
            {
                throw new SimulationException($"Not reached in {atMost}: {what()}.");
            }
            else if (!Time.Advance())
            {
                throw new SimulationException($"Nothing can happen any more before {what()}.");
            }
        }
    }
}

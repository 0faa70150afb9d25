using Nephos.LocalStorage.Objects;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>One life of a process: its tasks, its clock, its memory. When the power goes, all of that is gone and only disks are left.</summary>
internal sealed class SimulatedProcess(Random random, DateTimeOffset start, SimulatedTime time)
{
    private readonly List<AlignedBuffer> _buffers = [];
    private readonly Dictionary<SimulatedDisk, SimulatedMedium> _taken = [];
    private (int WritesLeft, Tear Tear)? _tear;

    public Random Random { get; } = random;

    public SimulatedScheduler Scheduler { get; } = new(random);

    public SimulatedClock Clock { get; } = new(time, start);

    public bool HasPower { get; private set; } = true;

    /// <summary>Writes so far.</summary>
    public int Writes { get; private set; }

    public TimeSpan DiskLatency() => TimeSpan.FromMicroseconds(Random.Next(50) == 0 ? Random.Next(50_000) : 50 + Random.Next(400));

    /// <summary>The power will go in the middle of a later write.</summary>
    public void LosePowerAt(int writesFromNow, Tear tear) => _tear = (writesFromNow, tear);

    /// <summary>Takes back <see cref="LosePowerAt"/>.</summary>
    public void KeepPower() => _tear = null;

    public void LosePower() => (HasPower, Clock.HasStopped) = (false, true);

    public void CheckPower()
    {
        if (!HasPower)
        {
            throw new PowerLostException();
        }
    }

    /// <summary>Counts a write; how it is torn when it is the last one.</summary>
    public Tear? TearNextWrite()
    {
        Writes++;
        if (_tear is not { } tear)
        {
            return null;
        }

        _tear = tear with { WritesLeft = tear.WritesLeft - 1 };
        return tear.WritesLeft == 0 ? tear.Tear : null;
    }

    public void Take(SimulatedDisk disk, SimulatedMedium medium)
    {
        if (!_taken.TryAdd(disk, medium))
        {
            throw new IOException($"Disk {disk.Number} is in use by another process.");
        }
    }

    public void Leave(SimulatedDisk disk, SimulatedMedium medium)
    {
        if (_taken.GetValueOrDefault(disk) == medium)
        {
            _taken.Remove(disk);
        }
    }

    public AlignedBuffer Allocate(int sizeBytes)
    {
        var buffer = new AlignedBuffer(sizeBytes);
        _buffers.Add(buffer);
        return buffer;
    }

    /// <summary>Runs until the condition holds or the power is gone.</summary>
    /// <exception cref="SimulationException">Nothing can happen any more, or it takes too long.</exception>
    public void RunUntil(Func<bool> isDone, TimeSpan atMost, string what)
    {
        var limit = Clock.Now + atMost.Ticks;
        while (HasPower && !isDone())
        {
            if (Scheduler.HasWork)
            {
                Scheduler.RunOne();
            }
            else if (Clock.Now > limit)
            {
                throw new SimulationException($"Not reached in {atMost}: {what}.");
            }
            else if (!Clock.Advance())
            {
                throw new SimulationException($"Nothing can happen any more before {what}.");
            }

            if (Scheduler.Fault is { } fault)
            {
                throw new SimulationException($"Background work failed: {fault}");
            }
        }
    }

    /// <summary>Gives back what the collector does not see. Nothing of the process may run after this.</summary>
    public void Bury()
    {
        LosePower();
        foreach (var buffer in _buffers)
        {
            ((IDisposable)buffer).Dispose();
        }
    }
}

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>Time that passes only when nothing else can happen. The wall clock may jump; timers do not mind.</summary>
internal sealed class SimulatedClock(DateTimeOffset start) : TimeProvider
{
    private readonly PriorityQueue<(SimulatedTimer Timer, long Version), (long Due, long Order)> _timers = new();
    private long _now;
    private long _order;

    /// <summary>What the wall clock shows more than has passed.</summary>
    public TimeSpan Jumped { get; set; }

    /// <summary>Ticks of 100 ns since the start.</summary>
    public long Now => _now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _now;

    public override DateTimeOffset GetUtcNow() => start + TimeSpan.FromTicks(_now) + Jumped;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimulatedTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void After(TimeSpan delay, Action action) => CreateTimer(_ => action(), null, delay, Timeout.InfiniteTimeSpan);

    /// <summary>Goes to the next timer and lets it fire; false when there is none.</summary>
    public bool Advance()
    {
        while (_timers.TryDequeue(out var next, out var at))
        {
            if (next.Timer.IsCurrent(next.Version))
            {
                _now = Math.Max(_now, at.Due);
                next.Timer.Fire();
                return true;
            }
        }

        return false;
    }

    private void Add(SimulatedTimer timer, long version, TimeSpan delay) =>
        _timers.Enqueue((timer, version), (_now + Math.Max(0, delay.Ticks), _order++));

    private sealed class SimulatedTimer(SimulatedClock clock, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;
        private long _version;

        public bool IsCurrent(long version) => version == _version;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            (_period, _version) = (period, _version + 1);
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                clock.Add(this, _version, dueTime);
            }

            return true;
        }

        public void Fire()
        {
            if (_period > TimeSpan.Zero)
            {
                clock.Add(this, _version, _period);
            }

            callback(state);
        }

        public void Dispose() => _version++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

/// <summary>Ids from the seed.</summary>
internal sealed class SimulatedEntropy(Random random) : Nephos.Client.Objects.Entropy
{
    public override void Fill(Span<byte> destination) => random.NextBytes(destination);
}

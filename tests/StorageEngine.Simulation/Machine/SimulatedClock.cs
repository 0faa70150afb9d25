namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>The one time of a simulated world: what happens next, and when.</summary>
internal sealed class SimulatedTime
{
    private readonly PriorityQueue<Action, (long Due, long Order)> _events = new();
    private long _order;

    /// <summary>Ticks of 100 ns since the start.</summary>
    public long Now { get; private set; }

    public void After(TimeSpan delay, Action action) => _events.Enqueue(action, (Now + Math.Max(0, delay.Ticks), _order++));

    /// <summary>Goes to the next event and lets it happen; false when there is none.</summary>
    public bool Advance()
    {
        if (!_events.TryDequeue(out var action, out var at))
        {
            return false;
        }

        Now = Math.Max(Now, at.Due);
        action();
        return true;
    }
}

/// <summary>Time as one process sees it: it passes only when nothing else can happen. The wall clock may jump; timers do not mind.</summary>
internal sealed class SimulatedClock(SimulatedTime time, DateTimeOffset start) : TimeProvider
{
    private readonly List<Action> _late = [];
    private bool _isPaused;

    /// <summary>What the wall clock shows more than has passed.</summary>
    public TimeSpan Jumped { get; set; }

    /// <summary>Ticks of 100 ns since the world began.</summary>
    public long Now => time.Now;

    /// <summary>A process that is paused hears its timers when it goes on.</summary>
    public bool IsPaused
    {
        get => _isPaused;
        set
        {
            _isPaused = value;
            if (!value)
            {
                List<Action> late = [.. _late];
                _late.Clear();
                late.ForEach(fire => fire());
            }
        }
    }

    /// <summary>Its process is gone: no timer fires any more.</summary>
    public bool HasStopped { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => time.Now;

    public override DateTimeOffset GetUtcNow() => start + TimeSpan.FromTicks(time.Now) + Jumped;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimulatedTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void After(TimeSpan delay, Action action) => CreateTimer(_ => action(), null, delay, Timeout.InfiniteTimeSpan);

    /// <summary>Goes to the next event of the world.</summary>
    public bool Advance() => time.Advance();

    private sealed class SimulatedTimer(SimulatedClock clock, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;
        private long _version;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            (_period, _version) = (period, _version + 1);
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                Schedule(dueTime);
            }

            return true;
        }

        public void Dispose() => _version++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Schedule(TimeSpan delay)
        {
            var version = _version;
            clock.Later(delay, () => Fire(version));
        }

        private void Fire(long version)
        {
            if (version != _version || clock.HasStopped)
            {
                return;
            }

            if (clock.IsPaused)
            {
                clock._late.Add(() => Fire(version));
                return;
            }

            if (_period > TimeSpan.Zero)
            {
                Schedule(_period);
            }

            callback(state);
        }
    }

    private void Later(TimeSpan delay, Action action) => time.After(delay, action);
}

/// <summary>Ids from the seed.</summary>
internal sealed class SimulatedEntropy(Random random) : Nephos.Client.Objects.Entropy
{
    public override void Fill(Span<byte> destination) => random.NextBytes(destination);
}

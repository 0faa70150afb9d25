using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Nephos.Compute;

/// <summary>How one piece of work ended.</summary>
/// <param name="Again">When to look again without being asked; null: only when asked.</param>
/// <param name="Failed">Something went wrong: look again after a pause that grows.</param>
internal readonly record struct WorkResult(TimeSpan? Again, bool Failed)
{
    public static readonly WorkResult Done = new(null, false);

    public static readonly WorkResult Retry = new(null, true);

    public static WorkResult After(TimeSpan delay) => new(delay, false);
}

/// <summary>Work by key: a few keys at a time, one key never twice at a time, many requests for a key while it waits are one.</summary>
/// <remarks>A request that comes while the key is worked on makes another round. Bounded by the number of different keys.</remarks>
internal sealed class KeyedQueue(TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private readonly Channel<string> _ready = Channel.CreateUnbounded<string>();
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly Random _jitter = new(Environment.ProcessId);
    private int _busy;

    /// <summary>Keys that wait or are worked on, without those that pause.</summary>
    public int Backlog => Volatile.Read(ref _busy);

    public void Enqueue(string key)
    {
        var entry = _entries.GetOrAdd(key, static _ => new Entry());
        lock (entry)
        {
            entry.Timer?.Dispose();
            entry.Timer = null;
            if (entry.Working)
            {
                entry.Again = true;
                return;
            }
            if (entry.Queued)
            {
                return;
            }
            entry.Queued = true;
        }
        Interlocked.Increment(ref _busy);
        _ready.Writer.TryWrite(key);
    }

    /// <summary>Works until cancelled.</summary>
    public Task RunAsync(int workers, Func<string, CancellationToken, Task<WorkResult>> work, CancellationToken cancellationToken) =>
        Task.WhenAll(Enumerable.Range(0, workers).Select(_ => Task.Run(() => WorkAsync(work, cancellationToken), CancellationToken.None)));

    private async Task WorkAsync(Func<string, CancellationToken, Task<WorkResult>> work, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var key in _ready.Reader.ReadAllAsync(cancellationToken))
            {
                var entry = _entries[key];
                lock (entry)
                {
                    (entry.Queued, entry.Working, entry.Again) = (false, true, false);
                }
                var result = await work(key, cancellationToken);
                Finish(key, entry, result);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
        }
    }

    private void Finish(string key, Entry entry, WorkResult result)
    {
        var again = false;
        lock (entry)
        {
            entry.Working = false;
            entry.Failures = result.Failed ? Math.Min(entry.Failures + 1, 16) : 0;
            if (entry.Again)
            {
                (entry.Queued, entry.Again, again) = (true, false, true);
            }
            else if (result.Failed)
            {
                entry.Timer = Later(key, Pause(entry.Failures));
            }
            else if (result.Again is { } delay)
            {
                entry.Timer = Later(key, delay);
            }
        }
        if (again)
        {
            _ready.Writer.TryWrite(key);
        }
        else
        {
            Interlocked.Decrement(ref _busy);
        }
    }

    /// <summary>Forgets a key for which there will be no more work.</summary>
    public void Forget(string key)
    {
        if (_entries.TryGetValue(key, out var entry))
        {
            lock (entry)
            {
                if (!entry.Queued && !entry.Working && entry.Timer is null)
                {
                    _entries.TryRemove(KeyValuePair.Create(key, entry));
                }
            }
        }
    }

    private ITimer Later(string key, TimeSpan delay) => time.CreateTimer(_ => Enqueue(key), null, delay, Timeout.InfiniteTimeSpan);

    // Full jitter: between half and the whole of a pause that doubles.
    private TimeSpan Pause(int failures)
    {
        var whole = Math.Min(FirstPause.TotalMilliseconds * Math.Pow(2, failures - 1), LongestPause.TotalMilliseconds);
        lock (_jitter)
        {
            return TimeSpan.FromMilliseconds(whole * (0.5 + (_jitter.NextDouble() / 2)));
        }
    }

    private sealed class Entry
    {
        public bool Queued { get; set; }

        public bool Working { get; set; }

        public bool Again { get; set; }

        public int Failures { get; set; }

        public ITimer? Timer { get; set; }
    }
}

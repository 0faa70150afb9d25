using Microsoft.Extensions.Logging;
using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>The store of one process: one committer thread decides waiting commits in order and writes them together, with one sync.</summary>
/// <remarks>
/// Without space it refuses what would write and goes on with the rest. When a write fails, nobody knows what is on the disk: the
/// callers are told so, and before anything else is decided the engine is opened again, which shows whether the write is there; if
/// it is, watchers are told of it then.
/// </remarks>
internal partial class LocalStateStore : IStateStore, IDisposable
{
    private const int MaxWaiting = 100_000;
    private const int MaxGroup = 1024;
    private const long MaxGroupBytes = 8 * 1024 * 1024;

    /// <summary>How long to wait before what failed is tried again.</summary>
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly ILocalEngine _engine;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly WatchHistory _history;
    private readonly ITimer _expiry;
    private readonly Thread _committer;
    private readonly object _gate = new();
    private readonly Queue<CommitterWork> _waiting = new();
    private bool _closing;
    private long _revision;

    // Of the committer thread alone.
    private LeaseTable _leases;
    private CommitGroup? _unsettled;
    private long? _lastReopened;
    private bool _refusing;

    protected LocalStateStore(ILocalEngine engine, TimeProvider time, StateHistoryOptions history, ILogger logger)
    {
        _engine = engine;
        _time = time;
        _logger = logger;
        _revision = engine.ReadRevision();
        _history = new WatchHistory(_revision, history.MaxBatches, history.MaxBytes);
        _leases = new LeaseTable(time, engine.ReadLeases());
        _expiry = time.CreateTimer(_ => ExpireLeases(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _committer = new Thread(RunCommitter) { IsBackground = true, Name = "state-committer" };
        ScheduleExpiry(notBefore: TimeSpan.Zero);
        _committer.Start();
    }

    public ValueTask<long> GetRevisionAsync(CancellationToken cancellationToken) => ValueTask.FromResult(Volatile.Read(ref _revision));

    public ValueTask<StateEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        StateKeys.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(_engine.Get(key));
    }

    public ValueTask<StateScan> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        StateLimits.CheckKeys(keys);
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(_engine.GetMany(keys));
    }

    public ValueTask<StateScan> ScanAsync(string fromInclusive, string toExclusive, int limit, CancellationToken cancellationToken)
    {
        StateKeys.ValidateRange(fromInclusive, toExclusive);
        StateLimits.CheckScanLimit(limit);
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(_engine.Scan(fromInclusive, toExclusive, limit));
    }

    public ValueTask<CommitResult> CommitAsync(StateCommit commit, CancellationToken cancellationToken) =>
        Enqueue(group => group.Commit(commit), commit.Validate(), cancellationToken);

    public IAsyncEnumerable<StateBatch> WatchAsync(string prefix, long fromRevision, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(fromRevision, 1);
        return _history.WatchAsync(prefix, fromRevision, cancellationToken);
    }

    public ValueTask<LeaseId> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        var wholeSeconds = StateLimits.WholeSeconds(timeToLive);
        return Enqueue(group => group.Grant(wholeSeconds), 0, cancellationToken);
    }

    public async ValueTask KeepLeaseAliveAsync(LeaseId lease, CancellationToken cancellationToken) =>
        await Enqueue(group => group.KeepAlive(lease), 0, cancellationToken);

    public async ValueTask RevokeLeaseAsync(LeaseId lease, CancellationToken cancellationToken) =>
        await Enqueue(group => group.Revoke(lease), 0, cancellationToken);

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Finishes the commits that wait, ends the watches, closes the engine.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closing = true;
            Monitor.PulseAll(_gate);
        }

        _committer.Join();
        _expiry.Dispose();
        _history.Close();
        _engine.Dispose();
        GC.SuppressFinalize(this);
    }

    private ValueTask<T> Enqueue<T>(Func<CommitGroup, T> decide, long bytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var work = new CommitterWork<T>(decide, bytes);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closing, this);
            if (_waiting.Count >= MaxWaiting)
            {
                throw new StateUnavailableException($"{MaxWaiting} commits are waiting for the state store.", null);
            }

            _waiting.Enqueue(work);
            Monitor.Pulse(_gate);
        }

        return new ValueTask<T>(work.WaitAsync(cancellationToken));
    }

    private void ExpireLeases()
    {
        lock (_gate)
        {
            if (!_closing)
            {
                _waiting.Enqueue(new CommitterWork<bool>(group => group.RevokeEnded(), 0));
                Monitor.Pulse(_gate);
            }
        }
    }

    private void ScheduleExpiry(TimeSpan notBefore)
    {
        if (_leases.NextEnd() is not { } left)
        {
            return;
        }

        if (left == TimeSpan.Zero && notBefore == TimeSpan.Zero)
        {
            ExpireLeases();
        }
        else
        {
            Wake(left > notBefore ? left : notBefore);
        }
    }

    // Timers count milliseconds and cut the rest off: one more makes sure that a lease has ended when it rings.
    private void Wake(TimeSpan after) => _expiry.Change(after + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);

    private void RunCommitter()
    {
        var taken = new List<CommitterWork>(MaxGroup);
        while (Take(taken))
        {
            try
            {
                Run(taken);
            }
            catch (StateUnavailableException e)
            {
                LogRefusing(e);
                Wake(RetryInterval);
                foreach (var work in taken)
                {
                    work.Fail(e);
                }
            }
        }
    }

    private bool Take(List<CommitterWork> taken)
    {
        taken.Clear();
        lock (_gate)
        {
            while (_waiting.Count == 0)
            {
                if (_closing)
                {
                    return false;
                }

                Monitor.Wait(_gate);
            }

            long bytes = 0;
            while (taken.Count < MaxGroup && bytes < MaxGroupBytes && _waiting.TryDequeue(out var work))
            {
                taken.Add(work);
                bytes += work.Bytes;
            }
        }

        return true;
    }

    /// <exception cref="StateUnavailableException">Nothing was decided, or what was decided may or may not be durable.</exception>
    private void Run(List<CommitterWork> taken)
    {
        Settle();
        var full = _engine.FindFull();
        var group = new CommitGroup(_engine, _leases, _revision, full);
        try
        {
            foreach (var work in taken)
            {
                work.Decide(group);
            }

            if (!group.Writes.IsEmpty)
            {
                _engine.Write(group.Writes);
            }
        }
        catch (Exception e)
        {
            _unsettled = group;
            throw new StateUnavailableException("The state store failed to write; the outcome is unknown.", e);
        }

        Publish(group);
        ScheduleExpiry(notBefore: full is null ? TimeSpan.Zero : RetryInterval);
        foreach (var work in taken)
        {
            work.Complete();
        }

        LogRefusing(full);
    }

    private void Publish(CommitGroup group)
    {
        Volatile.Write(ref _revision, group.Writes.Revision);
        _history.Append(group.Batches);
    }

    /// <summary>Finds out whether the write that failed is there.</summary>
    /// <exception cref="StateUnavailableException">That cannot be found out now.</exception>
    private void Settle()
    {
        if (_unsettled is not { } group)
        {
            return;
        }

        if (_engine.FindFull() is { } full)
        {
            throw full;
        }

        if (_lastReopened is { } last && _time.GetElapsedTime(last) < RetryInterval)
        {
            throw new StateUnavailableException("The state store failed to write and cannot be opened again yet.", null);
        }

        _lastReopened = _time.GetTimestamp();
        long revision;
        try
        {
            _engine.Reopen();
            revision = _engine.ReadRevision();
            _leases = new LeaseTable(_time, _engine.ReadLeases());
        }
        catch (Exception e)
        {
            throw new StateUnavailableException("The state store cannot be opened again after a failed write.", e);
        }

        if (revision == group.Writes.Revision)
        {
            Publish(group);
        }
        else if (revision != _revision)
        {
            throw new StateUnavailableException($"The state store is at revision {revision} after a failed write, not at {_revision} or the next.", null);
        }

        _unsettled = null;
    }

    private void LogRefusing(StateUnavailableException? reason)
    {
        if (reason is not null && !_refusing)
        {
            LogCannotWrite(reason.Message, reason.InnerException?.Message ?? "");
        }
        else if (reason is null && _refusing)
        {
            LogWritesAgain(_revision);
        }

        _refusing = reason is not null;
    }

    [LoggerMessage(LogLevel.Error, "The state store refuses to write: {Reason} {Cause}")]
    private partial void LogCannotWrite(string reason, string? cause);

    [LoggerMessage(LogLevel.Information, "The state store writes again, from revision {Revision} on")]
    private partial void LogWritesAgain(long revision);
}

using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>The store of one process: one committer thread decides waiting commits in order and writes them together, with one sync.</summary>
internal class LocalStateStore : IStateStore, IDisposable
{
    private const int MaxWaiting = 100_000;
    private const int MaxGroup = 1024;
    private const long MaxGroupBytes = 8 * 1024 * 1024;

    private readonly ILocalEngine _engine;
    private readonly WatchHistory _history;
    private readonly LeaseTable _leases;
    private readonly ITimer _expiry;
    private readonly Thread _committer;
    private readonly object _gate = new();
    private readonly Queue<CommitterWork> _waiting = new();
    private bool _closing;
    private Exception? _broken;
    private long _revision;

    protected LocalStateStore(ILocalEngine engine, TimeProvider time, StateHistoryOptions history)
    {
        _engine = engine;
        _revision = engine.ReadRevision();
        _history = new WatchHistory(_revision, history.MaxBatches, history.MaxBytes);
        _leases = new LeaseTable(time, engine.ReadLeases());
        _expiry = time.CreateTimer(_ => ExpireLeases(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _committer = new Thread(RunCommitter) { IsBackground = true, Name = "state-committer" };
        ScheduleExpiry();
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
            if (_broken is not null)
            {
                throw new StateUnavailableException("The state store failed to write and takes no more commits.", _broken);
            }

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
            if (!_closing && _broken is null)
            {
                _waiting.Enqueue(new CommitterWork<bool>(group => group.RevokeEnded(), 0));
                Monitor.Pulse(_gate);
            }
        }
    }

    private void ScheduleExpiry()
    {
        if (_leases.NextEnd() is not { } left)
        {
            return;
        }

        if (left == TimeSpan.Zero)
        {
            ExpireLeases();
        }
        else
        {
            // Timers count milliseconds and cut the rest off: one more makes sure that the lease has ended when it rings.
            _expiry.Change(left + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        }
    }

    private void RunCommitter()
    {
        var taken = new List<CommitterWork>(MaxGroup);
        while (Take(taken))
        {
            try
            {
                Run(taken);
            }
            catch (Exception e)
            {
                Break(taken, e);
                return;
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

    private void Run(List<CommitterWork> taken)
    {
        var group = new CommitGroup(_engine, _leases, _revision);
        foreach (var work in taken)
        {
            work.Decide(group);
        }

        if (!group.Writes.IsEmpty)
        {
            _engine.Write(group.Writes);
        }

        Volatile.Write(ref _revision, group.Writes.Revision);
        _history.Append(group.Batches);
        ScheduleExpiry();
        foreach (var work in taken)
        {
            work.Complete();
        }
    }

    /// <summary>A write failed: nobody knows what is on the disk, so nothing more is decided until the store is opened again.</summary>
    private void Break(List<CommitterWork> taken, Exception cause)
    {
        List<CommitterWork> failed;
        lock (_gate)
        {
            _broken = cause;
            failed = [.. taken, .. _waiting];
            _waiting.Clear();
        }

        var unavailable = new StateUnavailableException("The state store failed to write; the outcome is unknown.", cause);
        foreach (var work in failed)
        {
            work.Fail(unavailable);
        }
    }
}

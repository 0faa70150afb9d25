using System.Runtime.CompilerServices;
using Nephos.Kernel.State;

namespace Nephos.State;

/// <summary>The newest changes, from which every watcher of the process reads at its own pace.</summary>
/// <remarks>
/// One bounded ring in place of a queue per watcher: a slow watcher costs no memory and blocks nobody; it finds its place
/// overwritten and lists again. One thread appends.
/// </remarks>
internal sealed class WatchHistory
{
    private const int MaxBatchesPerStep = 256;

    private readonly Lock _gate = new();
    private readonly StateBatch[] _ring;
    private readonly long _maxBytes;
    private long _firstIndex;
    private long _nextIndex;
    private long _bytes;
    private long _oldest;
    private long _newest;
    private bool _closed;
    private TaskCompletionSource _changed = NewSignal();

    /// <param name="revision">The revision of the store now; changes after it are kept.</param>
    /// <param name="maxBatches">Most batches kept.</param>
    /// <param name="maxBytes">Most bytes of keys and values kept; one batch is always kept.</param>
    public WatchHistory(long revision, int maxBatches, long maxBytes)
    {
        _ring = new StateBatch[maxBatches];
        _maxBytes = maxBytes;
        _oldest = revision + 1;
        _newest = revision;
    }

    public long Newest
    {
        get
        {
            lock (_gate)
            {
                return _newest;
            }
        }
    }

    /// <summary>Adds batches in the order of their revisions, each after the newest.</summary>
    public void Append(IReadOnlyList<StateBatch> batches)
    {
        if (batches.Count == 0)
        {
            return;
        }

        TaskCompletionSource changed;
        lock (_gate)
        {
            foreach (var batch in batches)
            {
                Add(batch);
            }

            changed = _changed;
            _changed = NewSignal();
        }

        changed.TrySetResult();
    }

    /// <summary>Forgets everything up to a revision, because changes were missed: every watcher has to list again.</summary>
    public void Reset(long revision)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            Array.Clear(_ring);
            _firstIndex = _nextIndex;
            _bytes = 0;
            _newest = Math.Max(_newest, revision);
            _oldest = _newest + 1;
            changed = _changed;
            _changed = NewSignal();
        }

        changed.TrySetResult();
    }

    /// <summary>Ends every watch.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
        }

        _changed.TrySetResult();
    }

    /// <inheritdoc cref="IStateStore.WatchAsync"/>
    public async IAsyncEnumerable<StateBatch> WatchAsync(
        string prefix, long fromRevision, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var next = fromRevision;
        var step = new List<StateBatch>();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var changed = Read(next, step);
            if (step.Count == 0)
            {
                await changed.WaitAsync(cancellationToken);
                continue;
            }

            var shown = 0L;
            foreach (var batch in step)
            {
                var events = Matching(batch.Events, prefix);
                if (events.Count > 0)
                {
                    shown = batch.Revision;
                    yield return new StateBatch(batch.Revision, events);
                }
            }

            var reached = step[^1].Revision;
            if (shown < reached)
            {
                yield return new StateBatch(reached, []);
            }

            next = reached + 1;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static long SizeOf(StateBatch batch) =>
        batch.Events.Sum(change => (long)change.Key.Length + (change.Entry?.Value.Length ?? 0));

    private static IReadOnlyList<StateEvent> Matching(IReadOnlyList<StateEvent> events, string prefix)
    {
        List<StateEvent>? matching = null;
        foreach (var change in events)
        {
            if (change.Key.StartsWith(prefix, StringComparison.Ordinal))
            {
                (matching ??= []).Add(change);
            }
        }

        return (IReadOnlyList<StateEvent>?)matching ?? [];
    }

    private void Add(StateBatch batch)
    {
        _bytes += SizeOf(batch);
        while (_firstIndex < _nextIndex && (_nextIndex - _firstIndex == _ring.Length || _bytes > _maxBytes))
        {
            ref var first = ref _ring[_firstIndex % _ring.Length];
            _bytes -= SizeOf(first);
            _oldest = first.Revision + 1;
            first = null!;
            _firstIndex++;
        }

        _ring[_nextIndex % _ring.Length] = batch;
        _nextIndex++;
        _newest = batch.Revision;
    }

    /// <summary>Fills the step with what follows; the task completes at the next change after that.</summary>
    private Task Read(long from, List<StateBatch> step)
    {
        step.Clear();
        lock (_gate)
        {
            if (_closed)
            {
                throw new StateUnavailableException("The state store is closed.", null);
            }

            if (from < _oldest)
            {
                throw new StateCompactedException(_oldest);
            }

            for (var index = IndexOf(from); index < _nextIndex && step.Count < MaxBatchesPerStep; index++)
            {
                step.Add(_ring[index % _ring.Length]);
            }

            return _changed.Task;
        }
    }

    // The index of the first batch at or after the revision.
    private long IndexOf(long revision)
    {
        var (low, high) = (_firstIndex, _nextIndex);
        while (low < high)
        {
            var middle = low + ((high - low) / 2);
            if (_ring[middle % _ring.Length].Revision < revision)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}

using System.Runtime.CompilerServices;
using Nephos.Kernel.State;

namespace Nephos.Services.Tests.State;

/// <summary>A store whose watches can be held up, or fail once.</summary>
internal sealed class HeldStore(IStateStore inner) : IStateStore
{
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile Gate? _held;
    private volatile bool _fail;

    /// <summary>Completes when a watch has failed.</summary>
    public Task Failed => _failed.Task;

    /// <summary>Holds watches up at their next batch.</summary>
    /// <returns>Completes when one is held up.</returns>
    public Task Hold()
    {
        var held = new Gate();
        _held = held;
        return held.Reached.Task;
    }

    public void Release()
    {
        var held = _held!;
        _held = null;
        held.Opened.SetResult();
    }

    public void Fail() => _fail = true;

    public async IAsyncEnumerable<StateBatch> WatchAsync(
        string prefix, long fromRevision, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var batch in inner.WatchAsync(prefix, fromRevision, cancellationToken))
        {
            if (_held is { } held)
            {
                held.Reached.TrySetResult();
                await held.Opened.Task.WaitAsync(cancellationToken);
            }

            if (_fail)
            {
                _fail = false;
                _failed.SetResult();
                throw new StateUnavailableException("The store is away.", null);
            }

            yield return batch;
        }
    }

    public ValueTask<long> GetRevisionAsync(CancellationToken cancellationToken) => inner.GetRevisionAsync(cancellationToken);

    public ValueTask<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) => inner.GetAsync(key, cancellationToken);

    public ValueTask<StateScan> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        inner.GetManyAsync(keys, cancellationToken);

    public ValueTask<StateScan> ScanAsync(string fromInclusive, string toExclusive, int limit, CancellationToken cancellationToken) =>
        inner.ScanAsync(fromInclusive, toExclusive, limit, cancellationToken);

    public ValueTask<CommitResult> CommitAsync(StateCommit commit, CancellationToken cancellationToken) =>
        inner.CommitAsync(commit, cancellationToken);

    public ValueTask<LeaseId> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken) =>
        inner.GrantLeaseAsync(timeToLive, cancellationToken);

    public ValueTask KeepLeaseAliveAsync(LeaseId lease, CancellationToken cancellationToken) =>
        inner.KeepLeaseAliveAsync(lease, cancellationToken);

    public ValueTask RevokeLeaseAsync(LeaseId lease, CancellationToken cancellationToken) => inner.RevokeLeaseAsync(lease, cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Gate
    {
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Opened { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

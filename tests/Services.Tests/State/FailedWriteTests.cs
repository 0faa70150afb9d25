using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.State;
using Nephos.State;
using Nephos.State.Local;
using Xunit;

namespace Nephos.Services.Tests.State;

public sealed class FailedWriteTests : IAsyncDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;

    private readonly FakeTimeProvider _time = new();
    private readonly FailingEngine _engine = new();
    private readonly StoreOver _store;

    public FailedWriteTests() => _store = new StoreOver(_engine, _time);

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task After_a_write_that_failed_and_left_nothing_the_next_commit_opens_the_store_again()
    {
        var first = await _store.CommitAsync(Put("a"), None);
        _engine.Failure = Failure.LeavesNothing;
        var unknown = await Assert.ThrowsAsync<StateUnavailableException>(async () => await _store.CommitAsync(Put("b"), None));
        Assert.IsType<IOException>(unknown.InnerException);
        Assert.Equal(["a"], await KeysAsync());

        _engine.Failure = Failure.None;
        var next = await _store.CommitAsync(Put("c"), None);

        Assert.Equal(first.Revision + 1, next.Revision);
        Assert.Equal(["a", "c"], await KeysAsync());
        Assert.Equal(1, _engine.Reopened);
    }

    [Fact]
    public async Task A_write_that_failed_and_is_there_all_the_same_is_told_to_watchers_once_and_counts()
    {
        var first = await _store.CommitAsync(Put("a"), None);
        _engine.Failure = Failure.LeavesAll;
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await _store.CommitAsync(Put("b"), None));
        _engine.Failure = Failure.None;

        var again = await _store.CommitAsync(Put("b"), None);

        Assert.False(again.Succeeded);
        var next = await _store.CommitAsync(Put("c"), None);
        Assert.Equal(first.Revision + 2, next.Revision);
        var seen = new List<string>();
        await foreach (var batch in _store.WatchAsync("", first.Revision + 1, None))
        {
            seen.AddRange(batch.Events.Select(change => change.Key));
            if (batch.Revision == next.Revision)
            {
                break;
            }
        }

        Assert.Equal(["b", "c"], seen);
    }

    [Fact]
    public async Task A_store_that_cannot_be_opened_again_is_tried_once_a_second()
    {
        _engine.Failure = Failure.LeavesNothing;
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await _store.CommitAsync(Put("a"), None));
        _engine.Failure = Failure.CannotReopen;
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await _store.CommitAsync(Put("a"), None));
        _engine.Failure = Failure.None;
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await _store.CommitAsync(Put("a"), None));
        Assert.Equal(1, _engine.Reopened);

        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.True((await _store.CommitAsync(Put("a"), None)).Succeeded);
        Assert.Equal(2, _engine.Reopened);
    }

    [Fact]
    public async Task A_store_heals_by_itself_when_nobody_commits()
    {
        _engine.Failure = Failure.LeavesAll;
        var watch = FirstAsync(_store.WatchAsync("", 1, None));
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await _store.CommitAsync(Put("a"), None));
        _engine.Failure = Failure.None;

        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("a", (await watch).Events.Single().Key);
    }

    [Fact]
    public async Task Without_space_nothing_is_written_leases_are_kept_and_preconditions_are_still_answered()
    {
        var lease = await _store.GrantLeaseAsync(TimeSpan.FromSeconds(10), None);
        var first = await _store.CommitAsync(new StateCommit { Puts = [new("a", "x"u8.ToArray(), lease)] }, None);
        _engine.IsFull = true;

        await Assert.ThrowsAsync<StateFullException>(async () => await _store.CommitAsync(Put("b"), None));
        await Assert.ThrowsAsync<StateFullException>(async () => await _store.GrantLeaseAsync(TimeSpan.FromSeconds(1), None));
        await Assert.ThrowsAsync<StateFullException>(async () => await _store.RevokeLeaseAsync(lease, None));
        Assert.False((await _store.CommitAsync(Put("a"), None)).Succeeded);
        _time.Advance(TimeSpan.FromSeconds(9));
        await _store.KeepLeaseAliveAsync(lease, None);
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(["a"], await KeysAsync());

        _engine.IsFull = false;
        var next = FirstAsync(_store.WatchAsync("a", first.Revision + 1, None));
        // When the sweep of leases is next due is its own affair.
        for (var second = 0; second < 60 && !next.IsCompleted; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(20);
        }

        Assert.Null((await next.WaitAsync(TimeSpan.FromSeconds(10))).Events.Single().Entry);
        Assert.True((await _store.CommitAsync(Put("b"), None)).Succeeded);
        Assert.Equal(0, _engine.Reopened);
    }

    private static async Task<StateBatch> FirstAsync(IAsyncEnumerable<StateBatch> watch)
    {
        await foreach (var batch in watch)
        {
            return batch;
        }

        throw new InvalidOperationException("The watch ended.");
    }

    private static StateCommit Put(string key) => new() { Preconditions = [new(key, 0)], Puts = [new(key, "x"u8.ToArray())] };

    private async Task<IEnumerable<string>> KeysAsync() => (await _store.ScanAsync("", "", 10, None)).Entries.Select(entry => entry.Key);

    private enum Failure
    {
        None,
        LeavesNothing,
        LeavesAll,
        CannotReopen,
    }

    private sealed class StoreOver(ILocalEngine engine, TimeProvider time)
        : LocalStateStore(engine, time, new StateHistoryOptions(), NullLogger.Instance);

    /// <summary>Shows what a failed write left only when it is reopened.</summary>
    private sealed class FailingEngine : ILocalEngine
    {
        private readonly MemoryEngine _inner = new();
        private EngineBatch? _left;

        public volatile Failure Failure;
        public volatile bool IsFull;
        public volatile int Reopened;

        public StateFullException? FindFull() => IsFull ? new StateFullException("full") : null;

        public void Write(EngineBatch batch)
        {
            if (Failure == Failure.None)
            {
                _inner.Write(batch);
                return;
            }

            _left = Failure == Failure.LeavesAll ? batch : null;
            throw new IOException("No space left on device");
        }

        public void Reopen()
        {
            Reopened++;
            if (Failure == Failure.CannotReopen)
            {
                throw new IOException("No space left on device");
            }

            if (_left is not null)
            {
                _inner.Write(_left);
                _left = null;
            }
        }

        public long ReadRevision() => _inner.ReadRevision();

        public IReadOnlyList<StoredLease> ReadLeases() => _inner.ReadLeases();

        public StateEntry? Get(string key) => _inner.Get(key);

        public long RevisionOf(string key) => _inner.RevisionOf(key);

        public StateScan GetMany(IReadOnlyList<string> keys) => _inner.GetMany(keys);

        public StateScan Scan(string fromInclusive, string toExclusive, int limit) => _inner.Scan(fromInclusive, toExclusive, limit);

        public bool AnyWrittenAfter(long revision, string fromInclusive, string toExclusive, Func<string, bool> passOver) =>
            _inner.AnyWrittenAfter(revision, fromInclusive, toExclusive, passOver);

        public void Dispose() => _inner.Dispose();
    }
}

using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.State;
using Nephos.State;
using Nephos.State.Local;
using Xunit;

namespace Nephos.Services.Tests.State;

public sealed class FailedWriteTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task After_a_write_that_failed_nothing_more_is_acknowledged_and_reads_go_on()
    {
        var engine = new FailingEngine();
        await using var store = new StoreOver(engine);
        var first = await store.CommitAsync(Put("a"), None);
        engine.Failing = true;

        var unknown = await Assert.ThrowsAsync<StateUnavailableException>(async () => await store.CommitAsync(Put("b"), None));
        engine.Failing = false;
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await store.CommitAsync(Put("c"), None));
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await store.GrantLeaseAsync(TimeSpan.FromSeconds(1), None));

        Assert.IsType<IOException>(unknown.InnerException);
        Assert.Equal(["a"], (await store.ScanAsync("", "", 10, None)).Entries.Select(entry => entry.Key));
        Assert.Equal(first.Revision, await store.GetRevisionAsync(None));
    }

    private static StateCommit Put(string key) => new() { Puts = [new(key, "x"u8.ToArray())] };

    private sealed class StoreOver(ILocalEngine engine) : LocalStateStore(engine, new FakeTimeProvider(), new StateHistoryOptions());

    private sealed class FailingEngine : ILocalEngine
    {
        private readonly MemoryEngine _inner = new();

        public volatile bool Failing;

        public void Write(EngineBatch batch)
        {
            if (Failing)
            {
                throw new IOException("No space left on device");
            }

            _inner.Write(batch);
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

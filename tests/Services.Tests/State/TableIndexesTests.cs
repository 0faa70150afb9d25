using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>Tables whose indexes change between two versions of a program.</summary>
public sealed class TableIndexesTests : IAsyncDisposable
{
    private const int Count = 450;
    private static readonly CancellationToken None = CancellationToken.None;

    private static readonly TableSchema<Book> Before = Table().Index("shelf", book => book.Shelf);
    private static readonly TableSchema<Book> After = Table().Index("shelf", book => book.Shelf).Unique("title", book => book.Title).IndexMany("tag", book => book.Tags);

    private readonly IStateStore _store =
        StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory }, TimeProvider.System, NullLoggerFactory.Instance);

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task Records_written_before_an_index_was_declared_are_found_by_it()
    {
        await FillAsync(Before);

        var written = await _store.ReconcileAsync([After], None);

        Assert.Equal(Count * 2, written);
        Assert.Equal("7", (await _store.FindAsync(After, "title", "Title 7", None))!.Id);
        Assert.Equal(Count / 3, (await _store.ListByAsync(After, "tag", "tag 1", None)).Count);
        Assert.Equal(Count / 2, (await _store.ListByAsync(After, "shelf", "A", None)).Count);
    }

    [Fact]
    public async Task Doing_it_again_changes_nothing()
    {
        await FillAsync(Before);
        await _store.ReconcileAsync([After], None);
        var revision = await _store.GetRevisionAsync(None);

        Assert.Equal(0, await _store.ReconcileAsync([After], None));
        Assert.Equal(revision, await _store.GetRevisionAsync(None));
    }

    [Fact]
    public async Task An_index_that_went_leaves_no_entries_and_is_whole_when_it_comes_back()
    {
        await _store.ReconcileAsync([After], None);
        await FillAsync(After);
        Assert.Equal(Count * 2, await _store.ReconcileAsync([Before], None));
        Assert.Empty((await _store.ScanAsync("library/books:u:", "library/books:u;", 10, None)).Entries);
        await _store.TransactAsync(
            async tx => tx.Put(Before, (await tx.GetAsync(Before, "7", None))! with { Title = "Other" }), None);

        await _store.ReconcileAsync([After], None);

        Assert.Null(await _store.FindAsync(After, "title", "Title 7", None));
        Assert.Equal("7", (await _store.FindAsync(After, "title", "Other", None))!.Id);
    }

    [Fact]
    public async Task Ending_at_any_commit_and_starting_again_gives_the_same_indexes()
    {
        var index = 0;
        for (var ended = false; !ended; index += 97)
        {
            await using var store = StateRegistration.Open(
                new StateStoreOptions { Engine = StateEngine.Memory }, TimeProvider.System, NullLoggerFactory.Instance);
            await FillAsync(Before, store);
            try
            {
                await new EndingStore(store, index).ReconcileAsync([After], None);
                ended = true;
            }
            catch (OperationCanceledException)
            {
                await store.ReconcileAsync([After], None);
            }

            Assert.Equal(Count, (await store.ScanAsync("library/books:u:title:", "library/books:u:title;", 1000, None)).Entries.Count);
            Assert.Equal(Count, (await store.ScanAsync("library/books:i:tag:", "library/books:i:tag;", 1000, None)).Entries.Count);
        }

        Assert.True(index > Count);
    }

    [Fact]
    public async Task Records_that_share_a_value_of_a_new_unique_index_are_told()
    {
        await InsertAsync(_store, Before, new Book { Id = "a", Title = "Emma" }, new Book { Id = "b", Title = "Emma" });

        var refused = await Assert.ThrowsAsync<UniqueViolationException>(() => _store.ReconcileAsync([After], None));

        Assert.Equal(("library/books", "title", "Emma"), (refused.Table, refused.Index, refused.Value));
    }

    [Fact]
    public async Task Entries_hang_on_the_lease_of_their_record()
    {
        var lease = await _store.GrantLeaseAsync(TimeSpan.FromMinutes(1), None);
        await _store.TransactAsync(
            tx =>
            {
                tx.Insert(Before, new Book { Id = "a", Title = "Emma" }, lease);
                return Task.CompletedTask;
            },
            None);
        await _store.ReconcileAsync([After], None);

        await _store.RevokeLeaseAsync(lease, None);

        Assert.Empty((await _store.ScanAsync("library/books:u:", "library/books:u;", 10, None)).Entries);
    }

    private static TableSchema<Book> Table() => new("library/books", book => book.Id, LibraryJson.Default.Book);

    private static Task InsertAsync(IStateStore store, TableSchema<Book> table, params Book[] books) => store.TransactAsync(
        tx =>
        {
            Array.ForEach(books, book => tx.Insert(table, book));
            return Task.CompletedTask;
        },
        None);

    private async Task FillAsync(TableSchema<Book> table, IStateStore? store = null)
    {
        foreach (var ids in Enumerable.Range(0, Count).Chunk(100))
        {
            await InsertAsync(store ?? _store, table, [.. ids.Select(id => new Book { Id = $"{id}", Title = $"Title {id}", Shelf = id % 2 == 0 ? "A" : "B", Tags = [$"tag {id % 3}"] })]);
        }
    }

    /// <summary>A store for a process that ends at one of its commits.</summary>
    private sealed class EndingStore(IStateStore inner, int lastCommit) : IStateStore
    {
        private int _commits;

        public ValueTask<CommitResult> CommitAsync(StateCommit commit, CancellationToken cancellationToken) =>
            _commits++ < lastCommit ? inner.CommitAsync(commit, cancellationToken) : throw new OperationCanceledException();

        public ValueTask<long> GetRevisionAsync(CancellationToken cancellationToken) => inner.GetRevisionAsync(cancellationToken);

        public ValueTask<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) => inner.GetAsync(key, cancellationToken);

        public ValueTask<StateScan> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) => inner.GetManyAsync(keys, cancellationToken);

        public ValueTask<StateScan> ScanAsync(string fromInclusive, string toExclusive, int limit, CancellationToken cancellationToken) =>
            inner.ScanAsync(fromInclusive, toExclusive, limit, cancellationToken);

        public IAsyncEnumerable<StateBatch> WatchAsync(string prefix, long fromRevision, CancellationToken cancellationToken) =>
            inner.WatchAsync(prefix, fromRevision, cancellationToken);

        public ValueTask<LeaseId> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken) => inner.GrantLeaseAsync(timeToLive, cancellationToken);

        public ValueTask KeepLeaseAliveAsync(LeaseId lease, CancellationToken cancellationToken) => inner.KeepLeaseAliveAsync(lease, cancellationToken);

        public ValueTask RevokeLeaseAsync(LeaseId lease, CancellationToken cancellationToken) => inner.RevokeLeaseAsync(lease, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

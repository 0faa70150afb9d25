using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;
using static Nephos.Services.Tests.State.Library;

namespace Nephos.Services.Tests.State;

public sealed class TableCacheTests : IAsyncLifetime
{
    private const int HistoryBatches = 16;

    private static readonly CancellationToken None = CancellationToken.None;

    private readonly FakeTimeProvider _time = new();
    private readonly IStateStore _store;
    private readonly TableCache<Counter> _cache;

    public TableCacheTests()
    {
        var history = new StateHistoryOptions { MaxBatches = HistoryBatches };
        _store = StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory, History = history }, _time, NullLoggerFactory.Instance);
        _cache = NewCache(_store);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _cache.StopAsync(None);
        _cache.Dispose();
        await _store.DisposeAsync();
    }

    [Fact]
    public async Task A_started_cache_holds_the_table_and_nothing_else()
    {
        await SetAsync("b", 2);
        await SetAsync("a", 1);
        await _store.TransactAsync(tx => Task.Run(() => tx.Insert(Books, new Book { Id = "1" })), None);

        await _cache.StartAsync(None);

        Assert.Equal([new Counter("a", 1), new Counter("b", 2)], _cache.List());
        Assert.Equal(2, _cache.Get("b")!.Used);
        Assert.Null(_cache.Get("1"));
    }

    [Fact]
    public async Task After_waiting_for_the_revision_of_a_commit_its_effect_is_seen()
    {
        await _cache.StartAsync(None);

        var written = await SetAsync("a", 1);
        await _cache.WaitForRevisionAsync(written, None);
        Assert.Equal(1, _cache.Get("a")!.Used);

        var deleted = await _store.TransactAsync(tx => Task.Run(() => tx.Delete(Counters, "a")), None);
        await _cache.WaitForRevisionAsync(deleted, None);
        Assert.Empty(_cache.List());
    }

    [Fact]
    public async Task Catching_up_sees_every_commit_also_when_the_newest_is_of_another_table()
    {
        await _cache.StartAsync(None);
        await SetAsync("a", 1);
        await _store.TransactAsync(tx => Task.Run(() => tx.Insert(Books, new Book { Id = "1" })), None);

        await _cache.CatchUpAsync(None);

        Assert.Equal(1, _cache.Get("a")!.Used);
        Assert.Equal(await _store.GetRevisionAsync(None), _cache.Revision);
    }

    [Fact]
    public async Task A_list_in_hand_does_not_change()
    {
        await SetAsync("a", 1);
        await _cache.StartAsync(None);
        var before = _cache.List();

        await _cache.WaitForRevisionAsync(await SetAsync("a", 2), None);

        Assert.Equal(1, before.Single().Used);
        Assert.Equal(2, _cache.List().Single().Used);
    }

    [Fact]
    public async Task A_cache_that_was_not_started_says_so()
    {
        await SetAsync("a", 1);

        Assert.Throws<InvalidOperationException>(() => _cache.List());
    }

    [Fact]
    public async Task A_watcher_gets_what_is_there_and_then_every_change()
    {
        await SetAsync("a", 1);
        await _cache.StartAsync(None);
        await using var watch = _cache.WatchAsync(None).GetAsyncEnumerator();

        var first = await NextAsync(watch);
        var put = await SetAsync("a", 2);
        var second = await NextAsync(watch);
        var deleted = await _store.TransactAsync(tx => Task.Run(() => tx.Delete(Counters, "a")), None);
        var third = await NextAsync(watch);

        Assert.Equal(("a", null, new Counter("a", 1)), (first.Key, first.Before, first.After));
        Assert.Equal((new Counter("a", 1), new Counter("a", 2), put), (second.Before, second.After, second.Revision));
        Assert.Equal((new Counter("a", 2), null, deleted), (third.Before, third.After, third.Revision));
    }

    [Fact]
    public async Task A_watcher_that_leaves_too_much_unread_is_cut_off()
    {
        await _cache.StartAsync(None);
        await using var watch = _cache.WatchAsync(None).GetAsyncEnumerator();
        var first = watch.MoveNextAsync();
        await SetManyAsync("k", 1);
        Assert.True(await first);

        var last = 0L;
        for (var written = 0; written <= TableCache<Counter>.MaxUnreadChanges; written += StateLimits.MaxOperations)
        {
            last = await SetManyAsync("k", StateLimits.MaxOperations, used: written + 1);
        }

        await _cache.WaitForRevisionAsync(last, None);
        var read = 0;
        await Assert.ThrowsAsync<StateCompactedException>(async () =>
        {
            while (await watch.MoveNextAsync())
            {
                read++;
            }
        });
        Assert.Equal(TableCache<Counter>.MaxUnreadChanges, read);
    }

    [Fact]
    public async Task A_cache_that_fell_behind_lists_again_and_tells_the_difference()
    {
        await using var slow = new HeldStore(_store);
        using var cache = NewCache(slow);
        await SetAsync("gone", 1);
        await SetAsync("changed", 1);
        await SetAsync("stays", 1);
        await cache.StartAsync(None);
        await using var watch = cache.WatchAsync(None).GetAsyncEnumerator();
        for (var i = 0; i < 3; i++)
        {
            await NextAsync(watch);
        }

        // The watch must have taken one batch and no more: what it has taken it tells, however old.
        var heldUp = slow.Hold();
        await _store.TransactAsync(tx => Task.Run(() => tx.Delete(Counters, "gone")), None);
        await heldUp;
        await SetAsync("new", 1);
        for (var i = 2; i < HistoryBatches + 10; i++)
        {
            await SetAsync("changed", i);
        }

        slow.Release();
        var told = new List<TableChange<Counter>> { await NextAsync(watch), await NextAsync(watch), await NextAsync(watch) };

        Assert.Equal(["changed", "gone", "new"], told.Select(change => change.Key).Order());
        Assert.Equal(HistoryBatches + 9, cache.Get("changed")!.Used);
        Assert.Equal(["changed", "new", "stays"], cache.List().Select(counter => counter.Id));
        await cache.StopAsync(None);
    }

    [Fact]
    public async Task A_cache_goes_on_after_the_store_was_away()
    {
        await using var flaky = new HeldStore(_store);
        using var cache = NewCache(flaky);
        await cache.StartAsync(None);
        await cache.CatchUpAsync(None);

        flaky.Fail();
        var written = await SetAsync("a", 1);
        await flaky.Failed;
        var caughtUp = cache.WaitForRevisionAsync(written, None);
        while (!caughtUp.IsCompleted)
        {
            // The pause after a failure starts some time after the failure was seen.
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Equal(1, cache.Get("a")!.Used);
        await cache.StopAsync(None);
    }

    [Fact]
    public async Task The_host_fills_a_registered_cache_before_it_has_started()
    {
        var services = new ServiceCollection().AddLogging().AddSingleton(_store).AddSingleton<TimeProvider>(_time).AddTableCache(Counters);
        await SetAsync("a", 1);
        await using var provider = services.BuildServiceProvider();

        var hosted = provider.GetServices<IHostedService>().Single();
        await hosted.StartAsync(None);

        Assert.Single(provider.GetRequiredService<TableCache<Counter>>().List());
        await hosted.StopAsync(None);
    }

    private static async Task<TableChange<Counter>> NextAsync(IAsyncEnumerator<TableChange<Counter>> watch)
    {
        Assert.True(await watch.MoveNextAsync());
        return watch.Current;
    }

    private TableCache<Counter> NewCache(IStateStore store) => new(store, Counters, _time, NullLogger<TableCache<Counter>>.Instance);

    private Task<long> SetAsync(string id, int used) =>
        _store.TransactAsync(tx => Task.Run(() => tx.Put(Counters, new Counter(id, used))), None);

    private Task<long> SetManyAsync(string prefix, int count, int used = 0) => _store.TransactAsync(
        tx =>
        {
            for (var i = 0; i < count; i++)
            {
                tx.Put(Counters, new Counter($"{prefix}{i}", used));
            }

            return Task.CompletedTask;
        },
        None);
}

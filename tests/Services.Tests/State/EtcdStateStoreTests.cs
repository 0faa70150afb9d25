using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;
using static Nephos.Services.Tests.State.Library;

namespace Nephos.Services.Tests.State;

[NeedsProgram("etcd")]
public sealed class EtcdStateStoreTests(EtcdProcess etcd) : EtcdConformance, IClassFixture<EtcdProcess>
{
    [StoreFact]
    public async Task Stores_with_different_prefixes_do_not_see_each_other()
    {
        await using var other = await OpenAsync(new StateHistoryOptions());
        var start = await Store.GetRevisionAsync(None);

        await other.CommitAsync(new StateCommit { Puts = [Put("a", "theirs")] }, None);
        var ours = await PutAsync("b", "ours");

        Assert.Equal(["b"], (await Store.ScanAsync("", "", 10, None)).Entries.Select(entry => entry.Key));
        var told = await CollectAsync(Store, "", start + 1, ours.Revision);
        Assert.Equal("b", told.Single().Events.Single().Key);
    }

    [StoreFact]
    public async Task Watches_go_on_when_etcd_was_away()
    {
        var start = (await PutAsync("w/1", "1")).Revision;
        await CollectAsync(Store, "w/", start, start);
        var watch = CollectAsync(Store, "w/", start + 1, start + 2);

        await etcd.RestartAsync(StateLimits.MaxOperations);
        await PutAsync("w/2", "2");
        await PutAsync("w/3", "3");

        Assert.Equal(["w/2", "w/3"], (await watch).SelectMany(batch => batch.Events).Select(change => change.Key));
    }

    [StoreFact]
    public async Task An_etcd_that_allows_too_few_operations_is_told_apart_from_one_that_is_away()
    {
        await etcd.RestartAsync(maxOperations: 128);
        try
        {
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(async () => await Store.CommitAsync(
                new StateCommit { Puts = [.. Enumerable.Range(0, 129).Select(i => Put($"k/{i}", "x"))] }, None));

            Assert.Contains("--max-txn-ops=1024", refused.Message, StringComparison.Ordinal);
        }
        finally
        {
            await etcd.RestartAsync(StateLimits.MaxOperations);
        }
    }

    [StoreFact]
    public async Task An_etcd_that_is_not_there_is_unavailable()
    {
        await using var nowhere = Open("http://127.0.0.1:1", new StateHistoryOptions());

        await Assert.ThrowsAsync<StateUnavailableException>(async () => await nowhere.GetAsync("a", None));
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await nowhere.CommitAsync(new StateCommit { Puts = [Put("a", "1")] }, None));
        await Assert.ThrowsAsync<StateUnavailableException>(async () => await nowhere.GrantLeaseAsync(TimeSpan.FromSeconds(5), None));
    }

    [StoreFact]
    public async Task Two_processes_see_what_the_other_wrote()
    {
        var prefix = etcd.NewPrefix();
        await using var one = Open(etcd.Endpoint, new StateHistoryOptions(), prefix);
        await using var two = Open(etcd.Endpoint, new StateHistoryOptions(), prefix);
        using var cache = new TableCache<Counter>(two, Counters, TimeProvider.System, NullLogger<TableCache<Counter>>.Instance);
        await cache.StartAsync(None);

        await one.TransactAsync(tx => Task.Run(() => tx.Insert(Counters, new Counter("a", 1))), None);
        await cache.CatchUpAsync(None);

        Assert.Equal(1, cache.Get("a")!.Used);
        await cache.StopAsync(None);
    }

    protected override Task<IStateStore> OpenAsync(StateHistoryOptions history) => ConnectAsync([etcd.Endpoint], etcd.NewPrefix(), history);

    private IStateStore Open(string endpoint, StateHistoryOptions history, string? prefix = null) => Open([endpoint], prefix ?? etcd.NewPrefix(), history);
}

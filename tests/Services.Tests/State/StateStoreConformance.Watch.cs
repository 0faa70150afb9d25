using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

public abstract partial class StateStoreConformance
{
    [StoreFact]
    public async Task A_watch_tells_every_change_of_its_prefix_once_and_in_order()
    {
        var start = await PutAsync("other", "0");
        var puts = await Store.CommitAsync(new StateCommit { Puts = [Put("w/1", "1"), Put("w/2", "2"), Put("x/1", "x")] }, None);
        var deletes = await Store.CommitAsync(new StateCommit { Puts = [Put("w/1", "3")], Deletes = ["w/2", "w/absent"] }, None);

        var batches = await CollectAsync(Store, "w/", start.Revision + 1, deletes.Revision);

        Assert.Equal([puts.Revision, deletes.Revision], batches.Select(batch => batch.Revision));
        Assert.Equal([("w/1", "1"), ("w/2", "2")], Told(batches[0]));
        Assert.Equal([("w/1", "3"), ("w/2", null)], Told(batches[1]));
    }

    [StoreFact]
    public async Task A_watch_waits_for_what_comes()
    {
        var start = await Store.GetRevisionAsync(None);
        var told = CollectAsync(Store, "w/", start + 1, start + 3);

        await PutAsync("w/1", "1");
        await PutAsync("x/1", "x");
        await PutAsync("w/1", "2");

        Assert.Equal([("w/1", "1"), ("w/1", "2")], (await told).SelectMany(Told));
    }

    [StoreFact]
    public async Task A_watch_of_a_quiet_prefix_learns_how_far_the_store_is()
    {
        var start = await Store.GetRevisionAsync(None);
        var end = await PutAsync("busy", "1");

        await foreach (var batch in Store.WatchAsync("quiet/", start + 1, None))
        {
            Assert.Empty(batch.Events);
            Assert.Equal(end.Revision, batch.Revision);
            break;
        }
    }

    [StoreFact]
    public async Task A_watch_can_be_cancelled()
    {
        using var stop = new CancellationTokenSource();
        var start = await Store.GetRevisionAsync(None);
        var watch = Task.Run(async () =>
        {
            await foreach (var batch in Store.WatchAsync("w/", start + 1, stop.Token))
            {
                if (batch.Events.Count > 0)
                {
                    await stop.CancelAsync();
                }
            }
        });

        await PutAsync("w/1", "1");

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
    }

    [StoreFact]
    public async Task A_revision_that_history_has_dropped_is_named_as_compacted()
    {
        await using var store = await OpenAsync(new StateHistoryOptions { MaxBatches = 16 });
        var first = await store.CommitAsync(new StateCommit { Puts = [Put("w/0", "x")] }, None);
        var last = first;
        for (var i = 1; i <= 20; i++)
        {
            last = await store.CommitAsync(new StateCommit { Puts = [Put($"w/{i}", "x")] }, None);
        }

        // The end of a watch from the last revision shows that history has got there.
        await CollectAsync(store, "w/", last.Revision, last.Revision);
        var gone = await Assert.ThrowsAsync<StateCompactedException>(() => CollectAsync(store, "w/", first.Revision, last.Revision));
        var kept = await CollectAsync(store, "w/", gone.OldestRevision, last.Revision);

        Assert.Equal(last.Revision - 15, gone.OldestRevision);
        Assert.Equal(16, kept.Count);
    }

    [StoreFact]
    public async Task Keys_vanish_in_one_revision_when_their_lease_ends()
    {
        var lease = await Store.GrantLeaseAsync(TimeSpan.FromSeconds(1), None);
        await Store.CommitAsync(new StateCommit { Puts = [Put("l/1", "1", lease), Put("l/2", "2", lease), Put("l/stays", "3")] }, None);
        var start = await Store.GetRevisionAsync(None);
        Assert.Equal(lease, (await Store.GetAsync("l/1", None))!.Lease);

        Advance(TimeSpan.FromSeconds(2));

        var batches = await CollectAsync(Store, "l/", start + 1, start + 1);
        Assert.Equal([("l/1", null), ("l/2", null)], Told(batches.Single()).Order());
        Assert.Equal(["l/stays"], (await Store.ScanAsync("l/", "l0", 10, None)).Entries.Select(entry => entry.Key));
        await Assert.ThrowsAsync<StateLeaseNotFoundException>(async () => await Store.KeepLeaseAliveAsync(lease, None));
        await Assert.ThrowsAsync<StateLeaseNotFoundException>(async () => await PutAsync("l/3", "late", lease));
        Assert.Null(await Store.GetAsync("l/3", None));
    }

    [StoreFact]
    public async Task A_revoked_lease_takes_its_keys_along_and_spares_those_taken_off_it()
    {
        var lease = await Store.GrantLeaseAsync(TimeSpan.FromMinutes(1), None);
        var other = await Store.GrantLeaseAsync(TimeSpan.FromMinutes(1), None);
        await Store.CommitAsync(
            new StateCommit { Puts = [Put("l/1", "1", lease), Put("l/2", "2", lease), Put("l/3", "3", lease), Put("l/4", "4", lease)] }, None);
        await PutAsync("l/2", "taken off");
        await PutAsync("l/3", "moved", other);
        await Store.CommitAsync(new StateCommit { Deletes = ["l/4"] }, None);
        await PutAsync("l/4", "new");

        await Store.RevokeLeaseAsync(lease, None);
        await Store.RevokeLeaseAsync(lease, None);

        Assert.Equal(["l/2", "l/3", "l/4"], (await Store.ScanAsync("l/", "l0", 10, None)).Entries.Select(entry => entry.Key));
        Assert.NotEqual(lease, other);
        await Store.RevokeLeaseAsync(other, None);
    }

    [StoreFact]
    public async Task A_commit_with_an_unknown_lease_writes_nothing()
    {
        await Assert.ThrowsAsync<StateLeaseNotFoundException>(
            async () => await Store.CommitAsync(new StateCommit { Puts = [Put("a", "1"), Put("b", "2", new LeaseId(12345))] }, None));

        Assert.Empty((await Store.ScanAsync("", "", 10, None)).Entries);
    }

    /// <summary>The batches with events from one revision to another, when the watch has reached the latter.</summary>
    protected static async Task<List<StateBatch>> CollectAsync(IStateStore store, string prefix, long from, long to)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var batches = new List<StateBatch>();
        await foreach (var batch in store.WatchAsync(prefix, from, deadline.Token))
        {
            if (batch.Events.Count > 0)
            {
                batches.Add(batch);
            }

            if (batch.Revision >= to)
            {
                break;
            }
        }

        return batches;
    }

    private static IEnumerable<(string Key, string? Value)> Told(StateBatch batch) =>
        batch.Events.Select(change => (change.Key, change.Entry is null ? null : Text(change.Entry)));
}

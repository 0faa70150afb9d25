using System.Text;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>What every state store keeps to; each implementation inherits it.</summary>
public abstract partial class StateStoreConformance : IAsyncLifetime
{
    private IStateStore? _store;

    protected static CancellationToken None => CancellationToken.None;

    protected IStateStore Store => _store!;

    public virtual async Task InitializeAsync() => _store = await OpenAsync(new StateHistoryOptions());

    public virtual async Task DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    /// <summary>An empty store.</summary>
    protected abstract Task<IStateStore> OpenAsync(StateHistoryOptions history);

    /// <summary>Lets time pass for leases; a store that runs on the real clock does nothing.</summary>
    protected abstract void Advance(TimeSpan time);

    [StoreFact]
    public async Task A_put_is_read_back_with_the_revision_of_its_commit()
    {
        var result = await PutAsync("a/1", "one");

        var entry = await Store.GetAsync("a/1", None);

        Assert.True(result.Succeeded);
        Assert.Equal("one", Text(entry));
        Assert.Equal(result.Revision, entry!.Revision);
        Assert.Equal(result.Revision, await Store.GetRevisionAsync(None));
        Assert.Null(await Store.GetAsync("a/2", None));
    }

    [StoreFact]
    public async Task Every_commit_that_changes_something_gets_the_next_revision()
    {
        var first = await PutAsync("a", "1");
        var second = await PutAsync("a", "1");
        var deleted = await Store.CommitAsync(new StateCommit { Deletes = ["a"] }, None);

        Assert.Equal(first.Revision + 1, second.Revision);
        Assert.Equal(second.Revision + 1, deleted.Revision);
    }

    [StoreFact]
    public async Task A_commit_that_changes_nothing_succeeds_at_the_current_revision()
    {
        var put = await PutAsync("a", "1");

        var absent = await Store.CommitAsync(new StateCommit { Deletes = ["b"] }, None);
        var empty = await Store.CommitAsync(new StateCommit { Preconditions = [new("a", put.Revision)] }, None);

        Assert.Equal(new CommitResult(true, put.Revision, null), absent);
        Assert.Equal(new CommitResult(true, put.Revision, null), empty);
    }

    [StoreFact]
    public async Task A_precondition_that_fails_is_named_and_nothing_is_written()
    {
        var put = await PutAsync("a", "1");

        var result = await Store.CommitAsync(
            new StateCommit
            {
                Preconditions = [new("a", put.Revision), new("b", 77), new("c", 78)],
                Puts = [Put("a", "2"), Put("d", "new")],
                Deletes = ["e"],
            },
            None);

        Assert.False(result.Succeeded);
        Assert.Equal("b", result.FailedKey);
        Assert.Equal("1", Text(await Store.GetAsync("a", None)));
        Assert.Null(await Store.GetAsync("d", None));
        Assert.Equal(put.Revision, await Store.GetRevisionAsync(None));
    }

    [StoreFact]
    public async Task Absence_is_a_precondition()
    {
        var commit = new StateCommit { Preconditions = [new("a", 0)], Puts = [Put("a", "1")] };

        var first = await Store.CommitAsync(commit, None);
        var second = await Store.CommitAsync(commit, None);
        await Store.CommitAsync(new StateCommit { Deletes = ["a"] }, None);
        var third = await Store.CommitAsync(commit, None);

        Assert.True(first.Succeeded);
        Assert.Equal("a", second.FailedKey);
        Assert.True(third.Succeeded);
    }

    [StoreFact]
    public async Task A_range_precondition_fails_when_a_key_of_the_range_was_put_since()
    {
        await PutAsync("r/1", "old");
        var read = (await Store.ScanAsync("r/", "r0", 10, None)).Revision;
        StateCommit Guarded(string key) => new()
        {
            RangePreconditions = [new("r/", "r0", read)],
            Preconditions = [new("absent", 1)],
            Puts = [Put(key, "x")],
        };

        await PutAsync("s/1", "outside");
        var whileQuiet = await Store.CommitAsync(Guarded("t") with { Preconditions = [] }, None);
        await Store.CommitAsync(new StateCommit { Deletes = ["r/1"] }, None);
        var afterDelete = await Store.CommitAsync(Guarded("t") with { Preconditions = [] }, None);
        await PutAsync("r/2", "new");
        var afterPut = await Store.CommitAsync(Guarded("t"), None);

        Assert.True(whileQuiet.Succeeded);
        Assert.True(afterDelete.Succeeded);
        Assert.False(afterPut.Succeeded);
        Assert.Equal("r/", afterPut.FailedKey);
    }

    [StoreFact]
    public async Task A_range_precondition_without_an_end_reaches_to_the_last_key()
    {
        var read = (await PutAsync("a", "1")).Revision;
        await PutAsync("zzz", "new");

        var result = await Store.CommitAsync(
            new StateCommit { RangePreconditions = [new("b", "", read)], Puts = [Put("a", "2")] }, None);

        Assert.Equal("b", result.FailedKey);
    }

    [StoreFact]
    public async Task Scans_follow_the_order_of_utf8_bytes()
    {
        // In UTF-16 the surrogates of the last one sort before U+FF5E.
        string[] ordered = ["k/", "k/A", "k/a", "k/a\0", "k/a!", "k/é", "k/\uFF5E", "k/\U0001F600"];
        foreach (var key in ordered.Reverse())
        {
            await PutAsync(key, key);
        }

        await PutAsync("j", "before");
        await PutAsync("l", "after");

        var scan = await Store.ScanAsync("k/", StateKeys.PrefixEnd("k/"), 100, None);

        Assert.Equal(ordered, scan.Entries.Select(entry => entry.Key));
        Assert.Equal(ordered, scan.Entries.Select(Text));
        Assert.False(scan.More);
        Assert.Equal(await Store.GetRevisionAsync(None), scan.Revision);
    }

    [StoreFact]
    public async Task A_scan_stops_at_its_limit_and_says_whether_there_is_more()
    {
        await Store.CommitAsync(new StateCommit { Puts = [Put("a", "1"), Put("b", "2"), Put("c", "3")] }, None);

        var first = await Store.ScanAsync("", "", 2, None);
        var rest = await Store.ScanAsync(StateKeys.After("b"), "", 1, None);
        var none = await Store.ScanAsync("b0", "c", 1, None);

        Assert.Equal(["a", "b"], first.Entries.Select(entry => entry.Key));
        Assert.True(first.More);
        Assert.Equal(["c"], rest.Entries.Select(entry => entry.Key));
        Assert.False(rest.More);
        Assert.Empty(none.Entries);
    }

    [StoreFact]
    public async Task Many_keys_are_read_in_the_order_asked_without_those_absent()
    {
        var revision = (await Store.CommitAsync(new StateCommit { Puts = [Put("a", "1"), Put("b", "2"), Put("c", "3")] }, None)).Revision;

        var found = await Store.GetManyAsync(["c", "x", "a"], None);
        var nothing = await Store.GetManyAsync([], None);

        Assert.Equal(["c", "a"], found.Entries.Select(entry => entry.Key));
        Assert.Equal(["3", "1"], found.Entries.Select(Text));
        Assert.Equal(revision, found.Revision);
        Assert.Empty(nothing.Entries);
    }

    [StoreFact]
    public async Task A_large_commit_is_read_back()
    {
        var puts = Enumerable.Range(0, StateLimits.MaxOperations).Select(i => Put($"n/{i:d5}", new string('x', 500))).ToList();

        var result = await Store.CommitAsync(new StateCommit { Puts = puts, Preconditions = [.. puts.Select(put => new StatePrecondition(put.Key, 0))] }, None);
        var scan = await Store.ScanAsync("n/", "n0", StateLimits.MaxScanEntries, None);
        var read = await Store.GetManyAsync([.. puts.Select(put => put.Key)], None);

        Assert.True(result.Succeeded);
        Assert.Equal(StateLimits.MaxOperations, scan.Entries.Count);
        Assert.Equal(StateLimits.MaxOperations, read.Entries.Count);
        Assert.All(scan.Entries, entry => Assert.Equal(result.Revision, entry.Revision));
    }

    [StoreFact]
    public async Task Input_out_of_bounds_is_refused()
    {
        var tooMany = Enumerable.Range(0, StateLimits.MaxOperations + 1).Select(i => $"{i}").ToList();
        StateCommit[] commits =
        [
            new() { Puts = [Put("", "x")] },
            new() { Puts = [Put("a", "1"), Put("a", "2")] },
            new() { Puts = [Put("a", "1")], Deletes = ["a"] },
            new() { Puts = [Put(new string('k', StateLimits.MaxKeyBytes + 1), "x")] },
            new() { Puts = [Put("broken \uD83D", "x")] },
            new() { Puts = [Put("a", new string('v', StateLimits.MaxCommitBytes))] },
            new() { Deletes = tooMany },
            new() { Preconditions = [.. tooMany.Select(key => new StatePrecondition(key, 0))] },
            new() { RangePreconditions = [new("b", "a", 1)] },
        ];

        foreach (var commit in commits)
        {
            await Assert.ThrowsAnyAsync<ArgumentException>(async () => await Store.CommitAsync(commit, None));
        }

        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await Store.GetAsync("", None));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await Store.GetManyAsync(tooMany, None));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await Store.ScanAsync("b", "a", 1, None));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await Store.ScanAsync("", "", 0, None));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await Store.GrantLeaseAsync(TimeSpan.Zero, None));
        Assert.Empty((await Store.ScanAsync("", "", 10, None)).Entries);
    }

    [StoreFact]
    public async Task Of_many_writers_with_one_precondition_one_wins()
    {
        var start = await PutAsync("counter", "0");

        var results = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Task.Run(async () => await Store.CommitAsync(
            new StateCommit { Preconditions = [new("counter", start.Revision)], Puts = [Put("counter", $"{i}"), Put($"winner/{i}", "x")] }, None))));

        Assert.Single(results, result => result.Succeeded);
        Assert.Single((await Store.ScanAsync("winner/", "winner0", 10, None)).Entries);
    }

    [StoreFact]
    public async Task A_commit_cancelled_before_it_began_is_not_made()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await Store.CommitAsync(new StateCommit { Puts = [Put("a", "1")] }, cancelled.Token));

        await PutAsync("b", "1");
        Assert.Null(await Store.GetAsync("a", None));
    }

    protected static StatePut Put(string key, string value, LeaseId lease = default) => new(key, Encoding.UTF8.GetBytes(value), lease);

    protected static string Text(StateEntry? entry) => Encoding.UTF8.GetString(entry!.Value.Span);

    protected async Task<CommitResult> PutAsync(string key, string value, LeaseId lease = default) =>
        await Store.CommitAsync(new StateCommit { Puts = [Put(key, value, lease)] }, None);
}

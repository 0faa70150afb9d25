using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.State;
using Nephos.State;
using Xunit;

namespace Nephos.Services.Tests.State;

public sealed class InMemoryStateStoreTests : StateStoreConformance
{
    private readonly FakeTimeProvider _time = new();

    protected override Task<IStateStore> OpenAsync(StateHistoryOptions history) =>
        Task.FromResult(StateRegistration.Open(new StateStoreOptions { Engine = StateEngine.Memory, History = history }, _time, NullLoggerFactory.Instance));

    protected override void Advance(TimeSpan time) => _time.Advance(time);
}

public sealed class RocksDbStateStoreTests : StateStoreConformance
{
    private readonly FakeTimeProvider _time = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-state-");

    private int _opened;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Everything_is_there_after_opening_again()
    {
        var path = FolderOf("again");
        CommitResult last;
        await using (var store = Open(path))
        {
            await store.CommitAsync(new StateCommit { Puts = [Put("a", "1"), Put("b", "2")] }, None);
            last = await store.CommitAsync(new StateCommit { Puts = [Put("a", "3")], Deletes = ["b"] }, None);
        }

        await using (var store = Open(path))
        {
            var scan = await store.ScanAsync("", "", 10, None);
            Assert.Equal(("a", "3", last.Revision), (scan.Entries.Single().Key, Text(scan.Entries[0]), scan.Entries[0].Revision));
            Assert.Equal(last.Revision, scan.Revision);
            Assert.Equal(last.Revision, await store.GetRevisionAsync(None));
            Assert.Equal(last.Revision + 1, (await store.CommitAsync(new StateCommit { Puts = [Put("c", "1")] }, None)).Revision);
            await Assert.ThrowsAsync<StateCompactedException>(() => CollectAsync(store, "", last.Revision, last.Revision));
        }
    }

    [Fact]
    public async Task A_lease_outlives_a_restart_with_its_whole_time_and_its_keys()
    {
        var path = FolderOf("leases");
        LeaseId lease;
        await using (var store = Open(path))
        {
            lease = await store.GrantLeaseAsync(TimeSpan.FromSeconds(10), None);
            await store.CommitAsync(new StateCommit { Puts = [Put("l/1", "1", lease), Put("l/2", "2", lease)] }, None);
            await store.CommitAsync(new StateCommit { Puts = [Put("l/2", "off")] }, None);
            _time.Advance(TimeSpan.FromSeconds(9));
        }

        await using (var store = Open(path))
        {
            _time.Advance(TimeSpan.FromSeconds(9));
            await store.KeepLeaseAliveAsync(lease, None);
            _time.Advance(TimeSpan.FromSeconds(9));

            // Decided after the look at the leases for which the time that passed was the occasion.
            var start = (await store.CommitAsync(new StateCommit { Puts = [Put("barrier", "x")] }, None)).Revision;
            Assert.NotNull(await store.GetAsync("l/1", None));

            _time.Advance(TimeSpan.FromSeconds(2));

            await CollectAsync(store, "l/", start + 1, start + 1);
            Assert.Equal(["l/2"], (await store.ScanAsync("l/", "l0", 10, None)).Entries.Select(entry => entry.Key));
        }

        await using (var store = Open(path))
        {
            await Assert.ThrowsAsync<StateLeaseNotFoundException>(async () => await store.KeepLeaseAliveAsync(lease, None));
        }
    }

    [Fact]
    public async Task A_folder_in_use_cannot_be_opened_twice()
    {
        var path = FolderOf("twice");
        await using var store = Open(path);

        var refused = Assert.Throws<IOException>(() => Open(path));

        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_closed_store_refuses_calls_and_ends_its_watches()
    {
        var store = Open(FolderOf("closed"));
        var watch = CollectAsync(store, "", 1, 1);

        await store.DisposeAsync();
        await store.DisposeAsync();

        await Assert.ThrowsAsync<StateUnavailableException>(() => watch);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await store.GetAsync("a", None));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await store.CommitAsync(new StateCommit { Puts = [Put("a", "1")] }, None));
    }

    [Fact]
    public async Task Commits_that_wait_when_the_store_is_closed_are_made()
    {
        var path = FolderOf("closing");
        var store = Open(path);
        var commits = Enumerable.Range(0, 200)
            .Select(i => store.CommitAsync(new StateCommit { Puts = [Put($"k/{i:d3}", "x")] }, None).AsTask()).ToList();

        await store.DisposeAsync();

        Assert.All(await Task.WhenAll(commits), result => Assert.True(result.Succeeded));
        await using var again = Open(path);
        Assert.Equal(200, (await again.ScanAsync("k/", "k0", 1000, None)).Entries.Count);
    }

    protected override Task<IStateStore> OpenAsync(StateHistoryOptions history) =>
        Task.FromResult(Open(FolderOf($"{_opened++}"), history));

    protected override void Advance(TimeSpan time) => _time.Advance(time);

    private string FolderOf(string name) => Path.Combine(_folder.FullName, name);

    private IStateStore Open(string path, StateHistoryOptions? history = null) =>
        StateRegistration.Open(new StateStoreOptions { Path = path, History = history ?? new StateHistoryOptions() }, _time, NullLoggerFactory.Instance);
}

using Nephos.Client.Objects;
using Nephos.Node.Objects.Groups;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

/// <summary>Buckets that keep the changes of their objects.</summary>
public sealed class ChangeFeedTests : IAsyncLifetime
{
    private readonly EngineFixture _engine = new();

    public async Task InitializeAsync()
    {
        _engine.Options = _engine.Options with
        {
            Shards = 1,
            Upkeep = _engine.Options.Upkeep with { ShardPeriod = TimeSpan.FromMilliseconds(50) },
        };
        await _engine.OpenAsync();
    }

    public async Task DisposeAsync() => await _engine.DisposeAsync();

    [Fact]
    public async Task Every_change_of_what_a_key_names_is_kept_in_order()
    {
        await CreateAsync(kept: 100, BucketVersioning.Enabled);
        await _engine.PutAsync("a", EngineFixture.Bytes(10));
        var second = (await _engine.PutAsync("a", EngineFixture.Bytes(20))).Value!;
        await _engine.DeleteAsync("never");
        var marker = await _engine.DeleteAsync("a");
        await _engine.DeleteAsync("a");
        await _engine.DeleteAsync("a", VersionSelector.Of(marker.Version));
        var updated = await _engine.Names.UpdateObjectAsync(
            new UpdateObject { Bucket = EngineFixture.Bucket, Key = "b", Generation = 1, Object = second }, CancellationToken.None);
        Assert.Equal(EngineStatus.NoSuchKey, updated.Status);
        await _engine.PutAsync("b", EngineFixture.Bytes(30));
        Assert.Equal(EngineStatus.PreconditionFailed, (await _engine.PutAsync("b", EngineFixture.Bytes(40), new WriteConditions { MustNotExist = true })).Status);

        var page = await ReadAsync(after: 1);

        Assert.Equal(
            [(2UL, ChangeKind.Written, "a", 10L), (3, ChangeKind.Written, "a", 20), (4, ChangeKind.Removed, "a", 20), (5, ChangeKind.Written, "b", 30)],
            page.Changes.Select(c => (c.Number, c.Kind, c.Key, c.SizeBytes)));
        Assert.Equal((100, 2UL, 5UL), (page.Kept, page.First, page.Last));
        Assert.Equal(second.Version, page.Changes[1].Version);
        Assert.Equal([5UL], (await ReadAsync(after: 4)).Changes.Select(c => c.Number));
        Assert.Empty((await ReadAsync(after: 5)).Changes);
    }

    [Fact]
    public async Task A_version_that_becomes_the_current_one_again_is_a_change()
    {
        await CreateAsync(kept: 100, BucketVersioning.Enabled);
        await _engine.PutAsync("a", EngineFixture.Bytes(10));
        var second = (await _engine.PutAsync("a", EngineFixture.Bytes(20))).Value!;
        await _engine.DeleteAsync("a", VersionSelector.Of(second.Version));

        Assert.Equal([10L, 20, 10], (await ReadAsync(after: 1)).Changes.Select(c => c.SizeBytes));
    }

    [Fact]
    public async Task The_oldest_are_dropped_and_who_missed_some_is_told()
    {
        await CreateAsync(kept: 3);
        for (var n = 0; n < 5; n++)
        {
            await _engine.PutAsync($"k{n}", EngineFixture.Bytes(10));
        }

        var page = await ReadAsync(after: 1);
        Assert.Equal((4UL, 6UL, 0), (page.First, page.Last, page.Changes.Length));
        Assert.Equal(["k2", "k3", "k4"], (await ReadAsync(after: 3)).Changes.Select(c => c.Key));

        await SetKeptAsync(1);
        Assert.Equal((6UL, 6UL), (await ReadAsync(after: 5) is var one ? (one.First, one.Last) : default));

        // What happens while none are kept is missed, and whoever was up to date before learns of it.
        await SetKeptAsync(0);
        await _engine.DeleteAsync("k0");
        await SetKeptAsync(10);
        var after = await ReadAsync(after: 6);
        Assert.True(after.First > 7 && after.Changes.IsEmpty, $"From {after.First} on.");
        await _engine.DeleteAsync("k1");
        Assert.Equal(["k1"], (await ReadAsync(after: after.Last)).Changes.Select(c => c.Key));

        foreach (var key in new[] { "k2", "k3", "k4" })
        {
            await _engine.DeleteAsync(key);
        }

        Assert.Equal(EngineStatus.Ok, await _engine.Names.DeleteBucketAsync(EngineFixture.Bucket, CancellationToken.None));
        await CreateAsync(kept: 3);
        Assert.NotEqual(after.Bucket, (await ReadAsync(after: 1)).Bucket);
    }

    [Fact]
    public async Task Numbers_go_on_after_a_split_a_merge_and_a_restart()
    {
        await CreateAsync(kept: 100);
        await _engine.PutAsync("first", EngineFixture.Bytes(10));
        await _engine.Engine.ShardKeeper.SplitAsync(0, ShardMap.HashOf(EngineFixture.Bucket.Account), CancellationToken.None);
        await _engine.WaitUntilAsync(s => s.Shards.Length == 2, "it is split");
        await _engine.PutAsync("second", EngineFixture.Bytes(10));
        await _engine.Engine.ShardKeeper.MergeAsync(_engine.Engine.Shards.First.Number, CancellationToken.None);
        await _engine.WaitUntilAsync(s => s.Shards.Length == 1, "it is merged");
        await _engine.PutAsync("third", EngineFixture.Bytes(10));
        await _engine.ReopenAsync();
        await _engine.DeleteAsync("first");

        Assert.Equal(
            [(2UL, "first"), (3, "second"), (4, "third"), (5, "first")], (await ReadAsync(after: 1)).Changes.Select(c => (c.Number, c.Key)));
    }

    private async Task CreateAsync(int kept, BucketVersioning versioning = BucketVersioning.Off) => Assert.True(
        (await _engine.Names.CreateBucketAsync(
            new BucketRecord { Name = EngineFixture.Bucket, Created = DateTimeOffset.UnixEpoch, Versioning = versioning, ChangesKept = kept }, CancellationToken.None)).IsOk);

    private async Task SetKeptAsync(int kept)
    {
        var bucket = (await _engine.Names.GetBucketAsync(EngineFixture.Bucket, CancellationToken.None)).Value!;
        Assert.True((await _engine.Names.UpdateBucketAsync(bucket with { ChangesKept = kept }, bucket.Generation, CancellationToken.None)).IsOk);
    }

    private async Task<ChangePage> ReadAsync(ulong after) =>
        (await _engine.Names.ListChangesAsync(new ListChanges { Bucket = EngineFixture.Bucket, After = after }, CancellationToken.None)).Value!;
}

using System.Text;
using Nephos.Node.Objects.Groups;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class ShardMapTests
{
    private const ulong Half = 1UL << 63;

    [Fact]
    public void A_split_takes_place_when_its_source_is_done_and_under_new_numbers()
    {
        var map = ShardMap.Even(2);
        var begun = map.Split(1, 7, Half + 100)!;

        Assert.Equal([0, 1], begun.Ranges.Select(r => r.Shard));
        Assert.Equal([0, 1, 2, 3], begun.All);
        Assert.Null(begun.Split(0, 1, 100));
        Assert.Null(begun.Note(9, 1, CopyState.Done));

        var done = begun.Note(2, 1, CopyState.Done)!;
        Assert.Null(done.Change);
        Assert.Equal([(0UL, 0), (Half, 2), (Half + 100, 3)], done.Ranges.Select(r => (r.FirstHash, r.Shard)));
        Assert.Equal((0, 2, 3), (done.ShardOf(Half - 1), done.ShardOf(Half + 99), done.ShardOf(ulong.MaxValue)));
        Assert.True(done.IsGone(1) && !done.IsGone(0) && !done.IsGone(3) && !done.IsGone(4));
    }

    [Fact]
    public void A_merge_takes_place_when_both_sources_are_done()
    {
        var begun = ShardMap.Even(3).Merge(1, 1, 2, 1)!;

        var one = begun.Note(3, 2, CopyState.Done)!;
        Assert.Equal([0, 1, 2], one.Ranges.Select(r => r.Shard));
        var both = one.Note(3, 1, CopyState.Done)!;
        Assert.Equal([0, 3], both.Ranges.Select(r => r.Shard));
        Assert.Equal(3, both.ShardOf(ulong.MaxValue));
    }

    [Fact]
    public void Only_neighbours_merge_and_only_a_hash_inside_splits()
    {
        var map = ShardMap.Even(3);

        Assert.Null(map.Merge(0, 1, 2, 1));
        Assert.Null(map.Merge(2, 1, 0, 1));
        Assert.Null(map.Split(0, 1, 0));
        Assert.Null(map.Split(0, 1, map.Ranges[1].FirstHash));
        Assert.Null(map.Split(5, 1, 7));
    }

    [Fact]
    public void What_was_given_up_is_known_to_be_and_never_comes_back()
    {
        var map = ShardMap.Even(1);
        Assert.False(map.WasGivenUp(1, 0), "It may yet begin.");
        var begun = map.Split(0, 1, Half)!;
        Assert.False(begun.WasGivenUp(1, 0));

        var open = begun.GiveUp(1)!;
        Assert.True(open.WasGivenUp(1, 0));
        Assert.True(open.IsGone(1) && open.IsGone(2));
        Assert.Null(open.Note(1, 0, CopyState.Done));
        var again = open.Split(0, 2, Half)!;
        Assert.Equal(3, again.Change!.Id);
        Assert.True(again.WasGivenUp(1, 0));
        Assert.False(again.Note(3, 0, CopyState.Done)!.WasGivenUp(3, 0));
    }

    [Fact]
    public void When_too_many_were_made_they_stay_as_they_are()
    {
        var map = ShardMap.Even(2) with { NextShard = (1 << 14) - 1 };

        Assert.Null(map.Split(1, 1, Half + 100));
        var merged = map.Merge(0, 1, 1, 1)!;
        Assert.Null(merged.GiveUp(merged.Change!.Id)!.Merge(0, 1, 1, 1));
    }

    [Fact]
    public void A_map_survives_its_bytes()
    {
        var map = ShardMap.Even(2).Split(0, 5, 1234)!.Note(2, 0, CopyState.Ready)!;

        var read = ShardMap.Parse(map.ToBytes());

        Assert.Equal(map.ToBytes(), read.ToBytes());
        Assert.Equal((2, CopyState.Ready, 4), (read.Change!.Id, read.Change.Find(0)!.State, read.NextShard));
    }

    [Fact]
    public void A_map_of_an_earlier_version_splits_but_does_not_merge()
    {
        var map = ShardMap.Parse(Encoding.UTF8.GetBytes("""{"Version":1,"Ranges":[{"FirstHash":0,"Shard":0},{"FirstHash":100,"Shard":1}]}"""));

        Assert.Equal([2, 3], map.Split(1, 1, 200)!.Change!.Targets.Select(t => t.Shard));
        Assert.Null(map.Merge(0, 1, 1, 1));
    }
}

using CsCheck;
using Nephos.Replication.Volumes;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class VolumeHistoryTests
{
    private static VolumeHistory Of(long sequence, params (long Epoch, long First)[] epochs) => new([.. epochs.Select(epoch => new EpochStart(epoch.Epoch, epoch.First))], sequence);

    [Fact]
    public void Two_histories_agree_up_to_the_last_write_of_the_same_epoch()
    {
        var mine = Of(30, (1, 1), (2, 9), (4, 16));
        Assert.Equal(8, mine.CommonWith(Of(20, (1, 1), (3, 11))));
        Assert.Equal(15, mine.CommonWith(Of(15, (1, 1), (2, 9))));
        Assert.Equal(30, mine.CommonWith(mine));
        Assert.Equal(0, mine.CommonWith(VolumeHistory.Empty));
    }

    [Fact]
    public void What_is_longer_ago_than_is_remembered_is_not_compared()
    {
        var history = VolumeHistory.Empty;
        for (var epoch = 1; epoch <= VolumeHistory.EpochsMax + 10; epoch++) history = history.With(epoch, epoch);
        Assert.Equal(VolumeHistory.EpochsMax, history.Epochs.Count);
        Assert.Null(history.CommonWith(Of(5, (1, 1))));
    }

    [Fact]
    public void A_new_epoch_gives_up_what_an_older_one_wrote_behind_it()
    {
        var orphan = Of(12, (1, 1), (2, 10));
        Assert.Equal(Of(11, (1, 1), (2, 10), (3, 11)), orphan.With(3, 11));
        Assert.Equal(Of(8, (1, 1), (3, 8)), orphan.With(3, 8));
        Assert.Equal(orphan, orphan.With(1, 20));
        Assert.Equal((5, 12), (orphan.Begun(5).Epoch, orphan.Begun(5).Sequence));
    }

    [Fact]
    public void Histories_that_branch_agree_exactly_up_to_the_branch() => Gen.Select(Gen.Int[1, 40].List[1, 10], Gen.Int[1, 40].List[0, 6], Gen.Int[1, 40].List[0, 6]).Sample(
        (common, left, right) =>
        {
            var (history, epoch) = (VolumeHistory.Empty, 0L);
            foreach (var count in common) history = Grow(history, ++epoch, count);
            var branch = history.Sequence;
            var (one, other) = (history, history);
            // Each epoch is granted once, to one of them.
            foreach (var count in left) one = Grow(one, epoch += 2, count);
            epoch = common.Count + 1;
            foreach (var count in right) other = Grow(other, epoch += 2, count);
            Assert.Equal(branch, one.CommonWith(other));
        });

    private static VolumeHistory Grow(VolumeHistory history, long epoch, int count) => history.Begun(epoch).With(epoch, history.Sequence + count);

    [Fact]
    public void A_bitmap_holds_what_a_set_would() => Gen.Select(Gen.Int[0, 70_000], Gen.Int[1, 40_000], Gen.Bool).List[1, 30].Sample(changes =>
    {
        var bitmap = new BlockBitmap();
        var set = new SortedSet<long>();
        foreach (var (block, count, add) in changes)
        {
            if (add) bitmap.Add(block, count);
            else bitmap.Remove(block, count);
            for (long i = block; i < block + count; i++)
            {
                if (add) set.Add(i);
                else set.Remove(i);
            }
            Assert.Equal(set.Count, bitmap.Count);
            Assert.Equal(set.GetViewBetween(block, block + count - 1).Count > 0, bitmap.Intersects(block, count));
            Assert.Equal(set.Count > 0, bitmap.TryFind(0, 10, out var first, out var length));
            if (set.Count > 0) Assert.Equal((set.Min, true), (first, set.GetViewBetween(first, first + length - 1).Count == length));
        }
    }, iter: 40);
}

using CsCheck;
using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>What was written between two snapshots, to the block, against a model that numbers every write; zeroing is a negative number.</summary>
public sealed class BlockChangedRangesTests
{
    private const int Blocks = 2600; // Two extents and a half.

    private enum Step { Fill, Zero, Snapshot, Rollback, DeleteSnapshot, Apply, Drain, Reopen }

    private static readonly Gen<(Step Step, int A, int Block, int Count)> GenAction = Gen.Select(
        Gen.Frequency(
            (8, Gen.Const(Step.Fill)), (4, Gen.Const(Step.Zero)), (5, Gen.Const(Step.Snapshot)), (1, Gen.Const(Step.Rollback)), (2, Gen.Const(Step.DeleteSnapshot)),
            (2, Gen.Const(Step.Apply)), (2, Gen.Const(Step.Drain)), (1, Gen.Const(Step.Reopen))),
        Gen.Int[0, 1000], Gen.Int[0, Blocks - 1], Gen.Int[1, 200]);

    [Fact]
    public void B6_The_ranges_written_between_two_snapshots_are_exactly_those_that_were()
    {
        GenAction.Array[5, 50].Sample(Run, iter: 40, threads: 1);
    }

    private static void Run((Step Step, int A, int Block, int Count)[] actions)
    {
        using var device = new BlockDevice();
        var id = Guid.NewGuid();
        device.Store.CreateVolume(id, (long)Blocks * BlockDevice.Block, null);
        var written = new int[Blocks];
        var snapshots = new List<(Guid Id, int[] Written)>();
        var next = 1;
        foreach (var (step, a, block, wanted) in actions)
        {
            var volume = device.Store.GetVolume(id);
            var count = Math.Min(wanted, Blocks - block);
            switch (step)
            {
                case Step.Fill:
                    Assert.Equal(BlockStatus.Ok, volume.Fill(block, count, next));
                    written.AsSpan(block, count).Fill(next++);
                    device.Store.RunBackgroundStep(drain: false);
                    break;
                case Step.Zero:
                    // Zeroing what is zero need not count as a write, so only what is not is zeroed.
                    var data = Enumerable.Range(block, count).TakeWhile(one => written[one] > 0).Count();
                    if (data == 0) break;
                    Assert.Equal(BlockStatus.Ok, volume.Zero(block, data));
                    written.AsSpan(block, data).Fill(-next++);
                    break;
                case Step.Snapshot:
                    snapshots.Add((Guid.NewGuid(), [.. written]));
                    device.Store.CreateSnapshot(id, snapshots[^1].Id);
                    break;
                case Step.Rollback when snapshots.Count > 0:
                    var to = snapshots[a % snapshots.Count];
                    device.Store.Rollback(id, to.Id, epoch: 0);
                    written = [.. to.Written];
                    break;
                case Step.DeleteSnapshot when snapshots.Count > 0:
                    device.Store.DeleteSnapshot(snapshots[a % snapshots.Count].Id);
                    snapshots.RemoveAt(a % snapshots.Count);
                    break;
                case Step.Apply or Step.Drain:
                    device.Store.RunBackgroundStep(drain: step == Step.Drain);
                    break;
                case Step.Reopen:
                    device.Reopen();
                    break;
            }
        }
        foreach (var (snapshot, now) in snapshots)
            foreach (var (older, before) in snapshots)
                Assert.Equal(Compare(now, before), Ask(device.Store, snapshot, older, rangesAtOnce: 3));
    }

    private static bool[] Compare(int[] now, int[] before) => [.. now.Zip(before, (one, other) => one != other)];

    // With few ranges at a time, so that where an answer ends is seen as well.
    private static bool[] Ask(BlockStore store, Guid snapshot, Guid older, int rangesAtOnce)
    {
        var changed = new bool[Blocks];
        var ranges = new LayerRange[rangesAtOnce];
        for (var offset = 0L; offset < (long)Blocks * BlockDevice.Block;)
        {
            Assert.Equal(BlockStatus.Ok, store.GetChangedRanges(snapshot, older, offset, (long)Blocks * BlockDevice.Block - offset, ranges, out var count));
            Assert.InRange(count, 1, rangesAtOnce);
            foreach (var range in ranges.AsSpan(0, count))
            {
                Assert.Equal(offset, range.Offset);
                changed.AsSpan((int)(offset / BlockDevice.Block), (int)(range.Length / BlockDevice.Block)).Fill(range.Kind == RangeKind.Data);
                offset += range.Length;
            }
        }
        return changed;
    }
}

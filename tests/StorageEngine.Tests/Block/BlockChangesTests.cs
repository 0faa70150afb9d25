using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class BlockChangesTests
{
    private const long Extent = BlockGeometry.ExtentBytes;
    private const int Blocks = BlockGeometry.ExtentBlocks;
    private static readonly Guid Volume = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b02");
    private static readonly Guid First = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b03");
    private static readonly Guid Second = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b04");
    private static readonly Guid Third = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b05");

    [Fact]
    public void Between_two_snapshots_the_written_and_the_zeroed_extents_are_named_and_neighbours_are_joined()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Volume, 20 * Extent, null);
        volume.Fill(0, 1, 1);
        volume.Fill(9 * Blocks, 1, 1);
        device.Store.CreateSnapshot(Volume, First);
        volume.Fill(3 * Blocks, 1, 2);
        volume.Fill(4 * Blocks + 7, 1, 2);
        volume.Zero(9 * Blocks, 1);
        device.Store.CreateSnapshot(Volume, Second);
        volume.Fill(12 * Blocks, 1, 3);
        Assert.Equal([(3 * Extent, 2 * Extent), (9 * Extent, Extent)], device.Store.ListChangedRanges(Second, First));
        Assert.Empty(device.Store.ListChangedRanges(Second, Second));
    }

    [Fact]
    public void A_snapshot_deleted_in_between_loses_no_change_also_once_its_layer_is_merged_and_the_device_reopened()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Volume, 20 * Extent, null);
        device.Store.CreateSnapshot(Volume, First);
        volume.Fill(3 * Blocks, 1, 1);
        device.Store.CreateSnapshot(Volume, Second);
        volume.Fill(5 * Blocks, 1, 2);
        device.Store.CreateSnapshot(Volume, Third);
        device.Store.DeleteSnapshot(Second);
        (long, long)[] expected = [(3 * Extent, Extent), (5 * Extent, Extent)];
        Assert.Equal(expected, device.Store.ListChangedRanges(Third, First));
        device.Store.RunBackgroundStep(drain: true);
        Assert.Equal(expected, device.Store.ListChangedRanges(Third, First));
        device.Reopen();
        Assert.Equal(expected, device.Store.ListChangedRanges(Third, First));
    }

    [Fact]
    public void After_a_rollback_what_was_undone_counts_as_changed()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Volume, 20 * Extent, null);
        device.Store.CreateSnapshot(Volume, First);
        volume.Fill(3 * Blocks, 1, 1);
        device.Store.CreateSnapshot(Volume, Second);
        device.Store.Rollback(Volume, First, epoch: 0);
        volume.Fill(5 * Blocks, 1, 2);
        device.Store.CreateSnapshot(Volume, Third);
        Assert.Equal([(3 * Extent, Extent), (5 * Extent, Extent)], device.Store.ListChangedRanges(Third, Second));
    }

    [Fact]
    public void The_last_range_ends_with_the_volume()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Volume, Extent + BlockDevice.Block, null);
        device.Store.CreateSnapshot(Volume, First);
        volume.Fill(Blocks, 1, 1);
        device.Store.CreateSnapshot(Volume, Second);
        Assert.Equal([(Extent, BlockDevice.Block)], device.Store.ListChangedRanges(Second, First));
    }

    [Fact]
    public void Several_volumes_are_frozen_together_and_a_call_that_was_cut_off_half_way_is_taken_anew()
    {
        using var device = new BlockDevice();
        var other = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b12");
        var one = device.Store.CreateVolume(Volume, Extent, null);
        var two = device.Store.CreateVolume(other, Extent, null);
        one.Fill(0, 1, 1);
        // What a crash after the first of two records leaves.
        device.Store.CreateSnapshot(Volume, First);
        one.Fill(0, 1, 2);
        two.Fill(0, 1, 2);
        device.Store.CreateSnapshots([(Volume, First), (other, Second)]);
        one.Fill(0, 1, 3);
        two.Fill(0, 1, 3);
        device.Store.CreateSnapshots([(Volume, First), (other, Second)]);
        foreach (var snapshot in new[] { First, Second })
        {
            var block = new byte[BlockDevice.Block];
            Assert.Equal(BlockStatus.Ok, device.Store.ReadSnapshot(snapshot, 0, block));
            Assert.Equal(VolumeTesting.Pattern(0, 1, 2), block);
        }
    }
}

using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class BlockStoreTests
{
    private static readonly Guid Id = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b02");

    [Fact]
    public void B32_After_a_seal_lower_epochs_can_neither_read_write_nor_flush_also_after_a_crash()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, 16 * BlockDevice.Block, null);
        Assert.Equal(BlockStatus.Ok, volume.Seal(5));
        Assert.Equal(BlockStatus.Ok, volume.Seal(5));
        Assert.Equal(BlockStatus.Ok, volume.Fill(0, 1, 1, epoch: 5));
        Assert.Equal(BlockStatus.Ok, volume.Seal(6));
        using var crashed = device.Crash();
        foreach (var sealedVolume in new[] { volume, crashed.Store.GetVolume(Id) })
        {
            Assert.Equal(BlockStatus.Fenced, sealedVolume.Fill(0, 1, 2, epoch: 5));
            Assert.Equal(BlockStatus.Fenced, sealedVolume.Read(5, 0, new byte[4096]));
            Assert.Equal(BlockStatus.Fenced, sealedVolume.Flush(5));
            Assert.Equal(BlockStatus.Fenced, sealedVolume.Seal(4));
            Assert.Equal(1, sealedVolume.Values(epoch: 6)[0]);
        }
    }

    [Fact]
    public void B25_A_failed_sync_fails_the_device_for_good()
    {
        var fail = false;
        using var device = new BlockDevice(BlockDevice.Small with
        {
            Faults = (operation, path, _, _) => fail && operation == FileOperation.Sync && path.EndsWith(".seg", StringComparison.Ordinal) ? BlockFileException.Eio : 0,
        });
        var volume = device.Store.CreateVolume(Id, 16 * BlockDevice.Block, null);
        volume.Fill(0, 1, 1);
        fail = true;
        Assert.Equal(BlockStatus.Failed, volume.Flush(0));
        fail = false;
        Assert.Equal(BlockStatus.Failed, volume.Flush(0));
        Assert.Equal(BlockStatus.Failed, volume.Fill(1, 1, 2));
        Assert.NotNull(device.Store.Failure);
    }

    [Fact]
    public void B29_A_full_device_refuses_writes_and_takes_them_again_when_there_is_space()
    {
        var (free, written) = (100L << 20, 0);
        using var device = new BlockDevice(BlockDevice.Small with { FreeBytes = _ => free - (long)written * BlockDevice.Block, ReserveBytes = 90 << 20 });
        var volume = device.Store.CreateVolume(Id, 1 << 30, null);
        while (volume.Fill(written, 16, 7) == BlockStatus.Ok)
        {
            written += 16;
            device.Store.RunBackgroundStep(drain: false);
            Assert.True(written < 10_000);
        }
        Assert.Equal(BlockStatus.NoSpace, volume.Fill(written, 1, 7));
        Assert.Equal(BlockStatus.Ok, volume.Zero(0, 16));
        Assert.Equal(BlockStatus.Ok, volume.Read(0, 4096 * 20, new byte[4096]));
        free = 200L << 20;
        Assert.Equal(BlockStatus.Ok, volume.Fill(written, 1, 7));
    }

    [Fact]
    public void A_block_that_changed_on_the_disk_is_never_given_out()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, 16 * BlockDevice.Block, null);
        volume.Fill(0, 4, 1);
        device.Store.RunBackgroundStep(drain: true);
        BlockRecoveryTests.Corrupt(Directory.GetFiles(device.Directory, "0000.data", SearchOption.AllDirectories).Single(), BlockDevice.Block + 17);
        var block = new byte[4096];
        Assert.Equal(BlockStatus.Ok, volume.Read(0, 0, block));
        Assert.Equal(BlockStatus.Corrupt, volume.Read(0, 4096, block));
        Assert.Equal(BlockStatus.Ok, volume.Fill(1, 1, 5));
        Assert.Equal(5, volume.Values()[1]);
    }

    [Fact]
    public void Requests_outside_of_the_volume_or_between_blocks_are_refused()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, 16 * BlockDevice.Block, null);
        Assert.Equal(BlockStatus.OutOfRange, volume.Fill(16, 1, 1));
        Assert.Equal(BlockStatus.OutOfRange, volume.Fill(15, 2, 1));
        Assert.Equal(BlockStatus.OutOfRange, volume.Read(0, -4096, new byte[4096]));
        Assert.Equal(BlockStatus.OutOfRange, volume.Read(0, 512, new byte[4096]));
        Assert.Equal(BlockStatus.OutOfRange, volume.Read(0, long.MaxValue - 4095, new byte[4096]));
        foreach (var size in new[] { 0L, -4096, 100, BlockGeometry.VolumeBytesMax + 4096 })
            Assert.Equal(BlockStoreError.InvalidArgument, Assert.Throws<BlockStoreException>(() => device.Store.CreateVolume(Guid.NewGuid(), size, null)).Error);
        Assert.Equal(BlockStoreError.InvalidArgument, Assert.Throws<BlockStoreException>(() => device.Store.ResizeVolume(Id, 4096)).Error);
        Assert.Equal(BlockStoreError.NotFound, Assert.Throws<BlockStoreException>(() => device.Store.CreateSnapshot(Guid.NewGuid(), Guid.NewGuid())).Error);
    }

    [Fact]
    public void Control_operations_may_run_twice()
    {
        using var device = new BlockDevice();
        var (snapshot, clone) = (Guid.NewGuid(), Guid.NewGuid());
        for (var i = 0; i < 2; i++)
        {
            device.Store.CreateVolume(Id, 16 * BlockDevice.Block, null);
            if (i == 0) device.Store.GetVolume(Id).Fill(0, 16, 1);
            device.Store.RunBackgroundStep(drain: true);
            device.Store.CreateSnapshot(Id, snapshot);
            device.Store.CreateVolume(clone, 32 * BlockDevice.Block, snapshot);
            device.Store.ResizeVolume(Id, 20 * BlockDevice.Block);
        }
        Assert.Equal(2, device.Store.VolumeCount);
        for (var i = 0; i < 2; i++)
        {
            device.Store.DeleteSnapshot(snapshot);
            device.Store.DeleteVolume(clone);
            device.Store.DeleteVolume(Id);
        }
        Assert.Equal(0, device.Store.VolumeCount);
        device.Store.RunBackgroundStep(drain: true);
        Assert.Empty(Directory.GetDirectories(Path.Combine(device.Directory, "layers")));
    }

    [Fact]
    public void Deleting_a_middle_snapshot_merges_its_layer_and_gives_the_rest_back()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, 2000 * BlockDevice.Block, null);
        var snapshots = Enumerable.Range(0, 4).Select(_ => Guid.NewGuid()).ToArray();
        for (var i = 0; i < 4; i++)
        {
            volume.Fill(i * 100, 200, i + 1);
            device.Store.CreateSnapshot(Id, snapshots[i]);
        }
        volume.Zero(50, 10);
        var expected = volume.Values();
        Assert.Equal(5, device.Store.Describe(volume).LayerCount);
        device.Store.DeleteSnapshot(snapshots[1]);
        device.Store.DeleteSnapshot(snapshots[2]);
        device.Store.RunBackgroundStep(drain: true);
        Assert.Equal(3, device.Store.Describe(volume).LayerCount);
        Assert.Equal(expected, volume.Values());
        using var crashed = device.Crash();
        Assert.Equal(expected, crashed.Store.GetVolume(Id).Values());
        device.Store.DeleteSnapshot(snapshots[0]);
        device.Store.DeleteSnapshot(snapshots[3]);
        device.Store.RunBackgroundStep(drain: true);
        Assert.Equal(1, device.Store.Describe(volume).LayerCount);
        Assert.Equal(expected, volume.Values());
    }

    [Fact]
    public void B14_Trimmed_space_is_given_back_and_reads_as_zero()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, 1024 * BlockDevice.Block, null);
        for (var i = 0; i < 8; i++)
        {
            volume.Fill(i * 16, 16, 1);
            device.Store.RunBackgroundStep(drain: true);
        }
        Assert.Equal(128 * BlockDevice.Block, device.Store.AllocatedBytes(volume));
        volume.Zero(0, 1024);
        device.Store.RunBackgroundStep(drain: true);
        Assert.Equal(0, device.Store.AllocatedBytes(volume));
        Assert.All(volume.Values(), value => Assert.Equal(0, value));
        var ranges = new LayerRange[4];
        Assert.Equal(BlockStatus.Ok, volume.GetRanges(0, 0, volume.SizeBytes, ranges, out var count));
        Assert.Equal([new LayerRange(0, volume.SizeBytes, RangeKind.Hole)], ranges[..count]);
    }

    [Fact]
    public void B16_Ranges_never_report_a_hole_over_data_of_a_lower_layer()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, 4000 * BlockDevice.Block, null);
        volume.Fill(10, 5, 1);
        device.Store.CreateSnapshot(Id, Guid.NewGuid());
        volume.Fill(15, 2, 2);
        volume.Zero(11, 1);
        var ranges = new LayerRange[16];
        volume.GetRanges(0, 0, volume.SizeBytes, ranges, out var count);
        Assert.Equal(
            [(0, 10, RangeKind.Hole), (10, 1, RangeKind.Data), (11, 1, RangeKind.Zero), (12, 5, RangeKind.Data), (17, 3983, RangeKind.Hole)],
            ranges[..count].Select(r => ((int)(r.Offset / 4096), (int)(r.Length / 4096), r.Kind)));
    }

    [Fact]
    public async Task The_files_of_a_merged_layer_stay_until_the_last_reader_who_may_use_them_has_left()
    {
        using var reached = new ManualResetEventSlim();
        using var leave = new ManualResetEventSlim();
        var stopped = 0;
        using var device = new BlockDevice(BlockDevice.Small with
        {
            Faults = (operation, path, _, _) =>
            {
                if (operation != FileOperation.Read || !path.EndsWith("00000002/0000.data", StringComparison.Ordinal)) return 0;
                if (Interlocked.CompareExchange(ref stopped, 2, 1) != 1) return 0;
                reached.Set();
                leave.Wait();
                return 0;
            },
        });
        var volume = device.Store.CreateVolume(Id, 16 * BlockDevice.Block, null);
        var snapshot = Guid.NewGuid();
        volume.Fill(0, 16, 1);
        device.Store.CreateSnapshot(Id, snapshot);
        device.Store.RunBackgroundStep(drain: true);
        stopped = 1;
        var data = new byte[16 * BlockDevice.Block];
        var reader = Task.Factory.StartNew(() => device.Store.ReadSnapshot(snapshot, 0, data), TaskCreationOptions.LongRunning);
        reached.Wait();
        device.Store.DeleteSnapshot(snapshot);
        device.Store.RunBackgroundStep(drain: true);
        var directory = Path.Combine(device.Directory, "layers", "00000002");
        Assert.Equal(1, device.Store.Describe(volume).LayerCount);
        Assert.True(Directory.Exists(directory));
        leave.Set();
        Assert.Equal(BlockStatus.Ok, await reader);
        Assert.All(VolumeTesting.Values(data), value => Assert.Equal(1, value));
        device.Store.RunBackgroundStep(drain: true);
        Assert.False(Directory.Exists(directory));
        Assert.All(volume.Values(), value => Assert.Equal(1, value));
    }

    [Fact]
    public async Task Readers_and_writers_meet_the_applier_and_merges_without_seeing_anything_torn()
    {
        using var device = new BlockDevice(BlockDevice.Small with { RunInBackground = true, ApplyIdle = TimeSpan.FromMilliseconds(5), CachedExtentsMax = 2 });
        const int blocks = 3000;
        var volume = device.Store.CreateVolume(Id, blocks * BlockDevice.Block, null);
        var done = 0;
        var writers = Enumerable.Range(0, 2).Select(thread => Task.Factory.StartNew(
            () =>
            {
                var random = new Random(thread);
                for (var i = 1; i < 800; i++)
                {
                    // Each writer has its own blocks, so that values only grow.
                    var block = random.Next(blocks / 2) * 2 + thread;
                    var status = i % 10 == 0 ? volume.Zero(block, 1) : volume.Fill(block, 1, i);
                    Assert.Equal(BlockStatus.Ok, status);
                }
                Interlocked.Increment(ref done);
            },
            TaskCreationOptions.LongRunning));
        var snapshots = Task.Factory.StartNew(
            () =>
            {
                while (Volatile.Read(ref done) < 2)
                {
                    var id = Guid.NewGuid();
                    device.Store.CreateSnapshot(Id, id);
                    device.Store.DeleteSnapshot(id);
                }
            },
            TaskCreationOptions.LongRunning);
        var reader = Task.Factory.StartNew(
            () =>
            {
                var random = new Random(99);
                var data = new byte[20 * BlockDevice.Block];
                while (Volatile.Read(ref done) < 2)
                {
                    var block = random.Next(blocks - 20);
                    Assert.Equal(BlockStatus.Ok, volume.Read(0, (long)block * BlockDevice.Block, data));
                    for (var i = 0; i < 20; i++)
                    {
                        var content = data.AsSpan(i * BlockDevice.Block, BlockDevice.Block);
                        var first = BitConverter.ToInt64(content);
                        Assert.True(first == 0 || content.SequenceEqual(VolumeTesting.Pattern(block + i, 1, (int)(first - (block + i) * 1_000_003L))));
                    }
                }
            },
            TaskCreationOptions.LongRunning);
        await Task.WhenAll([.. writers, snapshots, reader]);
        var expected = volume.Values();
        using var crashed = device.Crash();
        Assert.Equal(expected, crashed.Store.GetVolume(Id).Values());
    }
}

using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class BlockRecoveryTests
{
    private const int Blocks = 64;
    private static readonly Guid Id = Guid.Parse("7b6ff0c2-3a14-4c58-9a3c-0c3f2f3c2b01");

    [Fact]
    public void B22_A_journal_cut_at_any_point_opens_with_exactly_the_records_before_the_cut()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, Blocks * BlockDevice.Block, null);
        var states = new List<(long End, int[] Values)> { (SegmentHeader.Bytes, new int[Blocks]) };
        var values = new int[Blocks];
        var end = (long)SegmentHeader.Bytes;
        for (var i = 1; i <= 12; i++)
        {
            var (block, count) = (i * 7 % 50, i % 3 + 1);
            if (i % 4 == 0)
            {
                volume.Zero(block, count);
                values.AsSpan(block, count).Clear();
                end += RecordHeader.Bytes;
            }
            else
            {
                volume.Fill(block, count, i);
                values.AsSpan(block, count).Fill(i);
                end += RecordHeader.Bytes + count * BlockDevice.Block;
            }
            states.Add((end, [.. values]));
        }
        var segment = Directory.GetFiles(Path.Combine(device.Directory, "journal")).Single();
        var intact = File.ReadAllBytes(segment);
        // Every cut near a boundary, and some in the middle of payloads.
        var cuts = states.SelectMany(state => Enumerable.Range(-3, 70).Select(delta => state.End + delta))
            .Concat(Enumerable.Range(0, (int)(end / 1500)).Select(i => (long)i * 1500))
            .Where(cut => cut >= SegmentHeader.Bytes && cut <= end).Distinct().Order();
        using var victim = device.Crash();
        var victimSegment = Path.Combine(victim.Directory, "journal", Path.GetFileName(segment));
        foreach (var cut in cuts)
        {
            victim.Store.Dispose();
            foreach (var old in Directory.GetFiles(Path.Combine(victim.Directory, "journal"))) File.Delete(old);
            File.Copy(Path.Combine(device.Directory, "meta.log"), Path.Combine(victim.Directory, "meta.log"), overwrite: true);
            var bytes = intact.AsSpan().ToArray();
            bytes.AsSpan((int)cut).Clear();
            File.WriteAllBytes(victimSegment, bytes);
            victim.Reopen();
            // A cut in the zeros at the end of a record changes nothing, so the record may be there too.
            var expected = states.Last(state => state.End <= cut || bytes.AsSpan(0, (int)state.End).SequenceEqual(intact.AsSpan(0, (int)state.End)));
            Assert.Equal(expected.Values, victim.Store.GetVolume(Id).Values());
        }
    }

    [Fact]
    public void After_a_cut_new_writes_go_on_and_the_old_rest_never_comes_back()
    {
        using var device = new BlockDevice();
        var volume = device.Store.CreateVolume(Id, Blocks * BlockDevice.Block, null);
        for (var i = 0; i < 5; i++) volume.Fill(i, 1, 10 + i);
        var segment = Directory.GetFiles(Path.Combine(device.Directory, "journal")).Single();
        using var victim = device.Crash();
        victim.Store.Dispose();
        Corrupt(Path.Combine(victim.Directory, "journal", Path.GetFileName(segment)), SegmentHeader.Bytes + 2 * (RecordHeader.Bytes + BlockDevice.Block) + 100);
        victim.Reopen();
        Assert.Equal([10, 11, 0, 0, 0], victim.Store.GetVolume(Id).Values()[..5]);
        victim.Store.GetVolume(Id).Fill(4, 1, 99);
        for (var i = 0; i < 3; i++)
        {
            victim.Reopen();
            Assert.Equal([10, 11, 0, 0, 99], victim.Store.GetVolume(Id).Values()[..5]);
        }
    }

    [Fact]
    public void Segments_are_used_again_without_their_former_records_coming_back()
    {
        using var device = new BlockDevice();
        device.Store.CreateVolume(Id, 400 * BlockDevice.Block, null);
        var values = new int[400];
        for (var round = 1; round <= 12; round++)
        {
            for (var i = 0; i < 90; i++)
            {
                var block = (i * 13 + round * 29) % 400;
                Assert.Equal(BlockStatus.Ok, device.Store.GetVolume(Id).Fill(block, 1, round * 1000 + i));
                values[block] = round * 1000 + i;
            }
            if (round % 3 == 0) device.Store.RunBackgroundStep(drain: false);
            if (round % 4 == 0) device.Reopen();
            using var crashed = device.Crash();
            Assert.Equal(values, crashed.Store.GetVolume(Id).Values());
        }
        Assert.InRange(Directory.GetFiles(Path.Combine(device.Directory, "journal")).Length, 1, device.Options.SegmentsMax + 1);
    }

    [Fact]
    public void A_crash_while_blocks_are_moved_to_their_place_loses_nothing()
    {
        // The applier fails after each of its writes and syncs in turn; what is on the disk then must still open to the same content.
        for (var failAt = 0; failAt < 12; failAt++)
        {
            var countdown = int.MaxValue;
            using var device = new BlockDevice(BlockDevice.Small with
            {
                Faults = (operation, path, _, _) => operation != FileOperation.Read && path.Contains("layers", StringComparison.Ordinal) && countdown-- == 0 ? BlockFileException.Eio : 0,
            });
            var volume = device.Store.CreateVolume(Id, 3000 * BlockDevice.Block, null);
            volume.Fill(10, 5, 1);
            device.Store.RunBackgroundStep(drain: true);
            volume.Fill(12, 30, 2);
            volume.Zero(11, 2);
            volume.Fill(2000, 3, 3);
            var expected = volume.Values();
            countdown = failAt;
            try { device.Store.RunBackgroundStep(drain: true); }
            catch (BlockFileException) { }
            countdown = int.MaxValue;
            using var crashed = device.Crash();
            Assert.Equal(expected, crashed.Store.GetVolume(Id).Values());
            crashed.Store.RunBackgroundStep(drain: true);
            Assert.Equal(expected, crashed.Store.GetVolume(Id).Values());
        }
    }

    [Fact]
    public void A_second_process_can_not_open_the_device()
    {
        using var device = new BlockDevice();
        var error = Assert.Throws<BlockStoreException>(() => BlockStore.Open(device.Directory, device.Options, TimeProvider.System));
        Assert.Equal(BlockStoreError.Conflict, error.Error);
    }

    [Fact]
    public void A_journal_of_another_device_is_refused()
    {
        using var device = new BlockDevice();
        using var other = new BlockDevice();
        other.Store.CreateVolume(Id, Blocks * BlockDevice.Block, null).Fill(0, 1, 1);
        var directory = Path.Combine(device.Directory, "journal");
        Directory.CreateDirectory(directory);
        File.Copy(Directory.GetFiles(Path.Combine(other.Directory, "journal")).Single(), Path.Combine(directory, "0000.seg"));
        var error = Assert.Throws<BlockStoreException>(device.Reopen);
        Assert.Contains("belongs to device", error.Message, StringComparison.Ordinal);
        Directory.Delete(directory, recursive: true);
        device.Reopen();
    }

    [Fact]
    public void A_log_of_changes_that_was_cut_opens_with_the_changes_before_the_cut()
    {
        using var device = new BlockDevice();
        device.Store.CreateVolume(Id, Blocks * BlockDevice.Block, null);
        var path = Path.Combine(device.Directory, "meta.log");
        var before = new FileInfo(path).Length;
        device.Store.CreateVolume(Guid.NewGuid(), Blocks * BlockDevice.Block, null);
        var bytes = File.ReadAllBytes(path);
        for (var cut = before; cut < bytes.Length; cut += 7)
        {
            device.Store.Dispose();
            File.WriteAllBytes(path, bytes[..(int)cut]);
            device.Reopen();
            Assert.Equal([Id], device.Store.VolumeIds);
        }
    }

    internal static void Corrupt(string path, long position)
    {
        using var file = File.Open(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        file.Position = position;
        var value = file.ReadByte();
        file.Position = position;
        file.WriteByte((byte)~value);
    }
}

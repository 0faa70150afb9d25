using Nephos.Client.Nbd;
using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class VolumeGroupTests
{
    [Fact]
    public async Task B21_A_write_is_acknowledged_by_two_replicas_and_not_by_one()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        Assert.Equal(ReplicaStatus.Unreachable, group.Fill(3, 1, 7, lanes: 0));
        Assert.Equal(0, group.Acknowledged);
        group.RunLane(2);
        Assert.Equal(1, group.Acknowledged);
        Assert.Equal(7, group.Value(3));
    }

    [Fact]
    public async Task B21_A_flush_needs_two_replicas_to_be_durable()
    {
        await using var volume = new ReplicatedVolume();
        volume.Ways[1].Answer = name => name == "flush" ? ReplicaStatus.Failed : null;
        using var group = volume.OpenGroup(1);
        Assert.Equal(ReplicaStatus.Ok, group.Fill(0, 1, 1));
        Assert.True(group.RunSync(0, 1));
        // The second failed, and is none any more.
        Assert.True(group.RunSync(1, 1));
        Assert.Equal([true, false, true], group.Status.Replicas.Select(replica => replica.Reached));
        Assert.True(group.RunSync(2, 1));
        Assert.Equal(ReplicaStatus.Ok, group.WaitDurable(1));
    }

    [Fact]
    public async Task B32_A_fenced_head_cannot_complete_one_write()
    {
        await using var volume = new ReplicatedVolume();
        using var old = volume.OpenGroup(1);
        Assert.Equal(ReplicaStatus.Ok, old.Fill(0, 1, 1));
        // The new head reaches two of three.
        volume.Ways[0].IsCut = true;
        using var next = volume.OpenGroup(3);
        volume.Ways[0].IsCut = false;
        Assert.Equal(ReplicaStatus.Fenced, old.Fill(0, 1, 2));
        Assert.True(old.Fenced);
        Assert.Equal(1, next.Value(0));
        Assert.Throws<VolumeHeadException>(() => volume.OpenGroup(2));
    }

    [Fact]
    public async Task B22_An_orphan_write_of_an_old_head_yields_to_what_was_written_since()
    {
        await using var volume = new ReplicatedVolume();
        using (var old = volume.OpenGroup(1))
        {
            for (var i = 0; i < 4; i++) old.Fill(i, 1, 1);
            // Three writes that reached one replica only.
            for (var i = 0; i < 3; i++) Assert.Equal(ReplicaStatus.Unreachable, old.Fill(i, 1, 66, lanes: 0));
        }
        volume.Ways[0].IsCut = true;
        using var next = volume.OpenGroup(3);
        Assert.Equal([1, 1, 1, 1], Enumerable.Range(0, 4).Select(block => next.Value(block)));
        Assert.Equal(ReplicaStatus.Ok, next.Fill(1, 1, 5));
        volume.Ways[0].IsCut = false;
        Assert.True(next.TryRejoin(0, volume.Replica(0)));
        // While it is repaired nothing is read from it.
        Assert.Equal([1, 5, 1, 1], Enumerable.Range(0, 4).Select(block => next.Value(block)));
        next.Repair();
        Assert.Equal(3, next.Status.CompleteCount);
        Assert.Equal([1, 5, 1, 1], volume.Content(0)[..4]);
        volume.AssertEqualReplicas();
    }

    [Fact]
    public async Task B22_What_a_takeover_finds_on_one_replica_is_on_a_majority_before_it_is_read()
    {
        await using var volume = new ReplicatedVolume();
        using (var old = volume.OpenGroup(1))
        {
            old.Fill(0, 8, 1);
            old.Fill(2, 1, 9, lanes: 1);
        }
        volume.Ways[2].IsCut = true;
        using (var next = volume.OpenGroup(3))
        {
            Assert.Equal(9, next.Value(2));
            Assert.Equal(9, volume.Content(0)[2]);
        }
        // The one that had it is gone for good: what was read stays.
        volume.Ways[2].IsCut = false;
        using (var settled = volume.OpenGroup(5)) settled.Repair();
        volume.Ways[1].IsCut = true;
        using var last = volume.OpenGroup(7);
        Assert.Equal(9, last.Value(2));
    }

    [Fact]
    public async Task A_replica_that_was_away_is_repaired_by_what_it_missed_while_writes_go_on()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(0, 256, 1);
        volume.Ways[2].IsCut = true;
        Assert.Equal(ReplicaStatus.Ok, group.Fill(10, 4, 2));
        Assert.Equal(ReplicaStatus.Ok, group.Fill(100, 1, 2));
        Assert.Equal([5L * 4096], group.Status.Replicas.Where(replica => !replica.Reached).Select(replica => replica.LackingBytes));
        volume.Ways[2].IsCut = false;
        Assert.True(group.TryRejoin(2, volume.Replica(2)));
        Assert.Equal(ReplicaStatus.Ok, group.Fill(11, 1, 3));
        Assert.Equal(4L * 4096, group.Status.Replicas[2].LackingBytes);
        group.Repair();
        Assert.Equal((3, 0L), (group.Status.CompleteCount, group.Status.Replicas[2].LackingBytes));
        Assert.Equal(TimeSpan.Zero, group.Status.AtRisk);
        volume.AssertEqualReplicas();
        Assert.True(volume.Volume(2).Complete);
    }

    [Fact]
    public async Task A_takeover_waits_for_the_replica_that_knows_all_when_one_in_repair_knows_of_a_later_write()
    {
        await using var volume = new ReplicatedVolume();
        using (var group = volume.OpenGroup(1))
        {
            group.Fill(0, 16, 1);
            volume.Ways[2].IsCut = true;
            group.Fill(0, 1, 2);
            volume.Ways[2].IsCut = false;
            Assert.True(group.TryRejoin(2, volume.Replica(2)));
            // Acknowledged by a complete one and the one in repair; the other complete one lags.
            Assert.Equal(ReplicaStatus.Ok, group.Fill(5, 1, 3, lanes: [0, 2]));
        }
        Assert.False(volume.Volume(2).Complete);
        volume.Ways[0].IsCut = true;
        var refused = Assert.Throws<VolumeHeadException>(() => volume.OpenGroup(3));
        Assert.Contains("1 of 3 replicas", refused.Message);
        volume.Ways[0].IsCut = false;
        using var next = volume.OpenGroup(5);
        next.Repair();
        Assert.Equal(3, next.Status.CompleteCount);
        volume.AssertEqualReplicas();
        Assert.Equal((2, 3), (next.Value(0), next.Value(5)));
    }

    [Fact]
    public async Task A_replica_that_lost_its_last_writes_with_the_power_gets_them_back()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(0, 8, 1);
        group.RunSync(2, 1);
        using var before = volume.Devices[2].Crash();
        for (var i = 0; i < 5; i++) group.Fill(i, 1, 2);
        volume.Ways[2].IsCut = true;
        group.Fill(6, 1, 3);
        // What the device has now is what it had then.
        var old = new Nephos.Node.Block.LocalReplica(before.Store.GetVolume(volume.Id));
        Assert.True(group.TryRejoin(2, old));
        group.Repair();
        Assert.Equal(3, group.Status.CompleteCount);
        Assert.Equal(volume.Content(0), before.Store.GetVolume(volume.Id).Values(epoch: 1));
    }

    [Fact]
    public async Task A_long_gone_replica_is_compared_by_sums_when_the_journal_does_not_go_back_so_far()
    {
        await using var volume = new ReplicatedVolume();
        using (var group = volume.OpenGroup(1)) group.Fill(0, 64, 1);
        volume.Ways[2].IsCut = true;
        using (var group = volume.OpenGroup(3))
        {
            for (var i = 0; i < 40; i++) group.Fill(i * 16, 16, 2);
            foreach (var device in volume.Devices) device.Store.RunBackgroundStep(drain: true);
        }
        volume.Ways[2].IsCut = false;
        using var next = volume.OpenGroup(5);
        Assert.True(next.Status.Replicas[2].ToCompareBytes > 0);
        next.Repair();
        Assert.Equal(3, next.Status.CompleteCount);
        volume.AssertEqualReplicas();
    }

    [Fact]
    public async Task A_damaged_block_is_read_from_another_replica_and_mended()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(0, 64, 4);
        volume.Devices[0].Store.RunBackgroundStep(drain: true);
        BlockRecoveryTests.Corrupt(Directory.GetFiles(volume.Devices[0].Directory, "0000.data", SearchOption.AllDirectories).Single(), 20 * 4096 + 5);
        Assert.Equal(BlockStatus.Corrupt, volume.Volume(0).Read(1, 20 * 4096, new byte[4096]));
        Assert.Equal(4, group.Value(20));
        Assert.Equal(1, group.Status.DamagedBlocks);
        group.Repair();
        Assert.Equal(4, volume.Content(0)[20]);
        Assert.True(volume.Volume(0).Complete);
    }

    [Fact]
    public async Task Damage_is_found_and_mended_without_anybody_reading_it()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(300, 128, 4);
        volume.Devices[1].Store.RunBackgroundStep(drain: true);
        BlockRecoveryTests.Corrupt(Directory.GetFiles(volume.Devices[1].Directory, "0000.data", SearchOption.AllDirectories).Single(), 400 * 4096 + 5);
        using var buffer = new NativeBuffer(VolumeGroup.RepairBytes);
        for (var i = 0; i < 6; i++) group.RunScrubStep(buffer);
        Assert.Equal(1, group.Status.DamagedBlocks);
        group.Repair();
        Assert.Equal(4, volume.Content(1)[400]);
    }

    [Fact]
    public async Task B29_When_a_majority_is_full_a_write_fails_with_no_space_and_the_volume_goes_on_when_there_is_some()
    {
        var free = 3L << 20;
        await using var volume = new ReplicatedVolume(BlockDevice.Small with { FreeBytes = _ => Interlocked.Read(ref free) });
        using var group = volume.OpenGroup(1);
        Assert.Equal(ReplicaStatus.Ok, group.Fill(0, 4, 1));
        Interlocked.Exchange(ref free, 0);
        // When what was free at the last look is used up, there is a new one.
        Assert.Equal(ReplicaStatus.NoSpace, Enumerable.Range(0, 16).Select(i => group.Fill(i % 8 * 64, 64, 2)).First(status => status != ReplicaStatus.Ok));
        Interlocked.Exchange(ref free, 1L << 30);
        Assert.Equal(ReplicaStatus.Ok, group.Fill(0, 4, 3));
        group.Repair();
        Assert.Equal(3, group.Status.CompleteCount);
        volume.AssertEqualReplicas();
    }

    [Fact]
    public async Task B29_One_full_device_does_not_stop_the_volume()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        volume.Ways[1].Answer = name => name == "write" ? ReplicaStatus.NoSpace : null;
        for (var i = 0; i < 10; i++) Assert.Equal(ReplicaStatus.Ok, group.Fill(i, 1, 1));
        volume.Ways[1].Answer = _ => null;
        Assert.True(group.TryRejoin(1, volume.Replica(1)));
        group.Repair();
        volume.AssertEqualReplicas();
    }

    [Fact]
    public async Task B25_A_replica_whose_sync_failed_counts_no_more_and_without_any_there_are_errors()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        foreach (var way in volume.Ways) way.Answer = name => name == "flush" ? ReplicaStatus.Failed : null;
        group.Fill(0, 1, 1);
        for (var index = 0; index < 3; index++)
        {
            Assert.Equal(3 - index, group.Status.Replicas.Count(replica => replica.Reached));
            group.RunSync(index, 1);
        }
        Assert.Equal(ReplicaStatus.Failed, group.WaitDurable(1));
        Assert.Equal(ReplicaStatus.Failed, group.Fill(0, 1, 2));
    }
}

using Nephos.Client.Volumes;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>What must hold while fewer replicas are complete than there should be; each was first lost in a simulation.</summary>
public sealed class VolumeGroupRiskTests
{
    private sealed class WouldWaitException : Exception;

    [Fact]
    public async Task B20_While_one_replica_is_complete_a_write_counts_only_when_it_has_it_durably()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(0, 8, 1);
        LeaveOneComplete(volume, group);
        var asked = new List<(int, long)>();
        group.SyncWaits = (index, sequence) => asked.Add((index, sequence));
        Assert.Equal(ReplicaStatus.Unreachable, group.Fill(5, 1, 7));
        // A majority has it in its journal, and the only one to take over from could still lose it.
        Assert.Contains((0, 4L), asked);
        Assert.Equal(3, group.Acknowledged);
        Assert.True(group.RunSync(0, 4));
        Assert.Equal(4, group.Acknowledged);
        Assert.Equal(7, group.Value(5));
    }

    [Fact]
    public async Task B20_A_replica_stays_complete_until_another_one_has_durably_what_was_acknowledged()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(0, 8, 1);
        volume.Ways[2].IsCut = true;
        group.Fill(0, 1, 2);
        volume.Ways[2].IsCut = false;
        var flushes = 0;
        volume.Ways[0].Answer = name =>
        {
            if (name == "flush") flushes++;
            return name == "flush" ? ReplicaStatus.Unreachable : null;
        };
        Assert.False(group.TryRejoin(2, volume.Replica(2)));
        Assert.Equal(1, flushes);
        Assert.True(volume.Volume(2).Complete);
        // The other complete one can.
        Assert.True(group.TryRejoin(2, volume.Replica(2)));
        Assert.False(volume.Volume(2).Complete);
    }

    [Fact]
    public async Task B22_A_replica_that_comes_back_says_all_that_it_has()
    {
        await using var volume = new ReplicatedVolume();
        using var group = volume.OpenGroup(1);
        group.Fill(0, 8, 1);
        LeaveOneComplete(volume, group);
        // Not acknowledged, and only here.
        Assert.Equal(ReplicaStatus.Unreachable, group.Fill(5, 1, 7, lanes: 0));
        volume.Ways[0].IsCut = true;
        group.RunSync(0, 4);
        Assert.False(group.Status.Replicas[0].Reached);
        volume.Ways[0].IsCut = false;
        Assert.True(group.TryRejoin(0, volume.Replica(0)));
        Assert.True(volume.Volume(0).Complete);
        Assert.Equal(4, volume.Volume(0).LastSequence);
        group.Dispose();
        using var next = volume.OpenGroup(3);
        next.Repair();
        Assert.Equal((3, 7), (next.Status.CompleteCount, next.Value(5)));
        volume.AssertEqualReplicas();
    }

    [Fact]
    public async Task B29_What_was_given_up_for_want_of_space_does_not_come_back_once_something_else_was_read()
    {
        await using var volume = new ReplicatedVolume();
        using (var group = volume.OpenGroup(1))
        {
            group.OnWait = () => throw new WouldWaitException();
            group.Fill(0, 8, 1);
            foreach (var index in new[] { 1, 2 }) volume.Ways[index].Answer = name => name == "write" ? ReplicaStatus.NoSpace : null;
            Assert.Equal(ReplicaStatus.NoSpace, group.Fill(0, 1, 66));
            Assert.Equal(66, volume.Content(0)[0]);
            // Only the last replica was told to go on without it.
            Assert.Throws<WouldWaitException>(() => group.Value(0));
            group.RunLane(1);
            Assert.Equal(1, group.Value(0));
        }
        foreach (var way in volume.Ways) way.Answer = _ => null;
        volume.Ways[2].IsCut = true;
        using var next = volume.OpenGroup(3);
        Assert.Equal(1, next.Value(0));
        next.Repair();
        Assert.Equal(1, volume.Content(0)[0]);
    }

    [Fact]
    public async Task A_replica_that_was_repaired_needs_no_second_look()
    {
        await using var volume = new ReplicatedVolume();
        using (var group = volume.OpenGroup(1))
        {
            group.Fill(0, 8, 1);
            LeaveOneComplete(volume, group);
            group.Repair();
        }
        using var next = volume.OpenGroup(3);
        Assert.Equal(3, next.Status.CompleteCount);
    }

    // Three writes; the first replica has all of them, the others are back and not repaired.
    private static void LeaveOneComplete(ReplicatedVolume volume, VolumeGroup group)
    {
        foreach (var index in new[] { 1, 2 })
        {
            volume.Ways[index].IsCut = true;
            group.Fill(index, 1, 2);
            volume.Ways[index].IsCut = false;
            Assert.True(group.TryRejoin(index, volume.Replica(index)));
        }
        group.RunSync(0, 3);
        Assert.Equal(1, group.Status.CompleteCount);
        Assert.Equal(3, group.Acknowledged);
    }
}

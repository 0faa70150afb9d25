using Nephos.Compute.Instances;
using Nephos.Compute.Nodes;
using Nephos.Compute.Seams;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;
using Xunit;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Services.Tests.Compute;

public sealed class ReconcilerTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task An_instance_gets_its_port_and_disk_and_its_node_is_told()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateAsync()).Instance.Id;

        await world.PassAsync(id);

        var port = Assert.Single(world.Network.Ports.Values);
        Assert.Equal((id, "node", 1L), (port.DeviceId, port.HostName, port.Epoch));
        var volume = Assert.Single(world.Volumes.Volumes.Values);
        Assert.True(volume.Hidden);
        Assert.Equal(1L << 30, volume.SizeBytes);
        var parts = (await world.ReadAsync(id)).Parts!;
        var spec = Assert.Single(parts.Orders).ToWire();
        Assert.Equal(Wire.DesiredState.Running, spec.DesiredState);
        Assert.Equal(port.Id, Assert.Single(spec.Ports).PortId);
        Assert.Equal((Assert.Single(world.Volumes.Attachments.Values).Token, 0), (spec.Volumes[0].Token, spec.Volumes[0].BootIndex));
        Assert.Equal("spawning", (await world.ReadAsync(id)).View.TaskState);

        await world.ObeyAsync(id);
        Assert.Equal((InstanceStatus.Active, null), StatusOf(await world.ReadAsync(id)));
    }

    [Theory]
    [InlineData("port.create")]
    [InlineData("port.details")]
    [InlineData("volume.create")]
    [InlineData("attachment.create")]
    public async Task A_step_of_a_create_that_fails_or_whose_answer_is_lost_is_done_again_and_makes_one_thing(string step)
    {
        foreach (var lost in new[] { false, true })
        {
            await using var world = await ComputeWorld.StartWithNodeAsync();
            var id = (await world.CreateAsync()).Instance.Id;
            if (lost)
            {
                world.Interference.LoseNextAnswer(step);
            }
            else
            {
                world.Interference.FailNext(step);
            }

            var first = await world.PassAsync(id);
            // port.details has no effect that could be lost.
            Assert.Equal(!(lost && step == "port.details"), first.Failed);
            if (first.Failed)
            {
                var parts = (await world.ReadAsync(id)).Parts!;
                Assert.NotNull(parts.LastError);
                Assert.Empty(parts.Orders);
            }
            var settled = await world.SettleAsync(id);

            Assert.Equal((InstanceStatus.Active, null), StatusOf(settled));
            Assert.Null(settled.Parts!.LastError);
            Assert.Single(world.Network.Ports);
            Assert.Single(world.Volumes.Volumes);
            Assert.Single(world.Volumes.Attachments);
        }
    }

    [Theory]
    [InlineData("port.list")]
    [InlineData("port.delete")]
    [InlineData("attachment.list")]
    [InlineData("attachment.delete")]
    [InlineData("volume.list")]
    [InlineData("volume.delete")]
    public async Task A_step_of_a_delete_that_fails_or_whose_answer_is_lost_is_done_again_and_leaves_nothing(string step)
    {
        foreach (var lost in new[] { false, true })
        {
            await using var world = await ComputeWorld.StartWithNodeAsync();
            var id = (await world.CreateRunningAsync()).Instance.Id;
            await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
            await world.PassAsync(id);
            await world.ObeyAsync(id);
            if (lost)
            {
                world.Interference.LoseNextAnswer(step);
            }
            else
            {
                world.Interference.FailNext(step);
            }

            await world.PassAsync(id);
            await world.SettleAsync(id);
            await world.SettleAsync(id);

            await AssertNothingIsLeftAsync(world, id);
        }
    }

    [Fact]
    public async Task Running_every_pass_twice_makes_and_leaves_the_same()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateAsync()).Instance.Id;
        for (var round = 0; round < 3; round++)
        {
            await world.PassAsync(id);
            var once = await world.Store.GetRevisionAsync(None);
            await world.PassAsync(id);
            Assert.Equal(once, await world.Store.GetRevisionAsync(None));
            await world.ObeyAsync(id);
        }
        Assert.Single(world.Network.Ports);
        Assert.Equal(InstanceStatus.Active, (await world.ReadAsync(id)).View.Status);

        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        for (var round = 0; round < 3; round++)
        {
            await world.PassAsync(id);
            await world.PassAsync(id);
            await world.ObeyAsync(id);
        }
        await AssertNothingIsLeftAsync(world, id);
    }

    /// <summary>The process is killed after each write to the outside, with what it knew lost: only the store is left.</summary>
    [Fact]
    public async Task What_was_made_but_never_written_down_is_deleted_with_the_instance()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateAsync()).Instance.Id;
        await world.PassAsync(id);
        await world.Store.TransactAsync(transaction =>
        {
            transaction.Delete(InstanceParts.Table, id);
            return Task.CompletedTask;
        }, None);
        Assert.Single(world.Network.Ports);

        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        await world.SettleAsync(id);

        await AssertNothingIsLeftAsync(world, id);
    }

    [Fact]
    public async Task A_port_that_cannot_be_made_puts_the_instance_in_error_with_the_reason()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateAsync()).Instance.Id;
        world.Interference.FailNext("port.create", Faults.QuotaExceeded("port", 10, 11));

        var details = await world.SettleAsync(id);

        Assert.Equal(InstanceStatus.Error, details.View.Status);
        Assert.Contains("Quota exceeded for port", details.View.Fault!.Message, StringComparison.Ordinal);
        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        await world.SettleAsync(id);
        await AssertNothingIsLeftAsync(world, id);
    }

    [Fact]
    public async Task A_disk_in_the_making_is_waited_for_until_the_deadline_and_used_when_it_comes_later()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        world.Volumes.Quick = false;
        var id = (await world.CreateAsync()).Instance.Id;

        Assert.NotNull((await world.PassAsync(id)).Again);
        Assert.Equal("block_device_mapping", (await world.ReadAsync(id)).View.TaskState);

        world.Time.Advance(TimeSpan.FromMinutes(11));
        await world.AddNodeAsync("node");
        var late = (await world.ReadAsync(id)).View;
        Assert.Equal(InstanceStatus.Error, late.Status);
        Assert.Contains("VolumesReady is missing", late.Fault!.Message, StringComparison.Ordinal);

        world.Volumes.Finish(Assert.Single(world.Volumes.Volumes.Keys));
        Assert.Equal(InstanceStatus.Active, (await world.SettleAsync(id)).View.Status);
    }

    [Fact]
    public async Task A_volume_that_failed_is_a_permanent_error()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        world.Volumes.Quick = false;
        var id = (await world.CreateAsync()).Instance.Id;
        await world.PassAsync(id);
        world.Volumes.Finish(Assert.Single(world.Volumes.Volumes.Keys), VolumeState.Error);

        Assert.Equal(InstanceStatus.Error, (await world.SettleAsync(id)).View.Status);
    }

    [Fact]
    public async Task The_port_and_the_volume_of_a_user_are_freed_and_kept_when_the_instance_is_deleted()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var port = world.Network.AddPort(world.NetworkId, ComputeWorld.Project);
        var kept = world.Volumes.AddVolume(ComputeWorld.Project);
        var doomed = world.Volumes.AddVolume(ComputeWorld.Project);
        var id = (await world.CreateRunningAsync(world.Wish() with { Nics = [new NicWish(port.Id, null, null, null)] })).Instance.Id;
        await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, kept, null, null, deleteOnTermination: false, None);
        await world.SettleAsync(id);
        await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, doomed, null, null, deleteOnTermination: true, None);
        await world.SettleAsync(id);
        Assert.Equal("node", world.Network.Ports[port.Id].HostName);
        Assert.True(world.Network.Ports[port.Id].Epoch > port.Epoch);
        Assert.Equal(3, world.Volumes.Attachments.Count);

        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        await world.SettleAsync(id);

        Assert.Equal(("", ""), (world.Network.Ports[port.Id].DeviceId, world.Network.Ports[port.Id].HostName));
        Assert.Equal([kept], world.Volumes.Volumes.Keys);
        Assert.Equal(VolumeState.Available, world.Volumes.Volumes[kept].State);
        Assert.Empty(world.Volumes.Attachments);
    }

    [Fact]
    public async Task A_volume_is_given_back_only_when_the_node_has_closed_it()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var volume = world.Volumes.AddVolume(ComputeWorld.Project);
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, volume, null, null, deleteOnTermination: false, None);
        await world.SettleAsync(id);

        await world.Instances.DetachVolumeAsync(ComputeWorld.User, id, volume, None);
        await world.PassAsync(id);
        Assert.Equal(VolumeState.InUse, world.Volumes.Volumes[volume].State);

        await world.SettleAsync(id);
        Assert.Equal(VolumeState.Available, world.Volumes.Volumes[volume].State);
        Assert.Single((await world.ReadAsync(id)).Parts!.Disks);
    }

    /// <summary>A process that is killed between plugging in and writing it down would else leave what nobody lets go of.</summary>
    [Fact]
    public async Task What_is_being_plugged_in_is_unplugged_only_when_it_is_written_down()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var volume = world.Volumes.AddVolume(ComputeWorld.Project);
        var port = world.Network.AddPort(world.NetworkId, ComputeWorld.Project);
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, volume, null, null, deleteOnTermination: false, None);
        await world.Instances.AttachPortAsync(ComputeWorld.User, id, new NicWish(port.Id, null, null, null), None);
        await world.SyncAsync();

        Task[] detached =
        [
            world.Instances.DetachVolumeAsync(ComputeWorld.User, id, volume, None), world.Instances.DetachPortAsync(ComputeWorld.User, id, port.Id, None),
        ];
        Assert.DoesNotContain(detached, task => task.IsCompleted);
        await world.PassAsync(id);
        await Task.WhenAll(detached);

        await world.SettleAsync(id);
        Assert.Equal(VolumeState.Available, world.Volumes.Volumes[volume].State);
        Assert.Equal("", world.Network.Ports[port.Id].DeviceId);
    }

    [Fact]
    public async Task A_guest_that_does_not_let_go_of_a_volume_loses_it_after_the_deadline()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var volume = world.Volumes.AddVolume(ComputeWorld.Project);
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, volume, null, null, deleteOnTermination: false, None);
        await world.SettleAsync(id);
        await world.Instances.DetachVolumeAsync(ComputeWorld.User, id, volume, None);
        Assert.True((await world.PassAsync(id)).Again > TimeSpan.FromSeconds(50));

        world.Time.Advance(TimeSpan.FromSeconds(61));
        await world.PassAsync(id);

        Assert.Equal(VolumeState.Available, world.Volumes.Volumes[volume].State);
    }

    [Fact]
    public async Task A_running_instance_does_without_a_volume_it_cannot_have()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var volume = world.Volumes.AddVolume(ComputeWorld.Project);
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, volume, null, null, deleteOnTermination: false, None);
        world.Interference.FailNext("attachment.create", Faults.Conflict("somebody else has it"));

        var details = await world.SettleAsync(id);

        Assert.Equal((InstanceStatus.Active, null), StatusOf(details));
        Assert.Single(details.Instance.Disks);
        Assert.Single(world.Volumes.Attachments);
    }

    [Fact]
    public async Task Deleting_with_a_silent_host_is_done_for_the_user_and_the_host_is_told_when_it_comes_back()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.LoseNodeAsync("node");
        Assert.Equal(InstanceStatus.Unknown, (await world.ReadAsync(id)).View.Status);

        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        await world.PassAsync(id);

        Assert.Equal(InstanceStatus.Deleted, (await world.ReadAsync(id)).View.Status);
        Assert.Equal(0, (await world.UsageOfAsync("node")).Instances);
        Assert.Empty(world.Network.Ports);
        Assert.True(Assert.Single((await world.ReadAsync(id)).Parts!.Orders).Removes);

        await world.AddNodeAsync("node");
        await world.SettleAsync(id);
        await AssertNothingIsLeftAsync(world, id);
    }

    [Fact]
    public async Task Deleting_wins_while_the_instance_is_still_made()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        world.Volumes.Quick = false;
        var id = (await world.CreateAsync()).Instance.Id;
        await world.PassAsync(id);

        await world.Instances.DeleteAsync(ComputeWorld.User, id, None);
        await world.PassAsync(id);

        await AssertNothingIsLeftAsync(world, id);
    }

    [Fact]
    public async Task A_guest_that_switches_itself_off_stays_off_until_it_is_started()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var running = await world.CreateRunningAsync();
        var id = running.Instance.Id;
        var report = ComputeWorld.Obeyed(Assert.Single(running.Parts!.Orders));
        report.PowerState = Wire.PowerState.Shutdown;
        report.StoppedByGuest = true;
        await world.ReportAsync("node", report);

        var off = await world.SettleAsync(id);
        Assert.Equal((InstanceStatus.Shutoff, null), StatusOf(off));
        Assert.Equal(DesiredState.Stopped, off.Instance.Desired);

        await world.Instances.StartAsync(ComputeWorld.User, id, None);
        Assert.Equal((InstanceStatus.Active, null), StatusOf(await world.SettleAsync(id)));
    }

    [Fact]
    public async Task A_report_that_saw_nothing_changes_no_power_state()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var running = await world.CreateRunningAsync();
        var report = ComputeWorld.Obeyed(Assert.Single(running.Parts!.Orders));
        report.PowerState = Wire.PowerState.Unspecified;

        await world.ReportAsync("node", report);

        Assert.Equal(InstanceStatus.Active, (await world.ReadAsync(running.Instance.Id)).View.Status);
    }

    [Fact]
    public async Task A_rebuild_keeps_the_old_disk_until_the_new_one_is_there()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;
        var old = Assert.Single(world.Volumes.Volumes.Keys);
        world.Volumes.Quick = false;
        var image = world.Images.Add("other");
        await world.Instances.RebuildAsync(ComputeWorld.User, id, new RebuildWish(
            image, null, default, null, null, default, default, null, null, null), None);

        var waiting = await world.SettleAsync(id);
        Assert.Equal((InstanceStatus.Rebuild, "rebuild_spawning"), StatusOf(waiting));
        Assert.Equal(old, Assert.Single(Assert.Single(waiting.Parts!.Orders).ToWire().Volumes).VolumeId);

        world.Volumes.Finish(world.Volumes.Volumes.Keys.Single(volume => volume != old));
        var done = await world.SettleAsync(id);
        Assert.Equal((InstanceStatus.Active, null, 0), (done.View.Status, done.View.TaskState, done.Instance.RootPowerGeneration));
        Assert.Equal(image, done.Instance.ImageId);
        Assert.NotEqual(old, Assert.Single(world.Volumes.Volumes.Keys));
        Assert.Single(world.Network.Ports);
    }

    [Fact]
    public async Task A_resize_holds_both_sizes_until_it_is_confirmed()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;

        await world.Instances.ResizeAsync(ComputeWorld.User, id, "84", autoDiskConfig: null, None);
        Assert.Equal((InstanceStatus.Resize, "resize_finish"), StatusOf(await world.ReadAsync(id)));
        var resized = await world.SettleAsync(id);
        Assert.Equal((InstanceStatus.VerifyResize, null), StatusOf(resized));
        Assert.Equal(256, Assert.Single(resized.Parts!.Orders).ToWire().MemoryMib);
        Assert.Equal((2, 128 + 256L), ((await world.UsageOfAsync("node")).Instances, (await world.UsageOfAsync("node")).MemoryMib));

        await world.Instances.ConfirmResizeAsync(ComputeWorld.User, id, None);
        Assert.Equal((InstanceStatus.Active, null), StatusOf(await world.SettleAsync(id)));
        Assert.Equal((1, 256L), ((await world.UsageOfAsync("node")).Instances, (await world.UsageOfAsync("node")).MemoryMib));
    }

    [Fact]
    public async Task A_resize_to_another_node_ends_the_guest_there_first_and_can_be_taken_back()
    {
        await using var world = await ComputeWorld.StartAsync(new() { CpuAllocationRatio = 1, MemoryAllocationRatio = 1, ReservedMemoryMib = 0 });
        await world.AddNodeAsync("small", vcpus: 1, memoryMib: 200);
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.AddNodeAsync("large", vcpus: 4, memoryMib: 4096);

        await world.Instances.ResizeAsync(ComputeWorld.User, id, "84", autoDiskConfig: null, None);
        await world.PassAsync(id);
        var leaving = Assert.Single((await world.ReadAsync(id)).Parts!.Orders);
        Assert.Equal(("small", Wire.DesiredState.Stopped), (leaving.NodeId, leaving.ToWire().DesiredState));
        var moved = await world.SettleAsync(id);
        Assert.Equal((InstanceStatus.VerifyResize, null), StatusOf(moved));
        Assert.Equal(("large", 2L), (Assert.Single(moved.Parts!.Orders).NodeId, moved.Instance.Epoch));
        Assert.Equal("large", Assert.Single(world.Network.Ports.Values).HostName);
        Assert.Equal("large", Assert.Single(world.Volumes.Attachments.Values).Node);

        await world.Instances.RevertResizeAsync(ComputeWorld.User, id, None);
        var back = await world.SettleAsync(id);
        Assert.Equal((InstanceStatus.Active, null), StatusOf(back));
        Assert.Equal(("small", 3L, "42"), (back.Instance.Claim!.NodeId, back.Instance.Epoch, back.Instance.Flavor.Id));
        Assert.Equal(0, (await world.UsageOfAsync("large")).Instances);
        Assert.Equal(1, (await world.UsageOfAsync("small")).Instances);
    }

    [Fact]
    public async Task An_instance_comes_back_also_when_the_end_of_its_attachments_was_never_written_down()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;
        await world.Instances.ShelveAsync(ComputeWorld.User, id, None);
        InstanceParts before;
        do
        {
            await world.ObeyAsync(id);
            before = (await world.ReadAsync(id)).Parts!;
            await world.PassAsync(id);
        }
        while (!world.Volumes.Attachments.IsEmpty);
        await world.Store.TransactAsync(transaction =>
        {
            transaction.Put(InstanceParts.Table, before);
            return Task.CompletedTask;
        }, None);
        Assert.Contains((await world.ReadAsync(id)).Parts!.Disks, disk => disk.AttachmentId is not null);

        await world.Instances.UnshelveAsync(ComputeWorld.User, id, (false, null), null, None);

        Assert.Equal((InstanceStatus.Active, null), StatusOf(await world.SettleAsync(id)));
        Assert.Equal(world.Volumes.Attachments.Keys, (await world.ReadAsync(id)).Parts!.Disks.Select(disk => disk.AttachmentId!));
    }

    [Fact]
    public async Task A_shelved_instance_holds_no_place_and_comes_back_with_its_disks_and_addresses()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;
        var volume = Assert.Single(world.Volumes.Volumes.Keys);
        var port = Assert.Single(world.Network.Ports.Keys);

        await world.Instances.ShelveAsync(ComputeWorld.User, id, None);
        Assert.Equal((InstanceStatus.ShelvedOffloaded, null), StatusOf(await world.SettleAsync(id)));
        Assert.Equal(0, (await world.UsageOfAsync("node")).Instances);
        Assert.Empty(world.Volumes.Attachments);
        var (image, made) = Assert.Single(world.Volumes.Uploaded);
        Assert.Equal((volume, "vm-shelved", id), (made.VolumeId, made.Name, made.Properties["instance_uuid"]));
        Assert.Empty(world.Images.Dropped);

        await world.Instances.UnshelveAsync(ComputeWorld.User, id, (false, null), null, None);
        Assert.Equal((InstanceStatus.Active, null), StatusOf(await world.SettleAsync(id)));
        Assert.Equal(volume, Assert.Single(world.Volumes.Volumes.Keys));
        Assert.Equal(port, Assert.Single(world.Network.Ports.Keys));
        Assert.Equal(image, Assert.Single(world.Images.Dropped));
    }

    [Fact]
    public async Task A_shelved_instance_keeps_its_volumes_from_others_and_takes_and_leaves_more()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateRunningAsync()).Instance.Id;
        var (before, later, gone) = (world.Volumes.AddVolume(ComputeWorld.Project), world.Volumes.AddVolume(ComputeWorld.Project), world.Volumes.AddVolume(ComputeWorld.Project));
        await AttachAsync(before);
        await world.Instances.ShelveAsync(ComputeWorld.User, id, None);
        Assert.Equal((InstanceStatus.ShelvedOffloaded, null), StatusOf(await world.SettleAsync(id)));

        await AttachAsync(later);
        await AttachAsync(gone);
        await world.Instances.DetachVolumeAsync(ComputeWorld.User, id, gone, None);
        await world.SettleAsync(id);

        Assert.Equal(Sorted(before, later), world.Volumes.Attachments.Values.Select(attachment => attachment.VolumeId).Order());
        Assert.All(world.Volumes.Attachments.Values, attachment => Assert.Equal((id, ""), (attachment.InstanceId, attachment.Node)));
        Assert.Equal(VolumeState.Available, world.Volumes.Volumes[gone].State);

        await world.Instances.UnshelveAsync(ComputeWorld.User, id, (false, null), null, None);
        Assert.Equal((InstanceStatus.Active, null), StatusOf(await world.SettleAsync(id)));
        Assert.Equal(3, world.Volumes.Attachments.Count);
        Assert.All(world.Volumes.Attachments.Values, attachment => Assert.Equal("node", attachment.Node));

        async Task AttachAsync(string volumeId)
        {
            await world.Instances.AttachVolumeAsync(ComputeWorld.User, id, volumeId, null, null, deleteOnTermination: false, None);
            await world.SettleAsync(id);
        }

        static IEnumerable<string> Sorted(params string[] ids) => ids.Order();
    }

    [Fact]
    public async Task The_log_of_actions_ends_an_action_when_its_end_is_seen()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();
        var id = (await world.CreateAsync()).Instance.Id;
        var reader = world.Get<Nephos.Compute.Actions.ActionReader>();
        Assert.Null(Assert.Single(Assert.Single(await reader.ListAsync(ComputeWorld.User, id, None)).Events).FinishedAt);

        await world.SettleAsync(id);
        world.Time.Advance(TimeSpan.FromSeconds(1));
        await world.AddNodeAsync("node");
        await world.Instances.StopAsync(ComputeWorld.User, id, None);
        await world.SettleAsync(id);

        var actions = await reader.ListAsync(ComputeWorld.User, id, None);
        Assert.Equal(["stop", "create"], actions.Select(action => action.Action));
        Assert.All(actions, action => Assert.Equal("Success", Assert.Single(action.Events).Result));
        await Assert.ThrowsAsync<FaultException>(() => reader.ListAsync(ComputeWorld.Stranger, id, None));
    }

    private static (InstanceStatus Status, string? Task) StatusOf(InstanceDetails details) => (details.View.Status, details.View.TaskState);

    private static async Task AssertNothingIsLeftAsync(ComputeWorld world, string id)
    {
        Assert.Empty(world.Network.Ports);
        Assert.Empty(world.Volumes.Volumes);
        Assert.Empty(world.Volumes.Attachments);
        Assert.NotNull((await world.Store.GetAsync(Instance.Table, id, None))!.DeletedAt);
        Assert.Null(await world.Store.GetAsync(InstanceParts.Table, id, None));
        Assert.Empty(await world.Store.ListAsync(Observation.Table, id, None));
        Assert.Equal(new NodeUsage("node", 0, 0, 0, 0), await world.UsageOfAsync("node"));
        await Assert.ThrowsAsync<FaultException>(() => world.Instances.GetAsync(ComputeWorld.User, id, None));
    }
}

using Nephos.Hypervisor.Instances;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Services.Tests.Hypervisor;

public sealed class InstanceAgentTests : IAsyncLifetime
{
    private readonly SimulatedNode _node = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Fact]
    public async Task A_running_instance_has_its_devices_and_says_so()
    {
        var spec = Specs.Running(ports: 2, volumes: 2);
        _node.Agent.Apply(spec);
        var status = await _node.SettledAsync(spec);
        Assert.Equal(PowerState.Running, status.Power);
        Assert.All(status.Conditions, condition => Assert.True(condition.Value, condition.Type));
        Assert.Equal(["VolumesReady", "PortsWired", "QemuUp", "DevicesAttached", "PowerStateReached"], status.Conditions.Select(one => one.Type));
        Assert.Equal(2, status.Volumes.Count(volume => volume.Attached));
        Assert.Equal(2, status.Ports.Count(port => port.Attached));
    }

    [Fact]
    public async Task Every_desired_state_is_reached_from_every_other()
    {
        var states = new[] { DesiredState.Running, DesiredState.Stopped, DesiredState.Paused, DesiredState.Suspended };
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        foreach (var from in states)
        {
            foreach (var to in states)
            {
                foreach (var desired in new[] { from, to })
                {
                    spec = spec.Next(desired);
                    _node.Agent.Apply(spec);
                    var status = await _node.SettledAsync(spec);
                    PowerState[] expected = desired switch
                    {
                        DesiredState.Running => [PowerState.Running],
                        DesiredState.Paused => [PowerState.Paused],
                        DesiredState.Stopped => [PowerState.Shutdown],
                        // There is nothing to save of an instance that did not run.
                        _ => [PowerState.Suspended, PowerState.Shutdown],
                    };
                    Assert.Contains(status.Power, expected);
                }
            }
        }
    }

    [Fact]
    public async Task A_suspended_instance_goes_on_from_its_memory()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next(DesiredState.Suspended);
        _node.Agent.Apply(spec);
        Assert.Equal(PowerState.Suspended, (await _node.SettledAsync(spec)).Power);
        Assert.Empty(_node.Volumes.OpenFor(spec.Id));
        spec = spec.Next(DesiredState.Running);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        Assert.Contains((spec.Id, "restore"), _node.World.History);
        Assert.False(_node.World.Machines[spec.Id].Saved);
    }

    [Fact]
    public async Task Deleting_leaves_nothing()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next(DesiredState.Deleted);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        Assert.Empty(_node.World.Machines);
        Assert.Empty(_node.Volumes.OpenFor(spec.Id));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_node.Folder, "instances")));
        await _node.Agent.ForgetAsync(spec.Id, revision: 2);
        Assert.Empty(_node.Agent.Statuses);
    }

    [Fact]
    public async Task Deleting_an_instance_that_was_never_here_is_gone_at_once()
    {
        var spec = Specs.Running() with { Desired = DesiredState.Deleted };
        _node.Agent.Apply(spec);
        Assert.Equal(Phase.Gone, (await _node.SettledAsync(spec)).Phase);
        Assert.Empty(_node.World.History);
    }

    [Fact]
    public async Task A_reboot_happens_once()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next() with { RebootNonce = 1, RebootType = RebootType.Hard };
        _node.Agent.Apply(spec);
        var status = await _node.SettledAsync(spec);
        await _node.RestartAsync();
        await _node.SettledAsync(spec);
        Assert.Equal(1, status.Mark.RebootNonce);
        Assert.Equal(2, _node.World.History.Count(entry => entry.What == "launch"));
    }

    [Fact]
    public async Task A_soft_reboot_asks_the_guest_and_ends_it_when_it_does_not_listen()
    {
        var spec = Specs.Running();
        _node.World.Stubborn[spec.Id] = true;
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next() with { RebootNonce = 1, RebootType = RebootType.Soft };
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var steps = _node.World.History.Select(entry => entry.What).ToList();
        Assert.True(steps.IndexOf("power button") < steps.IndexOf("kill"));
        Assert.Equal(2, steps.Count(step => step == "launch"));
    }

    [Fact]
    public async Task A_guest_that_switched_itself_off_stays_off_until_asked_again()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        _node.Hypervisor.SwitchOffFromInside(spec.Id);
        var status = await _node.UntilAsync(spec.Id, status => status.StoppedByGuest);
        Assert.Equal(PowerState.Shutdown, status.Power);
        // A change of something else does not start it.
        spec = spec.Next();
        _node.Agent.Apply(spec);
        Assert.True((await _node.SettledAsync(spec)).StoppedByGuest);
        spec = spec.Next(DesiredState.Running);
        _node.Agent.Apply(spec);
        Assert.Equal(PowerState.Running, (await _node.SettledAsync(spec)).Power);
    }

    [Fact]
    public async Task An_instance_whose_process_is_lost_is_started_again()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        _node.Hypervisor.Lose(spec.Id);
        await _node.UntilAsync(spec.Id, status => _node.World.History.Count(entry => entry.What == "launch") == 2 && status.Power == PowerState.Running);
    }

    [Fact]
    public async Task A_machine_that_cannot_be_seen_is_left_alone_and_reported()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var before = _node.World.History.Count;
        _node.World.Unseen[spec.Id] = true;
        spec = spec.Next(DesiredState.Stopped);
        _node.Agent.Apply(spec);
        await _node.UntilAsync(spec.Id, status => status.Power == PowerState.NotSeen && status.Error.Length > 0);
        Assert.Equal(before, _node.World.History.Count);
    }

    [Fact]
    public async Task Deleting_wins_over_a_machine_that_cannot_be_seen()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        _node.World.Unseen[spec.Id] = true;
        spec = spec.Next(DesiredState.Deleted);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        Assert.Empty(_node.World.Machines);
    }

    [Fact]
    public async Task A_volume_is_attached_and_detached_while_the_guest_runs()
    {
        var spec = Specs.Running(volumes: 1);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next() with { Volumes = [.. spec.Volumes, Specs.Volume(1, 5)] };
        _node.Agent.Apply(spec);
        Assert.Equal(2, (await _node.SettledAsync(spec)).Volumes.Count);
        spec = spec.Next() with { Volumes = [.. spec.Volumes.Take(1)] };
        _node.Agent.Apply(spec);
        var status = await _node.SettledAsync(spec);
        Assert.Equal(spec.Volumes[0].AttachmentId, Assert.Single(status.Volumes).Id);
        Assert.Equal(spec.Volumes[0].AttachmentId, Assert.Single(_node.Volumes.OpenFor(spec.Id)));
        Assert.Single(_node.World.History, entry => entry.What == "launch");
    }

    [Fact]
    public async Task A_guest_that_keeps_its_volume_is_reported_until_it_lets_go()
    {
        var spec = Specs.Running(volumes: 2);
        _node.World.Stubborn[spec.Id] = true;
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next() with { Volumes = [spec.Volumes[0]] };
        _node.Agent.Apply(spec);
        var status = await _node.UntilAsync(spec.Id, status => status.Volumes.Any(volume => volume.Message.Length > 0));
        Assert.Equal(Phase.Converging, status.Phase);
        _node.World.Stubborn.Clear();
        Assert.Single((await _node.SettledAsync(spec)).Volumes);
    }

    [Fact]
    public async Task An_older_epoch_or_generation_changes_nothing()
    {
        var spec = Specs.Running() with { Epoch = 5, Generation = 7 };
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        _node.Agent.Apply(spec with { Epoch = 4, Generation = 9, Desired = DesiredState.Deleted });
        _node.Agent.Apply(spec with { Generation = 6, Desired = DesiredState.Stopped });
        Assert.Equal(spec, Assert.Single(_node.Agent.Specs));
    }

    [Fact]
    public async Task A_newer_epoch_replaces_the_process()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next() with { Epoch = 2 };
        _node.Agent.Apply(spec);
        Assert.Equal(2, (await _node.SettledAsync(spec)).Mark.Epoch);
    }

    [Fact]
    public async Task Instances_run_again_after_a_restart_without_any_control_plane()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        await _node.RestartAsync();
        Assert.Equal(PowerState.Running, (await _node.SettledAsync(spec)).Power);
        Assert.Single(_node.World.History, entry => entry.What == "launch");
        // And after the whole machine was switched off.
        _node.World.Machines[spec.Id].Up = false;
        await _node.RestartAsync();
        Assert.Equal(PowerState.Running, (await _node.SettledAsync(spec)).Power);
    }

    [Fact]
    public async Task What_a_complete_snapshot_does_not_name_is_removed_and_nothing_before()
    {
        var wanted = Specs.Running(1);
        var stranger = Specs.Running(2);
        _node.Snapshot(wanted, stranger);
        await _node.SettledAsync(wanted);
        await _node.SettledAsync(stranger);
        await _node.RestartAsync();
        await _node.Agent.SweepAsync(default);
        await _node.SettledAsync(stranger);
        Assert.Equal(2, _node.World.Machines.Count);
        _node.Snapshot(wanted);
        await _node.Agent.SweepAsync(default);
        await _node.UntilAsync(stranger.Id, status => status.Phase == Phase.Gone);
        await _node.Agent.SweepAsync(default);
        Assert.Equal(wanted.Id, Assert.Single(_node.World.Machines).Key);
        Assert.Equal(wanted.Id, Assert.Single(_node.Agent.Specs).Id);
    }

    [Fact]
    public async Task A_wrong_snapshot_erases_only_a_few_machines_at_a_time()
    {
        var specs = Enumerable.Range(1, 50).Select(number => Specs.Running(number)).ToArray();
        _node.Snapshot(specs);
        foreach (var spec in specs)
        {
            await _node.SettledAsync(spec);
        }
        _node.Snapshot();
        await _node.Agent.SweepAsync(default);
        Assert.Equal(20, _node.Agent.Specs.Count(spec => spec.Desired == DesiredState.Deleted));
    }

    [Fact]
    public async Task A_machine_without_a_spec_is_removed_only_after_a_snapshot_has_not_named_it()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        await _node.Agent.DisposeAsync();
        Directory.Delete(Path.Combine(_node.Folder, "instances"), recursive: true);
        await _node.RestartAsync();
        Assert.Empty(_node.Agent.Specs);
        Assert.Single(_node.World.Machines);
        _node.Snapshot();
        await _node.Agent.SweepAsync(default);
        await _node.UntilAsync(spec.Id, status => status.Phase == Phase.Gone);
        Assert.Empty(_node.World.Machines);
    }

    [Fact]
    public async Task Hundreds_of_instances_settle_although_calls_fail()
    {
        _node.World.FailureRate = 0.2;
        var specs = Enumerable.Range(1, 300).Select(number => Specs.Running(number)).ToArray();
        _node.Snapshot(specs);
        foreach (var spec in specs)
        {
            await _node.SettledAsync(spec);
        }
        Assert.All(_node.World.Machines.Values, machine => Assert.Equal(RunState.Running, machine.State));
        Assert.Equal(300, _node.World.History.Count(entry => entry.What == "launch"));
    }
}

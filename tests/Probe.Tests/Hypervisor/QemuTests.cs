using System.Diagnostics;
using System.Text.Json.Nodes;
using Nephos.Hypervisor.Instances;
using Nephos.Hypervisor.Qemu;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Probe.Tests.Hypervisor;

/// <summary>The driver and the agent over real QEMU processes whose disks hold nothing: the firmware runs and finds nothing to boot.</summary>
public sealed class QemuTests : IAsyncLifetime
{
    private readonly QemuNode _node = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [QemuFact]
    public async Task An_instance_runs_and_leaves_nothing_when_deleted()
    {
        var spec = Specs.Running(ports: 1, volumes: 1);
        _node.Agent.Apply(spec);
        var status = await _node.SettledAsync(spec);
        Assert.Equal(PowerState.Running, status.Power);
        Assert.True(Assert.Single(status.Volumes).Attached);
        Assert.Equal(QemuDevices.SshForward(spec.Ports[0].Id).ToString(), Assert.Single(status.Ports).Forward);
        Assert.NotNull(_node.PidOf(spec));

        spec = spec.Next(DesiredState.Deleted);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        Assert.Null(_node.PidOf(spec));
        Assert.Empty(NodeObjects.List(_node.Options.StateDirectory));
    }

    [QemuFact]
    public async Task The_process_survives_the_agent_and_is_found_again()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var pid = _node.PidOf(spec);
        await _node.RestartAsync();
        await _node.SettledAsync(spec);
        Assert.Equal(pid, _node.PidOf(spec));
    }

    [QemuFact]
    public async Task A_killed_process_is_started_again()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var pid = _node.PidOf(spec)!.Value;
        Process.GetProcessById(pid).Kill();
        await _node.UntilAsync(spec.Id, status => status.Phase == Phase.Settled && _node.PidOf(spec) is { } now && now != pid);
    }

    [QemuFact]
    public async Task A_process_that_lost_its_folder_is_replaced_not_doubled()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var pid = _node.PidOf(spec);
        Directory.Delete(_node.Runtime.Machine(spec.Id), recursive: true);
        await _node.RestartAsync();
        await _node.SettledAsync(spec);
        Assert.NotEqual(pid, _node.PidOf(spec));
    }

    [QemuFact]
    public async Task Reboot_pause_stop_and_start_reach_their_states()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var first = _node.PidOf(spec);
        spec = spec.Next() with { RebootNonce = 1, RebootType = RebootType.Hard };
        _node.Agent.Apply(spec);
        Assert.Equal(1, (await _node.SettledAsync(spec)).Mark.RebootNonce);
        Assert.NotEqual(first, _node.PidOf(spec));
        foreach (var (desired, power) in new[]
            {
                (DesiredState.Paused, PowerState.Paused), (DesiredState.Running, PowerState.Running),
                (DesiredState.Stopped, PowerState.Shutdown), (DesiredState.Running, PowerState.Running),
            })
        {
            spec = spec.Next(desired);
            _node.Agent.Apply(spec);
            Assert.Equal(power, (await _node.SettledAsync(spec)).Power);
        }
    }

    [QemuFact]
    public async Task Memory_is_saved_and_restored_with_the_devices_in_place()
    {
        var spec = Specs.Running(ports: 1, volumes: 1);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        // Something that was plugged while it ran must be in its slot again.
        spec = spec.Next() with { Volumes = [.. spec.Volumes, Specs.Volume(1, 5)] };
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        spec = spec.Next(DesiredState.Suspended);
        _node.Agent.Apply(spec);
        Assert.Equal(PowerState.Suspended, (await _node.SettledAsync(spec)).Power);
        Assert.Null(_node.PidOf(spec));
        Assert.True(File.Exists(Path.Combine(_node.Store.Folder(spec.Id), "memory.saved")));
        spec = spec.Next(DesiredState.Running);
        _node.Agent.Apply(spec);
        var status = await _node.SettledAsync(spec);
        Assert.Equal(PowerState.Running, status.Power);
        Assert.Equal(2, status.Volumes.Count(volume => volume.Attached));
        Assert.False(File.Exists(Path.Combine(_node.Store.Folder(spec.Id), "memory.saved")));
    }

    [QemuFact]
    public async Task A_volume_is_plugged_with_its_serial_and_an_unreleased_one_is_reported()
    {
        var spec = Specs.Running(volumes: 1);
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        var added = Specs.Volume(1, 5);
        spec = spec.Next() with { Volumes = [.. spec.Volumes, added] };
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        await using (var qmp = await QmpClient.ConnectAsync(
            Path.Combine(_node.Runtime.Machine(spec.Id), "qmp2"), TimeProvider.System, _ => { }, default))
        {
            var path = new JsonObject { ["path"] = $"/machine/peripheral/{QemuDevices.VolumeDevice(added.AttachmentId)}", ["property"] = "serial" };
            Assert.Equal(added.VolumeId.ToString()[..20], (await qmp.RunAsync("qom-get", path, default)).GetString());
        }
        // No system runs in this guest: nobody lets go of the device.
        spec = spec.Next() with { Volumes = [spec.Volumes[0]] };
        _node.Agent.Apply(spec);
        var status = await _node.UntilAsync(spec.Id, status => status.Volumes.Any(volume => volume.Message.Length > 0));
        Assert.Equal(Phase.Converging, status.Phase);
        // Stopping it frees everything.
        spec = spec.Next(DesiredState.Stopped);
        _node.Agent.Apply(spec);
        Assert.Empty((await _node.SettledAsync(spec)).Volumes);
    }

    [QemuFact]
    public async Task Saved_memory_is_not_used_after_a_stop()
    {
        var spec = Specs.Running(ports: 0);
        foreach (var desired in new[] { DesiredState.Running, DesiredState.Suspended, DesiredState.Stopped })
        {
            spec = spec.Next(desired);
            _node.Agent.Apply(spec);
            await _node.SettledAsync(spec);
        }
        Assert.False(File.Exists(Path.Combine(_node.Store.Folder(spec.Id), "memory.saved")));
    }

    [QemuFact]
    public async Task Whatever_step_the_agent_is_killed_at_the_machine_is_reached_and_removed()
    {
        for (var crashAt = 1; ; crashAt++)
        {
            var count = 0;
            var crashed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            void Crash(Guid instance, StepKind step)
            {
                if (Interlocked.Increment(ref count) == crashAt)
                {
                    crashed.TrySetResult();
                    throw new SimulatedCrashException();
                }
            }
            var spec = Specs.Running(number: crashAt, ports: 1, volumes: 1);
            await _node.RestartAsync(Crash);
            foreach (var wish in new[] { spec, spec.Next(DesiredState.Deleted) })
            {
                _node.Agent.Apply(wish);
                if (await Task.WhenAny(_node.SettledAsync(wish), crashed.Task) == crashed.Task && !crashed.Task.IsFaulted)
                {
                    await _node.RestartAsync();
                    _node.Agent.Apply(wish);
                }
                await _node.SettledAsync(wish);
            }
            Assert.Empty(NodeObjects.List(_node.Options.StateDirectory));
            await _node.Agent.ForgetAsync(spec.Id, revision: 1);
            if (count < crashAt)
            {
                Assert.InRange(crashAt, 6, 40);
                return;
            }
        }
    }

    [QemuFact]
    public async Task The_instances_of_a_node_can_be_stopped_and_listed_without_an_agent()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        await _node.Agent.DisposeAsync();
        await _node.Hypervisor.DisposeAsync();
        var objects = NodeObjects.List(_node.Options.StateDirectory);
        Assert.Contains(objects, found => found.Kind == "process" && found.OwnerId == spec.Id);
        Assert.Contains(objects, found => found.Kind == "volume-socket" && found.OwnerId == spec.Volumes[0].AttachmentId);
        Assert.Empty(NodeObjects.ListOrphans(_node.Options.StateDirectory));
        var specFile = Path.Combine(_node.Store.Folder(spec.Id), "spec.json");
        File.Move(specFile, specFile + ".away");
        Assert.Equal(objects.Count, NodeObjects.ListOrphans(_node.Options.StateDirectory).Count);
        File.Move(specFile + ".away", specFile);
        await NodeObjects.KillAllAsync(_node.Options.StateDirectory, TimeProvider.System, default);
        Assert.Null(_node.PidOf(spec));
        // What was desired is still there.
        await _node.RestartAsync();
        Assert.Equal(PowerState.Running, (await _node.SettledAsync(spec)).Power);
    }

    [QemuFact]
    public async Task A_node_that_is_taken_down_ends_its_machines_and_the_next_agent_brings_them_back()
    {
        var spec = Specs.Running();
        _node.Agent.Apply(spec);
        await _node.SettledAsync(spec);
        await _node.Agent.HaltAsync(default);
        Assert.Null(_node.PidOf(spec));
        Assert.Empty(_node.Volumes.OpenFor(spec.Id));
        await _node.RestartAsync();
        Assert.Equal(PowerState.Running, (await _node.SettledAsync(spec)).Power);
    }

    [QemuFact]
    public async Task A_machine_that_cannot_be_started_says_why()
    {
        var spec = Specs.Running() with { MemoryMib = 8L << 20 };
        _node.Agent.Apply(spec);
        var status = await _node.UntilAsync(spec.Id, status => status.Error.Length > 0);
        Assert.Contains("memory", status.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Phase.Converging, status.Phase);
    }
}

using System.Text;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Simulation;

/// <summary>Instant machines in memory, with the same rules as the real driver: thousands of instances, no process.</summary>
internal sealed class SimulatedHypervisor(SimulatedWorld world) : IHypervisor
{
    /// <summary>As long as a console that clients page through.</summary>
    private static readonly string BootMessages =
        string.Concat(Enumerable.Range(1, 20).Select(line => $"[    0.{line:D6}] simulated guest boots\n")) + "simulated guest\nlogin: ";

    private Action<Guid> _changed = _ => { };

    public Action<Guid> Changed
    {
        set => _changed = value;
    }

    public Task<HypervisorProbe> ProbeAsync(CancellationToken cancellationToken) => Task.FromResult(
        new HypervisorProbe(AccelerationKind.Simulated, "the simulated hypervisor was asked for", "simulated", 1, "simulated"));

    public Task<IReadOnlyList<Guid>> ListAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<Guid>>([.. world.Machines.Keys]);

    public Task<MachineView> ViewAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        if (world.Unseen.ContainsKey(instanceId))
        {
            return Task.FromResult(MachineView.NotSeen("the simulated machine does not answer"));
        }
        if (!world.Machines.TryGetValue(instanceId, out var machine))
        {
            return Task.FromResult(MachineView.Absent(saved: false, files: false, 0));
        }
        lock (machine)
        {
            return Task.FromResult(!machine.Up
                ? MachineView.Absent(machine.Saved, files: true, machine.Console.Length)
                : new MachineView(
                    Sighting.Present, machine.Mark, machine.State, machine.Volumes.ToDictionary(id => id, _ => true),
                    machine.Ports.ToDictionary(id => id, _ => new PortView(Complete: true, Forward: "")), machine.LaunchedAt, machine.Saved, Files: true, machine.Console.Length, ""));
        }
    }

    public Task LaunchAsync(LaunchPlan plan, CancellationToken cancellationToken)
    {
        world.MaybeFail("launch");
        var machine = world.Machines.GetOrAdd(plan.Spec.Id, _ => new SimulatedMachine());
        lock (machine)
        {
            if (machine.Up)
            {
                throw new InvalidOperationException($"instance {plan.Spec.Id} already runs");
            }
            machine.Up = true;
            machine.State = plan.Restore ? RunState.Restoring : RunState.Held;
            machine.Mark = plan.Spec.Mark;
            machine.LaunchedAt = world.Time.GetUtcNow();
            machine.Volumes.Clear();
            machine.Volumes.UnionWith(plan.Volumes.Select(volume => volume.Volume.AttachmentId));
            machine.Ports.Clear();
            Note(plan.Spec.Id, "launch");
        }
        return Task.CompletedTask;
    }

    public Task AttachVolumeAsync(InstanceSpec spec, VolumeEndpoint volume, CancellationToken cancellationToken) =>
        On(spec.Id, "attach volume", machine => machine.Volumes.Add(volume.Volume.AttachmentId));

    public Task GrowVolumeAsync(Guid instanceId, Guid attachmentId, long sizeBytes, CancellationToken cancellationToken) =>
        On(instanceId, "grow volume", _ => { });

    public async Task<bool> DetachVolumeAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken)
    {
        if (world.Stubborn.ContainsKey(instanceId))
        {
            return false;
        }
        await On(instanceId, "detach volume", machine => machine.Volumes.Remove(attachmentId));
        return true;
    }

    public Task AttachPortAsync(InstanceSpec spec, PortEndpoint port, CancellationToken cancellationToken) =>
        On(spec.Id, "attach port", machine => machine.Ports.Add(port.Port.Id));

    public async Task<bool> DetachPortAsync(Guid instanceId, Guid portId, CancellationToken cancellationToken)
    {
        if (world.Stubborn.ContainsKey(instanceId))
        {
            return false;
        }
        await On(instanceId, "detach port", machine => machine.Ports.Remove(portId));
        return true;
    }

    public Task ContinueAsync(Guid instanceId, CancellationToken cancellationToken) => On(instanceId, "continue", machine =>
    {
        if (machine.State == RunState.Held)
        {
            machine.Console.Append(BootMessages);
        }
        machine.State = RunState.Running;
    });

    public Task PauseAsync(Guid instanceId, CancellationToken cancellationToken) =>
        On(instanceId, "pause", machine => machine.State = RunState.Paused);

    public async Task PressPowerButtonAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        await On(instanceId, "power button", machine =>
        {
            if (!world.Stubborn.ContainsKey(instanceId))
            {
                machine.State = RunState.Shutdown;
            }
        });
        _changed(instanceId);
    }

    public Task SaveAsync(Guid instanceId, CancellationToken cancellationToken) => On(instanceId, "save", machine =>
    {
        machine.Saved = true;
        machine.Up = false;
    });

    public Task KillAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        world.MaybeFail("kill");
        if (world.Machines.TryGetValue(instanceId, out var machine))
        {
            lock (machine)
            {
                machine.Up = false;
                machine.State = RunState.None;
                world.Unseen.TryRemove(instanceId, out _);
                Note(instanceId, "kill");
            }
        }
        return Task.CompletedTask;
    }

    public Task RestoreAsync(Guid instanceId, CancellationToken cancellationToken) =>
        On(instanceId, "restore", machine => machine.State = RunState.Paused);

    public Task DiscardSavedAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        if (world.Machines.TryGetValue(instanceId, out var machine))
        {
            lock (machine)
            {
                machine.Saved = false;
            }
        }
        return Task.CompletedTask;
    }

    public Task RemoveAsync(Guid instanceId, CancellationToken cancellationToken)
    {
        world.MaybeFail("remove");
        world.Machines.TryRemove(instanceId, out _);
        return Task.CompletedTask;
    }

    public Task<byte[]> ReadConsoleAsync(Guid instanceId, int lineCount, CancellationToken cancellationToken)
    {
        if (!world.Machines.TryGetValue(instanceId, out var machine))
        {
            return Task.FromResult<byte[]>([]);
        }
        lock (machine)
        {
            return Task.FromResult(ConsoleTail.Lines(Encoding.UTF8.GetBytes(machine.Console.ToString()), lineCount));
        }
    }

    /// <summary>What a guest does when its user types poweroff.</summary>
    public void SwitchOffFromInside(Guid instanceId)
    {
        lock (world.Machines[instanceId])
        {
            world.Machines[instanceId].State = RunState.Shutdown;
        }
        _changed(instanceId);
    }

    /// <summary>The process is gone, as after a host reboot.</summary>
    public void Lose(Guid instanceId)
    {
        lock (world.Machines[instanceId])
        {
            world.Machines[instanceId].Up = false;
        }
        _changed(instanceId);
    }

    private Task On(Guid instanceId, string what, Action<SimulatedMachine> change)
    {
        world.MaybeFail(what);
        if (!world.Machines.TryGetValue(instanceId, out var machine) || !machine.Up)
        {
            throw new InvalidOperationException($"instance {instanceId} does not run");
        }
        lock (machine)
        {
            change(machine);
            Note(instanceId, what);
        }
        return Task.CompletedTask;
    }

    private void Note(Guid instanceId, string what) => world.History.Enqueue((instanceId, what));
}

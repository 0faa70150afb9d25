namespace Nephos.Hypervisor.Instances;

internal enum StepKind
{
    /// <summary>Nothing to do until something changes.</summary>
    Settled,
    /// <summary>Something is under way that will wake the actor; look again after the delay at the latest.</summary>
    Wait,
    Fail,
    OpenVolumes,
    CloseVolume,
    Launch,
    Restore,
    AttachVolume,
    DetachVolume,
    AttachPort,
    DetachPort,
    Continue,
    Pause,
    PressPowerButton,
    Save,
    DiscardSaved,
    Kill,
    Remove,
    Gone,
}

/// <param name="Target">Attachment or port id.</param>
/// <param name="Delay">Of Wait.</param>
internal readonly record struct Step(StepKind Kind, Guid Target = default, string Reason = "", TimeSpan Delay = default);

/// <summary>What the planner must know besides the spec and the machine.</summary>
/// <param name="OpenVolumes">Attachments whose head this process has open.</param>
/// <param name="PowerButtonSince">Since when the guest is being asked to switch itself off; null before.</param>
/// <param name="PowerButtonLast">When it was last asked.</param>
/// <param name="ContinuedAt">When the CPU was last let run; null before.</param>
/// <param name="DetachNotBefore">Devices that the guest did not release when it was last asked, and when to ask again.</param>
internal readonly record struct LocalView(
    IReadOnlyCollection<Guid> OpenVolumes,
    TimeSpan Now,
    TimeSpan? PowerButtonSince,
    TimeSpan? PowerButtonLast,
    TimeSpan? ContinuedAt,
    TimeSpan ShutdownTimeout,
    IReadOnlyDictionary<Guid, TimeSpan> DetachNotBefore);

/// <summary>The first missing step from what is to what should be. Pure: the actor looks, asks here, does it, and looks again, so it does
/// not matter after which step the agent was killed.</summary>
internal static class InstancePlanner
{
    /// <summary>A guest that is still booting loses the first press.</summary>
    private static readonly TimeSpan PressAgainAfter = TimeSpan.FromSeconds(3);
    /// <summary>A guest that paused because a disk failed runs into it again at once when the disk still does.</summary>
    private static readonly TimeSpan DiskRetryAfter = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromSeconds(30);

    public static Step Next(InstanceSpec spec, MachineView view, LocalView local)
    {
        if (view.Sighting == Sighting.NotSeen)
        {
            // Deleting wins over everything, also over a process that does not answer.
            return spec.Desired == DesiredState.Deleted ? new(StepKind.Kill, Reason: view.Message) : new(StepKind.Fail, Reason: view.Message);
        }
        var present = view.Sighting == Sighting.Present;
        if (present && view.Mark.Epoch > spec.Epoch)
        {
            return new(StepKind.Fail, Reason: $"a process of the newer epoch {view.Mark.Epoch} runs here");
        }
        if (spec.Halted && spec.Desired != DesiredState.Deleted)
        {
            return present ? ShutDown(view, local, graceful: true) : CloseAll(local) ?? new(StepKind.Settled);
        }
        return spec.Desired switch
        {
            DesiredState.Deleted => Delete(view, local, present),
            DesiredState.Stopped => present ? ShutDown(view, local, graceful: true)
                : view.Saved ? new(StepKind.DiscardSaved) : CloseAll(local) ?? new(StepKind.Settled),
            DesiredState.Suspended => present ? Suspend(view, local) : CloseAll(local) ?? new(StepKind.Settled),
            DesiredState.Running or DesiredState.Paused => present ? Keep(spec, view, local) : Start(spec, local),
            _ => throw new ArgumentOutOfRangeException(nameof(spec)),
        };
    }

    /// <summary>True when the guest switched itself off after the last wish about its power.</summary>
    public static bool StoppedByGuest(InstanceSpec spec, MachineView view) =>
        spec.Desired is DesiredState.Running or DesiredState.Paused && view.State == RunState.Shutdown
        && view.Mark.Epoch == spec.Epoch && view.Mark.RebootNonce >= spec.RebootNonce && view.Mark.PowerGeneration >= spec.PowerGeneration;

    private static Step Delete(MachineView view, LocalView local, bool present) =>
        present ? new(StepKind.Kill) : CloseAll(local) ?? (view.Files ? new(StepKind.Remove) : new(StepKind.Gone));

    private static Step Start(InstanceSpec spec, LocalView local) =>
        CloseUnwanted(spec, view: null, local) ?? (AllOpen(spec, local) ? new(StepKind.Launch) : new(StepKind.OpenVolumes));

    private static Step Suspend(MachineView view, LocalView local) => view.State switch
    {
        RunState.Running or RunState.Paused => new(StepKind.Save),
        RunState.Moving => new(StepKind.Wait, Delay: TimeSpan.FromSeconds(1), Reason: "memory is being moved"),
        _ => ShutDown(view, local, graceful: false),
    };

    private static Step Keep(InstanceSpec spec, MachineView view, LocalView local)
    {
        if (view.Mark.Epoch < spec.Epoch)
        {
            return new(StepKind.Kill, Reason: "the process belongs to an older placement");
        }
        if (view.Mark.RebootNonce < spec.RebootNonce)
        {
            return ShutDown(view, local, graceful: spec.RebootType == RebootType.Soft);
        }
        if (view.State is RunState.Shutdown or RunState.Crashed)
        {
            return view.Mark.PowerGeneration < spec.PowerGeneration ? new(StepKind.Kill, Reason: "to be started again") : new(StepKind.Settled);
        }
        if (view.State == RunState.Moving)
        {
            return new(StepKind.Wait, Delay: TimeSpan.FromSeconds(1), Reason: "memory is being moved");
        }
        if (!AllOpen(spec, local))
        {
            return new(StepKind.OpenVolumes);
        }
        if (Devices(spec, view, local) is { } device)
        {
            return device;
        }
        if (CloseUnwanted(spec, view, local) is { } close)
        {
            return close;
        }
        if (view.State == RunState.Restoring)
        {
            return new(StepKind.Restore);
        }
        if (view.Saved && view.State == RunState.Paused)
        {
            // Restored: once the CPU runs the saved memory no longer fits to the disks.
            return new(StepKind.DiscardSaved);
        }
        return (spec.Desired, view.State) switch
        {
            (DesiredState.Running, RunState.DiskFailed) when local.ContinuedAt + DiskRetryAfter is { } retry && retry > local.Now =>
                new(StepKind.Wait, Delay: retry - local.Now, Reason: "paused because a disk failed"),
            (DesiredState.Running, RunState.Held or RunState.Paused or RunState.DiskFailed) => new(StepKind.Continue),
            (DesiredState.Paused, RunState.Running) => new(StepKind.Pause),
            _ => End(spec, view, local),
        };
    }

    private static Step? Devices(InstanceSpec spec, MachineView view, LocalView local)
    {
        foreach (var id in Unwanted(spec, view).Where(id => local.DetachNotBefore.GetValueOrDefault(id) <= local.Now))
        {
            return new(view.Volumes.ContainsKey(id) ? StepKind.DetachVolume : StepKind.DetachPort, id);
        }
        foreach (var volume in Wanted(spec))
        {
            if (!view.Volumes.GetValueOrDefault(volume))
            {
                return new(StepKind.AttachVolume, volume);
            }
        }
        foreach (var port in spec.Ports)
        {
            if (!view.Ports.GetValueOrDefault(port.Id).Complete)
            {
                return new(StepKind.AttachPort, port.Id);
            }
        }
        return null;
    }

    private static IEnumerable<Guid> Wanted(InstanceSpec spec) =>
        spec.Volumes.Select(volume => volume.AttachmentId);

    private static IEnumerable<Guid> Unwanted(InstanceSpec spec, MachineView view) =>
        view.Volumes.Keys.Except(Wanted(spec)).Concat(view.Ports.Keys.Except(spec.Ports.Select(port => port.Id)));

    /// <summary>Settled, unless a device still waits for the guest to let go of it.</summary>
    private static Step End(InstanceSpec spec, MachineView view, LocalView local)
    {
        var waiting = Unwanted(spec, view).ToArray();
        if (waiting.Length == 0)
        {
            return new(StepKind.Settled);
        }
        var next = waiting.Min(id => local.DetachNotBefore.GetValueOrDefault(id)) - local.Now;
        return new(StepKind.Wait, Delay: next > TimeSpan.Zero ? next : TimeSpan.Zero, Reason: "the guest has not released a device");
    }

    private static Step ShutDown(MachineView view, LocalView local, bool graceful)
    {
        if (!graceful || view.State != RunState.Running)
        {
            return new(StepKind.Kill);
        }
        if (local.PowerButtonSince is not { } since)
        {
            return new(StepKind.PressPowerButton);
        }
        if (local.Now - since >= local.ShutdownTimeout)
        {
            return new(StepKind.Kill, Reason: "the guest did not switch itself off in time");
        }
        var again = (local.PowerButtonLast ?? since) + PressAgainAfter;
        return local.Now >= again
            ? new(StepKind.PressPowerButton)
            : new(StepKind.Wait, Delay: Min(again - local.Now, LookAgainAfter), Reason: "the guest is switching itself off");
    }

    private static Step? CloseAll(LocalView local)
    {
        foreach (var id in local.OpenVolumes)
        {
            return new(StepKind.CloseVolume, id);
        }
        return null;
    }

    private static Step? CloseUnwanted(InstanceSpec spec, MachineView? view, LocalView local)
    {
        foreach (var id in local.OpenVolumes)
        {
            if (view?.Volumes.ContainsKey(id) != true && !Wanted(spec).Contains(id))
            {
                return new(StepKind.CloseVolume, id);
            }
        }
        return null;
    }

    private static bool AllOpen(InstanceSpec spec, LocalView local) =>
        Wanted(spec).All(local.OpenVolumes.Contains);

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;
}

namespace Nephos.Compute.Instances;

internal enum InstanceStatus
{
    Build,
    Active,
    Shutoff,
    Paused,
    Suspended,
    Reboot,
    HardReboot,
    Resize,
    VerifyResize,
    RevertResize,
    Rebuild,
    ShelvedOffloaded,
    Rescue,
    Error,
    Unknown,
    Deleted,
}

internal enum VmState { Building, Active, Stopped, Paused, Suspended, Resized, ShelvedOffloaded, Rescued, Error, Deleted }

/// <param name="Message">What is missing, or the last error of trying.</param>
internal sealed record InstanceCondition(string Name, bool Met, string Message, DateTimeOffset? Since);

/// <summary>What clients see of an instance. Derived each time from what is wanted and what was observed; stored nowhere, so
/// no instance can be stuck in it.</summary>
/// <param name="TaskState">Null exactly when nothing is under way.</param>
internal sealed record InstanceView(
    InstanceStatus Status,
    VmState VmState,
    string? TaskState,
    Power Power,
    Fault? Fault,
    IReadOnlyList<InstanceCondition> Conditions)
{
    /// <param name="instance">What is wanted.</param>
    /// <param name="parts">What was made for it; null: nothing yet.</param>
    /// <param name="seen">What the node of its claim said last; null: nothing.</param>
    /// <param name="nodeUp">That node keeps its lease.</param>
    /// <param name="now">The time, for deadlines.</param>
    public static InstanceView Of(Instance instance, InstanceParts? parts, Observation? seen, bool nodeUp, DateTimeOffset now)
    {
        var conditions = ConditionsOf(instance, parts, seen, nodeUp);
        var power = seen?.Power ?? Power.Unknown;
        var vm = VmStateOf(instance, seen);
        var (status, vmState, task, fault) = Decide(instance, parts, seen, nodeUp, now, vm, conditions);
        return new InstanceView(
            status, vmState, task, status is InstanceStatus.Deleted or InstanceStatus.ShelvedOffloaded ? Power.Unknown : power, fault, conditions);
    }

    private static (InstanceStatus Status, VmState Vm, string? Task, Fault? Fault) Decide(
        Instance instance, InstanceParts? parts, Observation? seen, bool nodeUp, DateTimeOffset now, VmState vm,
        IReadOnlyList<InstanceCondition> conditions)
    {
        if (instance.DeletedAt is not null)
        {
            return (InstanceStatus.Deleted, VmState.Deleted, null, instance.Fault);
        }
        var fault = instance.Fault ?? PermanentFault(instance, seen) ?? LateFault(instance, vm, now, conditions);
        if (instance.Desired == DesiredState.Deleted)
        {
            return (fault is null ? StatusOf(vm) : InstanceStatus.Error, fault is null ? vm : VmState.Error, "deleting", fault);
        }
        if (fault is not null)
        {
            return (InstanceStatus.Error, VmState.Error, null, fault);
        }
        if (vm == VmState.Building)
        {
            return (InstanceStatus.Build, vm, BuildTask(conditions), null);
        }
        if (instance.Desired == DesiredState.Shelved)
        {
            return instance.Claim is null
                ? (InstanceStatus.ShelvedOffloaded, VmState.ShelvedOffloaded, null, null)
                : (StatusOf(vm), vm, "shelving_offloading", null);
        }
        if (!nodeUp)
        {
            return (InstanceStatus.Unknown, vm, ImageTask(instance, parts), null);
        }
        var reached = Reached(instance, seen);
        if (Rebuilding(instance, parts, seen))
        {
            return (InstanceStatus.Rebuild, vm, "rebuild_spawning", null);
        }
        if (instance.RescueDisk is not null)
        {
            return reached ? (InstanceStatus.Rescue, VmState.Rescued, null, null) : (StatusOf(vm), vm, "rescuing", null);
        }
        if ((seen?.PowerGeneration ?? 0) < instance.UnrescuePowerGeneration && !reached)
        {
            return (InstanceStatus.Rescue, VmState.Rescued, "unrescuing", null);
        }
        switch (instance.Resize)
        {
            case { Step: ResizeStep.Resizing }:
                return reached
                    ? (InstanceStatus.VerifyResize, VmState.Resized, null, null)
                    : (InstanceStatus.Resize, vm, "resize_finish", null);
            case { Step: ResizeStep.Reverting } when !reached:
                return (InstanceStatus.RevertResize, VmState.Resized, "resize_reverting", null);
        }
        if (instance.Desired == DesiredState.Running && vm == VmState.Active && (seen?.RebootNonceDone ?? 0) < instance.RebootNonce)
        {
            return instance.RebootKind == RebootKind.Soft
                ? (InstanceStatus.Reboot, VmState.Active, "rebooting", null)
                : (InstanceStatus.HardReboot, VmState.Active, "rebooting_hard", null);
        }
        return (StatusOf(vm), vm, reached || StoppedItself(instance, seen) ? ImageTask(instance, parts) : PowerTask(instance.Desired, vm), null);
    }

    /// <summary>The node has done what was wanted last of the power of the instance.</summary>
    public static bool Reached(Instance instance, Observation? seen) =>
        seen is not null && seen.Phase != Phase.Gone && seen.Epoch == instance.Epoch && seen.Power == TargetOf(instance.Desired)
        && (instance.Desired != DesiredState.Running
            || (seen.PowerGeneration >= instance.PowerGeneration && seen.RebootNonceDone >= instance.RebootNonce));

    /// <summary>The guest switched itself off although it should run, and nobody has asked for it since.</summary>
    public static bool StoppedItself(Instance instance, Observation? seen) =>
        seen is { StoppedByGuest: true } && seen.Epoch == instance.Epoch && seen.PowerGeneration == instance.PowerGeneration
        && instance.Desired == DesiredState.Running;

    /// <summary>The machine does not run from its new root disk yet.</summary>
    public static bool Rebuilding(Instance instance, InstanceParts? parts, Observation? seen)
    {
        if (instance.RootPowerGeneration == 0 || instance.Disks.FirstOrDefault(disk => disk.IsRoot) is not { } root)
        {
            return false;
        }
        var attached = parts?.DiskOf(root, instance.RootNonce) is { AttachmentId: not null };
        return !attached || (instance.Desired == DesiredState.Running && (seen?.PowerGeneration ?? 0) < instance.RootPowerGeneration);
    }

    private static Power TargetOf(DesiredState desired) => desired switch
    {
        DesiredState.Running => Power.Running,
        DesiredState.Stopped => Power.Shutdown,
        DesiredState.Paused => Power.Paused,
        DesiredState.Suspended => Power.Suspended,
        _ => Power.Unknown,
    };

    private static VmState VmStateOf(Instance instance, Observation? seen)
    {
        if (instance.LaunchedAt is null && seen?.FirstRunningAt is null)
        {
            return VmState.Building;
        }
        return seen?.Power switch
        {
            Power.Running => VmState.Active,
            Power.Paused => VmState.Paused,
            Power.Suspended => VmState.Suspended,
            Power.Shutdown or Power.Crashed => VmState.Stopped,
            _ => instance.Previous switch
            {
                DesiredState.Stopped => VmState.Stopped,
                DesiredState.Paused => VmState.Paused,
                DesiredState.Suspended => VmState.Suspended,
                DesiredState.Shelved => VmState.ShelvedOffloaded,
                _ => VmState.Active,
            },
        };
    }

    private static InstanceStatus StatusOf(VmState vm) => vm switch
    {
        VmState.Building => InstanceStatus.Build,
        VmState.Active => InstanceStatus.Active,
        VmState.Stopped => InstanceStatus.Shutoff,
        VmState.Paused => InstanceStatus.Paused,
        VmState.Suspended => InstanceStatus.Suspended,
        VmState.Resized => InstanceStatus.VerifyResize,
        VmState.ShelvedOffloaded => InstanceStatus.ShelvedOffloaded,
        VmState.Rescued => InstanceStatus.Rescue,
        VmState.Error => InstanceStatus.Error,
        VmState.Deleted => InstanceStatus.Deleted,
        _ => throw new ArgumentOutOfRangeException(nameof(vm), vm, null),
    };

    private static string PowerTask(DesiredState desired, VmState vm) => (desired, vm) switch
    {
        (DesiredState.Running, VmState.Paused) => "unpausing",
        (DesiredState.Running, VmState.Suspended) => "resuming",
        (DesiredState.Running, VmState.ShelvedOffloaded) => "spawning",
        (DesiredState.Running, _) => "powering-on",
        (DesiredState.Stopped, _) => "powering-off",
        (DesiredState.Paused, _) => "pausing",
        (DesiredState.Suspended, _) => "suspending",
        _ => "updating",
    };

    private static string? ImageTask(Instance instance, InstanceParts? parts) => instance.ImageSave switch
    {
        null => null,
        { Begun: false, Rotation: null } => "image_snapshot",
        { Begun: false } => "image_backup",
        var save => parts?.UploadingImageId == save.ImageId ? "image_uploading" : "image_pending_upload",
    };

    private static string BuildTask(IReadOnlyList<InstanceCondition> conditions) =>
        conditions.FirstOrDefault(condition => !condition.Met)?.Name switch
        {
            "Placed" => "scheduling",
            "PortsReady" => "networking",
            "VolumesReady" => "block_device_mapping",
            _ => "spawning",
        };

    private static Fault? PermanentFault(Instance instance, Observation? seen) =>
        seen is { Permanent: true } && seen.Epoch == instance.Epoch ? new Fault(500, seen.Error, "", seen.ObservedAt) : null;

    private static Fault? LateFault(Instance instance, VmState vm, DateTimeOffset now, IReadOnlyList<InstanceCondition> conditions)
    {
        if (vm != VmState.Building || now < instance.Deadline)
        {
            return null;
        }
        var missing = conditions.FirstOrDefault(condition => !condition.Met);
        return new Fault(500, $"The instance did not start in time: {missing?.Name ?? "Running"} is missing. {missing?.Message}".TrimEnd(), "", instance.Deadline);
    }

    private static List<InstanceCondition> ConditionsOf(Instance instance, InstanceParts? parts, Observation? seen, bool nodeUp)
    {
        var node = instance.Claim?.NodeId;
        var error = parts?.LastError ?? "";
        var ports = instance.Nics.Count(nic => parts?.PortOf(nic) is { } port && port.BoundNode == node && port.BoundEpoch == instance.Epoch);
        var allDisks = instance.AllDisks.ToList();
        var disks = allDisks.Count(disk => parts?.DiskOf(disk, instance.RootNonce) is { AttachmentId: not null } part && part.AttachedNode == node);
        var order = node is null ? null : parts?.OrderFor(node);
        var conditions = new List<InstanceCondition>
        {
            new("Placed", node is not null, node is null ? string.Join("; ", instance.PlacementNotes) : $"on {node}", null),
            new("PortsReady", ports == instance.Nics.Count, Missing(ports, instance.Nics.Count, error), parts?.FailingSince),
            new("VolumesReady", disks == allDisks.Count, Missing(disks, allDisks.Count, error), parts?.FailingSince),
            new("HypervisorUp", nodeUp, nodeUp ? "" : "The hypervisor has not been heard of.", null),
            new("Ordered", order is { Removes: false } && order.Epoch == instance.Epoch, "", order?.Since),
        };
        conditions.AddRange((seen?.Conditions ?? []).Select(condition => new InstanceCondition(condition.Type, condition.Value, condition.Message, condition.Since)));
        conditions.Add(new InstanceCondition("PowerReached", Reached(instance, seen), seen?.Error ?? "", seen?.ObservedAt));
        return conditions;
    }

    private static string Missing(int have, int want, string error) => have == want ? "" : $"{have} of {want}. {error}".TrimEnd();
}

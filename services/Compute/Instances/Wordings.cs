namespace Nephos.Compute.Instances;

/// <summary>The words of the compute API for the states of instances.</summary>
internal static class Wordings
{
    public static string Of(VmState state) => state switch
    {
        VmState.Building => "building",
        VmState.Active => "active",
        VmState.Stopped => "stopped",
        VmState.Paused => "paused",
        VmState.Suspended => "suspended",
        VmState.Resized => "resized",
        VmState.ShelvedOffloaded => "shelved_offloaded",
        VmState.Rescued => "rescued",
        VmState.Error => "error",
        VmState.Deleted => "deleted",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, null),
    };

    public static string Of(InstanceStatus status) => status switch
    {
        InstanceStatus.Build => "BUILD",
        InstanceStatus.Active => "ACTIVE",
        InstanceStatus.Shutoff => "SHUTOFF",
        InstanceStatus.Paused => "PAUSED",
        InstanceStatus.Suspended => "SUSPENDED",
        InstanceStatus.Reboot => "REBOOT",
        InstanceStatus.HardReboot => "HARD_REBOOT",
        InstanceStatus.Resize => "RESIZE",
        InstanceStatus.VerifyResize => "VERIFY_RESIZE",
        InstanceStatus.RevertResize => "REVERT_RESIZE",
        InstanceStatus.Rebuild => "REBUILD",
        InstanceStatus.ShelvedOffloaded => "SHELVED_OFFLOADED",
        InstanceStatus.Rescue => "RESCUE",
        InstanceStatus.Error => "ERROR",
        InstanceStatus.Unknown => "UNKNOWN",
        InstanceStatus.Deleted => "DELETED",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, null),
    };
}

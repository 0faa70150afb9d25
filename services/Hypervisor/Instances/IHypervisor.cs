using Microsoft.Win32.SafeHandles;

namespace Nephos.Hypervisor.Instances;

/// <summary>The driver: makes machines and looks at them. One call per instance at a time; calls for different instances may overlap.
/// Every call is idempotent: it begins with "is it already so?", because the agent may have been killed after any of them.</summary>
internal interface IHypervisor
{
    /// <summary>What the node can do. Probed, not assumed; may take some seconds the first time after a boot.</summary>
    Task<HypervisorProbe> ProbeAsync(CancellationToken cancellationToken);

    /// <summary>Instances of which anything exists here.</summary>
    Task<IReadOnlyList<Guid>> ListAsync(CancellationToken cancellationToken);

    /// <summary>Looks; never throws because of the machine: what cannot be seen is <see cref="Sighting.NotSeen"/>.</summary>
    Task<MachineView> ViewAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Starts the process with its volumes and with the CPU held. Ports are attached afterwards.</summary>
    Task LaunchAsync(LaunchPlan plan, CancellationToken cancellationToken);

    Task AttachVolumeAsync(InstanceSpec spec, VolumeEndpoint volume, CancellationToken cancellationToken);

    /// <returns>False when the guest has not let go of the device yet.</returns>
    Task<bool> DetachVolumeAsync(Guid instanceId, Guid attachmentId, CancellationToken cancellationToken);

    /// <summary>Shows the guest that a volume has grown; its head serves the new size already. Does nothing when the guest sees it.</summary>
    Task GrowVolumeAsync(Guid instanceId, Guid attachmentId, long sizeBytes, CancellationToken cancellationToken);

    Task AttachPortAsync(InstanceSpec spec, PortEndpoint port, CancellationToken cancellationToken);

    /// <returns>False when the guest has not let go of the device yet.</returns>
    Task<bool> DetachPortAsync(Guid instanceId, Guid portId, CancellationToken cancellationToken);

    Task ContinueAsync(Guid instanceId, CancellationToken cancellationToken);

    Task PauseAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Asks the guest to switch itself off.</summary>
    Task PressPowerButtonAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Writes the memory to the node's disk and ends the process. Complete or without effect.</summary>
    Task SaveAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Ends the process now; the saved memory, the console and the files stay.</summary>
    Task KillAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Fills the memory of a process that was launched to be restored; afterwards it is paused.</summary>
    Task RestoreAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Throws away the saved memory.</summary>
    Task DiscardSavedAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>Removes every file of an instance that has no process.</summary>
    Task RemoveAsync(Guid instanceId, CancellationToken cancellationToken);

    /// <summary>The end of what the guest wrote on its serial console, at most <see cref="ConsoleBytesMax"/>.</summary>
    /// <param name="lineCount">Last lines wanted; 0 is all that is kept.</param>
    Task<byte[]> ReadConsoleAsync(Guid instanceId, int lineCount, CancellationToken cancellationToken);

    /// <summary>Called with an instance of which something changed without our doing. May be called on any thread; must return at once.</summary>
    Action<Guid> Changed { set; }

    public const int ConsoleBytesMax = 100 * 1024;
}

internal enum Sighting
{
    /// <summary>Somebody is there and does not answer, or we could not look. Never a reason to change anything.</summary>
    NotSeen,
    Absent,
    Present,
}

internal enum RunState
{
    None,
    /// <summary>The process is up, the CPU has never run.</summary>
    Held,
    Running,
    Paused,
    /// <summary>The guest switched itself off; the process waits.</summary>
    Shutdown,
    Crashed,
    /// <summary>Paused because a disk failed.</summary>
    DiskFailed,
    /// <summary>The process waits for its saved memory; the CPU has not run.</summary>
    Restoring,
    /// <summary>Memory is being saved.</summary>
    Moving,
}

/// <param name="Volumes">By attachment id; false is a part of it (a node without a device).</param>
/// <param name="Ports">By port id.</param>
/// <param name="Saved">Saved memory is there.</param>
/// <param name="Files">Anything at all is there on the node.</param>
internal sealed record MachineView(
    Sighting Sighting,
    LaunchMark Mark,
    RunState State,
    IReadOnlyDictionary<Guid, bool> Volumes,
    IReadOnlyDictionary<Guid, PortView> Ports,
    DateTimeOffset? LaunchedAt,
    bool Saved,
    bool Files,
    long ConsoleBytes,
    string Message)
{
    private static readonly Dictionary<Guid, bool> NoVolumes = [];
    private static readonly Dictionary<Guid, PortView> NoPorts = [];

    public static MachineView NotSeen(string message) =>
        new(Sighting.NotSeen, default, RunState.None, NoVolumes, NoPorts, null, Saved: false, Files: true, 0, message);

    public static MachineView Absent(bool saved, bool files, long consoleBytes) =>
        new(Sighting.Absent, default, RunState.None, NoVolumes, NoPorts, null, saved, files, consoleBytes, "");
}

/// <param name="ConfigDrive">An ISO 9660 image, or null.</param>
/// <param name="Restore">To be filled by <see cref="IHypervisor.RestoreAsync"/> instead of beginning with the firmware.</param>
internal sealed record LaunchPlan(
    InstanceSpec Spec,
    IReadOnlyList<VolumeEndpoint> Volumes,
    byte[]? ConfigDrive,
    bool Restore);

/// <summary>An open volume head: an NBD server on a unix socket.</summary>
internal sealed record VolumeEndpoint(VolumeSpec Volume, string SocketPath, string ExportName);

/// <summary>A port that is wired.</summary>
/// <param name="OpenTap">Opens the tap for the machine, the caller owns the handle; null for QEMU's user networking.</param>
internal sealed record PortEndpoint(PortSpec Port, Func<SafeFileHandle>? OpenTap);

/// <param name="Complete">False when only a part of it is there.</param>
/// <param name="Forward">User networking: the node's address that leads to the guest's TCP port 22; else empty.</param>
internal readonly record struct PortView(bool Complete, string Forward);

internal sealed record HypervisorProbe(
    AccelerationKind Acceleration, string AccelerationReason, string HypervisorType, int HypervisorVersion, string CpuModel);

internal enum AccelerationKind { Kvm, Tcg, Simulated }

/// <summary>An error that trying again cannot cure.</summary>
internal sealed class PermanentHypervisorException(string message, Exception? cause = null) : Exception(message, cause);

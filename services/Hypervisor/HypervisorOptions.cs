using System.ComponentModel.DataAnnotations;

namespace Nephos.Hypervisor;

/// <summary>How instances run on this node.</summary>
public sealed record HypervisorOptions
{
    public const string Section = "Hypervisor";

    /// <summary>"qemu", or "simulated" for instances that exist in memory only.</summary>
    [RegularExpression("^(qemu|simulated)$")]
    public string Driver { get; set; } = "qemu";

    /// <summary>Where specs, consoles, saved memory live. Set by the host to a folder of its state directory.</summary>
    public string StateDirectory { get; set; } = "";

    /// <summary>What this node is called in the control plane; the machine's name when empty.</summary>
    public string NodeName { get; set; } = "";

    /// <summary>"auto" takes KVM when its probe ran a guest, else emulation.</summary>
    [RegularExpression("^(auto|kvm|tcg)$")]
    public string Acceleration { get; set; } = "auto";

    public string QemuPath { get; set; } = "qemu-system-x86_64";

    /// <summary>Offered to the scheduler instead of what the machine has; 0 measures.</summary>
    [Range(0, 100_000)]
    public int Vcpus { get; set; }

    [Range(0, 1L << 32)]
    public long MemoryMib { get; set; }

    [Range(0, 1L << 32)]
    public long DiskGib { get; set; }

    /// <summary>Processes that may start at the same time.</summary>
    [Range(1, 1024)]
    public int ParallelLaunches { get; set; } = 8;

    /// <summary>How long a guest may take to switch itself off before it is ended.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Bound of one step; a later attempt begins with looking again.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan StepTimeout { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>Bound of saving or restoring the memory of an instance.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan MemoryTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long one step waits for a port to be wired.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan PortTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>A settled instance is looked at this often, besides when something wakes it.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan LookPeriod { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>A device that the guest did not release is asked for again after this time.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan DetachRetry { get; set; } = TimeSpan.FromSeconds(5);

    [Range(typeof(TimeSpan), "00:00:00.001", "01:00:00")]
    public TimeSpan BackoffMin { get; set; } = TimeSpan.FromMilliseconds(200);

    [Range(typeof(TimeSpan), "00:00:00.001", "01:00:00")]
    public TimeSpan BackoffMax { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>An instance that has been failing for longer is reported as degraded.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan DegradedAfter { get; set; } = TimeSpan.FromSeconds(60);

    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan HeartbeatPeriod { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Machines that a complete snapshot does not name are removed after this time.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan StrangerGrace { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Bytes of console text kept twice: the file that grows and the one before it.</summary>
    [Range(4096, 1 << 30)]
    public long ConsoleFileBytesMax { get; set; } = 1 << 20;

    /// <summary>Size of the cache of translated code of one emulated machine.</summary>
    [Range(8, 4096)]
    public int TranslationCacheMib { get; set; } = 64;
}

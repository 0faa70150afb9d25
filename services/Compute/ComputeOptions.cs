using System.ComponentModel.DataAnnotations;

namespace Nephos.Compute;

/// <summary>Configuration section <c>Compute</c>.</summary>
public sealed class ComputeOptions
{
    /// <summary>The zone of every node that does not name another.</summary>
    [Required(AllowEmptyStrings = false)]
    [RegularExpression("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", ErrorMessage = "must be a short name of letters, digits, dots and dashes")]
    public string AvailabilityZone { get; set; } = "nova";

    /// <summary>How many virtual CPUs are promised per real one.</summary>
    [Range(0.1, 1000)]
    public double CpuAllocationRatio { get; set; } = 16;

    /// <summary>How much memory is promised per MiB there is.</summary>
    [Range(0.1, 100)]
    public double MemoryAllocationRatio { get; set; } = 1.5;

    /// <summary>Memory of a node kept for the node itself, MiB; at most a quarter of what the node has.</summary>
    [Range(0, 1024 * 1024)]
    public long ReservedMemoryMib { get; set; } = 512;

    /// <summary>How long a node counts as alive after its last heartbeat.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "00:10:00")]
    public TimeSpan NodeLease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>An instance that was not seen running for so long after its creation is in error. It still starts if it can.</summary>
    [Range(typeof(TimeSpan), "00:00:10", "1.00:00:00")]
    public TimeSpan BuildDeadline { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a detach or a delete waits for a node that is alive before it goes on without it.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ReleaseDeadline { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long deleted instances and what was done to them can be listed.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    public TimeSpan DeletedRetention { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Instances worked on at the same time.</summary>
    [Range(1, 1024)]
    public int Parallelism { get; set; } = 32;

    /// <summary>Flavors made when the cloud starts for the first time.</summary>
    public bool SeedFlavors { get; set; } = true;

    [Range(-1, int.MaxValue)]
    public long QuotaInstances { get; set; } = 1000;

    [Range(-1, int.MaxValue)]
    public long QuotaCores { get; set; } = 4000;

    [Range(-1, long.MaxValue)]
    public long QuotaRamMib { get; set; } = 8L * 1024 * 1024;

    /// <summary>Of each user.</summary>
    [Range(-1, int.MaxValue)]
    public long QuotaKeyPairs { get; set; } = 100;

    [Range(-1, 1024)]
    public long QuotaMetadataItems { get; set; } = 128;

    [Range(-1, 100)]
    public long QuotaInjectedFiles { get; set; } = 5;

    [Range(-1, 10_000)]
    public long QuotaServerGroups { get; set; } = 10;

    /// <summary>Instances of one group.</summary>
    [Range(-1, 10_000)]
    public long QuotaServerGroupMembers { get; set; } = 10;

    [Range(-1, 1024 * 1024)]
    public long QuotaInjectedFileBytes { get; set; } = 10 * 1024;
}

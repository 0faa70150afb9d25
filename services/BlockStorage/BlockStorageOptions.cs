using System.ComponentModel.DataAnnotations;

namespace Nephos.BlockStorage;

/// <summary>Configuration section <c>BlockStorage</c>.</summary>
public sealed class BlockStorageOptions
{
    public const string Section = "BlockStorage";

    [Required(AllowEmptyStrings = false)]
    public string AvailabilityZone { get; set; } = "nova";

    /// <summary>The type of volumes that ask for none; made when it is missing.</summary>
    [Required(AllowEmptyStrings = false)]
    [StringLength(255)]
    public string DefaultVolumeType { get; set; } = "standard";

    [Range(-1, int.MaxValue)]
    public long QuotaVolumes { get; set; } = 100;

    [Range(-1, int.MaxValue)]
    public long QuotaSnapshots { get; set; } = 100;

    [Range(-1, int.MaxValue)]
    public long QuotaGigabytes { get; set; } = 10_000;

    [Range(-1, int.MaxValue)]
    public long QuotaBackups { get; set; } = 100;

    [Range(-1, int.MaxValue)]
    public long QuotaBackupGigabytes { get; set; } = 10_000;

    [Range(-1, int.MaxValue)]
    public long QuotaGroups { get; set; } = 100;

    /// <summary>Where backups are kept: an account of the object store that belongs to no project.</summary>
    [Required(AllowEmptyStrings = false)]
    [RegularExpression("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", ErrorMessage = "must be a short name of letters, digits, dots and dashes")]
    public string BackupAccount { get; set; } = "nephos-backups";

    /// <summary>How long after the last deletion the chunks that no backup names are looked for.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "30.00:00:00")]
    public TimeSpan BackupGarbageTime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long messages to users are kept.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan MessageTime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>How long a reservation holds when nothing follows.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan ReservationTime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a volume shows as detaching when nobody ends the attachment.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan DetachingTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Exports are served this far above the port base, so that the default base of 8080 gives the usual port of NBD, 10809.</summary>
    public const int ExportPortOffset = 2729;

    /// <summary>Where exports of snapshots and backups are served by NBD over TLS; 0 takes any free port, unset the port base and <see cref="ExportPortOffset"/>.</summary>
    [Range(0, 65_535)]
    public int? ExportPort { get; set; }

    /// <summary>Whether images become layers as soon as they are active, so that the first volume of one is as quick as any.</summary>
    public bool PrepareImages { get; set; } = true;
}

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

    /// <summary>How long a reservation holds when nothing follows.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan ReservationTime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a volume shows as detaching when nobody ends the attachment.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan DetachingTime { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Whether images become layers as soon as they are active, so that the first volume of one is as quick as any.</summary>
    public bool PrepareImages { get; set; } = true;
}

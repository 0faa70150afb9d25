using System.ComponentModel.DataAnnotations;

namespace Nephos.Images;

/// <summary>Configuration section <c>Images</c>.</summary>
public sealed class ImagesOptions
{
    /// <summary>Where data is kept: an account of the object store that belongs to no project.</summary>
    [Required(AllowEmptyStrings = false)]
    [RegularExpression("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", ErrorMessage = "must be a short name of letters, digits, dots and dashes")]
    public string Account { get; set; } = "nephos-images";

    [Required(AllowEmptyStrings = false)]
    [RegularExpression("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", ErrorMessage = "must be the name of a bucket")]
    public string Bucket { get; set; } = "images";

    /// <summary>Of the data of one image.</summary>
    [Range(1, long.MaxValue)]
    public long MaxImageBytes { get; set; } = 1L << 40;

    /// <summary>Of the disk that a guest sees.</summary>
    [Range(512, 1L << 50)]
    public long MaxVirtualBytes { get; set; } = 16L << 40;

    /// <summary>
    /// Whether data that has the mark of no known format is refused for an image declared qcow2, vmdk, vhd, vhdx, vdi or iso. Data
    /// that has the mark of another format than the declared one is refused always; unmarked data can be stored and never be booted.
    /// </summary>
    public bool RefuseUnmarkedContent { get; set; }

    /// <summary>Images of one project; -1 for any number.</summary>
    [Range(-1, int.MaxValue)]
    public long QuotaImages { get; set; } = 1000;

    /// <summary>Bytes of data of one project; -1 for any number.</summary>
    [Range(-1, long.MaxValue)]
    public long QuotaBytes { get; set; } = -1;

    /// <summary>An upload that was not heard of for so long is dead, and its image queued again.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "00:10:00")]
    public TimeSpan UploadLease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest upload or download.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "7.00:00:00")]
    public TimeSpan TransferDeadline { get; set; } = TimeSpan.FromHours(12);

    /// <summary>From one pass of the reconciler to the next, unless it is nudged.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ReconcilePeriod { get; set; } = TimeSpan.FromSeconds(15);
}

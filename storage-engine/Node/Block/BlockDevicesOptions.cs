using System.ComponentModel.DataAnnotations;
using Nephos.Client.Transport;
using Nephos.Client.Volumes;
using Nephos.Hosting;

namespace Nephos.Node.Block;

/// <summary>The devices of this node that hold block volumes. Configuration section <c>BlockDevices</c>.</summary>
public sealed class BlockDevicesOptions
{
    public const string Section = "BlockDevices";

    /// <summary>One directory per device, each on a disk of its own; none means three directories below the state directory.</summary>
    public IList<string> Directories { get; init; } = [];

    /// <summary>
    /// Where other processes reach the devices of this one: <c>unix:PATH</c> or <c>tcp:HOST:PORT</c>. When empty, a process without the volume role
    /// listens on <c>run/blocks.sock</c> in its state directory, and one with it has all devices there are.
    /// </summary>
    [RegularExpression("^(unix:/.+|tcp:.+:[0-9]{1,5})$", ErrorMessage = "must be unix:/PATH or tcp:HOST:PORT")]
    public string Listen { get; set; } = "";

    /// <summary>The failure domain of the node.</summary>
    [Required(AllowEmptyStrings = false)]
    public string Zone { get; set; } = "nova";

    /// <summary>A cloud of several storage processes waits for so many devices before it places anything on one.</summary>
    [Range(1, 1000)]
    public int DevicesAtFirst { get; set; } = ReplicaSet.Replicas;

    /// <summary>Bytes of one journal segment of a device that is made; never changes afterwards.</summary>
    [Range(1 << 20, 64 << 20)]
    public int SegmentBytes { get; set; } = 64 << 20;

    /// <summary>Segments of the journal that may wait to be applied.</summary>
    [Range(3, 256)]
    public int SegmentsMax { get; set; } = 8;

    /// <summary>Bytes of each file system that volumes never take.</summary>
    [Range(0L, 1L << 50)]
    public long ReserveBytes { get; set; } = 256L << 20;

    /// <summary>Extents of 4 MiB whose checksums are kept in memory per device, 8 KiB each.</summary>
    [Range(16, 1 << 20)]
    public int CachedExtentsMax { get; set; } = 8192;

    public StorageAddress AddressIn(NephosOptions nephos)
    {
        if (Listen.Length > 0) return StorageAddress.Parse(Listen);
        var run = Path.Combine(nephos.StateDirectory, "run");
        Directory.CreateDirectory(run);
        return StorageAddress.Unix(Path.Combine(run, "blocks.sock"));
    }
}

using System.Globalization;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Qos;

/// <summary>Limits that volume types can be associated with.</summary>
internal sealed record QosSpecs
{
    public static readonly TableSchema<QosSpecs> Table = new TableSchema<QosSpecs>("block-storage/qos-specs", specs => specs.Id, BlockStorageJson.Default.QosSpecs)
        .Unique("name", specs => specs.Name);

    public required string Id { get; init; }
    public required string Name { get; init; }

    /// <summary>front-end, back-end or both. The head of a volume is both to us, and keeps the limits in each case.</summary>
    public string Consumer { get; init; } = "back-end";
    public IReadOnlyDictionary<string, string> Specs { get; init; } = new Dictionary<string, string>();
    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>What the head of a volume keeps to; 0 is without limit.</summary>
internal readonly record struct VolumeLimits(long Iops, long BytesPerSecond)
{
    private const string Iop = "total_iops_sec", Byte = "total_bytes_sec", PerGib = "_per_gb", PerGibMin = "_per_gb_min";

    /// <summary>Reads the limits that can be kept out of specs: <c>total_iops_sec</c>, <c>total_bytes_sec</c> and both by the size of the volume.</summary>
    public static VolumeLimits Of(IReadOnlyDictionary<string, string> specs, long sizeGib) => new(Limit(specs, Iop, sizeGib), Limit(specs, Byte, sizeGib));

    /// <summary>The lower of two limits counts.</summary>
    public VolumeLimits And(VolumeLimits other) => new(Lower(Iops, other.Iops), Lower(BytesPerSecond, other.BytesPerSecond));

    private static long Limit(IReadOnlyDictionary<string, string> specs, string name, long sizeGib)
    {
        var fixedLimit = Number(specs, name);
        if (Number(specs, name + PerGib) is not (> 0 and var each)) return fixedLimit;
        return Lower(fixedLimit, Math.Max(Number(specs, name + PerGibMin), each * Math.Max(1, sizeGib)));
    }

    private static long Lower(long one, long other) => one == 0 ? other : other == 0 ? one : Math.Min(one, other);

    private static long Number(IReadOnlyDictionary<string, string> specs, string name) =>
        specs.TryGetValue(name, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0;
}

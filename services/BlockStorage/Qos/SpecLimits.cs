using System.Globalization;
using Nephos.Client.Volumes;

namespace Nephos.BlockStorage.Qos;

/// <summary>Reads limits out of specs as Cinder names them: <c>total_</c>, <c>read_</c> and <c>write_</c>, each with <c>iops_sec</c> and <c>bytes_sec</c>,
/// each also by the size of the volume (<c>_per_gb</c>, <c>_per_gb_min</c>) and with a burst (<c>_max</c>).</summary>
internal static class SpecLimits
{
    public static VolumeLimits Of(IReadOnlyDictionary<string, string> specs, long sizeGib)
    {
        return new VolumeLimits(Limits("total"), Limits("read"), Limits("write"));

        IoLimits Limits(string kind)
        {
            var (iops, bytes) = ($"{kind}_iops_sec", $"{kind}_bytes_sec");
            return new IoLimits(Limit(specs, iops, sizeGib), Limit(specs, bytes, sizeGib), Number(specs, iops + "_max"), Number(specs, bytes + "_max"));
        }
    }

    private static long Limit(IReadOnlyDictionary<string, string> specs, string name, long sizeGib)
    {
        var fixedLimit = Number(specs, name);
        if (Number(specs, name + "_per_gb") is not (> 0 and var each)) return fixedLimit;
        var bySize = Math.Max(Number(specs, name + "_per_gb_min"), each > long.MaxValue / Math.Max(1, sizeGib) ? long.MaxValue : each * Math.Max(1, sizeGib));
        return fixedLimit == 0 ? bySize : Math.Min(fixedLimit, bySize);
    }

    private static long Number(IReadOnlyDictionary<string, string> specs, string name) =>
        specs.TryGetValue(name, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0;
}

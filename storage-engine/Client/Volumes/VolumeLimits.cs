using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Client.Volumes;

/// <summary>How much of one kind of requests a volume takes; 0 is without limit.</summary>
/// <param name="Iops">Requests per second, one for each started part of 16 KiB.</param>
/// <param name="BytesPerSecond">Bytes per second.</param>
/// <param name="IopsBurst">Requests that may come at once after a rest, when that is more than those of a second.</param>
/// <param name="BytesBurst">Bytes that may come at once after a rest, when that is more than those of a second.</param>
public readonly record struct IoLimits(long Iops, long BytesPerSecond, long IopsBurst = 0, long BytesBurst = 0)
{
    /// <summary>The lower of each.</summary>
    public IoLimits And(IoLimits other) => new(
        Lower(Iops, other.Iops), Lower(BytesPerSecond, other.BytesPerSecond), Lower(IopsBurst, other.IopsBurst), Lower(BytesBurst, other.BytesBurst));

    private static long Lower(long one, long other) => one == 0 ? other : other == 0 ? one : Math.Min(one, other);
}

/// <summary>What a head keeps to, for reads and writes together and for each alone. Zeroing and trimming are writes.</summary>
public readonly record struct VolumeLimits(IoLimits Total, IoLimits Read = default, IoLimits Write = default)
{
    /// <summary>The lower of each.</summary>
    public VolumeLimits And(VolumeLimits other) => new(Total.And(other.Total), Read.And(other.Read), Write.And(other.Write));

    /// <summary>Takes over what an attachment says; null is without limits.</summary>
    public static VolumeLimits From(Wire.QosLimits? limits) => limits is null
        ? default
        : new VolumeLimits(new IoLimits(limits.Iops, limits.BytesPerSecond, limits.IopsBurst, limits.BytesBurst), From(limits.Read), From(limits.Write));

    private static IoLimits From(Wire.IoLimits? limits) =>
        limits is null ? default : new IoLimits(limits.Iops, limits.BytesPerSecond, limits.IopsBurst, limits.BytesBurst);

    /// <summary>As an attachment says it.</summary>
    public Wire.QosLimits ToWire() => new()
    {
        Iops = Total.Iops, BytesPerSecond = Total.BytesPerSecond, IopsBurst = Total.IopsBurst, BytesBurst = Total.BytesBurst,
        Read = ToWire(Read), Write = ToWire(Write),
    };

    private static Wire.IoLimits? ToWire(IoLimits limits) => limits == default
        ? null
        : new Wire.IoLimits { Iops = limits.Iops, BytesPerSecond = limits.BytesPerSecond, IopsBurst = limits.IopsBurst, BytesBurst = limits.BytesBurst };
}

using System.Text.Json.Serialization;
using Nephos.Networking.Sharing;

namespace Nephos.Networking.Qos;

[JsonConverter(typeof(JsonStringEnumConverter<QosRuleKind>))]
internal enum QosRuleKind
{
    /// <summary>Nodes drop what is faster.</summary>
    BandwidthLimit = 1,

    /// <summary>Nodes write the mark into what guests send.</summary>
    DscpMarking = 2,

    /// <summary>Kept for those who plan by it; nothing is reserved.</summary>
    MinimumBandwidth = 3,
}

[JsonConverter(typeof(JsonStringEnumConverter<QosDirection>))]
internal enum QosDirection
{
    /// <summary>From the guest.</summary>
    Egress = 1,

    /// <summary>To the guest.</summary>
    Ingress = 2,
}

/// <summary>One rule of a policy; what its kind does not have is 0.</summary>
internal sealed record QosRule
{
    /// <summary>A UUID.</summary>
    public required string Id { get; init; }

    public required QosRuleKind Kind { get; init; }

    /// <summary>Of a dscp marking always egress.</summary>
    public QosDirection Direction { get; init; } = QosDirection.Egress;

    /// <summary>The limit, or what is promised: kilobits per second.</summary>
    public int Kbps { get; init; }

    /// <summary>Kilobits that may go at once; 0: what fits the limit.</summary>
    public int BurstKbits { get; init; }

    /// <summary>One of <see cref="QosService.DscpMarks"/>.</summary>
    public int DscpMark { get; init; }
}

/// <summary>How fast ports may be, and how their packets are marked. A port's own policy goes before that of its network.</summary>
internal sealed record QosPolicy : SharedResource
{
    /// <summary>New networks of the project have it when they name none.</summary>
    public bool IsDefault { get; init; }

    /// <summary>At most one of each kind and direction, in the order they were made.</summary>
    public IReadOnlyList<QosRule> Rules { get; init; } = [];
}

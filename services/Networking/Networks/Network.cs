using System.Text.Json.Serialization;
using Nephos.Networking.Sharing;

namespace Nephos.Networking.Networks;

[JsonConverter(typeof(JsonStringEnumConverter<NetworkKind>))]
internal enum NetworkKind
{
    Flat = 1,
    Vxlan = 2,
}

/// <summary>A layer-2 segment.</summary>
internal sealed record Network : SharedResource
{
    /// <summary>What VXLAN adds to a packet: outer Ethernet, IPv4, UDP and VXLAN headers.</summary>
    public const int VxlanOverheadBytes = 50;

    public bool AdminStateUp { get; init; } = true;

    /// <summary>Routers of some project may have their gateway here.</summary>
    [JsonIgnore]
    public bool External => Grants.Any(grant => grant.Action == GrantAction.External);

    /// <summary>The one external network that is meant when none is named.</summary>
    public bool IsDefault { get; init; }

    public required NetworkKind Kind { get; init; }

    /// <summary>Flat networks only; each physical network carries at most one.</summary>
    public string? PhysicalNetwork { get; init; }

    /// <summary>The VXLAN network identifier, 1 to 16777215; overlays only, unique.</summary>
    public int? SegmentationId { get; init; }

    public required int MtuBytes { get; init; }

    /// <summary>What ports get that do not say otherwise.</summary>
    public bool PortSecurityEnabled { get; init; } = true;

    public string DnsDomain { get; init; } = "";

    /// <summary>What binds ports that have no policy of their own; null for none.</summary>
    public string? QosPolicyId { get; init; }
}

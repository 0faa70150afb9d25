using Nephos.Networking.Sharing;

namespace Nephos.Networking.AddressScopes;

/// <summary>A range of addresses in which none means two things: prefixes of its subnet pools do not overlap, and routers translate
/// addresses where it ends and not inside.</summary>
internal sealed record AddressScope : SharedResource
{
    public required int IpVersion { get; init; }
}

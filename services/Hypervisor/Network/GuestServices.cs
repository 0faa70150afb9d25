using System.Net;

namespace Nephos.Hypervisor.Network;

/// <summary>Addresses of what the node itself answers to guests.</summary>
internal static class GuestServices
{
    /// <summary>Metadata, and the name of the DHCP server in leases: a guest reaches it on every network without a route of its own.</summary>
    public static readonly IPAddress MetadataAddress = IPAddress.Parse("169.254.169.254");
}

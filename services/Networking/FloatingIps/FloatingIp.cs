using Nephos.Networking.Addressing;

namespace Nephos.Networking.FloatingIps;

/// <param name="RouterId">The router that leads from the external network to the port.</param>
internal sealed record FloatingTarget(string PortId, IpAddress FixedAddress, string RouterId);

/// <summary>An address of an external network that leads to an address of a port, or nowhere yet.</summary>
internal sealed record FloatingIp : Resource
{
    public required string FloatingNetworkId { get; init; }

    public required IpAddress Address { get; init; }

    /// <summary>The port on the external network that holds the address.</summary>
    public required string HolderPortId { get; init; }

    public FloatingTarget? Target { get; init; }
}

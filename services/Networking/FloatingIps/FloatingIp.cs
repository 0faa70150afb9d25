using System.Text.Json.Serialization;
using Nephos.Networking.Addressing;

namespace Nephos.Networking.FloatingIps;

/// <param name="RouterId">The router that leads from the external network to the port.</param>
internal sealed record FloatingTarget(string PortId, IpAddress FixedAddress, string RouterId);

/// <summary>One port number of a floating IP that leads to a port number of a guest.</summary>
internal sealed record PortForwarding
{
    /// <summary>A UUID.</summary>
    public required string Id { get; init; }

    /// <summary>One of <see cref="PortForwardingService.Protocols"/>.</summary>
    public required string Protocol { get; init; }

    /// <summary>1 to 65535; once per protocol of a floating IP.</summary>
    public required int ExternalPort { get; init; }

    public required string PortId { get; init; }

    /// <summary>An address of the port.</summary>
    public required IpAddress FixedAddress { get; init; }

    public required int InternalPort { get; init; }

    public string Description { get; init; } = "";

    /// <summary>The caller's key of the request that made it.</summary>
    public string? IdempotencyKey { get; init; }
}

/// <summary>An address of an external network that leads to an address of a port, to port numbers of several ports, or nowhere yet.</summary>
internal sealed record FloatingIp : Resource
{
    public required string FloatingNetworkId { get; init; }

    public required IpAddress Address { get; init; }

    /// <summary>The port on the external network that holds the address.</summary>
    public required string HolderPortId { get; init; }

    /// <summary>Null while there are port forwardings.</summary>
    public FloatingTarget? Target { get; init; }

    /// <summary>In the order they were made; all behind one router.</summary>
    public IReadOnlyList<PortForwarding> PortForwardings { get; init; } = [];

    /// <summary>The router that the port forwardings go through; null when there are none.</summary>
    public string? ForwardingRouterId { get; init; }

    /// <summary>The router that translates the address; null while it leads nowhere.</summary>
    [JsonIgnore]
    public string? RouterId => Target?.RouterId ?? ForwardingRouterId;

    /// <summary>Where it leads to.</summary>
    [JsonIgnore]
    public IEnumerable<(string PortId, IpAddress FixedAddress)> Destinations =>
        Target is { } target ? [(target.PortId, target.FixedAddress)] : PortForwardings.Select(one => (one.PortId, one.FixedAddress));

    /// <summary>Without what leads to a port at the addresses that a function names.</summary>
    public FloatingIp Without(string portId, Func<IpAddress, bool> gone)
    {
        var left = PortForwardings.Where(one => one.PortId != portId || !gone(one.FixedAddress)).ToArray();
        return this with
        {
            Target = Target is { } target && target.PortId == portId && gone(target.FixedAddress) ? null : Target,
            PortForwardings = left.Length == PortForwardings.Count ? PortForwardings : left,
            ForwardingRouterId = left.Length == 0 ? null : ForwardingRouterId,
        };
    }
}

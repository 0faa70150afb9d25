using Nephos.Networking.Subnets;

namespace Nephos.Networking.Routers;

/// <param name="PortId">The port on the external network that holds the router's addresses there.</param>
internal sealed record Gateway(string NetworkId, string PortId, bool EnableSnat);

/// <summary>Connects subnets, and them to an external network. Its interfaces are the ports whose device it is.</summary>
internal sealed record Router : Resource
{
    public bool AdminStateUp { get; init; } = true;

    public Gateway? Gateway { get; init; }

    public IReadOnlyList<Route> Routes { get; init; } = [];
}

/// <summary>On which node a router lives. Beside the router, so that moving it is no change of what the user asked for.</summary>
/// <param name="Epoch">Raised by each placement; nodes and peers believe the highest.</param>
internal sealed record RouterPlacement(string RouterId, string Node, long Epoch);

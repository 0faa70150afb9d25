using Nephos.Networking.Ports;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.Routers;

/// <param name="EnableSnat">Null: yes.</param>
/// <param name="FixedIps">Null: the service chooses.</param>
internal sealed record NewGateway(string NetworkId, bool? EnableSnat, IReadOnlyList<WantedAddress>? FixedIps);

internal sealed record NewRouter
{
    public string ProjectId { get; init; } = "";

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    public bool AdminStateUp { get; init; } = true;

    public NewGateway? Gateway { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record RouterChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<bool> AdminStateUp { get; init; }

    /// <summary>Null takes the gateway away.</summary>
    public Optional<NewGateway?> Gateway { get; init; }

    public Optional<IReadOnlyList<Route>> Routes { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

/// <summary>What adding or removing an interface answers.</summary>
internal sealed record RouterInterface(Router Router, Port Port, IReadOnlyList<string> SubnetIds);

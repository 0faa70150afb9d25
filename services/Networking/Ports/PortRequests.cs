using Nephos.Networking.Addressing;

namespace Nephos.Networking.Ports;

internal sealed record NewPort
{
    public string ProjectId { get; init; } = "";

    public required string NetworkId { get; init; }

    public string Name { get; init; } = "";

    public string Description { get; init; } = "";

    /// <summary>Null: the service chooses.</summary>
    public string? MacAddress { get; init; }

    /// <summary>Null: the service chooses.</summary>
    public IReadOnlyList<WantedAddress>? FixedIps { get; init; }

    public bool AdminStateUp { get; init; } = true;

    public string DeviceId { get; init; } = "";

    public string DeviceOwner { get; init; } = "";

    /// <summary>Ids, or names of the port's project. Null: the default group.</summary>
    public IReadOnlyList<string>? SecurityGroups { get; init; }

    public IReadOnlyList<AddressPair> AllowedAddressPairs { get; init; } = [];

    public IReadOnlyList<DhcpOption> ExtraDhcpOptions { get; init; } = [];

    /// <summary>Null: as the network says.</summary>
    public bool? PortSecurityEnabled { get; init; }

    public string DnsName { get; init; } = "";

    public string HostName { get; init; } = "";

    public long BindingEpoch { get; init; }

    public string VnicType { get; init; } = "normal";

    public string? QosPolicyId { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? IdempotencyKey { get; init; }
}

internal sealed record PortChanges
{
    public Optional<string> Name { get; init; }

    public Optional<string> Description { get; init; }

    public Optional<string> MacAddress { get; init; }

    public Optional<IReadOnlyList<WantedAddress>> FixedIps { get; init; }

    public Optional<bool> AdminStateUp { get; init; }

    public Optional<string> DeviceId { get; init; }

    public Optional<string> DeviceOwner { get; init; }

    public Optional<IReadOnlyList<string>> SecurityGroups { get; init; }

    public Optional<IReadOnlyList<AddressPair>> AllowedAddressPairs { get; init; }

    public Optional<IReadOnlyList<DhcpOption>> ExtraDhcpOptions { get; init; }

    public Optional<bool> PortSecurityEnabled { get; init; }

    public Optional<string> DnsName { get; init; }

    public Optional<string> HostName { get; init; }

    public Optional<string> VnicType { get; init; }

    /// <summary>Null: what its network has.</summary>
    public Optional<string?> QosPolicyId { get; init; }

    public Optional<IReadOnlyList<string>> Tags { get; init; }
}

using System.Text.Json.Serialization;
using Nephos.Networking.Addressing;

namespace Nephos.Networking.Ports;

internal sealed record FixedIp(string SubnetId, IpAddress Address);

/// <param name="Address">Addresses the port may send from besides its own.</param>
/// <param name="MacAddress">Null: that of the port.</param>
internal sealed record AddressPair(Cidr Address, string? MacAddress);

internal sealed record DhcpOption(string Name, string Value, int IpVersion);

/// <summary>Where a device is plugged into a network.</summary>
internal sealed record Port : Resource
{
    public required string NetworkId { get; init; }

    /// <summary>Canonical; unique in the network.</summary>
    public required string MacAddress { get; init; }

    /// <summary>Each address unique in its subnet.</summary>
    public IReadOnlyList<FixedIp> FixedIps { get; init; } = [];

    public bool AdminStateUp { get; init; } = true;

    public string DeviceId { get; init; } = "";

    /// <summary>See <see cref="DeviceOwners"/>; compute:ZONE for instances; free text for others.</summary>
    public string DeviceOwner { get; init; } = "";

    public IReadOnlyList<string> SecurityGroupIds { get; init; } = [];

    public IReadOnlyList<AddressPair> AllowedAddressPairs { get; init; } = [];

    public IReadOnlyList<DhcpOption> ExtraDhcpOptions { get; init; } = [];

    public bool PortSecurityEnabled { get; init; } = true;

    public string DnsName { get; init; } = "";

    /// <summary>The node it is bound to; empty when none.</summary>
    public string HostName { get; init; } = "";

    /// <summary>Never goes back; a binding with a lower one is refused.</summary>
    public long BindingEpoch { get; init; }

    public string VnicType { get; init; } = "normal";

    /// <summary>Null: what its network has.</summary>
    public string? QosPolicyId { get; init; }

    [JsonIgnore]
    public bool BelongsToRouter => DeviceOwners.IsRouters(DeviceOwner);
}

/// <summary>The device owners that mean something to the service.</summary>
internal static class DeviceOwners
{
    public const string RouterInterface = "network:router_interface";
    public const string RouterGateway = "network:router_gateway";
    public const string FloatingIp = "network:floatingip";
    public const string Prefix = "network:";

    public static bool IsRouters(string owner) => owner is RouterInterface or RouterGateway;

    /// <summary>Ports that only the object they belong to may take away.</summary>
    public static bool IsReserved(string owner) => owner is RouterInterface or RouterGateway or FloatingIp;
}

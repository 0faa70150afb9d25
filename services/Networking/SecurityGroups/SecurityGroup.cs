using System.Text.Json.Serialization;
using Nephos.Networking.Addressing;
using Nephos.Networking.Sharing;

namespace Nephos.Networking.SecurityGroups;

[JsonConverter(typeof(JsonStringEnumConverter<RuleDirection>))]
internal enum RuleDirection
{
    Ingress = 1,
    Egress = 2,
}

/// <summary>Something that is let through. A rule never changes.</summary>
internal sealed record SecurityGroupRule
{
    public required string Id { get; init; }

    public required RuleDirection Direction { get; init; }

    public required int IpVersion { get; init; }

    /// <summary>As it was given, in lower case: a name of <see cref="IpProtocols"/> or a number; null for every protocol.</summary>
    public string? Protocol { get; init; }

    /// <summary>Ports, or ICMP type and code.</summary>
    public int? PortRangeMin { get; init; }

    public int? PortRangeMax { get; init; }

    /// <summary>As it was given; bits after the prefix may be set.</summary>
    public string? RemoteIpPrefix { get; init; }

    public string? RemoteGroupId { get; init; }

    public string? RemoteAddressGroupId { get; init; }

    public string? Description { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The caller's key of the request that made it.</summary>
    public string? IdempotencyKey { get; init; }

    [JsonIgnore]
    public Cidr? RemoteCidr => RemoteIpPrefix is { } prefix ? Cidr.Parse(prefix) : null;

    /// <summary>What two rules of a group may not both be.</summary>
    [JsonIgnore]
    public object Identity => (Direction, IpVersion, IpProtocols.NumberOf(Protocol, IpVersion), PortRangeMin, PortRangeMax, RemoteCidr, RemoteGroupId, RemoteAddressGroupId);
}

/// <summary>Rules for ports. What no rule of a port's groups lets through is dropped.</summary>
internal sealed record SecurityGroup : SharedResource
{
    public const string DefaultName = "default";

    /// <summary>Replies are let through by themselves.</summary>
    public bool Stateful { get; init; } = true;

    /// <summary>In the order they were made.</summary>
    public IReadOnlyList<SecurityGroupRule> Rules { get; init; } = [];
}

using System.Text.Json.Serialization;
using Nephos.Networking.Addressing;

namespace Nephos.Networking.Firewalls;

[JsonConverter(typeof(JsonStringEnumConverter<FirewallAction>))]
internal enum FirewallAction
{
    Allow = 1,
    Deny = 2,
    Reject = 3,
}

/// <summary>A range of port numbers, 1 to 65535.</summary>
internal readonly record struct PortRange(int Min, int Max)
{
    public override string ToString() => Min == Max ? $"{Min}" : $"{Min}:{Max}";
}

/// <summary>What firewall objects have in common.</summary>
internal abstract record FirewallObject : Resource
{
    /// <summary>Every project may use it.</summary>
    public bool Shared { get; init; }
}

/// <summary>What is done with packets of one kind.</summary>
internal sealed record FirewallRule : FirewallObject
{
    public FirewallAction Action { get; init; } = FirewallAction.Deny;

    public int IpVersion { get; init; } = 4;

    /// <summary>tcp, udp or icmp; null for every one.</summary>
    public string? Protocol { get; init; }

    public Cidr? Source { get; init; }

    public Cidr? Destination { get; init; }

    public PortRange? SourcePorts { get; init; }

    public PortRange? DestinationPorts { get; init; }

    /// <summary>A rule that is not is passed over.</summary>
    public bool Enabled { get; init; } = true;
}

/// <summary>Rules in order: the first that a packet matches decides.</summary>
internal sealed record FirewallPolicy : FirewallObject
{
    public IReadOnlyList<string> RuleIds { get; init; } = [];

    /// <summary>Somebody has looked at it since its rules changed.</summary>
    public bool Audited { get; init; }
}

/// <summary>Binds policies to router interfaces. What no rule lets through is dropped; replies pass by themselves.</summary>
internal sealed record FirewallGroup : FirewallObject
{
    public const string DefaultName = "default";

    public bool AdminStateUp { get; init; } = true;

    /// <summary>For what goes to the networks behind the interfaces; null lets nothing through.</summary>
    public string? IngressPolicyId { get; init; }

    /// <summary>For what comes from there; null lets nothing through.</summary>
    public string? EgressPolicyId { get; init; }

    /// <summary>Router interfaces, each in at most one group.</summary>
    public IReadOnlyList<string> PortIds { get; init; } = [];
}

using System.Text.Json.Serialization;

namespace Nephos.Networking.Nodes;

/// <summary>A node that wires ports and routers, as it described itself.</summary>
internal sealed record NetworkNode
{
    /// <summary>Its name; what ports carry as their host.</summary>
    public required string Name { get; init; }

    /// <summary>A UUID: what agent lists call it.</summary>
    public required string AgentId { get; init; }

    /// <summary>Underlay address of its tunnels; empty for a cloud of one node.</summary>
    public string VtepAddress { get; init; } = "";

    public IReadOnlyList<string> PhysicalNetworks { get; init; } = [];

    /// <summary>Why it cannot wire; empty when it can.</summary>
    public string UnavailableReason { get; init; } = "";

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When its watch began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Written now and then, not with each sign of life.</summary>
    public required DateTimeOffset HeartbeatAt { get; init; }

    public bool IsAlive(DateTimeOffset now, TimeSpan downAfter) => now - HeartbeatAt < downAfter;
}

[JsonConverter(typeof(JsonStringEnumConverter<WiredState>))]
internal enum WiredState
{
    Active = 1,
    Down = 2,
    Failed = 3,
}

/// <summary>What a node made of a port, a router or a floating IP.</summary>
/// <param name="Id">Of the port, router or floating IP: all are UUIDs.</param>
/// <param name="Epoch">Of the binding or placement that it is about.</param>
/// <param name="Error">For people; empty unless failed.</param>
internal sealed record Wired(string Id, string Node, long Epoch, WiredState State, string Error);

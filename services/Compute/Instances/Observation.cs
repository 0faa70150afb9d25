using Nephos.Kernel.State;

namespace Nephos.Compute.Instances;

internal enum Phase { Converging, Settled, Degraded, Failed, Gone }

/// <summary>Numbers as clients of the compute API know them.</summary>
internal enum Power { Unknown = 0, Running = 1, Paused = 3, Shutdown = 4, Crashed = 6, Suspended = 7 }

/// <summary>What the agent of a node said about an instance last. Written by its stream only.</summary>
internal sealed record Observation
{
    public required string InstanceId { get; init; }

    public required string NodeId { get; init; }

    public required long Epoch { get; init; }

    /// <summary>Of the order that the agent works on.</summary>
    public long Generation { get; init; }

    public Phase Phase { get; init; }

    public Power Power { get; init; }

    public bool StoppedByGuest { get; init; }

    public long PowerGeneration { get; init; }

    public long RebootNonceDone { get; init; }

    public IReadOnlyList<ObservedCondition> Conditions { get; init; } = [];

    /// <summary>Attachments that the node has open, or is about to open or close.</summary>
    public IReadOnlyList<ObservedDevice> Volumes { get; init; } = [];

    public IReadOnlyList<ObservedDevice> Ports { get; init; } = [];

    public string Error { get; init; } = "";

    public bool Permanent { get; init; }

    /// <summary>First seen running, here and in this epoch or an earlier one.</summary>
    public DateTimeOffset? FirstRunningAt { get; init; }

    public DateTimeOffset? LaunchedAt { get; init; }

    public DateTimeOffset ObservedAt { get; init; }

    public static readonly TableSchema<Observation> Table =
        new("compute/observations", seen => KeyOf(seen.InstanceId, seen.NodeId), ComputeJson.Default.Observation);

    public static string KeyOf(string instanceId, string nodeId) => $"{instanceId}/{nodeId}";
}

internal sealed record ObservedCondition(string Type, bool Value, DateTimeOffset Since, string Message);

/// <param name="Id">Attachment or port.</param>
internal sealed record ObservedDevice(string Id, bool Attached, string Message);

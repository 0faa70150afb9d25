namespace Nephos.Hypervisor.Instances;

internal enum Phase { Converging, Settled, Degraded, Failed, Gone }

internal enum PowerState { NotSeen, Running, Paused, Shutdown, Crashed, Suspended }

internal sealed record Condition(string Type, bool Value, DateTimeOffset Since, string Message);

internal sealed record DeviceStatus(Guid Id, Guid OwnerId, bool Attached, string Message, string Forward);

/// <summary>What the actor of one instance last saw and did.</summary>
internal sealed record InstanceStatus(
    Guid InstanceId,
    long Epoch,
    long ObservedGeneration,
    Phase Phase,
    PowerState Power,
    bool StoppedByGuest,
    IReadOnlyList<Condition> Conditions,
    IReadOnlyList<DeviceStatus> Volumes,
    IReadOnlyList<DeviceStatus> Ports,
    long ConsoleBytes,
    LaunchMark Mark,
    DateTimeOffset? LaunchedAt,
    string Error,
    bool Permanent,
    DateTimeOffset ObservedAt);

/// <summary>Keeps since when each condition has been as it is.</summary>
internal sealed class ConditionList(TimeProvider time)
{
    private readonly Dictionary<string, Condition> _conditions = [];

    public void Set(string type, bool value, string message)
    {
        if (!_conditions.TryGetValue(type, out var old) || old.Value != value)
        {
            _conditions[type] = new Condition(type, value, time.GetUtcNow(), message);
        }
        else if (old.Message != message)
        {
            _conditions[type] = old with { Message = message };
        }
    }

    /// <summary>In the order in which they come true.</summary>
    public IReadOnlyList<Condition> Snapshot() => [.. Order.Where(_conditions.ContainsKey).Select(type => _conditions[type])];

    public const string VolumesReady = nameof(VolumesReady);
    public const string PortsWired = nameof(PortsWired);
    public const string QemuUp = nameof(QemuUp);
    public const string DevicesAttached = nameof(DevicesAttached);
    public const string PowerStateReached = nameof(PowerStateReached);

    private static readonly string[] Order = [VolumesReady, PortsWired, QemuUp, DevicesAttached, PowerStateReached];
}

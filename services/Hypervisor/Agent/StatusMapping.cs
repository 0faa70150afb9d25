using Google.Protobuf.WellKnownTypes;
using Nephos.Hypervisor.Instances;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Hypervisor.Agent;

/// <summary>Record to wire.</summary>
internal static class StatusMapping
{
    public static Wire.AgentMessage ToWire(this InstanceStatus status)
    {
        var report = new Wire.StatusReport
        {
            InstanceId = status.InstanceId.ToString(),
            Epoch = status.Epoch,
            ObservedGeneration = status.ObservedGeneration,
            Phase = status.Phase switch
            {
                Phase.Converging => Wire.Phase.Converging,
                Phase.Settled => Wire.Phase.Settled,
                Phase.Degraded => Wire.Phase.Degraded,
                Phase.Failed => Wire.Phase.Failed,
                Phase.Gone => Wire.Phase.Gone,
                _ => throw new ArgumentOutOfRangeException(nameof(status)),
            },
            PowerState = status.Power switch
            {
                PowerState.NotSeen => Wire.PowerState.Unspecified,
                PowerState.Running => Wire.PowerState.Running,
                PowerState.Paused => Wire.PowerState.Paused,
                PowerState.Shutdown => Wire.PowerState.Shutdown,
                PowerState.Crashed => Wire.PowerState.Crashed,
                PowerState.Suspended => Wire.PowerState.Suspended,
                _ => throw new ArgumentOutOfRangeException(nameof(status)),
            },
            StoppedByGuest = status.StoppedByGuest,
            ConsoleBytes = status.ConsoleBytes,
            RebootNonceDone = status.Mark.RebootNonce,
            PowerGeneration = status.Mark.PowerGeneration,
            LaunchedAt = status.LaunchedAt is { } launched ? Timestamp.FromDateTimeOffset(launched) : null,
            Error = status.Error,
            Permanent = status.Permanent,
            ObservedAt = Timestamp.FromDateTimeOffset(status.ObservedAt),
        };
        report.Conditions.AddRange(status.Conditions.Select(condition => new Wire.Condition
        {
            Type = condition.Type, Value = condition.Value, Since = Timestamp.FromDateTimeOffset(condition.Since), Message = condition.Message,
        }));
        report.Volumes.AddRange(status.Volumes.Select(volume => new Wire.VolumeStatus
        {
            AttachmentId = volume.Id.ToString(),
            VolumeId = volume.OwnerId == Guid.Empty ? "" : volume.OwnerId.ToString(),
            Attached = volume.Attached,
            Message = volume.Message,
        }));
        report.Ports.AddRange(status.Ports.Select(port => new Wire.PortStatus
        {
            PortId = port.Id.ToString(), Attached = port.Attached, Message = port.Message, SshForward = port.Forward,
        }));
        return new Wire.AgentMessage { Status = report };
    }

    /// <summary>What to say of an instance that the actor has not looked at yet.</summary>
    public static Wire.AgentMessage NotSeenYet(InstanceSpec spec) => new()
    {
        Status = new Wire.StatusReport
        {
            InstanceId = spec.Id.ToString(), Epoch = spec.Epoch, ObservedGeneration = spec.Generation, Phase = Wire.Phase.Converging,
        },
    };
}

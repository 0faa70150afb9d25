using System.Threading.Channels;
using Nephos.Compute.Instances;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Nodes;

/// <summary>Writes what agents report: many reports in one commit, only what changed, and only of instances that the node was told of.</summary>
internal sealed class ReportWriter(IStateStore store, TableCache<InstanceParts> parts, TimeProvider time)
{
    private const int BatchMax = 128;
    private const int DevicesMax = 64;
    private const int TextCharsMax = 1024;

    public async Task WriteAsync(string nodeId, ChannelReader<Wire.StatusReport> reports, CancellationToken cancellationToken)
    {
        var batch = new Dictionary<string, Wire.StatusReport>(StringComparer.Ordinal);
        while (await reports.WaitToReadAsync(cancellationToken))
        {
            batch.Clear();
            while (batch.Count < BatchMax && reports.TryRead(out var report))
            {
                batch[report.InstanceId] = report;
            }
            await WriteAsync(nodeId, batch.Values, cancellationToken);
        }
    }

    /// <summary>Writes the reports of one node, the last of each instance.</summary>
    public async Task WriteAsync(string nodeId, IReadOnlyCollection<Wire.StatusReport> reports, CancellationToken cancellationToken)
    {
        var known = reports.Where(report => parts.Get(report.InstanceId)?.OrderFor(nodeId) is not null).ToList();
        if (known.Count == 0)
        {
            return;
        }
        var now = time.GetUtcNow();
        await store.TransactAsync(async transaction =>
        {
            foreach (var report in known)
            {
                var before = await transaction.GetAsync(Observation.Table, Observation.KeyOf(report.InstanceId, nodeId), cancellationToken);
                var after = ToObservation(report, nodeId, before, now);
                if (before is null || !Same(before, after))
                {
                    transaction.Put(Observation.Table, after);
                }
            }
        }, cancellationToken);
    }

    private static Observation ToObservation(Wire.StatusReport report, string nodeId, Observation? before, DateTimeOffset now)
    {
        var power = report.PowerState switch
        {
            Wire.PowerState.Running => Power.Running,
            Wire.PowerState.Paused => Power.Paused,
            Wire.PowerState.Shutdown => Power.Shutdown,
            Wire.PowerState.Crashed => Power.Crashed,
            Wire.PowerState.Suspended => Power.Suspended,
            // Not seen never changes a state.
            _ => before?.Power ?? Power.Unknown,
        };
        return new Observation
        {
            InstanceId = report.InstanceId,
            NodeId = nodeId,
            Epoch = report.Epoch,
            Generation = report.ObservedGeneration,
            Phase = report.Phase switch
            {
                Wire.Phase.Settled => Phase.Settled,
                Wire.Phase.Degraded => Phase.Degraded,
                Wire.Phase.Failed => Phase.Failed,
                Wire.Phase.Gone => Phase.Gone,
                _ => Phase.Converging,
            },
            Power = power,
            StoppedByGuest = report.StoppedByGuest,
            PowerGeneration = report.PowerGeneration,
            RebootNonceDone = report.RebootNonceDone,
            Conditions =
            [
                .. report.Conditions.Take(DevicesMax).Select(condition => new ObservedCondition(
                    Short(condition.Type), condition.Value, condition.Since?.ToDateTimeOffset() ?? now, Short(condition.Message))),
            ],
            Volumes = [.. report.Volumes.Take(DevicesMax).Select(volume => new ObservedDevice(volume.AttachmentId, volume.Attached, Short(volume.Message)))],
            Ports = [.. report.Ports.Take(DevicesMax).Select(port => new ObservedDevice(
                port.PortId, port.Attached, Short(port.SshForward.Length > 0 ? $"ssh by {port.SshForward}" : port.Message)))],
            Error = Short(report.Error),
            Permanent = report.Permanent,
            FirstRunningAt = before?.FirstRunningAt ?? (power == Power.Running ? now : null),
            LaunchedAt = report.LaunchedAt?.ToDateTimeOffset(),
            ObservedAt = now,
        };
    }

    private static bool Same(Observation before, Observation after) =>
        before with { Conditions = [], Volumes = [], Ports = [], ObservedAt = default } == after with { Conditions = [], Volumes = [], Ports = [], ObservedAt = default }
        && before.Conditions.SequenceEqual(after.Conditions) && before.Volumes.SequenceEqual(after.Volumes) && before.Ports.SequenceEqual(after.Ports);

    private static string Short(string text) => text.Length <= TextCharsMax ? text : text[..TextCharsMax];
}

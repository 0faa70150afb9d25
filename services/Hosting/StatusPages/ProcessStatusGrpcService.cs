using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Reconciliation;
using Wire = Nephos.Protos.Host.V1;

namespace Nephos.Hosting.StatusPages;

/// <summary>A fact that a role publishes on the status page, such as objects at risk.</summary>
public interface IStatusFacts
{
    IEnumerable<KeyValuePair<string, string>> Facts { get; }
}

internal sealed class ProcessStatusGrpcService(
    NephosOptions options, ReconcilerRegistry reconcilers, IEnumerable<IStatusFacts> facts)
    : Wire.ProcessStatus.ProcessStatusBase
{
    private readonly Timestamp _startedAt = Timestamp.FromDateTime(System.Diagnostics.Process.GetCurrentProcess().StartTime.ToUniversalTime());

    public override Task<Wire.GetProcessStatusResponse> GetProcessStatus(Wire.GetProcessStatusRequest request, ServerCallContext context)
    {
        context.GetOperation().RequireAdmin("read the status of a process");
        var response = new Wire.GetProcessStatusResponse
        {
            NodeName = options.NodeName,
            StartedAt = _startedAt,
            ResidentBytes = Environment.WorkingSet,
            Roles = { options.Roles },
        };
        response.Reconcilers.AddRange(reconcilers.List().Select(ToWire));
        response.Facts.AddRange(facts.SelectMany(source => source.Facts)
            .OrderBy(fact => fact.Key, StringComparer.Ordinal)
            .Select(fact => new Wire.Fact { Name = fact.Key, Value = fact.Value }));
        return Task.FromResult(response);
    }

    private static Wire.ReconcilerStatus ToWire(ReconcilerStatus status) => new()
    {
        Name = status.Name,
        Passes = status.Passes,
        LastPassAt = status.LastStartedAt is { } at ? Timestamp.FromDateTimeOffset(at) : null,
        LastDuration = Duration.FromTimeSpan(status.LastDuration),
        Backlog = status.Backlog,
        LastError = status.ConsecutiveFailures > 0 ? status.LastError ?? "" : "",
    };
}

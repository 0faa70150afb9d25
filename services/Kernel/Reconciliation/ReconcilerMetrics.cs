using System.Diagnostics.Metrics;

namespace Nephos.Kernel.Reconciliation;

/// <summary>What a scraper sees of the reconcilers, by the tag <c>reconciler</c>.</summary>
public static class ReconcilerMetrics
{
    public const string MeterName = "Nephos.Reconciliation";

    private static readonly Meter Meter = new(MeterName);
    private static readonly Histogram<double> Duration = Meter.CreateHistogram<double>("nephos.reconciler.pass.duration", "s");
    private static readonly Counter<long> Failures = Meter.CreateCounter<long>("nephos.reconciler.pass.failures");
    private static readonly Gauge<int> Backlog = Meter.CreateGauge<int>("nephos.reconciler.backlog");

    internal static void Record(ReconcilerStatus status)
    {
        var name = KeyValuePair.Create<string, object?>("reconciler", status.Name);
        Duration.Record(status.LastDuration.TotalSeconds, name);
        Backlog.Record(status.Backlog, name);
        if (status.ConsecutiveFailures > 0)
        {
            Failures.Add(1, name);
        }
    }
}

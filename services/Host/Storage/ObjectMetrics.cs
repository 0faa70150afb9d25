using System.Diagnostics.Metrics;
using Nephos.Client.Objects;

namespace Nephos.Host.Storage;

/// <summary>The health of the object store on <c>/metrics</c>.</summary>
internal sealed class ObjectMetrics : IHostedService, IDisposable
{
    private readonly Meter _meter = new("Nephos.Objects");

    public ObjectMetrics(IObjectEngine engine)
    {
        Gauge("nephos.objects.at_risk", "Blobs with fewer copies than wanted", s => s.BlobsAtRisk);
        Gauge("nephos.objects.without_spare", "Blobs with one good copy left", s => s.BlobsWithoutSpare);
        Gauge("nephos.objects.missing", "Referenced blobs without any copy", s => s.BlobsMissing);
        Gauge("nephos.objects.to_remove", "Released blobs whose bytes are still to be removed", s => s.BlobsToRemove);
        Gauge("nephos.objects.repaired", "Copies made again", s => s.BlobsRepaired);
        Gauge("nephos.objects.safe_in_seconds", "Time until every blob has its copies, by the rate of the last minute; -1 when nothing is said", s => (long)(s.SafeIn?.TotalSeconds ?? -1));
        Gauge("nephos.objects.shards_down", "Shards that nobody writes", s => s.Shards.Count(h => h.State != "Serving"));
        Gauge("nephos.objects.devices_failed", "Devices that cannot be used", s => s.Devices.Count(d => d.State == DeviceState.Failed));

        void Gauge(string name, string description, Func<ObjectEngineStatus, long> read) =>
            _meter.CreateObservableGauge(name, () => Read(read), description: description);

        IEnumerable<Measurement<long>> Read(Func<ObjectEngineStatus, long> read)
        {
            ObjectEngineStatus status;
            try
            {
                status = engine.GetStatus();
            }
            catch (ObjectEngineException)
            {
                // Not running yet, or not any more.
                return [];
            }

            return [new Measurement<long>(read(status))];
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _meter.Dispose();
}

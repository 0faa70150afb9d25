using System.Diagnostics.Metrics;

namespace Nephos.Client.Volumes;

/// <summary>What is measured of the heads of a process, for each volume.</summary>
internal sealed class HeadMetrics : IDisposable
{
    private readonly Meter _meter = new("Nephos.Volumes");

    public HeadMetrics(Func<IReadOnlyList<VolumeHeadStatus>> list)
    {
        Gauge("nephos.volume.at_risk", "s", "Time with fewer complete replicas than there should be", head => head.Group.AtRisk.TotalSeconds);
        Gauge("nephos.volume.complete_replicas", null, "Replicas that have everything", head => head.Group.CompleteCount);
        Gauge("nephos.volume.lacking", "By", "What replicas still have to get or to compare", head => head.Group.Replicas.Sum(replica => replica.LackingBytes + replica.ToCompareBytes));
        Gauge("nephos.volume.repaired", "By", "Copied to replicas since the head was opened", head => head.Group.RepairedBytes);
        Gauge("nephos.volume.damaged_blocks", null, "Blocks that were found damaged since the head was opened", head => head.Group.DamagedBlocks);

        void Gauge(string name, string? unit, string description, Func<VolumeHeadStatus, double> value) => _meter.CreateObservableGauge(
            name, () => list().Select(head => new Measurement<double>(value(head), new KeyValuePair<string, object?>("volume", head.VolumeId.ToString()))), unit, description);
    }

    public void Dispose() => _meter.Dispose();
}

using HdrHistogram;

namespace Nephos.LoadTests.Running;

/// <summary>What a scenario measured. Latencies in microseconds, up to a minute, three significant digits.</summary>
public sealed class ScenarioStats
{
    private const long MaxMicroseconds = 60_000_000;
    private readonly Lock _gate = new();
    private readonly LongHistogram _all = new(MaxMicroseconds, 3);
    private readonly SortedDictionary<int, LongHistogram> _seconds = [];
    private readonly Dictionary<string, long> _errors = new(StringComparer.Ordinal);

    public long Succeeded { get; private set; }

    public long Failed { get; private set; }

    public long SizeBytes { get; private set; }

    public TimeSpan Duration { get; set; }

    /// <summary>Processor time of the server over the measured time; null when its process is not on this machine.</summary>
    public TimeSpan? ServerCpu { get; set; }

    public IReadOnlyDictionary<string, long> Errors => _errors;

    /// <summary>Second of the run, successes in it, and their p50 and p99 in microseconds.</summary>
    public IEnumerable<(int Second, long Count, long P50, long P99)> OverTime =>
        _seconds.Select(item => (item.Key, item.Value.TotalCount, item.Value.GetValueAtPercentile(50), item.Value.GetValueAtPercentile(99)));

    public double Rate => Duration > TimeSpan.Zero ? Succeeded / Duration.TotalSeconds : 0;

    public double MegabytesPerSecond => Duration > TimeSpan.Zero ? SizeBytes / 1e6 / Duration.TotalSeconds : 0;

    public double? CpuMicrosecondsPerOperation => ServerCpu is { } cpu && Succeeded > 0 ? cpu.TotalMicroseconds / Succeeded : null;

    public long Percentile(double percentile) => _all.TotalCount == 0 ? 0 : _all.GetValueAtPercentile(percentile);

    public void Record(TimeSpan sinceStart, TimeSpan latency, Response response)
    {
        lock (_gate)
        {
            if (response.IsError)
            {
                Failed++;
                _errors[response.Message] = _errors.GetValueOrDefault(response.Message) + 1;
                return;
            }
            Succeeded++;
            SizeBytes += response.SizeBytes;
            var value = Math.Clamp((long)latency.TotalMicroseconds, 1, MaxMicroseconds);
            _all.RecordValue(value);
            var second = (int)sinceStart.TotalSeconds;
            if (!_seconds.TryGetValue(second, out var histogram))
            {
                _seconds[second] = histogram = new LongHistogram(MaxMicroseconds, 3);
            }
            histogram.RecordValue(value);
        }
    }
}

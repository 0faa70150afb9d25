namespace Nephos.Node.Objects.Repair;

/// <summary>When everything will be safe, by how fast copies were made lately.</summary>
internal sealed class RepairForecast(TimeProvider time)
{
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);
    private readonly Queue<(long At, long Repaired)> _samples = new();
    private double? _lastRate;
    private readonly Lock _gate = new();

    public void Note(long repaired)
    {
        lock (_gate)
        {
            _samples.Enqueue((time.GetTimestamp(), repaired));
            while (_samples.Count > 2 && time.GetElapsedTime(_samples.Peek().At) > Window)
            {
                _samples.Dequeue();
            }

            _lastRate = Rate() ?? _lastRate;
        }
    }

    /// <summary>How long so many copies take, by the last minute in which any were made; null before the first.</summary>
    public TimeSpan? Expect(double copies)
    {
        lock (_gate)
        {
            return copies == 0 ? TimeSpan.Zero : _lastRate is { } rate && copies / rate is var seconds && seconds < TimeSpan.MaxValue.TotalSeconds ? TimeSpan.FromSeconds(seconds) : null;
        }
    }

    /// <summary>Zero when nothing is at risk; null when copies are not being made.</summary>
    public TimeSpan? Until(long atRisk)
    {
        if (atRisk == 0)
        {
            return TimeSpan.Zero;
        }

        lock (_gate)
        {
            return Rate() is { } rate ? TimeSpan.FromSeconds(atRisk / rate) : null;
        }
    }

    /// <summary>Copies a second; null when none are being made.</summary>
    private double? Rate()
    {
        if (_samples.Count < 2)
        {
            return null;
        }

        var (first, last) = (_samples.First(), _samples.Last());
        var seconds = time.GetElapsedTime(first.At, last.At).TotalSeconds;
        var made = last.Repaired - first.Repaired;
        return made > 0 && seconds > 0 ? made / seconds : null;
    }
}

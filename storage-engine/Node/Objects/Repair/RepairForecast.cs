namespace Nephos.Node.Objects.Repair;

/// <summary>When everything will be safe, by how fast copies were made lately.</summary>
internal sealed class RepairForecast(TimeProvider time)
{
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);
    private readonly Queue<(long At, long Repaired)> _samples = new();
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
            if (_samples.Count < 2)
            {
                return null;
            }

            var (first, last) = (_samples.First(), _samples.Last());
            var seconds = time.GetElapsedTime(first.At, last.At).TotalSeconds;
            var made = last.Repaired - first.Repaired;
            return made > 0 && seconds > 0 ? TimeSpan.FromSeconds(atRisk * seconds / made) : null;
        }
    }
}

namespace Nephos.Client.Volumes;

/// <summary>Limits of a volume: two buckets that fill with time, of requests and of bytes, each as deep as one second.</summary>
/// <remarks>Enforced by not reading requests from the socket, which pushes back into the queue of the guest. Safe for use by several threads.</remarks>
internal sealed class RateLimit(long iops, long bytesPerSecond, TimeProvider time)
{
    /// <summary>One request is counted for each started part of this size.</summary>
    private const int BytesPerRequest = 16 << 10;

    private readonly Lock _gate = new();
    private long _iops = iops;
    private long _bytesPerSecond = bytesPerSecond;
    private long _lastFilled = time.GetTimestamp();
    private double _requests = iops;
    private double _bytes = bytesPerSecond;

    public bool IsUnlimited => Volatile.Read(ref _iops) == 0 && Volatile.Read(ref _bytesPerSecond) == 0;

    /// <summary>Changes the limits from the next request on; each is as full as it would be after a rest.</summary>
    public void Change(long newIops, long newBytesPerSecond)
    {
        lock (_gate)
        {
            if (newIops == _iops && newBytesPerSecond == _bytesPerSecond) return;
            (_iops, _bytesPerSecond) = (newIops, newBytesPerSecond);
            (_requests, _bytes, _lastFilled) = (newIops, newBytesPerSecond, time.GetTimestamp());
        }
    }

    /// <summary>Takes what a request needs and answers how long to wait before the next one is read. Debt is allowed: a request is never split.</summary>
    public TimeSpan Take(long bytes)
    {
        if (IsUnlimited) return TimeSpan.Zero;
        lock (_gate)
        {
            var now = time.GetTimestamp();
            var seconds = time.GetElapsedTime(_lastFilled, now).TotalSeconds;
            _lastFilled = now;
            var wait = 0.0;
            if (_iops > 0)
            {
                _requests = Math.Min(_iops, _requests + seconds * _iops) - Math.Max(1, (bytes + BytesPerRequest - 1) / BytesPerRequest);
                wait = -_requests / _iops;
            }
            if (_bytesPerSecond > 0)
            {
                _bytes = Math.Min(_bytesPerSecond, _bytes + seconds * _bytesPerSecond) - bytes;
                wait = Math.Max(wait, -_bytes / _bytesPerSecond);
            }
            return wait <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(wait);
        }
    }
}

namespace Nephos.Client.Volumes;

/// <summary>Keeps the limits of a volume: buckets that fill with time, of requests and of bytes, for all requests, for reads and for writes.</summary>
/// <remarks>A bucket is as deep as its burst, at least one second. Enforced by not reading requests from the socket, which pushes back into the queue of the
/// guest. Safe for use by several threads.</remarks>
internal sealed class RateLimit
{
    /// <summary>One request is counted for each started part of this size.</summary>
    private const int BytesPerRequest = 16 << 10;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private VolumeLimits _limits;
    private bool _isUnlimited;
    private long _lastFilled;
    private Buckets _total, _read, _write;

    public RateLimit(VolumeLimits limits, TimeProvider time)
    {
        _time = time;
        Set(limits);
    }

    public bool IsUnlimited => Volatile.Read(ref _isUnlimited);

    /// <summary>Changes the limits from the next request on; each is as full as it would be after a rest.</summary>
    public void Change(VolumeLimits limits)
    {
        lock (_gate)
            if (limits != _limits) Set(limits);
    }

    private void Set(VolumeLimits limits)
    {
        _limits = limits;
        (_total, _read, _write) = (new Buckets(limits.Total), new Buckets(limits.Read), new Buckets(limits.Write));
        _lastFilled = _time.GetTimestamp();
        Volatile.Write(ref _isUnlimited, limits == default);
    }

    /// <summary>Takes what a request needs and answers how long to wait before it is done. Debt is allowed: a request is never split.</summary>
    /// <param name="bytes">Its length.</param>
    /// <param name="kind">What it does.</param>
    public TimeSpan Take(long bytes, IoKind kind)
    {
        if (IsUnlimited) return TimeSpan.Zero;
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            var seconds = _time.GetElapsedTime(_lastFilled, now).TotalSeconds;
            _lastFilled = now;
            var requests = Math.Max(1, (bytes + BytesPerRequest - 1) / BytesPerRequest);
            _total.Fill(seconds);
            _read.Fill(seconds);
            _write.Fill(seconds);
            var wait = _total.Take(requests, bytes);
            if (kind == IoKind.Read) wait = Math.Max(wait, _read.Take(requests, bytes));
            else if (kind == IoKind.Write) wait = Math.Max(wait, _write.Take(requests, bytes));
            return wait <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(wait);
        }
    }

    private struct Buckets(IoLimits limits)
    {
        private Bucket _requests = new(limits.Iops, limits.IopsBurst);
        private Bucket _bytes = new(limits.BytesPerSecond, limits.BytesBurst);

        public void Fill(double seconds)
        {
            _requests.Fill(seconds);
            _bytes.Fill(seconds);
        }

        public double Take(long requests, long bytes) => Math.Max(_requests.Take(requests), _bytes.Take(bytes));
    }

    private struct Bucket(long rate, long burst)
    {
        private readonly double _depth = Math.Max(rate, burst);
        private double _level = Math.Max(rate, burst);

        public void Fill(double seconds) => _level = Math.Min(_depth, _level + seconds * rate);

        // Seconds until what was taken has come.
        public double Take(long amount)
        {
            if (rate == 0) return 0;
            _level -= amount;
            return -_level / rate;
        }
    }
}

/// <summary>What a request does to a volume, as far as limits tell.</summary>
internal enum IoKind
{
    Other,
    Read,
    Write,
}

using System.Collections.Concurrent;

namespace Nephos.ObjectStorage.Objects;

/// <summary>What a request does, as far as rates are concerned.</summary>
internal enum RatedOperation
{
    ContainerChange,
    ObjectWrite,
    Listing,
}

/// <summary>
/// Spaces requests out as Swift does: each account or container has a time at which its next request is due; who comes early waits until
/// then, and who would wait too long is refused and leaves the time as it was. Counted in this process.
/// </summary>
internal sealed class RateLimits(ObjectStorageOptions options, TimeProvider time)
{
    private const int MaxNames = 100_000;

    private readonly RateLimitOptions _options = options.RateLimits;
    private readonly RateLimitStep[] _writes = [.. options.RateLimits.ContainerWrites.OrderBy(step => step.Objects)];
    private readonly RateLimitStep[] _listings = [.. options.RateLimits.ContainerListings.OrderBy(step => step.Objects)];
    private readonly ConcurrentDictionary<(RatedOperation Operation, string Account, string Container), Line> _lines = new();

    /// <summary>No limit is set at all.</summary>
    public bool IsOff => _options.AccountPerSecond == 0 && _writes.Length == 0 && _listings.Length == 0;

    /// <summary>Waits until the request's turn.</summary>
    /// <param name="objects">How many the container holds.</param>
    /// <returns>False, at once, when the turn is too far away.</returns>
    public async ValueTask<bool> EnterAsync(RatedOperation operation, string account, string container, long objects, CancellationToken cancellationToken)
    {
        var rate = operation switch
        {
            RatedOperation.ContainerChange => _options.AccountPerSecond,
            RatedOperation.ObjectWrite => RateOf(_writes, objects),
            _ => RateOf(_listings, objects),
        };
        if (rate <= 0)
        {
            return true;
        }
        if (_lines.Count >= MaxNames)
        {
            Forget();
        }
        var line = _lines.GetOrAdd((operation, account, operation == RatedOperation.ContainerChange ? "" : container), static _ => new Line());
        if (line.Take(time.GetUtcNow(), TimeSpan.FromSeconds(1 / rate), _options) is not { } wait)
        {
            return false;
        }
        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, time, cancellationToken);
        }
        return true;
    }

    /// <summary>0 below the first step: no limit.</summary>
    public static double RateOf(IReadOnlyList<RateLimitStep> steps, long objects)
    {
        for (var index = steps.Count - 1; index >= 0; index--)
        {
            var step = steps[index];
            if (objects >= step.Objects)
            {
                if (index == steps.Count - 1 || steps[index + 1].Objects == step.Objects)
                {
                    return step.PerSecond;
                }
                var next = steps[index + 1];
                var share = (double)(objects - step.Objects) / (next.Objects - step.Objects);
                return step.PerSecond + (share * (next.PerSecond - step.PerSecond));
            }
        }
        return 0;
    }

    private void Forget()
    {
        var before = time.GetUtcNow() - _options.Buffer;
        foreach (var (name, line) in _lines)
        {
            if (line.Due < before)
            {
                _lines.TryRemove(name, out _);
            }
        }
        if (_lines.Count >= MaxNames)
        {
            _lines.Clear();
        }
    }

    private sealed class Line
    {
        private readonly Lock _gate = new();

        /// <summary>When the next request is due.</summary>
        public DateTimeOffset Due { get; private set; }

        public TimeSpan? Take(DateTimeOffset now, TimeSpan each, RateLimitOptions options)
        {
            lock (_gate)
            {
                // Idle for longer than the buffer: what was saved up beyond it is lost.
                var start = now - Due > options.Buffer ? now : Due;
                var wait = start > now ? start - now : TimeSpan.Zero;
                if (wait >= options.WaitMax)
                {
                    return null;
                }
                Due = start + each;
                return wait;
            }
        }
    }
}

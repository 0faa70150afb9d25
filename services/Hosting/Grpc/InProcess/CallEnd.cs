using Grpc.Core;

namespace Nephos.Hosting.Grpc.InProcess;

/// <summary>Ends a call that stays in the process: at its deadline, or when the caller gives up.</summary>
internal sealed class CallEnd : IDisposable
{
    /// <summary>The longest that a timer waits; a deadline behind it is none.</summary>
    private static readonly TimeSpan TimerMax = TimeSpan.FromMilliseconds(uint.MaxValue - 1);

    private readonly CancellationTokenSource _source;
    private readonly ITimer? _timer;
    private volatile bool _isLate;

    public CallEnd(CallOptions options, TimeProvider time)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(options.CancellationToken);
        Token = _source.Token;
        if (options.Deadline is not { } deadline)
        {
            return;
        }
        var left = deadline.ToUniversalTime() - time.GetUtcNow().UtcDateTime;
        if (left <= TimeSpan.Zero)
        {
            _isLate = true;
            _source.Cancel();
        }
        else if (left <= TimerMax)
        {
            _timer = time.CreateTimer(static end => ((CallEnd)end!).Reach(), this, left, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Cancelled when the call ends before it is answered.</summary>
    public CancellationToken Token { get; }

    /// <summary>What the caller is told about a call that ended before it was answered.</summary>
    public Status Status => _isLate
        ? new Status(StatusCode.DeadlineExceeded, "The deadline of the call passed before it was answered.")
        : new Status(StatusCode.Cancelled, "The call was cancelled.");

    /// <summary>Ends a call that may have been answered already.</summary>
    public void Cancel()
    {
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It was answered.
        }
    }

    /// <summary>Once it is answered: it is linked to a token of the caller that may live as long as the process.</summary>
    public void Dispose()
    {
        _timer?.Dispose();
        _source.Dispose();
    }

    private void Reach()
    {
        _isLate = true;
        Cancel();
    }
}

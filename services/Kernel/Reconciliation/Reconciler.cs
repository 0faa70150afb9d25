using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Nephos.Kernel.Reconciliation;

/// <summary>Makes the actual state follow the desired state: one pass on a period, and one soon after a nudge.</summary>
/// <remarks>
/// A pass takes no input but the store, may be killed anywhere and may run twice. It does not retry inside: the next pass is the
/// retry, so that a crash, a lost nudge and a second copy of the service take the path that runs every day. Passes of one
/// reconciler never overlap. A pass that throws is recorded and logged, and the next one comes at its time.
/// </remarks>
public abstract partial class Reconciler : BackgroundService
{
    private readonly TimeSpan _period;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    // One place: nudges that come before their pass has begun are one nudge.
    private readonly Channel<bool> _nudges =
        Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly SemaphoreSlim _oneAtATime = new(1, 1);
    private ReconcilerStatus _status;
    private ITimer? _timer;

    /// <param name="name">What it makes true, led by its service: <c>compute/instances</c>.</param>
    /// <param name="period">From the end of a pass to the start of the next.</param>
    /// <param name="time">The clock of the period and of the status.</param>
    /// <param name="registry">Where its status can be read.</param>
    /// <param name="logger">For passes that fail.</param>
    protected Reconciler(string name, TimeSpan period, TimeProvider time, ReconcilerRegistry registry, ILogger logger)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(period, TimeSpan.Zero);
        Name = name;
        _period = period;
        _time = time;
        _logger = logger;
        _status = new ReconcilerStatus { Name = name, Period = period };
        registry.Add(this);
    }

    public string Name { get; }

    public ReconcilerStatus Status => Volatile.Read(ref _status);

    /// <summary>Asks for a pass soon. Cheap, never blocks; many nudges before the pass begins make one pass.</summary>
    public void Nudge() => _nudges.Writer.TryWrite(true);

    /// <summary>Runs one pass now, after the one that is running if there is one. Errors are recorded, not thrown.</summary>
    public async Task<ReconcilerStatus> RunPassAsync(CancellationToken cancellationToken)
    {
        await _oneAtATime.WaitAsync(cancellationToken);
        try
        {
            var before = Status;
            var started = _time.GetUtcNow();
            var startedTicks = _time.GetTimestamp();
            ReconcilerStatus after;
            try
            {
                var result = await ReconcileAsync(cancellationToken);
                after = before with
                {
                    Examined = result.Examined,
                    Changed = result.Changed,
                    Backlog = result.Backlog,
                    ConsecutiveFailures = 0,
                };
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                throw;
            }
            catch (Exception e)
            {
                after = before with
                {
                    LastError = e.Message,
                    LastErrorAt = _time.GetUtcNow(),
                    ConsecutiveFailures = before.ConsecutiveFailures + 1,
                };
                LogFailedPass(e, Name, after.ConsecutiveFailures);
            }

            after = after with
            {
                Passes = before.Passes + 1,
                LastStartedAt = started,
                LastDuration = _time.GetElapsedTime(startedTicks),
            };
            Volatile.Write(ref _status, after);
            ReconcilerMetrics.Record(after);
            _timer?.Change(_period, Timeout.InfiniteTimeSpan);
            PassEnded(after);
            return after;
        }
        finally
        {
            _oneAtATime.Release();
        }
    }

    public override void Dispose()
    {
        _timer?.Dispose();
        _oneAtATime.Dispose();
        base.Dispose();
    }

    /// <summary>One pass: compare what is wanted with what is, and do a bounded amount of the difference.</summary>
    protected abstract Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken);

    /// <summary>Called after each pass, failed or not, when its status is recorded and the next one has its time.</summary>
    protected virtual void PassEnded(ReconcilerStatus status)
    {
    }

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        _timer = _time.CreateTimer(_ => Nudge(), null, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        try
        {
            while (true)
            {
                await _nudges.Reader.ReadAsync(stoppingToken);
                await RunPassAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "A pass of reconciler {Reconciler} failed, {ConsecutiveFailures} in a row")]
    private partial void LogFailedPass(Exception exception, string reconciler, int consecutiveFailures);
}

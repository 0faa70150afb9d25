using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Nephos.BlockStorage;

/// <summary>Makes records what they should be: one thing at a time for each, several at once, soon after a nudge.</summary>
/// <remarks>It has no memory: what is left to do is in the records, and a reconciler nudges everything that is not done.</remarks>
internal abstract partial class KeyedWorker : IHostedService, IDisposable
{
    /// <summary>How long a caller waits for work that usually takes milliseconds.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(400);

    private readonly ConcurrentDictionary<string, Work> _work = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _slots;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private bool _disposed;

    /// <param name="parallelMax">Records worked on at once.</param>
    /// <param name="time">The clock of waiting.</param>
    /// <param name="logger">For work that fails.</param>
    protected KeyedWorker(int parallelMax, TimeProvider time, ILogger logger)
    {
        _slots = new SemaphoreSlim(parallelMax);
        _time = time;
        _logger = logger;
    }

    // One entry per id that is worked on; a nudge meanwhile makes another round.
    private sealed class Work
    {
        public Task Task = Task.CompletedTask;
        public bool Again;
    }

    /// <summary>Does everything that can be done for a record now.</summary>
    protected abstract Task RunAsync(string id, CancellationToken cancellationToken);

    /// <summary>Ids that are worked on or wait for a slot.</summary>
    public int Backlog => _work.Count;

    /// <summary>Asks for work on a record.</summary>
    public void Nudge(string id) => _ = Start(id);

    /// <summary>Asks for work and waits a moment for it.</summary>
    public async Task RunSoonAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            await Start(id).WaitAsync(Soon, _time, cancellationToken);
        }
        catch (TimeoutException)
        {
            // It goes on without the caller.
        }
    }

    private Task Start(string id)
    {
        while (true)
        {
            if (_stopping.IsCancellationRequested) return Task.CompletedTask;
            var work = _work.GetOrAdd(id, static _ => new Work());
            lock (work)
            {
                // An entry that has just ended is on its way out of the table.
                if (!_work.TryGetValue(id, out var current) || !ReferenceEquals(current, work)) continue;
                if (!work.Task.IsCompleted)
                {
                    work.Again = true;
                    return work.Task;
                }
                work.Task = Task.Run(() => RunAsync(id, work), CancellationToken.None);
                return work.Task;
            }
        }
    }

    private async Task RunAsync(string id, Work work)
    {
        var slot = false;
        try
        {
            await _slots.WaitAsync(_stopping.Token);
            slot = true;
            do
            {
                lock (work) work.Again = false;
                await RunAsync(id, _stopping.Token);
            }
            while (WantsAgain(work));
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            // The next pass of the reconciler is the retry.
            LogFailed(e, id);
        }
        finally
        {
            lock (work) _work.TryRemove(new KeyValuePair<string, Work>(id, work));
            if (slot) _slots.Release();
        }
    }

    private static bool WantsAgain(Work work)
    {
        lock (work) return work.Again;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_work.Values.Select(work => work.Task)).WaitAsync(cancellationToken);
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        // The container may dispose it once for each way it is registered.
        if (!disposing || Interlocked.Exchange(ref _disposed, true)) return;
        _stopping.Cancel();
        _stopping.Dispose();
        _slots.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Work on {Id} failed; it is tried again")]
    private partial void LogFailed(Exception exception, string id);
}

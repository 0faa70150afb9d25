using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;
using Nephos.Compute;
using Xunit;

namespace Nephos.Services.Tests.Compute;

public sealed class KeyedQueueTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly KeyedQueue _queue;
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<string> _started = Channel.CreateUnbounded<string>();
    private readonly ConcurrentDictionary<string, TaskCompletionSource<WorkResult>> _open = new();
    private readonly Task _running;

    public KeyedQueueTests()
    {
        _queue = new KeyedQueue(_time);
        _running = _queue.RunAsync(2, WorkAsync, _stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    [Fact]
    public async Task A_key_is_never_worked_on_twice_at_a_time_and_what_came_meanwhile_makes_one_more_round()
    {
        _queue.Enqueue("a");
        Assert.Equal("a", await NextAsync());
        _queue.Enqueue("a");
        _queue.Enqueue("a");
        _queue.Enqueue("b");
        Assert.Equal("b", await NextAsync());

        Finish("a", WorkResult.Done);
        Assert.Equal("a", await NextAsync());
        Finish("a", WorkResult.Done);
        Finish("b", WorkResult.Done);

        _queue.Enqueue("c");
        Assert.Equal("c", await NextAsync());
        Finish("c", WorkResult.Done);
    }

    [Fact]
    public async Task Work_that_fails_is_done_again_after_pauses_that_grow_and_at_once_when_asked()
    {
        _queue.Enqueue("a");
        await NextAsync();
        await FinishAndWaitAsync("a", WorkResult.Retry);
        _time.Advance(TimeSpan.FromMilliseconds(200));
        await NextAsync();
        await FinishAndWaitAsync("a", WorkResult.Retry);
        _time.Advance(TimeSpan.FromMilliseconds(199));
        Assert.False(_started.Reader.TryPeek(out _));
        _time.Advance(TimeSpan.FromMilliseconds(201));
        await NextAsync();
        await FinishAndWaitAsync("a", WorkResult.Retry);

        _queue.Enqueue("a");

        await NextAsync();
        Finish("a", WorkResult.Done);
    }

    [Fact]
    public async Task Work_may_ask_to_be_looked_at_later()
    {
        _queue.Enqueue("a");
        await NextAsync();
        await FinishAndWaitAsync("a", WorkResult.After(TimeSpan.FromSeconds(5)));
        _time.Advance(TimeSpan.FromSeconds(4));
        Assert.False(_started.Reader.TryPeek(out _));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("a", await NextAsync());
        Finish("a", WorkResult.Done);
    }

    private async Task<WorkResult> WorkAsync(string key, CancellationToken cancellationToken)
    {
        var result = new TaskCompletionSource<WorkResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        Assert.True(_open.TryAdd(key, result));
        await _started.Writer.WriteAsync(key, cancellationToken);
        return await result.Task.WaitAsync(cancellationToken);
    }

    private async Task<string> NextAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        return await _started.Reader.ReadAsync(deadline.Token);
    }

    private void Finish(string key, WorkResult result)
    {
        Assert.True(_open.TryRemove(key, out var open));
        open.SetResult(result);
    }

    /// <summary>The queue has seen the end when its only worker of the key takes another one and there is no backlog.</summary>
    private async Task FinishAndWaitAsync(string key, WorkResult result)
    {
        Finish(key, result);
        while (_queue.Backlog > 0)
        {
            await Task.Yield();
        }
    }
}

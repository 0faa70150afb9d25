using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.Reconciliation;
using Xunit;

namespace Nephos.Services.Tests.Reconciliation;

public sealed class ReconcilerTests : IAsyncLifetime
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private readonly FakeTimeProvider _time = new();
    private readonly ReconcilerRegistry _registry = new();
    private readonly Recorded _reconciler;

    public ReconcilerTests() => _reconciler = new Recorded("test/things", _time, _registry);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _reconciler.StopAsync(CancellationToken.None);
        _reconciler.Dispose();
    }

    [Fact]
    public async Task A_pass_runs_at_the_start_and_then_once_in_each_period()
    {
        await _reconciler.StartAsync(CancellationToken.None);
        await _reconciler.FinishPassAsync();

        for (var pass = 2; pass <= 4; pass++)
        {
            _time.Advance(Period - TimeSpan.FromMilliseconds(1));
            Assert.False(_reconciler.HasBegun(pass));
            _time.Advance(TimeSpan.FromMilliseconds(1));
            await _reconciler.FinishPassAsync();
            Assert.Equal(pass, _reconciler.Status.Passes);
        }
    }

    [Fact]
    public async Task A_nudge_brings_a_pass_at_once()
    {
        await _reconciler.StartAsync(CancellationToken.None);
        await _reconciler.FinishPassAsync();

        Assert.True(_registry.Nudge("test/things"));
        await _reconciler.FinishPassAsync();

        Assert.Equal(2, _reconciler.Status.Passes);
        Assert.False(_registry.Nudge("test/others"));
    }

    [Fact]
    public async Task Nudges_during_a_pass_make_one_more_pass()
    {
        await _reconciler.StartAsync(CancellationToken.None);
        await _reconciler.BegunAsync();
        for (var i = 0; i < 100; i++)
        {
            _reconciler.Nudge();
        }

        await _reconciler.FinishPassAsync();
        await _reconciler.FinishPassAsync();

        Assert.Equal(2, _reconciler.Status.Passes);
        _time.Advance(Period - TimeSpan.FromMilliseconds(1));
        Assert.False(_reconciler.HasBegun(3));
    }

    [Fact]
    public async Task The_status_tells_what_the_last_pass_did()
    {
        await _reconciler.StartAsync(CancellationToken.None);
        await _reconciler.BegunAsync();
        var started = _time.GetUtcNow();
        _time.Advance(TimeSpan.FromSeconds(3));
        await _reconciler.FinishPassAsync(new ReconcileResult(Examined: 7, Changed: 2, Backlog: 5));

        var status = Assert.Single(_registry.List());

        Assert.Equal(
            new ReconcilerStatus
            {
                Name = "test/things", Period = Period, Passes = 1, LastStartedAt = started, LastDuration = TimeSpan.FromSeconds(3),
                Examined = 7, Changed = 2, Backlog = 5,
            },
            status);
    }

    [Fact]
    public async Task A_pass_that_fails_is_recorded_and_tried_again_in_the_next_period()
    {
        await _reconciler.StartAsync(CancellationToken.None);
        await _reconciler.FinishPassAsync(new ReconcileResult(1, 1, 1));
        _reconciler.Nudge();
        await _reconciler.FailPassAsync("the switch is away");
        var failedAt = _time.GetUtcNow();

        var failed = _reconciler.Status;
        Assert.Equal((2, 1, "the switch is away", failedAt), (failed.Passes, failed.ConsecutiveFailures, failed.LastError, failed.LastErrorAt));
        Assert.Equal(1, failed.Backlog);
        Assert.False(_reconciler.HasBegun(3));

        _time.Advance(Period);
        await _reconciler.FinishPassAsync();

        Assert.Equal((3, 0, "the switch is away"), (_reconciler.Status.Passes, _reconciler.Status.ConsecutiveFailures, _reconciler.Status.LastError));
    }

    [Fact]
    public async Task Passes_never_overlap()
    {
        var first = _reconciler.RunPassAsync(CancellationToken.None);
        var second = _reconciler.RunPassAsync(CancellationToken.None);
        await _reconciler.BegunAsync();

        Assert.False(_reconciler.HasBegun(2));

        await _reconciler.FinishPassAsync();
        await _reconciler.FinishPassAsync();
        Assert.Equal(1, (await first).Passes);
        Assert.Equal(2, (await second).Passes);
    }

    [Fact]
    public async Task Stopping_cancels_the_pass_that_runs()
    {
        await _reconciler.StartAsync(CancellationToken.None);
        await _reconciler.BegunAsync();

        await _reconciler.StopAsync(CancellationToken.None);

        Assert.True(_reconciler.ExecuteTask!.IsCompletedSuccessfully);
        Assert.Equal(0, _reconciler.Status.Passes);
    }

    [Fact]
    public void Two_reconcilers_cannot_have_one_name()
    {
        Assert.Throws<InvalidOperationException>(() => new Recorded("test/things", _time, _registry));
    }

    /// <summary>Each pass waits until the test says how it ends.</summary>
    private sealed class Recorded(string name, FakeTimeProvider time, ReconcilerRegistry registry)
        : Reconciler(name, Period, time, registry, NullLogger.Instance)
    {
        private readonly SemaphoreSlim _begun = new(0);
        private readonly SemaphoreSlim _ended = new(0);
        private TaskCompletionSource<ReconcileResult> _end = new();
        private int _passes;
        private bool _awaited;

        public bool HasBegun(int pass) => Volatile.Read(ref _passes) >= pass;

        public async Task BegunAsync()
        {
            if (!_awaited)
            {
                await _begun.WaitAsync();
                _awaited = true;
            }
        }

        public Task FinishPassAsync(ReconcileResult result = default) => EndAsync(end => end.SetResult(result));

        public Task FailPassAsync(string message) => EndAsync(end => end.SetException(new IOException(message)));

        protected override async Task<ReconcileResult> ReconcileAsync(CancellationToken cancellationToken)
        {
            var end = new TaskCompletionSource<ReconcileResult>(TaskCreationOptions.RunContinuationsAsynchronously);
            Volatile.Write(ref _end, end);
            Interlocked.Increment(ref _passes);
            _begun.Release();
            return await end.Task.WaitAsync(cancellationToken);
        }

        protected override void PassEnded(ReconcilerStatus status) => _ended.Release();

        private async Task EndAsync(Action<TaskCompletionSource<ReconcileResult>> end)
        {
            await BegunAsync();
            _awaited = false;
            end(Volatile.Read(ref _end));
            await _ended.WaitAsync();
        }
    }
}

using System.Collections.Concurrent;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Hosting.Readiness;
using Xunit;

namespace Nephos.Services.Tests.Hosting;

public sealed class ReadinessGateTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly ScriptedHealth _health = new();
    private readonly StartedLifetime _lifetime = new();

    [Fact]
    public async Task A_process_is_ready_when_it_listens_and_every_check_holds()
    {
        _health.Next("");
        using var gate = await StartAsync();
        await gate.Ready.WaitAsync(Patience);
        Assert.StartsWith("after ", Fact(gate), StringComparison.Ordinal);
        await gate.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Before_it_listens_no_check_is_asked()
    {
        _lifetime.Listens = false;
        using var gate = await StartAsync();
        Assert.False(gate.Ready.IsCompleted);
        Assert.Equal("starting", Fact(gate));
        Assert.Equal(0, _health.Asked);
        await gate.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task What_is_waited_for_is_told_until_it_is_there()
    {
        _health.Next("the store is away", "the store is away");
        using var gate = await StartAsync();
        await _health.Exhausted.WaitAsync(Patience);
        while (!Fact(gate).StartsWith("waits", StringComparison.Ordinal))
        {
            await Task.Delay(5);
        }
        Assert.Equal("waits for state: the store is away", Fact(gate));
        _health.Next("");
        await gate.Ready.WaitAsync(Patience);
        await gate.StopAsync(CancellationToken.None);
    }

    private static string Fact(ReadinessGate gate) => gate.Facts.Single(fact => fact.Key == "process.ready").Value;

    private async Task<ReadinessGate> StartAsync()
    {
        var gate = new ReadinessGate(_health, _lifetime, TimeProvider.System, NullLogger<ReadinessGate>.Instance);
        await gate.StartAsync(CancellationToken.None);
        return gate;
    }

    /// <summary>Answers with the given reasons one after the other, the last one for ever; an empty reason is health.</summary>
    private sealed class ScriptedHealth : HealthCheckService
    {
        private readonly ConcurrentQueue<string> _reasons = new();
        private readonly TaskCompletionSource _exhausted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private string _last = "nothing was said yet";

        public int Asked { get; private set; }

        public Task Exhausted => _exhausted.Task;

        public void Next(params string[] reasons) => Array.ForEach(reasons, _reasons.Enqueue);

        public override Task<HealthReport> CheckHealthAsync(Func<HealthCheckRegistration, bool>? predicate, CancellationToken cancellationToken = default)
        {
            Asked++;
            _last = _reasons.TryDequeue(out var reason) ? reason : _last;
            if (_reasons.IsEmpty)
            {
                _exhausted.TrySetResult();
            }
            var status = _last.Length == 0 ? HealthStatus.Healthy : HealthStatus.Unhealthy;
            var entry = new HealthReportEntry(status, _last, TimeSpan.Zero, exception: null, data: null);
            return Task.FromResult(new HealthReport(new Dictionary<string, HealthReportEntry> { ["state"] = entry }, TimeSpan.Zero));
        }
    }

    private sealed class StartedLifetime : IHostApplicationLifetime
    {
        public bool Listens { get; set; } = true;

        public CancellationToken ApplicationStarted => Listens ? new CancellationToken(canceled: true) : CancellationToken.None;

        public CancellationToken ApplicationStopping => CancellationToken.None;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void StopApplication()
        {
        }
    }
}

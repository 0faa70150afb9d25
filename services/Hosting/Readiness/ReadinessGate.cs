using System.Diagnostics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Hosting.StatusPages;

namespace Nephos.Hosting.Readiness;

/// <summary>Knows when the process has everything it needs to serve: it listens, and every health check holds.</summary>
/// <remarks>A process becomes ready once; whether it is healthy now is asked at <c>/healthcheck</c> or of the gRPC health service.</remarks>
public sealed partial class ReadinessGate(
    HealthCheckService health, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<ReadinessGate> logger) : BackgroundService, IStatusFacts
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile string _missing = "starting";

    /// <summary>Completes when the process is ready for the first time.</summary>
    public Task Ready => _ready.Task;

    public IEnumerable<KeyValuePair<string, string>> Facts =>
        [KeyValuePair.Create("process.ready", _missing)];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await WaitForStartAsync(stoppingToken);
        var (pause, lastLog) = (FirstPause, time.GetTimestamp());
        while (!stoppingToken.IsCancellationRequested)
        {
            var report = await health.CheckHealthAsync(stoppingToken);
            if (report.Status == HealthStatus.Healthy)
            {
                var age = time.GetUtcNow() - Process.GetCurrentProcess().StartTime.ToUniversalTime();
                _missing = $"after {age.TotalSeconds:0.0} s, {Environment.CpuUsage.TotalTime.TotalSeconds:0.0} s of processor time";
                LogReady(age.TotalSeconds, Environment.CpuUsage.TotalTime.TotalSeconds);
                _ready.TrySetResult();
                return;
            }
            _missing = "waits for " + Describe(report);
            if (time.GetElapsedTime(lastLog) > LogInterval)
            {
                lastLog = time.GetTimestamp();
                LogWaiting(_missing);
            }
            await Task.Delay(pause, time, stoppingToken);
            pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
        }
    }

    /// <summary>The checks that do not hold, in a line.</summary>
    internal static string Describe(HealthReport report) => string.Join("; ", report.Entries
        .Where(entry => entry.Value.Status != HealthStatus.Healthy)
        .Select(entry => $"{entry.Key}: {entry.Value.Description ?? entry.Value.Exception?.Message ?? "failed"}"));

    private async Task WaitForStartAsync(CancellationToken stopping)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(() => started.TrySetResult());
        await started.Task.WaitAsync(stopping);
    }

    [LoggerMessage(LogLevel.Information, "Ready {Seconds:0.0} s after the start of the process, {CpuSeconds:0.0} s of processor time")]
    private partial void LogReady(double seconds, double cpuSeconds);

    [LoggerMessage(LogLevel.Warning, "Not ready: {Reason}")]
    private partial void LogWaiting(string reason);
}

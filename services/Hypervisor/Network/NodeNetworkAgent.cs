using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Hosting;
using Nephos.Hosting.Grpc;
using Nephos.Hosting.StatusPages;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Hypervisor.Network;

/// <summary>Keeps the network of this node as the Network service wants it: receives complete snapshots, applies the newest, reports what
/// became of it. Without the service the last snapshot stays in force and is still kept up; before the first one nothing is touched.</summary>
internal sealed partial class NodeNetworkAgent(
    INetworkDriver driver, Wire.NodeNetworks.NodeNetworksClient service, ServiceCalls calls, NodeNetworkOptions options, NephosOptions node, TimeProvider time,
    ILogger<NodeNetworkAgent> logger) : BackgroundService, INodePorts, IStatusFacts
{
    /// <summary>Everything is compared this often although nothing was said.</summary>
    private static readonly TimeSpan ApplyPeriod = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryPeriod = TimeSpan.FromSeconds(2);

    /// <summary>Snapshots that come within this time of an apply share the next one.</summary>
    private static readonly TimeSpan CoalescePeriod = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ReconnectMin = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan ReconnectMax = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _news = new(0, 1);
    private volatile NodeState? _latest;
    private volatile NetworkReport? _report;
    private volatile TaskCompletionSource _applied = NewSignal();
    private volatile bool _reported;
    private TimeSpan _lastApply;

    public NetworkCapabilities Capabilities => driver.Capabilities;

    public IEnumerable<KeyValuePair<string, string>> Facts
    {
        get
        {
            yield return new("network.wiring", Capabilities.CanWire ? "taps" : Capabilities.Reason);
            yield return new(NodeNetworkModule.OrphansFact, string.Join(' ', driver.ListOrphans().Select(orphan => orphan.Name)));
            if (_report is { } report)
            {
                yield return new("network.revision", report.Revision.ToString(CultureInfo.InvariantCulture));
                yield return new("network.ports", report.Ports.Count.ToString(CultureInfo.InvariantCulture));
                yield return new("network.failures", report.All.Count(item => item.State == ItemState.Failed).ToString(CultureInfo.InvariantCulture));
                yield return new("network.last_apply_ms", _lastApply.TotalMilliseconds.ToString("F1", CultureInfo.InvariantCulture));
            }
        }
    }

    public WiredPort? Find(Guid portId) => driver.FindPort(portId);

    public async Task<WiredPort> WaitForPortAsync(Guid portId, ulong epoch, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Taken before looking: an apply that ends in between completes this very signal.
            var applied = _applied.Task;
            if (driver.FindPort(portId) is { } port && port.Epoch >= epoch)
            {
                return port;
            }

            await applied.WaitAsync(cancellationToken);
        }
    }

    public string LastError(Guid portId)
    {
        if (_report is not { } report)
        {
            return "the Network service has not yet said what this node shall wire";
        }

        return report.Ports.FirstOrDefault(port => port.Id == portId) is { } status
            ? status.Error
            : $"port {portId} is not bound to node {node.NodeName} as of revision {report.Revision}";
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        LogCapabilities(logger, Capabilities.CanWire, Capabilities.Tunnels, Capabilities.Reason);
        await Task.WhenAll(WatchAsync(stoppingToken), ApplyAsync(stoppingToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task WatchAsync(CancellationToken stopping)
    {
        var delay = ReconnectMin;
        while (!stopping.IsCancellationRequested)
        {
            var began = time.GetTimestamp();
            try
            {
                await ReadSnapshotsAsync(stopping);
            }
            catch (Exception error) when (error is RpcException or FaultException or IOException or OperationCanceledException or HttpRequestException)
            {
                if (!stopping.IsCancellationRequested)
                {
                    LogStreamEnded(logger, error.Message);
                }
            }

            delay = time.GetElapsedTime(began) > ReconnectMax ? ReconnectMin : TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, ReconnectMax.Ticks));
            await Task.Delay(delay, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ReadSnapshotsAsync(CancellationToken stopping)
    {
        var request = new Wire.WatchNodeNetworkRequest { NodeId = node.NodeName, VtepAddress = options.VtepAddress };
        request.PhysicalNetworks.AddRange(NodeNetworkOptions.PhysicalNetworksDefault.Union(options.PhysicalNetworks.Keys));
        using var call = service.WatchNodeNetwork(request, await calls.AsServiceAsync(stopping, Timeout.InfiniteTimeSpan));
        // A service that was away may have forgotten what was reported.
        _reported = false;
        await foreach (var snapshot in call.ResponseStream.ReadAllAsync(stopping))
        {
            _latest = snapshot.ToDomain();
            Wake();
        }
    }

    private void Wake()
    {
        if (_news.CurrentCount == 0)
        {
            try
            {
                _news.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else woke it in the same moment.
            }
        }
    }

    private async Task ApplyAsync(CancellationToken stopping)
    {
        var wait = ApplyPeriod;
        while (!stopping.IsCancellationRequested)
        {
            await WaitForNewsAsync(wait, stopping);
            if (_latest is not { } state || stopping.IsCancellationRequested)
            {
                continue;
            }

            wait = await ApplyOnceAsync(state, stopping) ? ApplyPeriod : RetryPeriod;
            await Task.Delay(CoalescePeriod, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task WaitForNewsAsync(TimeSpan longest, CancellationToken stopping)
    {
        using var timeout = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stopping);
        await _news.WaitAsync(either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>True when nothing is left to do until the next snapshot.</summary>
    private async Task<bool> ApplyOnceAsync(NodeState state, CancellationToken stopping)
    {
        try
        {
            var began = time.GetTimestamp();
            var report = await driver.ApplyAsync(state, stopping);
            _lastApply = time.GetElapsedTime(began);
            _reported &= _report is { } before && report.IsSameAs(before);
            _report = report;
            Interlocked.Exchange(ref _applied, NewSignal()).SetResult();
            if (!_reported)
            {
                LogApplied(logger, report.Revision, report.Ports.Count, report.Routers.Count, report.All.Count(item => item.State == ItemState.Failed),
                    _lastApply.TotalMilliseconds);
                var request = report.ToWire(node.NodeName);
                request.UnavailableReason = Capabilities.CanWire ? "" : Capabilities.Reason;
                await service.ReportNodeNetworkAsync(request, await calls.AsServiceAsync(stopping));
                _reported = true;
            }

            return _latest == state && !report.MoreToRemove && !report.HasFailures;
        }
        catch (Exception error) when (error is RpcException or FaultException or HttpRequestException)
        {
            LogReportFailed(logger, error.Message);
            return false;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (Exception error)
        {
            // The next pass is the retry; guests keep the network they have.
            LogApplyFailed(logger, error, state.Revision);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Information, "Node network: wiring {CanWire}, tunnels {Tunnels} {Reason}")]
    private static partial void LogCapabilities(ILogger logger, bool canWire, bool tunnels, string reason);

    [LoggerMessage(LogLevel.Warning, "The stream of network snapshots ended: {Reason}")]
    private static partial void LogStreamEnded(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Information, "Network revision {Revision} applied: {PortCount} ports, {RouterCount} routers, {FailureCount} failures, {Milliseconds} ms")]
    private static partial void LogApplied(ILogger logger, ulong revision, int portCount, int routerCount, int failureCount, double milliseconds);

    [LoggerMessage(LogLevel.Warning, "The state of the node's network could not be reported: {Reason}")]
    private static partial void LogReportFailed(ILogger logger, string reason);

    [LoggerMessage(LogLevel.Error, "Network revision {Revision} could not be applied")]
    private static partial void LogApplyFailed(ILogger logger, Exception error, ulong revision);
}

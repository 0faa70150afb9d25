using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Nephos.Hypervisor.Metadata;

namespace Nephos.Hypervisor.Instances;

/// <summary>What every actor of a node shares.</summary>
/// <param name="Crash">Called before each step with its name; tests throw here, as a kill would.</param>
internal sealed record ActorContext(
    IHypervisor Hypervisor,
    IVolumeConnector Volumes,
    IPortConnector Ports,
    InstanceStore Store,
    HypervisorOptions Options,
    TimeProvider Time,
    SemaphoreSlim Launches,
    Action<InstanceStatus> Report,
    Action<Guid, StepKind> Crash,
    ILogger Logger);

/// <summary>One instance: looks, does the first missing step, looks again. Owns nothing that must survive it.</summary>
internal sealed partial class InstanceActor
{
    private readonly ActorContext _context;
    private readonly Random _jitter;
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stopping = new();
    private readonly ConditionList _conditions;
    private readonly Dictionary<Guid, TimeSpan> _detachNotBefore = [];
    private readonly Lock _lock = new();

    private InstanceSpec _spec;
    private CancellationTokenSource _waiting = new();
    private Task _loop = Task.CompletedTask;
    private int _failures;
    private TimeSpan? _failingSince;
    private string _error = "";
    private bool _permanent;
    private TimeSpan? _powerButtonSince;
    private TimeSpan? _powerButtonLast;
    private TimeSpan? _continuedAt;
    private MachineView? _lastView;

    public InstanceActor(ActorContext context, InstanceSpec spec)
    {
        _context = context;
        _spec = spec;
        _jitter = new Random(spec.Id.GetHashCode());
        _conditions = new ConditionList(context.Time);
    }

    public InstanceSpec Spec => Volatile.Read(ref _spec);

    /// <summary>The last status; null before the first look.</summary>
    public InstanceStatus? Status { get; private set; }

    /// <summary>True once the machine ended because the node is taken down, and its volume heads are closed.</summary>
    public bool IsHalted { get; private set; }

    private TimeSpan Now => TimeSpan.FromTicks((long)(_context.Time.GetTimestamp() * ((double)TimeSpan.TicksPerSecond / _context.Time.TimestampFrequency)));

    public void Start() => _loop = Task.Run(RunAsync);

    /// <summary>Takes a spec; an older one than we have is ignored. The caller has stored it.</summary>
    public void Update(InstanceSpec spec)
    {
        lock (_lock)
        {
            Volatile.Write(ref _spec, spec);
            _waiting.Cancel();
            _waiting.Dispose();
            _waiting = new CancellationTokenSource();
        }
        Wake();
    }

    /// <summary>Something may have changed: look now.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>Ends the loop without touching the machine.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await _loop;
        _stopping.Dispose();
        lock (_lock)
        {
            _waiting.Dispose();
        }
    }

    private async Task RunAsync()
    {
        InstanceSpec? worked = null;
        while (!_stopping.IsCancellationRequested)
        {
            InstanceSpec spec;
            CancellationToken changed;
            lock (_lock)
            {
                spec = _spec;
                changed = _waiting.Token;
            }
            if (!ReferenceEquals(spec, worked))
            {
                ForgetTrouble(worked, spec);
                worked = spec;
            }
            TimeSpan delay;
            try
            {
                delay = await StepAsync(spec, changed, _stopping.Token);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (OperationCanceledException) when (changed.IsCancellationRequested)
            {
                continue;
            }
            catch (SimulatedCrashException)
            {
                return;
            }
            catch (Exception exception)
            {
                delay = Failed(spec, exception);
            }
            if (delay > TimeSpan.Zero)
            {
                await WaitAsync(delay);
            }
        }
    }

    /// <summary>Looks and does one step.</summary>
    /// <returns>How long to wait for a wake-up before the next look; zero looks again at once.</returns>
    private async Task<TimeSpan> StepAsync(InstanceSpec spec, CancellationToken changed, CancellationToken stopping)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        deadline.CancelAfter(_context.Options.StepTimeout);
        var view = await _context.Hypervisor.ViewAsync(spec.Id, deadline.Token);
        view = view with { Files = view.Files || _context.Store.Contains(spec.Id) };
        _lastView = view;
        var step = InstancePlanner.Next(spec, view, new LocalView(
            _context.Volumes.OpenFor(spec.Id), Now, _powerButtonSince, _powerButtonLast, _continuedAt, _context.Options.ShutdownTimeout, _detachNotBefore));
        switch (step.Kind)
        {
            case StepKind.Settled:
                Recovered();
                _powerButtonSince = null;
                IsHalted = spec.Halted;
                Publish(spec, view, Phase.Settled);
                return _context.Options.LookPeriod;
            case StepKind.Gone:
                Recovered();
                IsHalted = spec.Halted;
                Publish(spec, view, Phase.Gone);
                return _context.Options.LookPeriod;
            case StepKind.Wait:
                Publish(spec, view, Phase.Converging, step.Reason);
                return step.Delay > TimeSpan.Zero ? step.Delay : TimeSpan.FromMilliseconds(100);
            case StepKind.Fail:
                throw new InvalidOperationException(step.Reason);
            default:
                Publish(spec, view, Phase.Converging);
                _context.Crash(spec.Id, step.Kind);
                LogStep(_context.Logger, spec.Id, step.Kind, step.Target == Guid.Empty ? step.Reason : step.Target.ToString());
                if (step.Kind is StepKind.Save or StepKind.Restore)
                {
                    deadline.CancelAfter(_context.Options.MemoryTimeout);
                }
                await DoAsync(spec, view, step, changed, deadline.Token);
                _failures = 0;
                return TimeSpan.Zero;
        }
    }

    private async Task DoAsync(InstanceSpec spec, MachineView view, Step step, CancellationToken changed, CancellationToken cancellationToken)
    {
        var hypervisor = _context.Hypervisor;
        switch (step.Kind)
        {
            case StepKind.OpenVolumes:
                await OpenVolumesAsync(spec, changed, cancellationToken);
                break;
            case StepKind.CloseVolume:
                await _context.Volumes.CloseAsync(spec.Id, step.Target, cancellationToken);
                break;
            case StepKind.Launch:
                await LaunchAsync(spec, view, cancellationToken);
                break;
            case StepKind.Restore:
                await hypervisor.RestoreAsync(spec.Id, cancellationToken);
                break;
            case StepKind.AttachVolume:
                await hypervisor.AttachVolumeAsync(
                    spec, await _context.Volumes.OpenAsync(spec.Id, spec.Volumes.First(volume => volume.AttachmentId == step.Target), cancellationToken),
                    cancellationToken);
                break;
            case StepKind.DetachVolume:
                await OpenLeavingAsync(spec, step.Target, cancellationToken);
                Detached(step.Target, await hypervisor.DetachVolumeAsync(spec.Id, step.Target, cancellationToken));
                break;
            case StepKind.AttachPort:
                await hypervisor.AttachPortAsync(
                    spec, await ConnectPortAsync(spec.Ports.First(port => port.Id == step.Target), changed, cancellationToken), cancellationToken);
                break;
            case StepKind.DetachPort:
                Detached(step.Target, await hypervisor.DetachPortAsync(spec.Id, step.Target, cancellationToken));
                break;
            case StepKind.Continue:
                await hypervisor.ContinueAsync(spec.Id, cancellationToken);
                _continuedAt = Now;
                break;
            case StepKind.Pause:
                await hypervisor.PauseAsync(spec.Id, cancellationToken);
                break;
            case StepKind.PressPowerButton:
                await hypervisor.PressPowerButtonAsync(spec.Id, cancellationToken);
                _powerButtonLast = Now;
                _powerButtonSince ??= Now;
                break;
            case StepKind.Save:
                await hypervisor.SaveAsync(spec.Id, cancellationToken);
                break;
            case StepKind.DiscardSaved:
                await hypervisor.DiscardSavedAsync(spec.Id, cancellationToken);
                break;
            case StepKind.Kill:
                await hypervisor.KillAsync(spec.Id, cancellationToken);
                _powerButtonSince = null;
                break;
            case StepKind.Remove:
                await hypervisor.RemoveAsync(spec.Id, cancellationToken);
                _context.Store.Remove(spec.Id);
                break;
            default:
                throw new InvalidOperationException($"{step.Kind} is no step to do");
        }
    }

    private async Task OpenVolumesAsync(InstanceSpec spec, CancellationToken changed, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(changed, cancellationToken);
        try
        {
            await Task.WhenAll(spec.Volumes.Select(volume => _context.Volumes.OpenAsync(spec.Id, volume, either.Token)));
            _conditions.Set(ConditionList.VolumesReady, value: true, "");
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _conditions.Set(ConditionList.VolumesReady, value: false, exception.Message);
            throw;
        }
    }

    /// <summary>A machine that closes a disk without its head waits for it, and nothing else goes on. When the head cannot be opened any
    /// more the machine has to wait.</summary>
    private async Task OpenLeavingAsync(InstanceSpec spec, Guid attachmentId, CancellationToken cancellationToken)
    {
        if (spec.Leaving.FirstOrDefault(volume => volume.AttachmentId == attachmentId) is { } leaving)
        {
            try
            {
                await _context.Volumes.OpenAsync(spec.Id, leaving, cancellationToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                LogLeaving(_context.Logger, exception, spec.Id, leaving.VolumeId);
            }
        }
    }

    private async Task<PortEndpoint> ConnectPortAsync(PortSpec port, CancellationToken changed, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(changed, cancellationToken);
        either.CancelAfter(_context.Options.PortTimeout);
        try
        {
            return await _context.Ports.ConnectAsync(port, either.Token);
        }
        catch (OperationCanceledException exception) when (!changed.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            var reason = $"port {port.Id} was not wired within {_context.Options.PortTimeout.TotalSeconds:0} s ({exception.Message})";
            _conditions.Set(ConditionList.PortsWired, value: false, reason);
            throw new TimeoutException(reason, exception);
        }
    }

    private async Task LaunchAsync(InstanceSpec spec, MachineView view, CancellationToken cancellationToken)
    {
        var volumes = await Task.WhenAll(spec.Volumes.Select(volume => _context.Volumes.OpenAsync(spec.Id, volume, cancellationToken)));
        // User networking has no metadata address of its own, so such a guest learns from a drive.
        var drive = spec.ConfigDrive || _context.Ports.Kind == PortWiring.User ? ConfigDrive.Build(spec, _context.Time) : null;
        await _context.Launches.WaitAsync(cancellationToken);
        try
        {
            await _context.Hypervisor.LaunchAsync(new LaunchPlan(spec, volumes, drive, Restore: view.Saved), cancellationToken);
        }
        finally
        {
            _context.Launches.Release();
        }
    }

    private void Detached(Guid device, bool done)
    {
        if (done)
        {
            _detachNotBefore.Remove(device);
        }
        else
        {
            _detachNotBefore[device] = Now + _context.Options.DetachRetry;
        }
    }

    private async Task WaitAsync(TimeSpan delay)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var wake = _wake.Reader.WaitToReadAsync(either.Token).AsTask();
        var timer = Task.Delay(delay, _context.Time, either.Token);
        await Task.WhenAny(wake, timer);
        _wake.Reader.TryRead(out _);
        await either.CancelAsync();
        await Task.WhenAll(wake.ContinueWith(_ => { }, TaskScheduler.Default), timer.ContinueWith(_ => { }, TaskScheduler.Default));
    }

    private void ForgetTrouble(InstanceSpec? old, InstanceSpec spec)
    {
        _failures = 0;
        _failingSince = null;
        _permanent = false;
        _error = "";
        _detachNotBefore.Clear();
        if (old?.Desired != spec.Desired || old.Halted != spec.Halted || old.RebootNonce != spec.RebootNonce)
        {
            _powerButtonSince = null;
        }
    }

    private void Recovered()
    {
        _failures = 0;
        _failingSince = null;
        _permanent = false;
        _error = "";
    }

    private TimeSpan Failed(InstanceSpec spec, Exception exception)
    {
        _failures = Math.Min(_failures + 1, 20);
        _failingSince ??= Now;
        _permanent = exception is PermanentHypervisorException;
        _error = exception is OperationCanceledException ? $"a step took longer than {_context.Options.StepTimeout.TotalSeconds:0} s" : exception.Message;
        LogFailed(_context.Logger, exception, spec.Id, _failures);
        var phase = _permanent ? Phase.Failed
            : Now - _failingSince > _context.Options.DegradedAfter ? Phase.Degraded
            : Phase.Converging;
        Publish(spec, _lastView ?? MachineView.NotSeen(""), phase, _error);
        var most = Math.Min(_context.Options.BackoffMax.TotalSeconds, _context.Options.BackoffMin.TotalSeconds * Math.Pow(2, _failures - 1));
        return TimeSpan.FromSeconds(Math.Max(0.01, most * (0.5 + (_jitter.NextDouble() / 2))));
    }

    private void Publish(InstanceSpec spec, MachineView view, Phase phase, string message = "")
    {
        var open = _context.Volumes.OpenFor(spec.Id);
        var present = view.Sighting == Sighting.Present;
        var reached = phase is Phase.Settled or Phase.Gone;
        var wired = spec.Ports.All(port => view.Ports.GetValueOrDefault(port.Id).Complete);
        var devices = present && spec.Volumes.All(volume => view.Volumes.GetValueOrDefault(volume.AttachmentId))
            && wired;
        if (spec.Volumes.All(volume => open.Contains(volume.AttachmentId)))
        {
            _conditions.Set(ConditionList.VolumesReady, value: true, "");
        }
        if (present && wired)
        {
            _conditions.Set(ConditionList.PortsWired, value: true, "");
        }
        _conditions.Set(ConditionList.QemuUp, present, view.Message);
        _conditions.Set(ConditionList.DevicesAttached, devices, devices ? "" : message);
        _conditions.Set(ConditionList.PowerStateReached, reached, reached ? "" : message);
        var volumes = view.Volumes.Keys.Union(open).Select(id => new DeviceStatus(
            id, spec.Volumes.FirstOrDefault(volume => volume.AttachmentId == id)?.VolumeId ?? Guid.Empty, view.Volumes.GetValueOrDefault(id),
            _detachNotBefore.ContainsKey(id) ? "the guest has not released the device" : "", Forward: ""));
        var ports = view.Ports.Select(port => new DeviceStatus(
            port.Key, Guid.Empty, port.Value.Complete, _detachNotBefore.ContainsKey(port.Key) ? "the guest has not released the device" : "",
            port.Value.Forward));
        Status = new InstanceStatus(
            spec.Id, spec.Epoch, spec.Generation, phase, Power(view), InstancePlanner.StoppedByGuest(spec, view), _conditions.Snapshot(),
            [.. volumes], [.. ports], view.ConsoleBytes, view.Mark, view.LaunchedAt, _error, _permanent, _context.Time.GetUtcNow());
        _context.Report(Status);
    }

    private static PowerState Power(MachineView view) => view.Sighting switch
    {
        Sighting.NotSeen => PowerState.NotSeen,
        Sighting.Absent => view.Saved ? PowerState.Suspended : PowerState.Shutdown,
        _ => view.State switch
        {
            RunState.Running => PowerState.Running,
            RunState.Shutdown => PowerState.Shutdown,
            RunState.Crashed => PowerState.Crashed,
            _ => PowerState.Paused,
        },
    };

    [LoggerMessage(Level = LogLevel.Information, Message = "Instance {InstanceId}: {Step} {What}")]
    private static partial void LogStep(ILogger logger, Guid instanceId, StepKind step, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Instance {InstanceId}: volume {VolumeId} is detached without its head")]
    private static partial void LogLeaving(ILogger logger, Exception exception, Guid instanceId, Guid volumeId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Instance {InstanceId}: a step failed ({Failures} in a row)")]
    private static partial void LogFailed(ILogger logger, Exception exception, Guid instanceId, int failures);
}

/// <summary>Thrown by a crash hook: the actor stops where it is, as if the process had been killed.</summary>
internal sealed class SimulatedCrashException : Exception;

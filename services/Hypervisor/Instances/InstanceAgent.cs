using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Nephos.Hypervisor.Instances;

/// <summary>All instances of this node: one actor each. Knows nothing of the wire.</summary>
internal sealed partial class InstanceAgent : IAsyncDisposable
{
    /// <summary>Removing more than this in one sweep is a wrong snapshot rather than a wish.</summary>
    private const int RemovalsPerSweepMax = 20;

    private static readonly TimeSpan HaltPollPeriod = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<Guid, InstanceActor> _actors = new();
    private readonly ConcurrentDictionary<Guid, InstanceStatus> _dirty = new();
    private readonly Channel<bool> _dirtySignal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    /// <summary>Since when nobody wants them, by the monotonic clock.</summary>
    private readonly Dictionary<Guid, long> _strangers = [];
    /// <summary>Strangers that are being removed by our own decision: any spec of the control plane takes them back.</summary>
    private readonly HashSet<Guid> _removing = [];
    private readonly Lock _lock = new();
    private readonly ActorContext _context;
    private readonly ILogger _logger;
    private HashSet<Guid>? _snapshot;
    private long _appliedRevision;

    public InstanceAgent(
        IHypervisor hypervisor, IVolumeConnector volumes, IPortConnector ports, InstanceStore store, HypervisorOptions options, TimeProvider time,
        ILogger<InstanceAgent> logger, Action<Guid, StepKind>? crash = null)
    {
        _logger = logger;
        _context = new ActorContext(
            hypervisor, volumes, ports, store, options, time, new SemaphoreSlim(options.ParallelLaunches), Report, crash ?? ((_, _) => { }), logger);
        hypervisor.Changed = id =>
        {
            if (_actors.TryGetValue(id, out var actor))
            {
                actor.Wake();
            }
        };
    }

    /// <summary>Called with every spec that an instance gets, and with null when it is forgotten.</summary>
    public Action<Guid, InstanceSpec?> SpecChanged { get; set; } = (_, _) => { };

    public long AppliedRevision => Interlocked.Read(ref _appliedRevision);

    /// <summary>Specs as the actors have them now.</summary>
    public IEnumerable<InstanceSpec> Specs => _actors.Values.Select(actor => actor.Spec);

    public IEnumerable<InstanceStatus> Statuses => _actors.Values.Select(actor => actor.Status).OfType<InstanceStatus>();

    public int RunningCount => Statuses.Count(status => status.Power == PowerState.Running);

    /// <summary>Picks up the instances of before the restart, as they were wanted then.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var id in _context.Store.List())
        {
            if (_context.Store.TryLoad(id) is { } spec)
            {
                Begin(spec);
            }
        }
        foreach (var id in await _context.Hypervisor.ListAsync(cancellationToken))
        {
            if (!_actors.ContainsKey(id))
            {
                // Somebody's machine without a spec: left alone until a complete snapshot has not named it for a while.
                lock (_lock)
                {
                    _strangers.TryAdd(id, _context.Time.GetTimestamp());
                }
            }
        }
    }

    /// <summary>Applies one desired instance. An older epoch or generation than we have is ignored.</summary>
    public void Apply(InstanceSpec spec)
    {
        lock (_lock)
        {
            _snapshot?.Add(spec.Id);
            _strangers.Remove(spec.Id);
            if (_actors.TryGetValue(spec.Id, out var actor))
            {
                var old = actor.Spec;
                if (!_removing.Remove(spec.Id) && (spec.Epoch < old.Epoch || (spec.Epoch == old.Epoch && spec.Generation <= old.Generation)))
                {
                    return;
                }
                spec = spec with { Leaving = Leaving(old, spec, actor.Status) };
                Keep(spec);
                actor.Update(spec);
            }
            else
            {
                Keep(spec);
                Begin(spec);
            }
        }
    }

    /// <summary>A snapshot names the instance although its spec could not be read.</summary>
    public void Named(Guid instanceId)
    {
        lock (_lock)
        {
            _snapshot?.Add(instanceId);
            _strangers.Remove(instanceId);
        }
    }

    public void BeginSnapshot()
    {
        lock (_lock)
        {
            _snapshot = [];
        }
    }

    public void EndSnapshot(long revision)
    {
        lock (_lock)
        {
            var named = _snapshot ?? throw new InvalidOperationException("A snapshot ends that has not begun.");
            _snapshot = null;
            Interlocked.Exchange(ref _appliedRevision, revision);
            foreach (var id in _actors.Keys.Where(id => !named.Contains(id)))
            {
                _strangers.TryAdd(id, _context.Time.GetTimestamp());
            }
        }
    }

    /// <summary>The control plane has forgotten the instance; when something of it is still here, it becomes a stranger.</summary>
    public async Task ForgetAsync(Guid instanceId, long revision)
    {
        Interlocked.Exchange(ref _appliedRevision, revision);
        if (_actors.TryGetValue(instanceId, out var actor))
        {
            if (actor.Status?.Phase == Phase.Gone)
            {
                await EndAsync(instanceId, actor);
            }
            else
            {
                lock (_lock)
                {
                    _strangers.TryAdd(instanceId, _context.Time.GetTimestamp());
                }
            }
        }
    }

    /// <summary>Removes what no snapshot names, some at a time. Call on a period, while a complete snapshot is in force.</summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        Guid[] due;
        lock (_lock)
        {
            due = [.. _strangers.Where(stranger => _context.Time.GetElapsedTime(stranger.Value) >= _context.Options.StrangerGrace)
                .Select(stranger => stranger.Key).Take(RemovalsPerSweepMax)];
        }
        foreach (var id in due)
        {
            cancellationToken.ThrowIfCancellationRequested();
            LogStranger(_logger, id);
            lock (_lock)
            {
                if (!_actors.TryGetValue(id, out var actor))
                {
                    _removing.Add(id);
                    Begin(Unknown(id));
                }
                else if (actor.Status?.Phase == Phase.Gone)
                {
                    _strangers.Remove(id);
                    _removing.Remove(id);
                }
                else if (_removing.Add(id))
                {
                    actor.Update(actor.Spec with { Desired = DesiredState.Deleted, Generation = actor.Spec.Generation + 1 });
                }
            }
            if (_actors.TryGetValue(id, out var ended) && ended.Status?.Phase == Phase.Gone)
            {
                await EndAsync(id, ended);
            }
        }
    }

    /// <summary>Ends every machine, guests first asked, and keeps them ended until this process does; nothing that is desired changes.</summary>
    /// <remarks>Call it when no stream carries statuses any more, or the control plane takes the guests for switched off by themselves.</remarks>
    public async Task HaltAsync(CancellationToken cancellationToken)
    {
        foreach (var actor in _actors.Values)
        {
            lock (_lock)
            {
                actor.Update(actor.Spec with { Halted = true });
            }
        }
        while (_actors.Values.Any(actor => !actor.IsHalted))
        {
            await Task.Delay(HaltPollPeriod, _context.Time, cancellationToken);
        }
    }

    /// <summary>Statuses that changed since they were last taken, newest of each instance, until cancelled.</summary>
    public async IAsyncEnumerable<InstanceStatus> ChangesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await _dirtySignal.Reader.WaitToReadAsync(cancellationToken))
        {
            _dirtySignal.Reader.TryRead(out _);
            foreach (var id in _dirty.Keys)
            {
                if (_dirty.TryRemove(id, out var status))
                {
                    yield return status;
                }
            }
        }
    }

    /// <summary>Ends the actors; machines are left as they are.</summary>
    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_actors.Values.Select(actor => actor.StopAsync()));
        _actors.Clear();
        _context.Launches.Dispose();
    }

    private void Begin(InstanceSpec spec)
    {
        var actor = new InstanceActor(_context, spec);
        if (_actors.TryAdd(spec.Id, actor))
        {
            SpecChanged(spec.Id, spec);
            actor.Start();
        }
    }

    private static VolumeSpec[] Leaving(InstanceSpec old, InstanceSpec spec, InstanceStatus? status) =>
    [
        .. old.Volumes.Concat(old.Leaving).DistinctBy(volume => volume.AttachmentId)
            .Where(volume => spec.Volumes.All(wanted => wanted.AttachmentId != volume.AttachmentId))
            .Where(volume => status is null || status.Volumes.Any(seen => seen.Id == volume.AttachmentId)),
    ];

    private void Keep(InstanceSpec spec)
    {
        if (spec.Desired != DesiredState.Deleted || _context.Store.Contains(spec.Id))
        {
            _context.Store.Save(spec);
        }
        SpecChanged(spec.Id, spec);
    }

    private async Task EndAsync(Guid instanceId, InstanceActor actor)
    {
        if (_actors.TryRemove(new KeyValuePair<Guid, InstanceActor>(instanceId, actor)))
        {
            await actor.StopAsync();
            _dirty.TryRemove(instanceId, out _);
            SpecChanged(instanceId, null);
        }
    }

    private void Report(InstanceStatus status)
    {
        _dirty[status.InstanceId] = status;
        _dirtySignal.Writer.TryWrite(true);
    }

    /// <summary>A spec for something of which only traces are known: to be removed, whatever its epoch.</summary>
    private static InstanceSpec Unknown(Guid id) => new(
        id, "", long.MaxValue, long.MaxValue, DesiredState.Deleted, 0, 0, RebootType.Hard, 1, 1, [], [],
        new MachineHints(DiskBus.Virtio, VifModel.Virtio, Rng: false, VideoModel.None), ConfigDrive: false,
        new GuestMetadata("", "", "", "", new Dictionary<string, string>(), [], [], [], 0, "", "", "", [], []));

    [LoggerMessage(Level = LogLevel.Warning, Message = "Removing instance {InstanceId}: the control plane does not know it on this node")]
    private static partial void LogStranger(ILogger logger, Guid instanceId);
}

using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>Carries out what a <see cref="WriterCore"/> decides: sends to replicas, hands the answers back, ticks.</summary>
internal sealed class GroupWriter : IAsyncDisposable
{
    private static readonly TimeSpan TickPeriod = TimeSpan.FromMilliseconds(50);

    /// <summary>Between ticks while nobody writes, so that an idle group costs next to nothing.</summary>
    private static readonly TimeSpan SettledTickPeriod = TimeSpan.FromSeconds(1);

    /// <summary>Quick ticks after the last write: enough to tell every replica what was decided.</summary>
    private const int QuickTicksAfterWrite = 8;

    private readonly Func<ReplicaId, IndexReplica?> _find;
    private readonly ShardHost _host;
    private readonly WriterCore _core;
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SortedDictionary<ulong, TaskCompletionSource<bool>> _waiting = [];
    private readonly PeriodicTimer _timer;
    private int _settledTicks;
    private Task _ticking = Task.CompletedTask;

    public GroupWriter(GroupConfiguration configuration, Func<ReplicaId, IndexReplica?> find, ShardHost host)
    {
        (Configuration, _find, _host) = (configuration, find, host);
        _core = new WriterCore(configuration.Epoch, configuration.Members, []);
        _timer = new PeriodicTimer(TickPeriod, host.Time);
    }

    public GroupConfiguration Configuration { get; }

    public WriterState State
    {
        get
        {
            lock (_gate)
            {
                return _core.State;
            }
        }
    }

    public ulong Committed
    {
        get
        {
            lock (_gate)
            {
                return _core.Committed;
            }
        }
    }

    /// <summary>Members that are there and whose log is complete.</summary>
    public int InSync => Configuration.Members.Count(m => IsComplete(m) && _find(m) is { IsUsable: true });

    /// <summary>Seals, reconciles; completes when it serves or is deposed.</summary>
    public async Task<bool> StartAsync(CancellationToken cancellationToken)
    {
        Change(_core.Start);
        _ticking = TickAsync();
        using var giveUp = cancellationToken.UnsafeRegister(_ => _settled.TrySetCanceled(cancellationToken), null);
        await _settled.Task;
        return State == WriterState.Serving;
    }

    /// <summary>The sequence at which the body was decided; 0 when this writer was deposed first: the outcome is unknown.</summary>
    public async ValueTask<ulong> ProposeAsync(ReadOnlyMemory<byte> body)
    {
        var decided = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        ulong sequence;
        var effects = new List<WriterEffect>();
        lock (_gate)
        {
            if (_core.State != WriterState.Serving)
            {
                return 0;
            }

            sequence = _core.Propose(body, effects);
            _waiting.Add(sequence, decided);
            TickQuickly();
        }

        Carry(effects);
        return await decided.Task ? sequence : 0;
    }

    /// <summary>True when a replica holds the whole log and can be read from once it took it in.</summary>
    public bool IsComplete(ReplicaId replica)
    {
        lock (_gate)
        {
            return _core.State == WriterState.Serving && _core.IsReachable(replica) && _core.MatchedBy(replica) >= _core.Committed;
        }
    }

    public void AddLearner(ReplicaId replica) => Change(effects => _core.AddLearner(replica, effects));

    public void RemoveLearner(ReplicaId replica)
    {
        lock (_gate)
        {
            _core.RemoveLearner(replica);
        }
    }

    /// <summary>See <see cref="WriterCore.CanContinueWith"/>.</summary>
    public bool CanContinueWith(IReadOnlyCollection<ReplicaId> members, ReplicaId learner)
    {
        lock (_gate)
        {
            return _core.CanContinueWith(members) && _core.MatchedBy(learner) == _core.Last;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await _ticking;
        GiveUp();
        _timer.Dispose();
        _stop.Dispose();
    }

    private async Task TickAsync()
    {
        try
        {
            while (await _timer.WaitForNextTickAsync(_stop.Token))
            {
                Change(_core.Tick);
                lock (_gate)
                {
                    if (!_core.IsSettled)
                    {
                        TickQuickly();
                    }
                    else if (++_settledTicks == QuickTicksAfterWrite)
                    {
                        _timer.Period = SettledTickPeriod;
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    // The caller holds the gate.
    private void TickQuickly()
    {
        if (_settledTicks >= QuickTicksAfterWrite)
        {
            _timer.Period = TickPeriod;
        }

        _settledTicks = 0;
    }

    private void Change(Action<List<WriterEffect>> change)
    {
        var effects = new List<WriterEffect>();
        lock (_gate)
        {
            change(effects);
        }

        Carry(effects);
    }

    private void Carry(List<WriterEffect> effects)
    {
        foreach (var effect in effects)
        {
            switch (effect.Kind)
            {
                case WriterEffectKind.Send:
                    _ = DeliverAsync(effect.Replica, effect.Request!);
                    break;
                case WriterEffectKind.Install:
                    _ = Task.Factory.StartNew(
                        () => InstallAsync(effect.Replica), CancellationToken.None, TaskCreationOptions.DenyChildAttach, _host.Background);
                    break;
                case WriterEffectKind.Committed:
                    Decided(effect.Number);
                    break;
                case WriterEffectKind.StateChanged:
                    OnState();
                    break;
            }
        }
    }

    /// <summary>Calls the replica at once: up to its journal this runs in the order of the effects.</summary>
    private async Task DeliverAsync(ReplicaId id, ReplicaRequest request)
    {
        try
        {
            if (_find(id) is not { } replica)
            {
                throw new ReplicaUnavailableException($"Replica {id} is not here.");
            }

            var reply = await replica.HandleAsync(request);
            Change(effects => _core.Receive(id, reply, effects));
        }
        catch (Exception failure) when (failure is ReplicaUnavailableException or IOException or RocksDbSharp.RocksDbException)
        {
            Change(effects => _core.Unreachable(id, effects));
        }
    }

    private async Task InstallAsync(ReplicaId id)
    {
        try
        {
            var target = _find(id);
            IndexReplica? source;
            lock (_gate)
            {
                source = Configuration.Members
                    .Where(m => m != id && _core.IsReachable(m) && _core.MatchedBy(m) > 0)
                    .OrderByDescending(_core.MatchedBy)
                    .Select(_find)
                    .FirstOrDefault(r => r is not null);
            }

            if (target is null || source is null)
            {
                throw new ReplicaUnavailableException($"Replica {id} cannot be copied now.");
            }

            var position = await target.InstallFromAsync(source, Configuration.Epoch, _stop.Token);
            Change(effects => _core.Installed(id, position, effects));
        }
        catch (Exception failure) when (failure is ReplicaUnavailableException or IOException or RocksDbSharp.RocksDbException
            or OperationCanceledException or ObjectDisposedException)
        {
            lock (_gate)
            {
                _core.InstallFailed(id);
            }
        }
    }

    private void Decided(ulong sequence)
    {
        var done = new List<TaskCompletionSource<bool>>();
        lock (_gate)
        {
            while (_waiting.Count > 0 && _waiting.First() is var (first, waiter) && first <= sequence)
            {
                _waiting.Remove(first);
                done.Add(waiter);
            }
        }

        foreach (var waiter in done)
        {
            waiter.TrySetResult(true);
        }
    }

    private void OnState()
    {
        var state = State;
        if (state is WriterState.Serving or WriterState.Deposed)
        {
            _settled.TrySetResult();
        }

        if (state == WriterState.Deposed)
        {
            GiveUp();
        }
    }

    /// <summary>Tells everyone who waits that the outcome is unknown.</summary>
    public void GiveUp()
    {
        List<TaskCompletionSource<bool>> lost;
        lock (_gate)
        {
            lost = [.. _waiting.Values];
            _waiting.Clear();
        }

        _settled.TrySetResult();
        foreach (var waiter in lost)
        {
            waiter.TrySetResult(false);
        }
    }
}

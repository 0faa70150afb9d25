using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

/// <summary>Carries out what a <see cref="WriterCore"/> decides: sends to replicas, hands the answers back, ticks.</summary>
internal sealed class GroupWriter : IAsyncDisposable
{
    private static readonly TimeSpan TickPeriod = TimeSpan.FromMilliseconds(50);

    /// <summary>Between ticks while nobody writes, so that an idle group costs next to nothing.</summary>
    private static readonly TimeSpan LonelyTickPeriod = TimeSpan.FromSeconds(1);

    /// <summary>The same when others would take over from a writer that is silent.</summary>
    private static readonly TimeSpan SettledTickPeriod = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a confirmation is waited for.</summary>
    private static readonly TimeSpan ConfirmTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Requests under way to one replica; more are not sent but count as lost.</summary>
    private const int RequestsMax = 64;

    /// <summary>Quick ticks after the last write: enough to tell every replica what was decided.</summary>
    private const int QuickTicksAfterWrite = 8;

    private readonly Func<ReplicaId, IReplicaPeer?> _find;
    private readonly Func<ReplicaId, ReplicaId, CancellationToken, Task<LogPosition>> _install;
    private readonly ShardHost _host;
    private readonly WriterCore _core;
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<(ulong Sequence, TaskCompletionSource<bool> Decided)> _waiting = [];
    private readonly Dictionary<ReplicaId, int> _underWay = [];
    private readonly PeriodicTimer _timer;
    private Task? _confirming;
    private TaskCompletionSource<bool>? _nextConfirmation;
    private int _settledTicks;
    private Task _ticking = Task.CompletedTask;

    /// <param name="find">The way to a replica; null when there is none now.</param>
    /// <param name="install">Gives the first replica a full copy of the second; answers where its log begins then.</param>
    public GroupWriter(
        GroupConfiguration configuration, Func<ReplicaId, IReplicaPeer?> find,
        Func<ReplicaId, ReplicaId, CancellationToken, Task<LogPosition>> install, ShardHost host)
    {
        (Configuration, _find, _install, _host) = (configuration, find, install, host);
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

    /// <summary>
    /// The sequence at which the body was decided, once a replica of this process has it too, from which reads are answered; replicas here that
    /// cannot be reached are not waited for. 0 when this writer was deposed first: the outcome is unknown.
    /// </summary>
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
            _waiting.Enqueue((sequence, decided));
            TickQuickly();
        }

        Carry(effects);
        return await decided.Task ? sequence : 0;
    }

    /// <summary>
    /// True when no later writer had sealed a majority when this was called: what was read before is the newest state. Free of charge
    /// while a majority is in this process; else one exchange with the others, shared by all who wait.
    /// </summary>
    public ValueTask<bool> ConfirmAsync()
    {
        if (State != WriterState.Serving)
        {
            return ValueTask.FromResult(false);
        }

        var here = 0;
        foreach (var member in Configuration.Members)
        {
            if (_find(member) is IndexReplica { IsUsable: true } replica)
            {
                if (replica.Promised > Configuration.Epoch)
                {
                    return ValueTask.FromResult(false);
                }

                here++;
            }
        }

        if (here >= Configuration.Majority)
        {
            return ValueTask.FromResult(true);
        }

        lock (_gate)
        {
            // The exchange under way began before this call, so it proves nothing for it: the next one does.
            _nextConfirmation ??= new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            var mine = _nextConfirmation.Task;
            _confirming ??= ConfirmAllAsync();
            return new ValueTask<bool>(mine);
        }
    }

    private async Task ConfirmAllAsync()
    {
        await Task.Yield();
        while (true)
        {
            TaskCompletionSource<bool> round;
            lock (_gate)
            {
                if (_nextConfirmation is null)
                {
                    _confirming = null;
                    return;
                }

                (round, _nextConfirmation) = (_nextConfirmation, null);
            }

            round.TrySetResult(await ConfirmOnceAsync());
        }
    }

    private async Task<bool> ConfirmOnceAsync()
    {
        var outcome = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        var (confirmed, left) = (0, Configuration.Members.Length);
        foreach (var member in Configuration.Members)
        {
            _ = AskAsync(member);
        }

        using var limit = _host.Time.CreateTimer(_ => outcome.TrySetResult(false), null, ConfirmTimeout, Timeout.InfiniteTimeSpan);
        return await outcome.Task && State == WriterState.Serving;

        async Task AskAsync(ReplicaId member)
        {
            var isConfirmed = false;
            try
            {
                isConfirmed = _find(member) is { } peer && await peer.HandleAsync(new ReplicaRequest.Confirm(Configuration.Epoch)) is ReplicaReply.Confirmed;
            }
            catch (Exception failure) when (failure is ReplicaUnavailableException or IOException or RocksDbSharp.RocksDbException or ObjectDisposedException)
            {
            }

            if (isConfirmed && Interlocked.Increment(ref confirmed) == Configuration.Majority)
            {
                outcome.TrySetResult(true);
            }

            if (Interlocked.Decrement(ref left) == 0)
            {
                outcome.TrySetResult(false);
            }
        }
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
                        _timer.Period = _host.IsAlone ? LonelyTickPeriod : SettledTickPeriod;
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
        TellDecided();
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
                case WriterEffectKind.StateChanged:
                    OnState();
                    break;
            }
        }
    }

    /// <summary>Calls the replica at once: up to its journal, or the connection to it, this runs in the order of the effects.</summary>
    private async Task DeliverAsync(ReplicaId id, ReplicaRequest request)
    {
        int underWay;
        lock (_gate)
        {
            underWay = _underWay[id] = _underWay.GetValueOrDefault(id) + 1;
        }

        try
        {
            if (_find(id) is not { } replica)
            {
                throw new ReplicaUnavailableException($"Replica {id} is not here.");
            }

            if (underWay > RequestsMax)
            {
                throw new ReplicaUnavailableException($"Replica {id} does not answer.");
            }

            var reply = await replica.HandleAsync(request);
            Change(effects => _core.Receive(id, reply, effects));
        }
        catch (Exception failure) when (failure is ReplicaUnavailableException or IOException or RocksDbSharp.RocksDbException or ObjectDisposedException)
        {
            Change(effects => _core.Unreachable(id, effects));
        }
        finally
        {
            lock (_gate)
            {
                _underWay[id]--;
            }
        }
    }

    private async Task InstallAsync(ReplicaId id)
    {
        try
        {
            ReplicaId source;
            lock (_gate)
            {
                source = Configuration.Members.Where(m => m != id && _core.IsReachable(m) && _core.MatchedBy(m) > 0).MaxBy(_core.MatchedBy);
            }

            if (source == default)
            {
                throw new ReplicaUnavailableException($"Replica {id} cannot be copied now.");
            }

            var position = await _install(id, source, _stop.Token);
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

    private void TellDecided()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                return;
            }
        }

        // Looked up outside the gate, since a replica may be opened by it. A process that is alone has them all.
        ReplicaId[] here = _host.IsAlone ? [] : [.. Configuration.Members.Where(m => _find(m) is IndexReplica { IsUsable: true })];
        List<TaskCompletionSource<bool>>? done = null;
        lock (_gate)
        {
            var decided = DecidedAt(here);
            while (_waiting.TryPeek(out var first) && first.Sequence <= decided)
            {
                (done ??= []).Add(_waiting.Dequeue().Decided);
            }
        }

        done?.ForEach(waiter => waiter.TrySetResult(true));
    }

    /// <summary>Up to where all is decided and one of these replicas has it, if any of them can be reached. The caller holds the gate.</summary>
    private ulong DecidedAt(ReplicaId[] replicas)
    {
        var reachable = Array.FindAll(replicas, _core.IsReachable);
        return reachable.Length == 0 ? _core.Committed : Math.Min(reachable.Max(_core.MatchedBy), _core.Committed);
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
            lost = [.. _waiting.Select(w => w.Decided)];
            _waiting.Clear();
        }

        _settled.TrySetResult();
        foreach (var waiter in lost)
        {
            waiter.TrySetResult(false);
        }
    }
}

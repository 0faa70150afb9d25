using System.Collections.Immutable;
using Nephos.Replication.Groups;

namespace Nephos.StorageEngine.Simulation.Groups;

/// <summary>A replica and its disk: what is durable survives a crash, what is under way may or may not, in order.</summary>
internal sealed class SimulatedReplica(ReplicaId id, History history)
{
    private readonly List<LogEntry> _log = [];
    private readonly List<ReplicaEffect> _pending = [];
    private List<ulong> _state = [];
    private ulong _durablePromise;
    private List<LogEntry> _durableLog = [];
    private LogPosition _trimmedTo;
    private List<ulong> _durableState = [];
    private ReplicaCore? _core = new(0, new EpochRuns(default), 0);
    private ulong _applied;

    public ReplicaId Id { get; } = id;

    /// <summary>Grows with each crash, so that what was under way before is recognized.</summary>
    public int Life { get; private set; }

    public bool IsUp => _core is not null;

    public LogPosition Last => _core!.Last;

    public ulong Applied => _applied;

    public IReadOnlyList<ulong> State => _state;

    /// <summary>Takes a request into memory; the answer counts after <see cref="Persist"/> of as many effects.</summary>
    public ReplicaReply Step(ReplicaRequest request, out int effectCount)
    {
        if (request is ReplicaRequest.Read read)
        {
            effectCount = 0;
            return Read(read);
        }

        var effects = new List<ReplicaEffect>();
        var reply = _core!.Step(request, effects);
        foreach (var effect in effects)
        {
            switch (effect.Kind)
            {
                case ReplicaEffectKind.Truncate:
                    _log.RemoveAll(e => e.Position.Sequence > effect.Number);
                    break;
                case ReplicaEffectKind.Append:
                    _log.Add(effect.Entry);
                    break;
            }
        }

        _pending.AddRange(effects);
        effectCount = effects.Count;
        return reply;
    }

    /// <summary>Makes the oldest effects durable.</summary>
    public void Persist(int count)
    {
        foreach (var effect in _pending.Take(count))
        {
            switch (effect.Kind)
            {
                case ReplicaEffectKind.Promise:
                    _durablePromise = effect.Number;
                    break;
                case ReplicaEffectKind.Append:
                    _durableLog.RemoveAll(e => e.Position.Sequence >= effect.Entry.Position.Sequence);
                    _durableLog.Add(effect.Entry);
                    break;
                case ReplicaEffectKind.Commit:
                    Apply(effect.Number);
                    break;
            }
        }

        _pending.RemoveRange(0, Math.Min(count, _pending.Count));
    }

    /// <summary>Memory is gone; of what was being written, the first <paramref name="survivors"/> effects made it.</summary>
    public void Crash(int survivors)
    {
        foreach (var effect in _pending.Take(survivors))
        {
            if (effect.Kind == ReplicaEffectKind.Promise)
            {
                _durablePromise = effect.Number;
            }
            else if (effect.Kind == ReplicaEffectKind.Append)
            {
                _durableLog.RemoveAll(e => e.Position.Sequence >= effect.Entry.Position.Sequence);
                _durableLog.Add(effect.Entry);
            }
        }

        _pending.Clear();
        _core = null;
        Life++;
    }

    public int PendingCount => _pending.Count;

    public void Restart()
    {
        var runs = new EpochRuns(_trimmedTo);
        foreach (var entry in _durableLog)
        {
            runs.Append(entry.Position);
        }

        _core = new ReplicaCore(_durablePromise, runs, _trimmedTo.Sequence);
        _log.Clear();
        _log.AddRange(_durableLog);
        _state = [.. _durableState];
        _applied = _trimmedTo.Sequence;
    }

    /// <summary>Makes the state durable and forgets the entries it holds.</summary>
    public void Trim(ulong sequence)
    {
        sequence = Math.Min(sequence, _applied);
        if (sequence <= _trimmedTo.Sequence || _pending.Count > 0)
        {
            return;
        }

        _core!.Trim(sequence);
        _trimmedTo = _core.TrimmedTo;
        _durableState = history.StateAt(sequence);
        _log.RemoveAll(e => e.Position.Sequence <= sequence);
        _durableLog.RemoveAll(e => e.Position.Sequence <= sequence);
    }

    /// <summary>Takes a full copy of another replica's state.</summary>
    public LogPosition InstallFrom(SimulatedReplica source, ulong promised)
    {
        var position = new LogPosition(source._core!.EpochOf(source._applied)!.Value, source._applied);
        if (!_core!.NeedsCopyAt(position))
        {
            return position;
        }

        _pending.Clear();
        Life++;
        (_state, _durableState) = ([.. source._state], [.. source._state]);
        (_applied, _trimmedTo, _durableLog) = (position.Sequence, position, []);
        _durablePromise = Math.Max(_durablePromise, promised);
        Restart();
        return position;
    }

    private ReplicaReply Read(ReplicaRequest.Read read)
    {
        if (read.Epoch < _core!.Promised)
        {
            return new ReplicaReply.Refused(read.Epoch, _core.Promised);
        }

        if (_core.PreviousOf(read.From) is not { } previous)
        {
            return read.From <= _core.TrimmedTo.Sequence
                ? new ReplicaReply.Trimmed(read.Epoch, read.For, _core.TrimmedTo)
                : new ReplicaReply.Entries(read.Epoch, read.For, _core.Last, []);
        }

        var items = _log.Where(e => e.Position.Sequence >= read.From).Take(3).ToImmutableArray();
        return new ReplicaReply.Entries(read.Epoch, read.For, previous, items);
    }

    private void Apply(ulong upTo)
    {
        foreach (var entry in _log.Where(e => e.Position.Sequence > _applied && e.Position.Sequence <= upTo).ToList())
        {
            history.Applied(Id, _applied, entry);
            _applied = entry.Position.Sequence;
            if (!entry.Body.IsEmpty)
            {
                _state.Add(BitConverter.ToUInt64(entry.Body.Span));
            }
        }
    }
}

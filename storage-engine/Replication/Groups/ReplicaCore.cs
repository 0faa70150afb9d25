namespace Nephos.Replication.Groups;

/// <summary>What a replica must do, in this order, before it may answer.</summary>
public enum ReplicaEffectKind
{
    /// <summary>Record durably that writers below <see cref="ReplicaEffect.Number"/> are refused.</summary>
    Promise,

    /// <summary>Drop the entries after sequence <see cref="ReplicaEffect.Number"/>; the entry appended next makes that durable.</summary>
    Truncate,

    /// <summary>Record the entry durably.</summary>
    Append,

    /// <summary>Entries up to sequence <see cref="ReplicaEffect.Number"/> are decided: the state may take them in.</summary>
    Commit,
}

public readonly record struct ReplicaEffect(ReplicaEffectKind Kind, ulong Number, LogEntry Entry);

/// <summary>
/// A replica of a group with one writer: what it promised, which entries it has, which of them are decided. Takes requests and
/// gives effects; does no IO and knows no time. One caller at a time.
/// </summary>
/// <remarks>
/// The rules are those of a replicated log with the election taken out, because the configuration master hands out epochs: (1) a
/// request with an epoch below the promise is refused; (2) entries are taken only behind an entry that agrees in epoch and
/// sequence, so two logs that agree at one place agree before it; (3) what was decided is never dropped.
/// </remarks>
public sealed class ReplicaCore
{
    private readonly EpochRuns _log;

    /// <param name="log">What recovery found.</param>
    /// <param name="committed">Known to be decided; at least what was trimmed.</param>
    public ReplicaCore(ulong promised, EpochRuns log, ulong committed)
    {
        (Promised, _log) = (promised, log);
        Committed = Math.Clamp(committed, log.TrimmedTo.Sequence, log.Last.Sequence);
    }

    /// <summary>Writers below this epoch are refused.</summary>
    public ulong Promised { get; private set; }

    public LogPosition Last => _log.Last;

    public ulong Committed { get; private set; }

    public LogPosition TrimmedTo => _log.TrimmedTo;

    /// <summary>Answers a seal, an append or a confirmation; the answer may be sent when the effects are done.</summary>
    public ReplicaReply Step(ReplicaRequest request, List<ReplicaEffect> effects)
    {
        if (request.Epoch < Promised)
        {
            return new ReplicaReply.Refused(request.Epoch, Promised);
        }

        if (request is ReplicaRequest.Confirm)
        {
            return new ReplicaReply.Confirmed(request.Epoch);
        }

        if (request.Epoch > Promised)
        {
            Promised = request.Epoch;
            effects.Add(new ReplicaEffect(ReplicaEffectKind.Promise, Promised, default));
        }

        return request switch
        {
            ReplicaRequest.Seal => new ReplicaReply.Sealed(request.Epoch, _log.Last, Committed),
            ReplicaRequest.Append append => Append(append, effects),
            _ => throw new ArgumentException($"{request.GetType().Name} is answered from the log.", nameof(request)),
        };
    }

    /// <summary>The position before a sequence, when entries from there on can be handed out; null when they were trimmed.</summary>
    public LogPosition? PreviousOf(ulong sequence) =>
        sequence > 0 && sequence <= _log.Last.Sequence + 1 && _log.EpochOf(sequence - 1) is { } epoch
            ? new LogPosition(epoch, sequence - 1)
            : null;

    public ulong? EpochOf(ulong sequence) => _log.EpochOf(sequence);

    /// <summary>
    /// Whether a full copy of the state at a decided position brings anything. Asked after appends have been stopped: a log that
    /// already holds the position may have answered for entries behind it, which a copy would wipe out.
    /// </summary>
    public bool NeedsCopyAt(LogPosition position) =>
        position.Sequence > _log.TrimmedTo.Sequence && _log.EpochOf(position.Sequence) != position.Epoch;

    /// <summary>Forgets decided entries, which the state holds durably.</summary>
    public void Trim(ulong sequence)
    {
        if (sequence > Committed)
        {
            throw new InvalidOperationException($"Cannot trim to {sequence}: decided is {Committed}.");
        }

        _log.Trim(sequence);
    }

    private ReplicaReply Append(ReplicaRequest.Append append, List<ReplicaEffect> effects)
    {
        var previous = append.Previous;
        if (previous.Sequence > _log.Last.Sequence)
        {
            return new ReplicaReply.Mismatch(append.Epoch, _log.Last.Sequence);
        }

        // What was trimmed was decided, and a writer's log holds everything that was decided.
        if (previous.Sequence > _log.TrimmedTo.Sequence && _log.EpochOf(previous.Sequence) != previous.Epoch)
        {
            // Skip the whole run of the other epoch; never below what is decided, which is common to all logs.
            return new ReplicaReply.Mismatch(append.Epoch, Math.Max(Committed, _log.FirstOfRun(previous.Sequence) - 1));
        }

        foreach (var entry in append.Entries)
        {
            if (entry.Position.Sequence <= _log.TrimmedTo.Sequence || _log.EpochOf(entry.Position.Sequence) == entry.Position.Epoch)
            {
                continue;
            }

            if (entry.Position.Sequence <= _log.Last.Sequence)
            {
                if (entry.Position.Sequence <= Committed)
                {
                    throw new InvalidOperationException($"{entry.Position} contradicts a decided entry.");
                }

                _log.TruncateAfter(entry.Position.Sequence - 1);
                effects.Add(new ReplicaEffect(ReplicaEffectKind.Truncate, entry.Position.Sequence - 1, default));
            }

            _log.Append(entry.Position);
            effects.Add(new ReplicaEffect(ReplicaEffectKind.Append, 0, entry));
        }

        // Only what agrees with the writer's log is decided by its word.
        var matched = previous.Sequence + (ulong)append.Entries.Length;
        var committed = Math.Min(append.Committed, matched);
        if (committed > Committed)
        {
            Committed = committed;
            effects.Add(new ReplicaEffect(ReplicaEffectKind.Commit, committed, default));
        }

        return new ReplicaReply.Appended(append.Epoch, matched);
    }
}

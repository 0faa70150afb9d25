namespace Nephos.Replication.Groups;

/// <summary>The epochs of a log's entries: epochs only grow along a log, so a few runs say it all.</summary>
public sealed class EpochRuns
{
    private readonly List<(ulong First, ulong Epoch)> _runs = [];

    public EpochRuns(LogPosition trimmedTo) => (TrimmedTo, Last) = (trimmedTo, trimmedTo);

    /// <summary>Entries up to here are part of the state only.</summary>
    public LogPosition TrimmedTo { get; private set; }

    public LogPosition Last { get; private set; }

    /// <summary>The epoch of the entry at a sequence; null when it is not in the log or before what was trimmed.</summary>
    public ulong? EpochOf(ulong sequence)
    {
        if (sequence == TrimmedTo.Sequence)
        {
            return TrimmedTo.Epoch;
        }

        if (sequence < TrimmedTo.Sequence || sequence > Last.Sequence)
        {
            return null;
        }

        return _runs[RunOf(sequence)].Epoch;
    }

    /// <summary>The first sequence of the run of equal epochs that holds a sequence.</summary>
    public ulong FirstOfRun(ulong sequence) =>
        sequence <= TrimmedTo.Sequence || _runs.Count == 0 ? TrimmedTo.Sequence : _runs[RunOf(sequence)].First;

    public void Append(LogPosition position)
    {
        if (position.Sequence != Last.Sequence + 1 || position.Epoch < Last.Epoch)
        {
            throw new InvalidOperationException($"{position} cannot follow {Last}.");
        }

        if (_runs.Count == 0 || _runs[^1].Epoch != position.Epoch)
        {
            _runs.Add((position.Sequence, position.Epoch));
        }

        Last = position;
    }

    /// <summary>Drops everything after a sequence.</summary>
    public void TruncateAfter(ulong sequence)
    {
        if (sequence < TrimmedTo.Sequence)
        {
            throw new InvalidOperationException($"Cannot truncate after {sequence}: trimmed to {TrimmedTo}.");
        }

        if (sequence >= Last.Sequence)
        {
            return;
        }

        Last = new LogPosition(EpochOf(sequence)!.Value, sequence);
        while (_runs.Count > 0 && _runs[^1].First > sequence)
        {
            _runs.RemoveAt(_runs.Count - 1);
        }
    }

    /// <summary>Forgets entries up to a sequence.</summary>
    public void Trim(ulong sequence)
    {
        if (sequence <= TrimmedTo.Sequence || sequence > Last.Sequence)
        {
            return;
        }

        TrimmedTo = new LogPosition(EpochOf(sequence)!.Value, sequence);
        while (_runs.Count > 1 && _runs[1].First <= sequence + 1)
        {
            _runs.RemoveAt(0);
        }

        if (_runs.Count > 0 && sequence == Last.Sequence)
        {
            _runs.Clear();
        }
        else if (_runs.Count > 0 && _runs[0].First <= sequence)
        {
            _runs[0] = (sequence + 1, _runs[0].Epoch);
        }
    }

    private int RunOf(ulong sequence)
    {
        var run = _runs.Count - 1;
        while (run > 0 && _runs[run].First > sequence)
        {
            run--;
        }

        return run;
    }
}

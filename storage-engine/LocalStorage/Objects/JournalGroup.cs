namespace Nephos.LocalStorage.Objects;

/// <summary>One entry to journal, or one that was read back.</summary>
public readonly record struct JournalEntry(ulong Epoch, ulong Sequence, ReadOnlyMemory<byte> Body);

/// <summary>Where an entry is.</summary>
internal readonly record struct JournalPlace(ulong Epoch, SegmentFile Segment, long BodyOffset, int BodyBytes, ulong BodyHash);

/// <summary>The log of one group's replica on one device, as recovery finds it and appends extend it. Guarded by the journal.</summary>
public sealed class JournalGroup
{
    // Sequence trimmedTo + 1 + n is at n.
    private readonly List<JournalPlace> _places = [];

    internal JournalGroup(Guid group, Guid replica) => (Group, Replica) = (group, replica);

    public Guid Group { get; }

    /// <summary>The id of this life of the replica.</summary>
    public Guid Replica { get; internal set; }

    public ulong Promised { get; internal set; }

    public ulong TrimmedEpoch { get; private set; }

    public ulong TrimmedSequence { get; private set; }

    /// <summary>A lower bound of what is decided.</summary>
    public ulong Committed { get; internal set; }

    public ulong LastSequence => TrimmedSequence + (ulong)_places.Count;

    public ulong LastEpoch => _places.Count == 0 ? TrimmedEpoch : _places[^1].Epoch;

    /// <summary>Entries that were durable cannot be read any more: this replica must not vote.</summary>
    public bool IsDamaged { get; internal set; }

    /// <summary>Entries before this were missing when the segments were read; they must turn out to be trimmed.</summary>
    internal ulong AssumedTrimmed { get; set; }

    /// <summary>The greatest sequence that a state record says is trimmed.</summary>
    internal ulong SaidTrimmed { get; set; }

    /// <summary>The epochs of the entries that are kept, in order.</summary>
    public IEnumerable<(ulong Epoch, ulong Sequence)> Positions()
    {
        for (var n = 0; n < _places.Count; n++)
        {
            yield return (_places[n].Epoch, TrimmedSequence + 1 + (ulong)n);
        }
    }

    internal JournalPlace? Find(ulong sequence) =>
        sequence > TrimmedSequence && sequence <= LastSequence ? _places[(int)(sequence - TrimmedSequence - 1)] : null;

    /// <summary>Adds an entry, in place of all with the same or a greater sequence; false when it leaves a gap.</summary>
    internal bool Put(ulong sequence, in JournalPlace place)
    {
        if (sequence <= TrimmedSequence)
        {
            return true;
        }

        if (sequence > LastSequence + 1)
        {
            return false;
        }

        var at = (int)(sequence - TrimmedSequence - 1);
        _places.RemoveRange(at, _places.Count - at);
        _places.Add(place);
        return true;
    }

    internal void Trim(ulong epoch, ulong sequence)
    {
        if (sequence <= TrimmedSequence)
        {
            return;
        }

        _places.RemoveRange(0, (int)Math.Min((ulong)_places.Count, sequence - TrimmedSequence));
        (TrimmedEpoch, TrimmedSequence) = (epoch, sequence);
        Committed = Math.Max(Committed, sequence);
    }

    internal void Reset(ulong epoch, ulong sequence)
    {
        _places.Clear();
        (TrimmedEpoch, TrimmedSequence, Committed) = (epoch, sequence, sequence);
    }

    internal bool Uses(SegmentFile segment) => _places.Count > 0 && _places[0].Segment.Id <= segment.Id;

    internal JournalStateBody ToState(bool isReset) => new(
        Replica, Promised, TrimmedEpoch, TrimmedSequence, LastEpoch, LastSequence, Committed, isReset);
}

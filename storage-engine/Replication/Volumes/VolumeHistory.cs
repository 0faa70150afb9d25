namespace Nephos.Replication.Volumes;

/// <summary>From which sequence on the writes of a volume are of an epoch.</summary>
public readonly record struct EpochStart(long Epoch, long First);

/// <summary>Which writes a replica of a volume has: all of them up to a sequence, and under which epochs. Immutable.</summary>
/// <remarks>A head that takes over goes on behind the last write it found. Two replicas that have a write of the same sequence under the same epoch have
/// the same writes up to there; of two histories, the one with the greater epoch, then sequence, knows everything that was ever acknowledged.</remarks>
public sealed record VolumeHistory(IReadOnlyList<EpochStart> Epochs, long Sequence)
{
    /// <summary>Epochs that are remembered. What is older can only be compared by content.</summary>
    public const int EpochsMax = 64;

    public static readonly VolumeHistory Empty = new([], 0);

    /// <summary>The epoch of the last write, or the one that was begun behind it; 0 before the first.</summary>
    public long Epoch => Epochs.Count == 0 ? 0 : Epochs[^1].Epoch;

    /// <summary>The history with a write behind it. What an older epoch wrote at the sequence or behind it was given up.</summary>
    public VolumeHistory With(long epoch, long sequence)
    {
        if (epoch < Epoch) return this;
        if (epoch == Epoch) return sequence > Sequence ? this with { Sequence = sequence } : this;
        var kept = Epochs.Where(start => start.First < sequence).Append(new EpochStart(epoch, sequence)).TakeLast(EpochsMax);
        return new VolumeHistory([.. kept], sequence);
    }

    /// <summary>The history as a new writer goes on with it.</summary>
    public VolumeHistory Begun(long epoch) => epoch > Epoch ? With(epoch, Sequence + 1) with { Sequence = Sequence } : this;

    public bool IsBehind(VolumeHistory other) => Epoch != other.Epoch ? Epoch < other.Epoch : Sequence < other.Sequence;

    /// <summary>Up to where two histories are the same; null when that is longer ago than is remembered.</summary>
    public long? CommonWith(VolumeHistory other)
    {
        var sequence = Math.Min(Sequence, other.Sequence);
        while (sequence > 0)
        {
            if (RunAt(sequence) is not { } mine || other.RunAt(sequence) is not { } theirs) return null;
            if (mine.Epoch == theirs.Epoch) return sequence;
            sequence = (mine.Epoch > theirs.Epoch ? mine : theirs).First - 1;
        }
        return 0;
    }

    // The run of writes of one epoch that a sequence is in; of epoch 0 before the first. Null when it is forgotten.
    private EpochStart? RunAt(long sequence)
    {
        for (var i = Epochs.Count - 1; i >= 0; i--)
            if (Epochs[i].First <= sequence) return Epochs[i];
        return Epochs.Count < EpochsMax ? new EpochStart(0, 1) : null;
    }

    public bool Equals(VolumeHistory? other) => other is not null && Sequence == other.Sequence && Epochs.SequenceEqual(other.Epochs);

    public override int GetHashCode() => HashCode.Combine(Epoch, Sequence, Epochs.Count);

    public override string ToString() => $"{Epoch}:{Sequence}";
}

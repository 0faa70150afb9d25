using System.Collections.Immutable;

namespace Nephos.Replication.Groups;

/// <summary>One life of one replica: storage that was lost and made anew gets another id, so that its empty log is never counted as a vote.</summary>
public readonly record struct ReplicaId(Guid Value) : IComparable<ReplicaId>
{
    public int CompareTo(ReplicaId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString("n")[..8];
}

/// <summary>A place in a group's log. Of two logs, the one whose last position is greater knows more.</summary>
/// <param name="Epoch">The writer that wrote it; 0 before the first.</param>
/// <param name="Sequence">From 1, without gaps.</param>
public readonly record struct LogPosition(ulong Epoch, ulong Sequence) : IComparable<LogPosition>
{
    public int CompareTo(LogPosition other) =>
        Epoch != other.Epoch ? Epoch.CompareTo(other.Epoch) : Sequence.CompareTo(other.Sequence);

    public override string ToString() => $"{Epoch}:{Sequence}";
}

/// <summary>One entry. An empty body is a writer's first entry and changes nothing.</summary>
public readonly record struct LogEntry(LogPosition Position, ReadOnlyMemory<byte> Body);

/// <summary>
/// Who belongs to a group, kept in the configuration master and changed only by compare-and-swap. A new epoch means a new
/// writer, or the same writer with other members.
/// </summary>
public sealed record GroupConfiguration(Guid Group, ulong Epoch, string Writer, ImmutableArray<ReplicaId> Members)
{
    public int Majority => (Members.Length / 2) + 1;
}

/// <summary>What a writer asks of a replica.</summary>
public abstract record ReplicaRequest(ulong Epoch)
{
    /// <summary>Promise to take nothing more from writers of lower epochs, and say what you have.</summary>
    public sealed record Seal(ulong Epoch) : ReplicaRequest(Epoch);

    /// <summary>Take these entries, which follow <paramref name="Previous"/>; everything up to <paramref name="Committed"/> is decided.</summary>
    public sealed record Append(ulong Epoch, LogPosition Previous, ImmutableArray<LogEntry> Entries, ulong Committed)
        : ReplicaRequest(Epoch);

    /// <summary>Hand out entries from a sequence on, for <paramref name="For"/>, who lacks them.</summary>
    public sealed record Read(ulong Epoch, ulong From, ReplicaId For) : ReplicaRequest(Epoch);

    /// <summary>Say that no later writer has sealed you. Changes nothing; what a majority confirms was the newest state when it was asked.</summary>
    public sealed record Confirm(ulong Epoch) : ReplicaRequest(Epoch);
}

/// <summary>What a replica answers.</summary>
public abstract record ReplicaReply(ulong Epoch)
{
    /// <summary>A writer with a greater epoch was here.</summary>
    public sealed record Refused(ulong Epoch, ulong Promised) : ReplicaReply(Epoch);

    public sealed record Sealed(ulong Epoch, LogPosition Last, ulong Committed) : ReplicaReply(Epoch);

    public sealed record Confirmed(ulong Epoch) : ReplicaReply(Epoch);

    /// <summary>The log agrees with the writer's up to here, durably.</summary>
    public sealed record Appended(ulong Epoch, ulong Matched) : ReplicaReply(Epoch);

    /// <summary>The log does not hold <c>Previous</c>; it may agree up to <paramref name="Hint"/>.</summary>
    public sealed record Mismatch(ulong Epoch, ulong Hint) : ReplicaReply(Epoch);

    /// <summary>Entries after <paramref name="Previous"/>.</summary>
    public sealed record Entries(ulong Epoch, ReplicaId For, LogPosition Previous, ImmutableArray<LogEntry> Items)
        : ReplicaReply(Epoch);

    /// <summary>Those entries are no longer kept; the log begins after <paramref name="TrimmedTo"/>.</summary>
    public sealed record Trimmed(ulong Epoch, ReplicaId For, LogPosition TrimmedTo) : ReplicaReply(Epoch);
}

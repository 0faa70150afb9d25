namespace Nephos.Kernel.State;

/// <summary>A lease of the store; the default value means no lease.</summary>
public readonly record struct LeaseId(long Value)
{
    public static LeaseId None => default;

    public override string ToString() => Value.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>A key with its value, the revision that last wrote it, and the lease it hangs on, if any.</summary>
/// <remarks>The value is never changed after it was handed out.</remarks>
public sealed record StateEntry(string Key, ReadOnlyMemory<byte> Value, long Revision, LeaseId Lease);

/// <summary>Entries read at one revision of the store.</summary>
/// <param name="Entries">In key order for a scan.</param>
/// <param name="Revision">The revision of the store that was read.</param>
/// <param name="More">The range had more entries than the limit.</param>
public sealed record StateScan(IReadOnlyList<StateEntry> Entries, long Revision, bool More);

/// <summary>One change: <see cref="Entry"/> is null when the key was deleted.</summary>
public sealed record StateEvent(string Key, StateEntry? Entry);

/// <summary>All changes of one revision that a watcher asked for.</summary>
public sealed record StateBatch(long Revision, IReadOnlyList<StateEvent> Events);

/// <summary>The key was last written at exactly this revision; 0 means that it does not exist.</summary>
public readonly record struct StatePrecondition(string Key, long Revision);

/// <summary>No key in the range was written after the revision. Deletes do not count.</summary>
/// <param name="FromInclusive">First key; "" for the first of all.</param>
/// <param name="ToExclusive">End of the range; "" for no end.</param>
/// <param name="Revision">The revision at which the range was read.</param>
public readonly record struct StateRangePrecondition(string FromInclusive, string ToExclusive, long Revision);

/// <summary>A key to write, with the lease to hang it on. A put without a lease takes the key off the lease it had.</summary>
public readonly record struct StatePut(string Key, ReadOnlyMemory<byte> Value, LeaseId Lease = default);

/// <summary>What to write, and under which conditions.</summary>
/// <remarks>The store keeps the values it is given: do not change them afterwards.</remarks>
public sealed record StateCommit
{
    // A store may have to name a key twice: to compare it, and to tell which one differed.
    private const int PreconditionWeight = 2;

    public IReadOnlyList<StatePrecondition> Preconditions { get; init; } = [];

    public IReadOnlyList<StateRangePrecondition> RangePreconditions { get; init; } = [];

    public IReadOnlyList<StatePut> Puts { get; init; } = [];

    public IReadOnlyList<string> Deletes { get; init; } = [];

    /// <summary>Checks the bounds that every store keeps.</summary>
    /// <returns>The bytes of its keys and values.</returns>
    /// <exception cref="ArgumentException">Names the rule that is broken.</exception>
    public long Validate()
    {
        if (Preconditions.Count + RangePreconditions.Count > StateLimits.MaxOperations)
        {
            throw new ArgumentException($"A commit has at most {StateLimits.MaxOperations} preconditions.");
        }

        if (Puts.Count + Deletes.Count > StateLimits.MaxOperations)
        {
            throw new ArgumentException($"A commit writes at most {StateLimits.MaxOperations} keys.");
        }

        long bytes = 0;
        foreach (var precondition in Preconditions)
        {
            bytes += PreconditionWeight * StateKeys.Validate(precondition.Key);
        }

        foreach (var range in RangePreconditions)
        {
            bytes += PreconditionWeight * StateKeys.ValidateRange(range.FromInclusive, range.ToExclusive);
        }

        var written = new HashSet<string>(Puts.Count + Deletes.Count, StringComparer.Ordinal);
        foreach (var put in Puts)
        {
            bytes += StateKeys.Validate(put.Key) + put.Value.Length;
            RequireFirst(written.Add(put.Key), put.Key);
        }

        foreach (var key in Deletes)
        {
            bytes += StateKeys.Validate(key);
            RequireFirst(written.Add(key), key);
        }

        if (bytes > StateLimits.MaxCommitBytes)
        {
            throw new ArgumentException($"A commit has at most {StateLimits.MaxCommitBytes} bytes of keys and values, this one {bytes}.");
        }

        return bytes;
    }

    private static void RequireFirst(bool first, string key)
    {
        if (!first)
        {
            throw new ArgumentException($"A commit writes a key once; '{key}' is in it twice.");
        }
    }
}

/// <summary>How a commit ended.</summary>
/// <param name="Succeeded">Everything was written.</param>
/// <param name="Revision">
/// On success the revision of the commit (the current one of the store when nothing changed), else a revision at which it failed.
/// </param>
/// <param name="FailedKey">The first precondition that did not hold: the start of a range (they are looked at first) or a key.</param>
public readonly record struct CommitResult(bool Succeeded, long Revision, string? FailedKey);

/// <summary>The bounds of every store; the strictest engine decides.</summary>
public static class StateLimits
{
    /// <summary>Longest key, in bytes of UTF-8.</summary>
    public const int MaxKeyBytes = 2048;

    /// <summary>Most bytes of keys and values of one commit; preconditions count twice.</summary>
    public const int MaxCommitBytes = 1024 * 1024;

    /// <summary>Most preconditions, and most writes, of one commit; most keys of one read.</summary>
    public const int MaxOperations = 1024;

    /// <summary>Most entries of one scan.</summary>
    public const int MaxScanEntries = 10_000;

    /// <summary>Shortest and longest time to live of a lease.</summary>
    public static readonly TimeSpan MinLease = TimeSpan.FromSeconds(1), MaxLease = TimeSpan.FromDays(1);

    /// <exception cref="ArgumentException">Too many keys for one read, or one that is no key.</exception>
    public static void CheckKeys(IReadOnlyList<string> keys)
    {
        if (keys.Count > MaxOperations)
        {
            throw new ArgumentException($"One read has at most {MaxOperations} keys.", nameof(keys));
        }

        foreach (var key in keys)
        {
            StateKeys.Validate(key);
        }
    }

    /// <exception cref="ArgumentOutOfRangeException">Not between 1 and <see cref="MaxScanEntries"/>.</exception>
    public static void CheckScanLimit(int limit)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, MaxScanEntries);
    }

    /// <summary>The time to live of a lease, rounded up to whole seconds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Shorter than <see cref="MinLease"/> or longer than <see cref="MaxLease"/>.</exception>
    public static TimeSpan WholeSeconds(TimeSpan timeToLive)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeToLive, MinLease);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(timeToLive, MaxLease);
        return TimeSpan.FromSeconds(Math.Ceiling(timeToLive.TotalSeconds));
    }
}

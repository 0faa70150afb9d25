using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>Where a store of one process keeps its entries: ordered, with reads at one revision and atomic durable writes.</summary>
/// <remarks>One thread writes; any number of threads read meanwhile and never see half a write.</remarks>
internal interface ILocalEngine : IDisposable
{
    long ReadRevision();

    /// <summary>The leases there are, with the keys that hang on each.</summary>
    IReadOnlyList<StoredLease> ReadLeases();

    StateEntry? Get(string key);

    /// <summary>The revision that wrote the key; 0 when there is none.</summary>
    long RevisionOf(string key);

    StateScan GetMany(IReadOnlyList<string> keys);

    StateScan Scan(string fromInclusive, string toExclusive, int limit);

    /// <summary>Whether any key of the range, other than those passed over, was written after the revision.</summary>
    bool AnyWrittenAfter(long revision, string fromInclusive, string toExclusive, Func<string, bool> passOver);

    /// <summary>Why nothing can be written for want of space, or null.</summary>
    StateFullException? FindFull();

    /// <summary>Writes all of it or nothing; durable when it returns.</summary>
    /// <exception cref="IOException">The outcome is unknown, and the engine must be reopened before it is written to again.</exception>
    void Write(EngineBatch batch);

    /// <summary>Reads again what is durable, which settles the outcome of a failed write. Reads wait meanwhile.</summary>
    /// <exception cref="IOException">It cannot be opened; reads fail until it can.</exception>
    void Reopen();
}

internal sealed record StoredLease(LeaseId Id, TimeSpan TimeToLive, IReadOnlyList<string> Keys);

/// <summary>What a group of commits comes to.</summary>
internal sealed class EngineBatch
{
    public long Revision { get; set; }

    /// <summary>By key, what the group leaves there; null for a deleted key.</summary>
    public Dictionary<string, StateEntry?> Entries { get; } = new(StringComparer.Ordinal);

    /// <summary>In order: time to live of a granted lease, null for one that ends.</summary>
    public List<(LeaseId Lease, TimeSpan? TimeToLive)> Leases { get; } = [];

    /// <summary>In order: keys put on a lease and taken off.</summary>
    public List<(LeaseId Lease, string Key, bool On)> LeasedKeys { get; } = [];

    public bool IsEmpty => Entries.Count == 0 && Leases.Count == 0;
}

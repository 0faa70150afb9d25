namespace Nephos.Kernel.State;

/// <summary>An ordered, transactional key-value store with revisions: where every control-plane record lives.</summary>
/// <remarks>
/// Keys are strings ordered by their UTF-8 bytes. Every commit that changes something gets the next revision of the store, and
/// every key remembers the revision that last wrote it. Reads are linearizable: they see every commit acknowledged before they
/// began. What <see cref="CommitAsync"/> acknowledges is durable. The semantics are the part that an embedded store and
/// etcd 3.4 have in common. Safe for any number of threads.
/// </remarks>
public interface IStateStore : IAsyncDisposable
{
    /// <summary>The revision of the newest commit; 0 or 1 for an empty store.</summary>
    ValueTask<long> GetRevisionAsync(CancellationToken cancellationToken);

    /// <summary>The entry of one key, or null when there is none.</summary>
    ValueTask<StateEntry?> GetAsync(string key, CancellationToken cancellationToken);

    /// <summary>The entries of several keys, read at one revision, in the order asked; absent keys are left out.</summary>
    /// <param name="keys">At most <see cref="StateLimits.MaxOperations"/> different keys.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    ValueTask<StateScan> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken);

    /// <summary>The first entries of a range of keys, in key order, read at one revision.</summary>
    /// <param name="fromInclusive">The first key of the range; "" for the first of all.</param>
    /// <param name="toExclusive">The end of the range; "" for no end. See <see cref="StateKeys.PrefixEnd"/>.</param>
    /// <param name="limit">1 to <see cref="StateLimits.MaxScanEntries"/> entries.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    ValueTask<StateScan> ScanAsync(string fromInclusive, string toExclusive, int limit, CancellationToken cancellationToken);

    /// <summary>Writes everything in the commit if all its preconditions hold, else nothing.</summary>
    /// <remarks>Cancellation gives up waiting for a commit that has not begun; one that has begun runs to its end.</remarks>
    /// <exception cref="StateLeaseNotFoundException">A put names a lease that expired or never was.</exception>
    /// <exception cref="StateFullException">The disk of the store is full; nothing was written.</exception>
    /// <exception cref="StateUnavailableException">The outcome is unknown: the commit may or may not have happened.</exception>
    /// <exception cref="ArgumentException">The commit breaks a bound of <see cref="StateLimits"/> or writes a key twice.</exception>
    ValueTask<CommitResult> CommitAsync(StateCommit commit, CancellationToken cancellationToken);

    /// <summary>Every change of keys with a prefix, from a revision on, one batch per revision, in order, without gaps.</summary>
    /// <remarks>
    /// A batch without events says that nothing else with the prefix changed up to its revision; one follows whenever others
    /// change something, so a watcher always learns how far it is.
    /// History is bounded. A watcher that asks for, or falls behind to, a revision that is gone gets the exception below; it lists
    /// again and watches from the revision of its list plus one.
    /// </remarks>
    /// <param name="prefix">"" for everything.</param>
    /// <param name="fromRevision">The first revision wanted, at least 1: usually the revision of a scan plus one.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <exception cref="StateCompactedException">Changes after <paramref name="fromRevision"/> are no longer kept.</exception>
    IAsyncEnumerable<StateBatch> WatchAsync(string prefix, long fromRevision, CancellationToken cancellationToken);

    /// <summary>Grants a lease: keys put with it vanish, in one revision, when it is not kept alive for its time to live.</summary>
    /// <param name="timeToLive">1 second to 1 day; rounded up to whole seconds. The store may grant longer, never shorter.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    ValueTask<LeaseId> GrantLeaseAsync(TimeSpan timeToLive, CancellationToken cancellationToken);

    /// <summary>Starts the time to live of a lease anew.</summary>
    /// <exception cref="StateLeaseNotFoundException">The lease expired or was revoked.</exception>
    ValueTask KeepLeaseAliveAsync(LeaseId lease, CancellationToken cancellationToken);

    /// <summary>Ends a lease now and deletes its keys; a lease that is gone already is no error.</summary>
    ValueTask RevokeLeaseAsync(LeaseId lease, CancellationToken cancellationToken);
}

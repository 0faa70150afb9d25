using System.Security.Cryptography;
using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>Commits that are decided one after another and written together. Used by the committer thread alone.</summary>
/// <param name="engine">What is there.</param>
/// <param name="leases">The leases there are; changed as is decided.</param>
/// <param name="revision">Of the newest commit before.</param>
/// <param name="full">With what to refuse everything that would write; null when there is space.</param>
internal sealed class CommitGroup(ILocalEngine engine, LeaseTable leases, long revision, StateFullException? full)
{
    public EngineBatch Writes { get; } = new() { Revision = revision };

    /// <summary>What watchers are told, one batch per commit that changed something.</summary>
    public List<StateBatch> Batches { get; } = [];

    /// <exception cref="StateLeaseNotFoundException">A put names a lease that is gone; nothing was changed.</exception>
    /// <exception cref="StateFullException">There is no space; nothing was changed.</exception>
    public CommitResult Commit(StateCommit commit)
    {
        if (FailedKey(commit) is { } failedKey)
        {
            return new CommitResult(Succeeded: false, Writes.Revision, failedKey);
        }

        foreach (var put in commit.Puts)
        {
            if (put.Lease != LeaseId.None && !leases.Exists(put.Lease))
            {
                throw new StateLeaseNotFoundException(put.Lease);
            }
        }

        RequireSpace();
        Change(commit.Puts, commit.Deletes);
        return new CommitResult(Succeeded: true, Writes.Revision, FailedKey: null);
    }

    /// <exception cref="StateFullException">There is no space; nothing was changed.</exception>
    public LeaseId Grant(TimeSpan timeToLive)
    {
        RequireSpace();
        var id = new LeaseId(RandomId());
        leases.Grant(id, timeToLive);
        Writes.Leases.Add((id, timeToLive));
        return id;
    }

    /// <exception cref="StateLeaseNotFoundException">The lease is gone.</exception>
    public bool KeepAlive(LeaseId id) => leases.KeepAlive(id) ? true : throw new StateLeaseNotFoundException(id);

    /// <exception cref="StateFullException">There is no space; nothing was changed.</exception>
    public bool Revoke(LeaseId id)
    {
        if (!leases.Exists(id))
        {
            return false;
        }

        RequireSpace();
        Change([], leases.KeysOf(id));
        leases.Remove(id);
        Writes.Leases.Add((id, null));
        return true;
    }

    /// <summary>Ends the leases whose time is over; without space they stay until there is some.</summary>
    public bool RevokeEnded()
    {
        // Asked in any case: it is by this that the table says again when to look.
        var ended = leases.Ended();
        foreach (var id in full is null ? ended : [])
        {
            Revoke(id);
        }

        return true;
    }

    private static long RandomId()
    {
        // Not a counter: an id that comes again after a restart could keep alive the lease of another.
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        RandomNumberGenerator.Fill(bytes);
        return Math.Max(1, BitConverter.ToInt64(bytes) & long.MaxValue);
    }

    private void RequireSpace()
    {
        if (full is not null)
        {
            throw full;
        }
    }

    private string? FailedKey(StateCommit commit)
    {
        foreach (var range in commit.RangePreconditions)
        {
            if (range.Revision < Writes.Revision && WrittenAfter(range))
            {
                return range.FromInclusive;
            }
        }

        foreach (var precondition in commit.Preconditions)
        {
            if (RevisionOf(precondition.Key) != precondition.Revision)
            {
                return precondition.Key;
            }
        }

        return null;
    }

    private long RevisionOf(string key) =>
        Writes.Entries.TryGetValue(key, out var pending) ? pending?.Revision ?? 0 : engine.RevisionOf(key);

    private bool WrittenAfter(StateRangePrecondition range)
    {
        foreach (var (key, entry) in Writes.Entries)
        {
            if (entry is not null && entry.Revision > range.Revision && IsIn(key, range))
            {
                return true;
            }
        }

        return engine.AnyWrittenAfter(range.Revision, range.FromInclusive, range.ToExclusive, Writes.Entries.ContainsKey);
    }

    private static bool IsIn(string key, StateRangePrecondition range) =>
        StateKeys.Comparer.Compare(key, range.FromInclusive) >= 0
        && (range.ToExclusive.Length == 0 || StateKeys.Comparer.Compare(key, range.ToExclusive) < 0);

    private void Change(IReadOnlyList<StatePut> puts, IReadOnlyList<string> deletes)
    {
        var revision = Writes.Revision + 1;
        var events = new List<StateEvent>(puts.Count + deletes.Count);
        foreach (var put in puts)
        {
            var entry = new StateEntry(put.Key, put.Value, revision, put.Lease);
            MoveToLease(put.Key, put.Lease);
            Writes.Entries[put.Key] = entry;
            events.Add(new StateEvent(put.Key, entry));
        }

        foreach (var key in deletes)
        {
            if (RevisionOf(key) != 0)
            {
                MoveToLease(key, LeaseId.None);
                Writes.Entries[key] = null;
                events.Add(new StateEvent(key, null));
            }
        }

        if (events.Count > 0)
        {
            Writes.Revision = revision;
            Batches.Add(new StateBatch(revision, events));
        }
    }

    private void MoveToLease(string key, LeaseId lease)
    {
        var before = leases.LeaseOf(key);
        if (before == lease)
        {
            return;
        }

        if (before != LeaseId.None)
        {
            leases.Detach(key);
            Writes.LeasedKeys.Add((before, key, false));
        }

        if (lease != LeaseId.None)
        {
            leases.Attach(key, lease);
            Writes.LeasedKeys.Add((lease, key, true));
        }
    }
}

using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>Which leases there are, when each ends and what hangs on it. Used by the committer thread alone.</summary>
/// <remarks>
/// How long a lease lives is durable, when it ends is not: after a restart every lease has its whole time again, so that no
/// holder loses it because the store was away.
/// </remarks>
internal sealed class LeaseTable
{
    private readonly TimeProvider _time;
    private readonly Dictionary<LeaseId, Lease> _leases = [];
    private readonly Dictionary<string, LeaseId> _leaseOfKey = new(StringComparer.Ordinal);
    private bool _moved;

    public LeaseTable(TimeProvider time, IEnumerable<StoredLease> stored)
    {
        _time = time;
        foreach (var lease in stored)
        {
            Grant(lease.Id, lease.TimeToLive);
            foreach (var key in lease.Keys)
            {
                Attach(key, lease.Id);
            }
        }
    }

    /// <summary>How long until the first lease may end; null when that is as the last call said, or there is none.</summary>
    /// <remarks>Leases that were kept alive end later than said; looking for ended ones too early does no harm.</remarks>
    public TimeSpan? NextEnd()
    {
        if (!_moved || _leases.Count == 0)
        {
            return null;
        }

        _moved = false;
        var left = _time.GetElapsedTime(_time.GetTimestamp(), _leases.Values.Min(lease => lease.EndsAt));
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    public bool Exists(LeaseId id) => _leases.ContainsKey(id);

    public void Grant(LeaseId id, TimeSpan timeToLive)
    {
        _leases.Add(id, new Lease(timeToLive, EndOf(timeToLive)));
        _moved = true;
    }

    /// <returns>False when there is no such lease.</returns>
    public bool KeepAlive(LeaseId id)
    {
        if (!_leases.TryGetValue(id, out var lease))
        {
            return false;
        }

        lease.EndsAt = EndOf(lease.TimeToLive);
        return true;
    }

    /// <summary>The lease that the key hangs on.</summary>
    public LeaseId LeaseOf(string key) => _leaseOfKey.GetValueOrDefault(key);

    public void Attach(string key, LeaseId id)
    {
        _leases[id].Keys.Add(key);
        _leaseOfKey.Add(key, id);
    }

    public void Detach(string key)
    {
        if (_leaseOfKey.Remove(key, out var id))
        {
            _leases[id].Keys.Remove(key);
        }
    }

    public IReadOnlyList<LeaseId> Ended()
    {
        _moved = true;
        var now = _time.GetTimestamp();
        return [.. _leases.Where(lease => lease.Value.EndsAt <= now).Select(lease => lease.Key)];
    }

    public IReadOnlyList<string> KeysOf(LeaseId id) => [.. _leases[id].Keys];

    /// <summary>Removes a lease on which nothing hangs any more.</summary>
    public void Remove(LeaseId id) => _leases.Remove(id);

    private long EndOf(TimeSpan timeToLive) => _time.GetTimestamp() + (long)(timeToLive.TotalSeconds * _time.TimestampFrequency);

    private sealed class Lease(TimeSpan timeToLive, long endsAt)
    {
        public TimeSpan TimeToLive { get; } = timeToLive;

        public long EndsAt { get; set; } = endsAt;

        public SortedSet<string> Keys { get; } = new(StringComparer.Ordinal);
    }
}

using System.Collections.Immutable;
using Nephos.Kernel.State;

namespace Nephos.State.Local;

/// <summary>Keeps everything in memory and nothing after that: for tests and for trying things out.</summary>
internal sealed class MemoryEngine : ILocalEngine
{
    private static readonly IComparer<StateEntry> ByKey =
        Comparer<StateEntry>.Create((left, right) => StateKeys.Comparer.Compare(left.Key, right.Key));

    private volatile Snapshot _current = new(ImmutableSortedSet.Create(ByKey), 0);

    public long ReadRevision() => _current.Revision;

    public IReadOnlyList<StoredLease> ReadLeases() => [];

    public StateEntry? Get(string key) => _current.Find(key);

    public long RevisionOf(string key) => _current.Find(key)?.Revision ?? 0;

    public StateScan GetMany(IReadOnlyList<string> keys)
    {
        var snapshot = _current;
        return new StateScan([.. keys.Select(snapshot.Find).OfType<StateEntry>()], snapshot.Revision, More: false);
    }

    public StateScan Scan(string fromInclusive, string toExclusive, int limit)
    {
        var snapshot = _current;
        var found = snapshot.Range(fromInclusive, toExclusive).Take(limit + 1).ToList();
        var more = found.Count > limit;
        return new StateScan(more ? found[..limit] : found, snapshot.Revision, more);
    }

    public bool AnyWrittenAfter(long revision, string fromInclusive, string toExclusive, Func<string, bool> passOver) =>
        _current.Range(fromInclusive, toExclusive).Any(entry => entry.Revision > revision && !passOver(entry.Key));

    public StateFullException? FindFull() => null;

    public void Reopen()
    {
    }

    public void Write(EngineBatch batch)
    {
        var entries = _current.Entries.ToBuilder();
        foreach (var (key, entry) in batch.Entries)
        {
            entries.Remove(Probe(key));
            if (entry is not null)
            {
                entries.Add(entry);
            }
        }

        _current = new Snapshot(entries.ToImmutable(), batch.Revision);
    }

    public void Dispose()
    {
    }

    private static StateEntry Probe(string key) => new(key, default, 0, LeaseId.None);

    private sealed record Snapshot(ImmutableSortedSet<StateEntry> Entries, long Revision)
    {
        public StateEntry? Find(string key) => Entries.TryGetValue(Probe(key), out var found) && found.Revision > 0 ? found : null;

        public IEnumerable<StateEntry> Range(string fromInclusive, string toExclusive)
        {
            var index = Entries.IndexOf(Probe(fromInclusive));
            for (var i = index < 0 ? ~index : index; i < Entries.Count; i++)
            {
                var entry = Entries[i];
                if (toExclusive.Length > 0 && StateKeys.Comparer.Compare(entry.Key, toExclusive) >= 0)
                {
                    yield break;
                }

                yield return entry;
            }
        }
    }
}

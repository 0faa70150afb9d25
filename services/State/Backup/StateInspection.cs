using System.Text;
using Nephos.Kernel.State;
using Nephos.State.Local;

namespace Nephos.State.Backup;

/// <summary>What is in an embedded store that nobody writes to, and what is wrong with it.</summary>
/// <param name="Revision">Of the newest commit.</param>
/// <param name="Entries">Records and index entries.</param>
/// <param name="Records">By table.</param>
/// <param name="Problems">Empty for a sound store; at most as many as are worth reading.</param>
public sealed record StateInspection(long Revision, long Entries, IReadOnlyDictionary<string, long> Records, IReadOnlyList<string> Problems)
{
    private const int EntriesPerScan = 1000;
    private const int ProblemsMax = 100;

    /// <summary>Reads everything: the checksums of RocksDB, revisions, and that every index entry names a record.</summary>
    /// <param name="path">The folder of a store that no process has open; nothing in it is changed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public static StateInspection Run(string path, CancellationToken cancellationToken)
    {
        using var engine = RocksDbEngine.OpenReadOnly(path);
        var revision = engine.ReadRevision();
        var (entries, records, problems) = (0L, new SortedDictionary<string, long>(StringComparer.Ordinal), new List<string>());
        for (var from = ""; ;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var scan = engine.Scan(from, "", EntriesPerScan);
            foreach (var entry in scan.Entries)
            {
                entries++;
                if (FindProblem(engine, entry, revision, records) is { } problem && problems.Count < ProblemsMax)
                {
                    problems.Add(problem);
                }
            }
            if (!scan.More)
            {
                break;
            }
            from = StateKeys.After(scan.Entries[^1].Key);
        }
        foreach (var lease in engine.ReadLeases())
        {
            problems.AddRange(lease.Keys.Where(key => engine.Get(key)?.Lease != lease.Id).Select(key => $"'{key}' is listed under a lease it does not hang on"));
        }
        return new StateInspection(revision, entries, records, problems);
    }

    private static string? FindProblem(RocksDbEngine engine, StateEntry entry, long revision, SortedDictionary<string, long> records)
    {
        if (entry.Revision < 1 || entry.Revision > revision)
        {
            return $"'{entry.Key}' has revision {entry.Revision}, and the store is at {revision}";
        }
        // The layout of tables, see TableSchema: TABLE:KIND:…
        var parts = entry.Key.Split(':', 3);
        if (parts.Length < 3)
        {
            return null;
        }
        var (table, kind, rest) = (parts[0], parts[1], parts[2]);
        switch (kind)
        {
            case "r":
                records[table] = records.GetValueOrDefault(table) + 1;
                return null;
            case "u":
                return Missing(Encoding.UTF8.GetString(entry.Value.Span));
            case "i":
                // INDEX:VALUE:KEY, and neither of the first has a colon.
                return rest.Split(':', 3) is [_, _, var key] ? Missing(key) : $"'{entry.Key}' is no index entry";
            default:
                return null;
        }

        string? Missing(string key) => engine.RevisionOf($"{table}:r:{key}") > 0 ? null : $"'{entry.Key}' names a record that is not there";
    }
}

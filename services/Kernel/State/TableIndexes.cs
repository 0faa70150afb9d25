using System.Text;

namespace Nephos.Kernel.State;

/// <summary>Makes the indexes of stored records what a newer program declares: fills those that were added, empties those that went.</summary>
/// <remarks>
/// The store remembers of each table which indexes every record is in. That is written last, so that a process that ends half way
/// does it again, and doing it twice changes nothing; several processes may do it at once. Run before the tables are used; records
/// that an older program writes meanwhile are not in the new index.
/// </remarks>
public static class TableIndexes
{
    private const int RecordsPerStep = 200;
    private const int EntriesPerCommit = 500;

    /// <returns>The index entries written and removed.</returns>
    /// <exception cref="UniqueViolationException">Two stored records have one value of a new unique index.</exception>
    public static async Task<int> ReconcileAsync(
        this IStateStore store, IReadOnlyCollection<TableSchema> schemas, CancellationToken cancellationToken)
    {
        var changed = 0;
        foreach (var chunk in schemas.Chunk(StateLimits.MaxOperations))
        {
            var marks = (await store.GetManyAsync([.. chunk.Select(schema => schema.IndexesKey)], cancellationToken)).Entries
                .ToDictionary(entry => entry.Key, StringComparer.Ordinal);
            var settled = new List<StatePut>();
            foreach (var schema in chunk)
            {
                var declared = Mark(schema.Indexes);
                var stored = marks.GetValueOrDefault(schema.IndexesKey) is { } mark ? Encoding.UTF8.GetString(mark.Value.Span) : "";
                if (stored == declared)
                {
                    continue;
                }
                changed += await ReconcileAsync(store, schema, Unmark(stored), cancellationToken);
                settled.Add(new StatePut(schema.IndexesKey, Encoding.UTF8.GetBytes(declared)));
            }
            if (settled.Count > 0)
            {
                await store.CommitAsync(new StateCommit { Puts = settled }, cancellationToken);
            }
        }
        return changed;
    }

    private static async Task<int> ReconcileAsync(
        IStateStore store, TableSchema schema, IReadOnlyList<(string Name, bool Unique)> stored, CancellationToken cancellationToken)
    {
        var changed = 0;
        foreach (var (name, unique) in stored.Except(schema.Indexes))
        {
            changed += await EmptyAsync(store, schema.EntriesPrefix(name, unique), cancellationToken);
        }
        var added = schema.Indexes.Except(stored).Select(index => index.Name).ToHashSet(StringComparer.Ordinal);
        return added.Count == 0 ? changed : changed + await FillAsync(store, schema, added, cancellationToken);
    }

    private static async Task<int> FillAsync(IStateStore store, TableSchema schema, HashSet<string> indexes, CancellationToken cancellationToken)
    {
        var (filled, from, end) = (0, schema.RecordPrefix, StateKeys.PrefixEnd(schema.RecordPrefix));
        while (true)
        {
            var scan = await store.ScanAsync(from, end, RecordsPerStep, cancellationToken);
            foreach (var record in scan.Entries)
            {
                for (var entry = record; entry is not null;)
                {
                    if (await TryFillAsync(store, schema, entry, indexes, cancellationToken) is { } count)
                    {
                        filled += count;
                        break;
                    }
                    // Another writer was first; it may have changed the record or deleted it.
                    entry = await store.GetAsync(record.Key, cancellationToken);
                }
            }
            if (!scan.More)
            {
                return filled;
            }
            from = StateKeys.After(scan.Entries[^1].Key);
        }
    }

    /// <returns>How many entries were missing, or null when the record changed meanwhile.</returns>
    private static async Task<int?> TryFillAsync(
        IStateStore store, TableSchema schema, StateEntry record, HashSet<string> indexes, CancellationToken cancellationToken)
    {
        var current = schema.Deserialize(record.Value.Span);
        var key = Encoding.UTF8.GetBytes(schema.KeyOf(current));
        var wanted = schema.EntriesOf(current).Where(entry => indexes.Contains(entry.Index)).ToList();
        var filled = 0;
        foreach (var chunk in wanted.Chunk(EntriesPerCommit))
        {
            var there = (await store.GetManyAsync([.. chunk.Select(entry => entry.StoreKey)], cancellationToken)).Entries
                .ToDictionary(entry => entry.Key, StringComparer.Ordinal);
            if (Array.Find(chunk, entry => entry.Unique && there.TryGetValue(entry.StoreKey, out var holder) && !holder.Value.Span.SequenceEqual(key))
                is { StoreKey: not null } taken)
            {
                throw new UniqueViolationException(schema.Name, taken.Index, taken.Value);
            }
            var missing = Array.FindAll(chunk, entry => !there.ContainsKey(entry.StoreKey));
            if (missing.Length == 0)
            {
                continue;
            }
            var result = await store.CommitAsync(
                new StateCommit
                {
                    Preconditions = [new(record.Key, record.Revision), .. missing.Select(entry => new StatePrecondition(entry.StoreKey, 0))],
                    Puts = [.. missing.Select(entry => new StatePut(entry.StoreKey, entry.Unique ? key : default, record.Lease))],
                },
                cancellationToken);
            if (!result.Succeeded)
            {
                return null;
            }
            filled += missing.Length;
        }
        return filled;
    }

    private static async Task<int> EmptyAsync(IStateStore store, string prefix, CancellationToken cancellationToken)
    {
        var removed = 0;
        while (true)
        {
            var scan = await store.ScanAsync(prefix, StateKeys.PrefixEnd(prefix), EntriesPerCommit, cancellationToken);
            if (scan.Entries.Count == 0)
            {
                return removed;
            }
            await store.CommitAsync(new StateCommit { Deletes = [.. scan.Entries.Select(entry => entry.Key)] }, cancellationToken);
            removed += scan.Entries.Count;
        }
    }

    private static string Mark(IEnumerable<(string Name, bool Unique)> indexes) =>
        "1 " + string.Join(',', indexes.Select(index => $"{(index.Unique ? 'u' : 'i')}:{index.Name}").Order(StringComparer.Ordinal));

    private static (string Name, bool Unique)[] Unmark(string mark) =>
        [.. mark.Split(' ')[^1].Split(',', StringSplitOptions.RemoveEmptyEntries).Where(index => index.Contains(':', StringComparison.Ordinal))
            .Select(index => (index[2..], index[0] == 'u'))];
}

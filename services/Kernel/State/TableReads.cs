using System.Text;

namespace Nephos.Kernel.State;

/// <summary>A page of a table, in key order.</summary>
/// <param name="Items">At most as many as asked for.</param>
/// <param name="LastKey">The key to continue after, or null at the end of the table.</param>
public sealed record TablePage<T>(IReadOnlyList<T> Items, string? LastKey);

/// <summary>Reads of tables outside a transaction: each call sees every commit acknowledged before it began.</summary>
public static class TableReads
{
    private const int EntriesPerScan = 1000;

    /// <summary>The record with the key, or null.</summary>
    public static async ValueTask<T?> GetAsync<T>(
        this IStateStore store, TableSchema<T> schema, string key, CancellationToken cancellationToken)
        where T : class =>
        await store.GetAsync(schema.RecordKey(key), cancellationToken) is { } entry ? schema.Deserialize(entry) : null;

    /// <summary>The record that has the value of a unique index, or null.</summary>
    public static async ValueTask<T?> FindAsync<T>(
        this IStateStore store, TableSchema<T> schema, string uniqueIndex, string value, CancellationToken cancellationToken)
        where T : class
    {
        schema.RequireIndex(uniqueIndex, unique: true);
        if (await store.GetAsync(schema.UniqueKey(uniqueIndex, value), cancellationToken) is not { } entry)
        {
            return null;
        }

        // The record may have changed between the two reads.
        var record = await store.GetAsync(schema, Encoding.UTF8.GetString(entry.Value.Span), cancellationToken);
        return record is not null && schema.HasValue(record, uniqueIndex, value) ? record : null;
    }

    /// <summary>All records whose key has the prefix, in key order. A large table is read in several steps, not at one revision.</summary>
    public static async ValueTask<IReadOnlyList<T>> ListAsync<T>(
        this IStateStore store, TableSchema<T> schema, string keyPrefix, CancellationToken cancellationToken)
        where T : class
    {
        var prefix = schema.RecordKey(keyPrefix);
        var (entries, _) = await store.ScanAllAsync(prefix, StateKeys.PrefixEnd(prefix), cancellationToken);
        return entries.ConvertAll(schema.Deserialize);
    }

    /// <summary>The next records whose key has the prefix, in key order.</summary>
    /// <param name="store">Where the table is.</param>
    /// <param name="schema">The table.</param>
    /// <param name="keyPrefix">"" for all.</param>
    /// <param name="afterKey">The last key of the page before; null for the first page. The record need not exist any more.</param>
    /// <param name="limit">1 to <see cref="StateLimits.MaxScanEntries"/>.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public static async ValueTask<TablePage<T>> ListPageAsync<T>(
        this IStateStore store, TableSchema<T> schema, string keyPrefix, string? afterKey, int limit, CancellationToken cancellationToken)
        where T : class
    {
        var prefix = schema.RecordKey(keyPrefix);
        var from = afterKey is null ? prefix : StateKeys.After(schema.RecordKey(afterKey));
        var to = StateKeys.PrefixEnd(prefix);
        if (StateKeys.Comparer.Compare(from, prefix) < 0)
        {
            from = prefix;
        }
        else if (StateKeys.Comparer.Compare(from, to) >= 0)
        {
            return new TablePage<T>([], null);
        }

        var scan = await store.ScanAsync(from, to, limit, cancellationToken);
        var items = scan.Entries.Select(schema.Deserialize).ToArray();
        return new TablePage<T>(items, scan.More ? schema.KeyOf(items[^1]) : null);
    }

    /// <summary>All records that have the value of an index, in key order.</summary>
    public static async ValueTask<IReadOnlyList<T>> ListByAsync<T>(
        this IStateStore store, TableSchema<T> schema, string index, string value, CancellationToken cancellationToken)
        where T : class
    {
        schema.RequireIndex(index, unique: false);
        var (entries, _) = await store.ReadIndexAsync(schema, index, value, cancellationToken);
        var records = new List<T>(entries.Count);
        foreach (var entry in entries)
        {
            // The record may have changed between the two reads.
            if (schema.Deserialize(entry) is var record && schema.HasValue(record, index, value))
            {
                records.Add(record);
            }
        }

        return records;
    }

    /// <summary>The entries of the records that an index names, and the revision at which the index was read.</summary>
    internal static async ValueTask<(List<StateEntry> Entries, long Revision)> ReadIndexAsync(
        this IStateStore store, TableSchema schema, string index, string value, CancellationToken cancellationToken)
    {
        var prefix = schema.IndexPrefix(index, value);
        var (named, revision) = await store.ScanAllAsync(prefix, StateKeys.PrefixEnd(prefix), cancellationToken);
        var entries = new List<StateEntry>(named.Count);
        foreach (var chunk in named.Chunk(StateLimits.MaxOperations))
        {
            var keys = Array.ConvertAll(chunk, entry => schema.RecordKey(entry.Key[prefix.Length..]));
            entries.AddRange((await store.GetManyAsync(keys, cancellationToken)).Entries);
        }

        return (entries, revision);
    }

    /// <summary>A whole range, and the revision of the first step of reading it.</summary>
    internal static async ValueTask<(List<StateEntry> Entries, long Revision)> ScanAllAsync(
        this IStateStore store, string from, string to, CancellationToken cancellationToken)
    {
        var scan = await store.ScanAsync(from, to, EntriesPerScan, cancellationToken);
        var revision = scan.Revision;
        var entries = new List<StateEntry>(scan.Entries);
        while (scan.More)
        {
            scan = await store.ScanAsync(StateKeys.After(entries[^1].Key), to, EntriesPerScan, cancellationToken);
            entries.AddRange(scan.Entries);
        }

        return (entries, revision);
    }
}

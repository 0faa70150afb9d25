using System.Text;

namespace Nephos.Kernel.State;

/// <summary>An optimistic transaction over tables: reads see its own writes, and the commit fails if what was read has changed.</summary>
/// <remarks>
/// Get and Find guard the record they return, or its absence. List guards the range: any record written in it since makes the commit
/// fail. ListBy guards the membership of the index; the contents of its records are guarded when they are also got, put or
/// deleted. Deletes by others in a listed range are not noticed. Not thread-safe: one transaction, one flow.
/// A body may run several times, and may see records of different revisions in a run that is going to lose.
/// </remarks>
public sealed class StateTransaction
{
    private readonly IStateStore _store;
    private readonly Dictionary<string, Row> _rows = new(StringComparer.Ordinal);
    private readonly Dictionary<string, StateEntry?> _uniqueLookups = new(StringComparer.Ordinal);
    private readonly List<StateRangePrecondition> _ranges = [];

    internal StateTransaction(IStateStore store) => _store = store;

    /// <summary>The record with the key, or null.</summary>
    public async ValueTask<T?> GetAsync<T>(TableSchema<T> schema, string key, CancellationToken cancellationToken)
        where T : class
    {
        var storeKey = schema.RecordKey(key);
        if (!_rows.TryGetValue(storeKey, out var row))
        {
            row = Seen(schema, storeKey, await _store.GetAsync(storeKey, cancellationToken));
        }

        row.Guarded = true;
        return (T?)row.Current;
    }

    /// <summary>The record that has the value of a unique index, or null.</summary>
    public async ValueTask<T?> FindAsync<T>(TableSchema<T> schema, string uniqueIndex, string value, CancellationToken cancellationToken)
        where T : class
    {
        schema.RequireIndex(uniqueIndex, unique: true);
        if (WrittenRows<T>(schema).FirstOrDefault(row => Has(row)) is { } written)
        {
            return (T)written.Current!;
        }

        var uniqueKey = schema.UniqueKey(uniqueIndex, value);
        if (!_uniqueLookups.TryGetValue(uniqueKey, out var entry))
        {
            entry = await _store.GetAsync(uniqueKey, cancellationToken);
            _uniqueLookups.Add(uniqueKey, entry);
        }

        if (entry is null)
        {
            return null;
        }

        var key = Encoding.UTF8.GetString(entry.Value.Span);
        var record = await GetAsync(schema, key, cancellationToken);
        var row = _rows[schema.RecordKey(key)];
        if (Has(row))
        {
            return record;
        }

        // Given up or deleted in this transaction, else the two reads saw different revisions and the commit could not succeed.
        return row.Written ? null : throw new LostRaceException(uniqueKey);

        bool Has(Row row) => row.Current is T current && schema.HasValue(current, uniqueIndex, value);
    }

    /// <summary>All records whose key has the prefix, in key order.</summary>
    public async ValueTask<IReadOnlyList<T>> ListAsync<T>(TableSchema<T> schema, string keyPrefix, CancellationToken cancellationToken)
        where T : class
    {
        var prefix = schema.RecordKey(keyPrefix);
        var end = StateKeys.PrefixEnd(prefix);
        var (entries, revision) = await _store.ScanAllAsync(prefix, end, cancellationToken);
        _ranges.Add(new StateRangePrecondition(prefix, end, revision));
        return Overlay<T>(schema, entries, (storeKey, _) => storeKey.StartsWith(prefix, StringComparison.Ordinal));
    }

    /// <summary>All records that have the value of an index, in key order.</summary>
    public async ValueTask<IReadOnlyList<T>> ListByAsync<T>(
        TableSchema<T> schema, string index, string value, CancellationToken cancellationToken)
        where T : class
    {
        schema.RequireIndex(index, unique: false);
        var (entries, revision) = await _store.ReadIndexAsync(schema, index, value, cancellationToken);
        var prefix = schema.IndexPrefix(index, value);
        _ranges.Add(new StateRangePrecondition(prefix, StateKeys.PrefixEnd(prefix), revision));
        return Overlay<T>(schema, entries, (_, record) => schema.HasValue(record, index, value));
    }

    /// <summary>Writes a new record. When its key exists the commit throws <see cref="UniqueViolationException"/>.</summary>
    /// <param name="schema">The table.</param>
    /// <param name="record">The record.</param>
    /// <param name="lease">The record and its index entries vanish with the lease; none for records that stay.</param>
    public void Insert<T>(TableSchema<T> schema, T record, LeaseId lease = default)
        where T : class
    {
        var key = schema.KeyOf(record);
        var storeKey = schema.RecordKey(key);
        if (!_rows.TryGetValue(storeKey, out var row))
        {
            row = Seen(schema, storeKey, entry: null);
            row.InsertedKey = key;
        }
        else if (row.Current is not null)
        {
            throw new UniqueViolationException(schema.Name, UniqueViolationException.KeyIndex, key);
        }

        row.Write(record, lease);
    }

    /// <summary>Writes a record, new or not. If another writes it between now and the commit, the transaction runs again.</summary>
    /// <param name="schema">The table.</param>
    /// <param name="record">The record.</param>
    /// <param name="lease">The lease to hang it on from now on; none takes it off the lease it had.</param>
    public void Put<T>(TableSchema<T> schema, T record, LeaseId lease = default)
        where T : class => RowToWrite(schema, schema.KeyOf(record)).Write(record, lease);

    /// <summary>Deletes a record; one that does not exist is no error.</summary>
    public void Delete<T>(TableSchema<T> schema, string key)
        where T : class => RowToWrite(schema, key).Write(null, default);

    /// <summary>Commits.</summary>
    /// <returns>The revision of the commit.</returns>
    /// <exception cref="LostRaceException">Something read has changed.</exception>
    /// <exception cref="UniqueViolationException">Another record has the key or a unique value of a record written here.</exception>
    internal async ValueTask<long> CommitAsync(CancellationToken cancellationToken)
    {
        if (!_rows.Values.Any(row => row.Written))
        {
            return await _store.GetRevisionAsync(cancellationToken);
        }

        await ReadBasesAsync(cancellationToken);
        var writes = new TransactionWrites(_rows.Values);
        var claims = writes.Claims;
        foreach (var (uniqueKey, entry) in _uniqueLookups)
        {
            // A value that was seen free is guarded as read, so that the body decides anew when it is taken meanwhile.
            if (claims.Remove(uniqueKey, out var claim) && entry is not null)
            {
                throw new UniqueViolationException(claim.Table, claim.Index, claim.Value);
            }
        }

        var commit = new StateCommit
        {
            // What was read comes first: when that has changed, the claims may rest on it.
            Preconditions =
            [
                .. _rows.Values.Where(row => row.Guarded && row.InsertedKey is null).Select(row => row.Precondition),
                .. _uniqueLookups.Select(lookup => new StatePrecondition(lookup.Key, lookup.Value?.Revision ?? 0)),
                .. claims.Keys.Select(key => new StatePrecondition(key, 0)),
            ],
            RangePreconditions = _ranges,
            Puts = writes.Puts,
            Deletes = writes.Deletes,
        };
        var result = await _store.CommitAsync(commit, cancellationToken);
        if (result.Succeeded)
        {
            return result.Revision;
        }

        throw claims.TryGetValue(result.FailedKey!, out var lost)
            ? new UniqueViolationException(lost.Table, lost.Index, lost.Value)
            : new LostRaceException(result.FailedKey!);
    }

    private async ValueTask ReadBasesAsync(CancellationToken cancellationToken)
    {
        var unknown = _rows.Values.Where(row => !row.BaseKnown).ToDictionary(row => row.StoreKey, StringComparer.Ordinal);
        foreach (var chunk in unknown.Keys.Chunk(StateLimits.MaxOperations))
        {
            foreach (var entry in (await _store.GetManyAsync(chunk, cancellationToken)).Entries)
            {
                unknown[entry.Key].SetBase(entry);
                unknown.Remove(entry.Key);
            }
        }

        foreach (var row in unknown.Values)
        {
            row.SetBase(null);
        }
    }

    private List<T> Overlay<T>(TableSchema<T> schema, List<StateEntry> entries, Func<string, T, bool> belongs)
        where T : class
    {
        var found = new SortedDictionary<string, T>(StateKeys.Comparer);
        foreach (var entry in entries)
        {
            var row = _rows.GetValueOrDefault(entry.Key) ?? Seen(schema, entry.Key, entry);
            if (row.Current is T record && belongs(entry.Key, record))
            {
                found[entry.Key] = record;
            }
        }

        foreach (var row in WrittenRows<T>(schema))
        {
            if (row.Current is T record && belongs(row.StoreKey, record))
            {
                found[row.StoreKey] = record;
            }
        }

        return [.. found.Values];
    }

    private IEnumerable<Row> WrittenRows<T>(TableSchema<T> schema)
        where T : class => _rows.Values.Where(row => row.Written && ReferenceEquals(row.Schema, schema));

    private Row Seen(TableSchema schema, string storeKey, StateEntry? entry)
    {
        var row = new Row(schema, storeKey);
        row.SetBase(entry);
        _rows.Add(storeKey, row);
        return row;
    }

    private Row RowToWrite(TableSchema schema, string key)
    {
        var storeKey = schema.RecordKey(key);
        if (!_rows.TryGetValue(storeKey, out var row))
        {
            row = new Row(schema, storeKey);
            _rows.Add(storeKey, row);
        }

        return row;
    }

    /// <summary>One record that the transaction has read or is going to write.</summary>
    internal sealed class Row(TableSchema schema, string storeKey)
    {
        private long _baseRevision;

        public TableSchema Schema { get; } = schema;

        public string StoreKey { get; } = storeKey;

        /// <summary>The record as the store has it; null when absent, or not yet read.</summary>
        public object? Base { get; private set; }

        public LeaseId BaseLease { get; private set; }

        public bool BaseKnown { get; private set; }

        public object? Current { get; private set; }

        public LeaseId Lease { get; private set; }

        public bool Written { get; private set; }

        public bool Guarded { get; set; }

        /// <summary>Set when the record was inserted without being read, so that its absence is a claim.</summary>
        public string? InsertedKey { get; set; }

        public StatePrecondition Precondition => new(StoreKey, _baseRevision);

        public void SetBase(StateEntry? entry)
        {
            BaseKnown = true;
            _baseRevision = entry?.Revision ?? 0;
            BaseLease = entry?.Lease ?? LeaseId.None;
            Base = entry is null ? null : Schema.Deserialize(entry.Value.Span);
            if (!Written)
            {
                Current = Base;
            }
        }

        public void Write(object? record, LeaseId lease)
        {
            Current = record;
            Lease = lease;
            Written = true;
            Guarded = true;
        }
    }
}

/// <summary>The transaction read something that has changed since: run it again.</summary>
internal sealed class LostRaceException(string key) : Exception($"Lost the race for '{key}'.")
{
    public string Key { get; } = key;
}

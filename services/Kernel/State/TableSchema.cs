using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Nephos.Kernel.State;

/// <summary>What the store needs to know about a record type: its table, its key and its indexes.</summary>
/// <remarks>
/// Layout of the keys, with T the name of the table:
/// <c>T:r:KEY</c> the record as JSON | <c>T:u:INDEX:VALUE</c> the key of the one record with the value |
/// <c>T:i:INDEX:VALUE:KEY</c> empty, one per record with the value | <c>T:m:indexes</c> which indexes every record is in, see
/// <see cref="TableIndexes"/>. Names have no colon; in VALUE of the last but one colons are escaped.
/// </remarks>
public abstract class TableSchema
{
    private protected TableSchema(string name) => Name = RequireName(name);

    /// <summary>The name of the table, led by the name of its service: <c>network/ports</c>.</summary>
    public string Name { get; }

    internal string RecordPrefix => $"{Name}:r:";

    internal string RecordKey(string key) => RecordPrefix + key;

    internal string UniqueKey(string index, string value) => $"{Name}:u:{index}:{value}";

    internal string IndexPrefix(string index, string value) => $"{Name}:i:{index}:{Escape(value)}:";

    internal string IndexesKey => $"{Name}:m:indexes";

    /// <summary>Begins the keys of all entries of an index.</summary>
    internal string EntriesPrefix(string index, bool unique) => $"{Name}:{(unique ? 'u' : 'i')}:{index}:";

    /// <summary>The name of each index, and whether it is unique.</summary>
    internal abstract IEnumerable<(string Name, bool Unique)> Indexes { get; }

    internal abstract string KeyOf(object record);

    internal abstract object Deserialize(ReadOnlySpan<byte> json);

    internal abstract byte[] Serialize(object record);

    /// <summary>Every index entry that stands for the record, each once.</summary>
    internal abstract HashSet<IndexEntry> EntriesOf(object record);

    private protected static string RequireName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return name.Contains(':', StringComparison.Ordinal)
            ? throw new ArgumentException($"The name '{name}' of a table or index has no colon.", nameof(name))
            : name;
    }

    private static string Escape(string value) =>
        value.Replace("%", "%25", StringComparison.Ordinal).Replace(":", "%3A", StringComparison.Ordinal);
}

/// <summary>One entry of an index: its key in the store, and what it stands for.</summary>
internal readonly record struct IndexEntry(string StoreKey, bool Unique, string Index, string Value);

/// <inheritdoc/>
/// <typeparam name="T">A sealed record that is never changed after it was made.</typeparam>
public sealed class TableSchema<T> : TableSchema
    where T : class
{
    private readonly Func<T, string> _key;
    private readonly JsonTypeInfo<T> _json;
    private readonly Dictionary<string, (bool Unique, Func<T, IEnumerable<string>> Values)> _indexes = new(StringComparer.Ordinal);

    /// <param name="name">Led by the name of the service that owns it: <c>network/ports</c>. Never changed once there is data.</param>
    /// <param name="key">The key of a record, unique in the table. List order is the order of keys.</param>
    /// <param name="json">From a source-generated serializer context.</param>
    public TableSchema(string name, Func<T, string> key, JsonTypeInfo<T> json)
        : base(name)
    {
        _key = key;
        _json = json;
    }

    /// <summary>At most one record may have a value of this index. Records with null are not in it.</summary>
    /// <remarks>
    /// Records written before an index was declared enter it when the process starts, see <see cref="TableIndexes"/>. What an index
    /// of a name finds does not change: another function is another index with another name.
    /// </remarks>
    public TableSchema<T> Unique(string index, Func<T, string?> value) => Add(index, unique: true, record => OneOrNone(value(record)));

    /// <summary>At most one record may have any of the values of this index: the addresses of a port.</summary>
    public TableSchema<T> UniqueMany(string index, Func<T, IEnumerable<string>> values) => Add(index, unique: true, values);

    /// <summary>Finds records by a value that many may share. Records with null are not in it.</summary>
    public TableSchema<T> Index(string index, Func<T, string?> value) => Add(index, unique: false, record => OneOrNone(value(record)));

    /// <summary>Finds records by any of several values.</summary>
    public TableSchema<T> IndexMany(string index, Func<T, IEnumerable<string>> values) => Add(index, unique: false, values);

    internal override IEnumerable<(string Name, bool Unique)> Indexes => _indexes.Select(index => (index.Key, index.Value.Unique));

    public string KeyOf(T record) => _key(record);

    public T Deserialize(StateEntry entry) => (T)Deserialize(entry.Value.Span);

    internal override string KeyOf(object record) => _key((T)record);

    internal override object Deserialize(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, _json) ?? throw new InvalidDataException($"A record of table {Name} is null.");

    internal override byte[] Serialize(object record) => JsonSerializer.SerializeToUtf8Bytes((T)record, _json);

    internal override HashSet<IndexEntry> EntriesOf(object record)
    {
        var entries = new HashSet<IndexEntry>();
        var key = _key((T)record);
        foreach (var (index, (unique, values)) in _indexes)
        {
            foreach (var value in values((T)record))
            {
                entries.Add(new IndexEntry(unique ? UniqueKey(index, value) : IndexPrefix(index, value) + key, unique, index, value));
            }
        }

        return entries;
    }

    internal bool HasValue(T record, string index, string value) =>
        _indexes[index].Values(record).Contains(value, StringComparer.Ordinal);

    /// <exception cref="ArgumentException">The table has no such index of that kind.</exception>
    internal void RequireIndex(string index, bool unique)
    {
        if (!_indexes.TryGetValue(index, out var declared) || declared.Unique != unique)
        {
            throw new ArgumentException($"Table {Name} has no {(unique ? "unique index" : "index")} '{index}'.", nameof(index));
        }
    }

    private static IEnumerable<string> OneOrNone(string? value) => value is null ? [] : [value];

    private TableSchema<T> Add(string index, bool unique, Func<T, IEnumerable<string>> values)
    {
        _indexes.Add(RequireName(index), (unique, values));
        return this;
    }
}

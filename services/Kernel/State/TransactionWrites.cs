using System.Text;

namespace Nephos.Kernel.State;

/// <summary>What the written rows of a transaction mean for the store: records, index entries, and what must be absent.</summary>
internal sealed class TransactionWrites
{
    public List<StatePut> Puts { get; } = [];

    public List<string> Deletes { get; }

    /// <summary>By key in the store: what has to be free for the commit to succeed.</summary>
    public Dictionary<string, (string Table, string Index, string Value)> Claims { get; } = new(StringComparer.Ordinal);

    /// <param name="rows">Rows whose base was read; those not written are passed over.</param>
    /// <exception cref="UniqueViolationException">Two of the rows claim one unique value.</exception>
    public TransactionWrites(IEnumerable<StateTransaction.Row> rows)
    {
        var deletes = new HashSet<string>(StringComparer.Ordinal);
        var written = rows.Where(row => row.Written).ToList();
        var changes = new List<(StateTransaction.Row Row, HashSet<IndexEntry> Before, HashSet<IndexEntry> After)>(written.Count);

        // A value that one record gives up may go to another in the same commit, so all that goes is known first.
        foreach (var row in written)
        {
            var before = row.Base is null ? [] : row.Schema.EntriesOf(row.Base);
            var after = row.Current is null ? [] : row.Schema.EntriesOf(row.Current);
            changes.Add((row, before, after));
            if (row.Current is null && row.Base is not null)
            {
                deletes.Add(row.StoreKey);
            }

            deletes.UnionWith(before.Except(after).Select(entry => entry.StoreKey));
        }

        var given = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (row, before, after) in changes.Where(change => change.Row.Current is not null))
        {
            Puts.Add(new StatePut(row.StoreKey, row.Schema.Serialize(row.Current!), row.Lease));
            if (row.InsertedKey is { } insertedKey)
            {
                Claims.Add(row.StoreKey, (row.Schema.Name, UniqueViolationException.KeyIndex, insertedKey));
            }

            var key = Encoding.UTF8.GetBytes(row.Schema.KeyOf(row.Current!));
            foreach (var entry in after)
            {
                var isNew = !before.Contains(entry);
                if (entry.Unique && isNew)
                {
                    Claim(row, entry, deletes.Contains(entry.StoreKey), given.Add(entry.StoreKey));
                }

                if (isNew || row.Lease != row.BaseLease)
                {
                    deletes.Remove(entry.StoreKey);
                    Puts.Add(new StatePut(entry.StoreKey, entry.Unique ? key : default, row.Lease));
                }
            }
        }

        Deletes = [.. deletes];
    }

    private void Claim(StateTransaction.Row row, IndexEntry entry, bool givenUp, bool first)
    {
        if (!first)
        {
            throw new UniqueViolationException(row.Schema.Name, entry.Index, entry.Value);
        }

        if (!givenUp)
        {
            Claims.Add(entry.StoreKey, (row.Schema.Name, entry.Index, entry.Value));
        }
    }
}

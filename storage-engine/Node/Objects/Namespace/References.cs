using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Groups;

namespace Nephos.Node.Objects.Namespace;

/// <summary>Which blobs the records of a shard refer to, and which must never be referred to any more.</summary>
internal static class References
{
    /// <summary>The blob's length when the shard refers to it, else -1.</summary>
    public static ValueTask<long> FindAsync(IndexShard shard, BlobId blob, CancellationToken cancellationToken) => shard.QueryAsync(
        (database, group) => database.Get(group, RowKeys.Reference(blob)) is { } row ? Rows.ReadReference(row) : -1, cancellationToken);

    public static ValueTask<ImmutableArray<Extent>> ListAsync(IndexShard shard, ReferenceQuery query, CancellationToken cancellationToken)
    {
        var from = query.After is { } after ? RowKeys.After(RowKeys.Reference(after)) : new KeyBuilder(RowKeys.ReferenceTable).Number(query.FirstHash).ToArray();
        var to = RowKeys.After(new KeyBuilder(RowKeys.ReferenceTable).Number(query.LastHash).ToArray());
        return shard.QueryAsync(
            (database, group) =>
            {
                var found = ImmutableArray.CreateBuilder<Extent>();
                using var cursor = database.OpenCursor(group);
                for (cursor.Seek(from); cursor.IsValid && cursor.Key.SequenceCompareTo(to) < 0 && found.Count < query.Limit; cursor.Next())
                {
                    found.Add(new Extent(BlobId.Read(cursor.Key[9..]), Rows.ReadReference(cursor.Value)));
                }

                return found.ToImmutable();
            },
            cancellationToken);
    }

    /// <summary>From now on no record of the shard can come to refer to the blob; false when one does already.</summary>
    public static async ValueTask<bool> CondemnAsync(IndexShard shard, BlobId blob) =>
        await shard.ExecuteAsync(
            rows =>
            {
                if (rows.Get(RowKeys.Reference(blob)) is not null)
                {
                    return false;
                }

                rows.Put(RowKeys.Condemned(blob), []);
                return true;
            },
            CancellationToken.None);

    /// <summary>
    /// Takes in rows of another shard. Where one shard refers to a blob and another promised never to, the promise was a part of an attempt
    /// that the reference ended: it is forgotten, as records come to refer to their blobs again when uploads are completed.
    /// </summary>
    public static bool Import(RowTransaction rows, ImmutableArray<ImportedRow> imported)
    {
        foreach (var (key, value) in imported)
        {
            if (value is null)
            {
                rows.Delete(key);
            }
            else if (key[0] == RowKeys.ReferenceTable)
            {
                rows.Put(key, value);
                rows.Delete(RowKeys.Condemned(BlobId.Read(key.AsSpan(9))));
            }
            else if (key[0] != RowKeys.CondemnedTable || rows.Get(RowKeys.Reference(BlobId.Read(key.AsSpan(1)))) is null)
            {
                rows.Put(key, value);
            }
        }

        return true;
    }

    /// <exception cref="ObjectEngineException">It was taken for left behind, and its bytes may be gone.</exception>
    public static void RequireNotCondemned(RowTransaction rows, BlobId blob)
    {
        if (rows.Get(RowKeys.Condemned(blob)) is not null)
        {
            throw new ObjectEngineException(EngineFailure.Unavailable, $"Blob {blob} waited so long for its record that it was removed; write it again.");
        }
    }
}

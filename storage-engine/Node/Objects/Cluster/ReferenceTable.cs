using Nephos.Client.Objects;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Which blobs the namespace refers to, over all its shards.</summary>
internal sealed class ReferenceTable(ShardDirectory shards)
{
    private const int PageRows = 10_000;

    /// <summary>How often it begins again because shards were replaced meanwhile.</summary>
    private const int AttemptsMax = 5;

    /// <summary>The lengths of the blobs that are referred to, by placement hash from and to.</summary>
    /// <exception cref="ObjectEngineException">A shard does not answer: nothing can be said then.</exception>
    public ValueTask<Dictionary<BlobId, long>> ListAsync(ulong firstHash, ulong lastHash, CancellationToken cancellationToken) => OverAllAsync(async numbers =>
    {
        var found = new Dictionary<BlobId, long>();
        foreach (var shard in numbers)
        {
            BlobId? after = null;
            while (true)
            {
                var page = await shards.CallAsync(
                    shard, ShardMethods.ListReferences, new ReferenceQuery(firstHash, lastHash, after, PageRows), cancellationToken);
                foreach (var extent in page)
                {
                    found[extent.Blob] = extent.LengthBytes;
                }

                if (page.Length < PageRows)
                {
                    break;
                }

                after = page[^1].Blob;
            }
        }

        return found;
    });

    /// <summary>The length of a blob that is referred to; null when it is not.</summary>
    public ValueTask<long?> FindAsync(BlobId blob, CancellationToken cancellationToken) => OverAllAsync<long?>(async numbers =>
    {
        foreach (var shard in numbers)
        {
            if (await shards.CallAsync(shard, ShardMethods.FindReference, blob, cancellationToken) is >= 0 and var lengthBytes)
            {
                return lengthBytes;
            }
        }

        return null;
    });

    /// <summary>No record will ever refer to the blob; false when one does.</summary>
    public ValueTask<bool> CondemnAsync(BlobId blob, CancellationToken cancellationToken) => OverAllAsync(async numbers =>
    {
        foreach (var shard in numbers)
        {
            if (!await shards.CallAsync(shard, ShardMethods.Condemn, blob, cancellationToken))
            {
                return false;
            }
        }

        return true;
    });

    /// <summary>
    /// Asks the shards of one map. A shard that answers has all that is its own, also what its successors will have; so an answer from every
    /// shard of a map, old or new, is an answer of the whole namespace. When one has closed, all are asked again.
    /// </summary>
    private async ValueTask<T> OverAllAsync<T>(Func<IReadOnlyList<int>, Task<T>> ask)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await ask([.. shards.Numbers]);
            }
            catch (ObjectEngineException failure) when (failure.WasMoved && attempt < AttemptsMax)
            {
            }
        }
    }
}

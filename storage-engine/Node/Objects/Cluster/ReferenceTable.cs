using Nephos.Client.Objects;
using Nephos.Node.Objects.Namespace;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Which blobs the namespace refers to, over all its shards.</summary>
internal sealed class ReferenceTable(ShardDirectory shards)
{
    private const int PageRows = 10_000;

    /// <summary>The lengths of the blobs that are referred to, by placement hash from and to.</summary>
    /// <exception cref="ObjectEngineException">A shard does not answer: nothing can be said then.</exception>
    public async ValueTask<Dictionary<BlobId, long>> ListAsync(ulong firstHash, ulong lastHash, CancellationToken cancellationToken)
    {
        var found = new Dictionary<BlobId, long>();
        for (var shard = 0; shard < shards.Count; shard++)
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
    }

    /// <summary>The length of a blob that is referred to; null when it is not.</summary>
    public async ValueTask<long?> FindAsync(BlobId blob, CancellationToken cancellationToken)
    {
        for (var shard = 0; shard < shards.Count; shard++)
        {
            if (await shards.CallAsync(shard, ShardMethods.FindReference, blob, cancellationToken) is >= 0 and var lengthBytes)
            {
                return lengthBytes;
            }
        }

        return null;
    }

    /// <summary>No record will ever refer to the blob; false when one does.</summary>
    public async ValueTask<bool> CondemnAsync(BlobId blob, CancellationToken cancellationToken)
    {
        for (var shard = 0; shard < shards.Count; shard++)
        {
            if (!await shards.CallAsync(shard, ShardMethods.Condemn, blob, cancellationToken))
            {
                return false;
            }
        }

        return true;
    }
}

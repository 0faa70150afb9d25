using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>What happens inside a commit when something's time has come.</summary>
internal static class ExpiryOperations
{
    /// <summary>Removes the version or upload that a row of the expiry table names, if it is still the same one.</summary>
    public static bool Expire(RowTransaction rows, byte[] rowKey, ExpiryRow expiry, DateTimeOffset now)
    {
        rows.Delete(rowKey);
        if (BucketOperations.Find(rows, expiry.Bucket) is not { } bucket)
        {
            return false;
        }

        if (expiry.Upload.Length > 0)
        {
            rows.Delete(RowKeys.Upload(bucket.Uid, expiry.Key, new UploadId(expiry.Upload)));
            return true;
        }

        var current = ObjectOperations.FindCurrent(rows, bucket.Uid, expiry.Key);
        var isCurrent = current?.Version.Sequence == expiry.Sequence;
        var request = new DeleteObject { Bucket = bucket.Name, Key = expiry.Key, Now = now };
        if (isCurrent && current!.Expires <= now)
        {
            // Where versions are kept, an expired current version gets a delete marker like any other deleted one.
            return ObjectOperations.Delete(rows, request).IsOk;
        }

        return false;
    }
}

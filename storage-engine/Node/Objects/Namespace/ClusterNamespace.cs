using Nephos.Client.Objects;
using Nephos.Node.Objects.Cluster;

namespace Nephos.Node.Objects.Namespace;

/// <summary>The namespace wherever its shards are written: each request goes to the writer of its account's shard.</summary>
internal sealed class ClusterNamespace(ShardDirectory shards, BlobPins pins) : IObjectNamespace
{
    public ValueTask<Outcome<AccountRecord>> GetAccountAsync(string account, CancellationToken cancellationToken) =>
        CallAsync(account, ShardMethods.GetAccount, account, cancellationToken);

    public ValueTask<Outcome<AccountRecord>> UpdateAccountAsync(AccountRecord account, ulong? generation, CancellationToken cancellationToken) =>
        CallAsync(account.Name, ShardMethods.UpdateAccount, new AccountUpdate(account, generation), cancellationToken);

    public ValueTask<EngineStatus> DeleteAccountAsync(string account, CancellationToken cancellationToken) =>
        CallAsync(account, ShardMethods.DeleteAccount, account, cancellationToken);

    public ValueTask<Outcome<BucketRecord>> CreateBucketAsync(BucketRecord bucket, CancellationToken cancellationToken) =>
        CallAsync(bucket.Name.Account, ShardMethods.CreateBucket, bucket, cancellationToken);

    public ValueTask<Outcome<BucketRecord>> GetBucketAsync(BucketName bucket, CancellationToken cancellationToken) =>
        CallAsync(bucket.Account, ShardMethods.GetBucket, bucket, cancellationToken);

    public ValueTask<Outcome<BucketRecord>> UpdateBucketAsync(BucketRecord bucket, ulong generation, CancellationToken cancellationToken) =>
        CallAsync(bucket.Name.Account, ShardMethods.UpdateBucket, new BucketUpdate(bucket, generation), cancellationToken);

    public ValueTask<EngineStatus> DeleteBucketAsync(BucketName bucket, CancellationToken cancellationToken) =>
        CallAsync(bucket.Account, ShardMethods.DeleteBucket, bucket, cancellationToken);

    public ValueTask<Outcome<BucketPage>> ListBucketsAsync(ListBuckets request, CancellationToken cancellationToken) =>
        CallAsync(request.Account, ShardMethods.ListBuckets, request, cancellationToken);

    public ValueTask<Outcome<ObjectRecord>> PutObjectAsync(PutObject request, CancellationToken cancellationToken) =>
        HandOverAsync(request.Bucket.Account, ShardMethods.PutObject, request, request.Object.Payload, cancellationToken);

    public ValueTask<Outcome<ObjectRecord>> GetObjectAsync(BucketName bucket, string key, VersionSelector version, CancellationToken cancellationToken) =>
        CallAsync(bucket.Account, ShardMethods.GetObject, new ObjectQuery(bucket, key, version), cancellationToken);

    public ValueTask<Outcome<ObjectRecord>> UpdateObjectAsync(UpdateObject request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.UpdateObject, request, cancellationToken);

    public ValueTask<Outcome<DeleteOutcome>> DeleteObjectAsync(DeleteObject request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.DeleteObject, request, cancellationToken);

    public ValueTask<Outcome<ObjectPage>> ListObjectsAsync(ListObjects request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.ListObjects, request, cancellationToken);

    public ValueTask<Outcome<ChangePage>> ListChangesAsync(ListChanges request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.ListChanges, request, cancellationToken);

    public ValueTask<Outcome<UploadRecord>> StartUploadAsync(StartUpload request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.StartUpload, request, cancellationToken);

    public ValueTask<Outcome<UploadRecord>> GetUploadAsync(BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken) =>
        CallAsync(bucket.Account, ShardMethods.GetUpload, new UploadQuery(bucket, key, upload), cancellationToken);

    public ValueTask<Outcome<PartRecord>> PutPartAsync(
        BucketName bucket, string key, UploadId upload, PartRecord part, CancellationToken cancellationToken) =>
        HandOverAsync(bucket.Account, ShardMethods.PutPart, new PartWrite(bucket, key, upload, part), part.Payload, cancellationToken);

    public ValueTask<Outcome<PartPage>> ListPartsAsync(
        BucketName bucket, string key, UploadId upload, int numberMarker, int limit, CancellationToken cancellationToken) =>
        CallAsync(bucket.Account, ShardMethods.ListParts, new PartQuery(bucket, key, upload, numberMarker, limit), cancellationToken);

    public ValueTask<Outcome<ObjectRecord>> CompleteUploadAsync(CompleteUpload request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.CompleteUpload, request, cancellationToken);

    public ValueTask<EngineStatus> AbortUploadAsync(BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken) =>
        CallAsync(bucket.Account, ShardMethods.AbortUpload, new UploadQuery(bucket, key, upload), cancellationToken);

    public ValueTask<Outcome<UploadPage>> ListUploadsAsync(ListUploads request, CancellationToken cancellationToken) =>
        CallAsync(request.Bucket.Account, ShardMethods.ListUploads, request, cancellationToken);

    private ValueTask<TResult> CallAsync<TRequest, TResult>(
        string account, ShardMethod<TRequest, TResult> method, TRequest request, CancellationToken cancellationToken)
    {
        NamespaceBounds.CheckName(account, "account");
        return shards.CallAsync(account, method, request, cancellationToken);
    }

    /// <summary>The payload is the namespace's whatever the answer; what no record refers to in the end is found and removed.</summary>
    private async ValueTask<TResult> HandOverAsync<TRequest, TResult>(
        string account, ShardMethod<TRequest, TResult> method, TRequest request, Payload payload, CancellationToken cancellationToken)
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            return await CallAsync(account, method, request, CancellationToken.None);
        }
        finally
        {
            pins.Unpin(payload);
        }
    }
}

namespace Nephos.Client.Objects;

/// <summary>Outcomes that a caller must expect.</summary>
public enum EngineStatus
{
    Ok,
    NoSuchAccount,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    NoSuchUpload,
    BucketExists,
    BucketNotEmpty,
    AccountNotEmpty,
    PreconditionFailed,

    /// <summary>The record changed since it was read: read again and decide again.</summary>
    Conflict,
    QuotaExceeded,

    /// <summary>A part is missing or has another ETag.</summary>
    InvalidPart,

    /// <summary>Parts are not in ascending order.</summary>
    InvalidPartOrder,
}

/// <summary>A status, and the value when it is <see cref="EngineStatus.Ok"/>.</summary>
public readonly record struct Outcome<T>(EngineStatus Status, T? Value)
{
    public bool IsOk => Status == EngineStatus.Ok;

    public static implicit operator Outcome<T>(EngineStatus status) => new(status, default);

    public static implicit operator Outcome<T>(T value) => new(EngineStatus.Ok, value);
}

/// <summary>
/// Strongly consistent records of accounts, buckets, objects and uploads. Once a write was answered, every read and list
/// sees it, also after the loss of any one device.
/// </summary>
public interface IObjectNamespace
{
    // Accounts. They come into being with their first bucket or update.

    ValueTask<Outcome<AccountRecord>> GetAccountAsync(string account, CancellationToken cancellationToken);

    /// <summary>Creates the account or replaces quota and metadata; a generation of 0 means "must not exist yet", null any.</summary>
    ValueTask<Outcome<AccountRecord>> UpdateAccountAsync(AccountRecord account, ulong? generation, CancellationToken cancellationToken);

    /// <summary><c>AccountNotEmpty</c> while it has buckets.</summary>
    ValueTask<EngineStatus> DeleteAccountAsync(string account, CancellationToken cancellationToken);

    // Buckets.

    /// <summary><c>BucketExists</c> with the existing record as value when the name is taken.</summary>
    ValueTask<Outcome<BucketRecord>> CreateBucketAsync(BucketRecord bucket, CancellationToken cancellationToken);

    ValueTask<Outcome<BucketRecord>> GetBucketAsync(BucketName bucket, CancellationToken cancellationToken);

    /// <summary>Replaces owner, versioning, quota, modified time and metadata; <c>Conflict</c> when the generation moved on.</summary>
    ValueTask<Outcome<BucketRecord>> UpdateBucketAsync(BucketRecord bucket, ulong generation, CancellationToken cancellationToken);

    /// <summary>Only when it holds no object and no version; uploads in progress are dropped.</summary>
    ValueTask<EngineStatus> DeleteBucketAsync(BucketName bucket, CancellationToken cancellationToken);

    ValueTask<Outcome<BucketPage>> ListBucketsAsync(ListBuckets request, CancellationToken cancellationToken);

    // Objects.

    /// <summary>The committed record. The replaced object's blobs are released in the same commit.</summary>
    ValueTask<Outcome<ObjectRecord>> PutObjectAsync(PutObject request, CancellationToken cancellationToken);

    /// <summary>A current version that is a delete marker is returned as such, with <c>Ok</c>.</summary>
    ValueTask<Outcome<ObjectRecord>> GetObjectAsync(
        BucketName bucket, string key, VersionSelector version, CancellationToken cancellationToken);

    ValueTask<Outcome<ObjectRecord>> UpdateObjectAsync(UpdateObject request, CancellationToken cancellationToken);

    /// <summary><c>Ok</c> also when nothing was there (see <see cref="DeleteOutcome.Existed"/>); conditions then fail.</summary>
    ValueTask<Outcome<DeleteOutcome>> DeleteObjectAsync(DeleteObject request, CancellationToken cancellationToken);

    ValueTask<Outcome<ObjectPage>> ListObjectsAsync(ListObjects request, CancellationToken cancellationToken);

    /// <summary>The changes of a bucket that keeps them (<see cref="BucketRecord.ChangesKept"/>).</summary>
    ValueTask<Outcome<ChangePage>> ListChangesAsync(ListChanges request, CancellationToken cancellationToken);

    // Multipart uploads.

    ValueTask<Outcome<UploadRecord>> StartUploadAsync(StartUpload request, CancellationToken cancellationToken);

    ValueTask<Outcome<UploadRecord>> GetUploadAsync(
        BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken);

    /// <summary>Adds or replaces a part. The payload belongs to the namespace from here on, whatever the answer.</summary>
    ValueTask<Outcome<PartRecord>> PutPartAsync(
        BucketName bucket, string key, UploadId upload, PartRecord part, CancellationToken cancellationToken);

    /// <summary>Parts with a number greater than the marker, in order.</summary>
    ValueTask<Outcome<PartPage>> ListPartsAsync(
        BucketName bucket, string key, UploadId upload, int numberMarker, int limit, CancellationToken cancellationToken);

    /// <summary>Idempotent: a repeated completion of the same upload answers the same record.</summary>
    ValueTask<Outcome<ObjectRecord>> CompleteUploadAsync(CompleteUpload request, CancellationToken cancellationToken);

    ValueTask<EngineStatus> AbortUploadAsync(BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken);

    ValueTask<Outcome<UploadPage>> ListUploadsAsync(ListUploads request, CancellationToken cancellationToken);
}

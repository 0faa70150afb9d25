using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Groups;

namespace Nephos.Node.Objects.Namespace;

/// <summary>All methods of shards. Numbers are never used again for something else.</summary>
internal static class ShardMethods
{
    private const ushort First = StorageMethods.Namespace;
    private static readonly NamespaceJson Json = NamespaceJson.Default;

    public static readonly ShardMethod<string, Outcome<AccountRecord>> GetAccount = new(
        First, canRepeat: true, Json.String, Json.OutcomeAccountRecord, (t, r, c) => t.Names.GetAccountAsync(r, c));

    public static readonly ShardMethod<AccountUpdate, Outcome<AccountRecord>> UpdateAccount = new(
        First + 1, canRepeat: false, Json.AccountUpdate, Json.OutcomeAccountRecord, (t, r, c) => t.Names.UpdateAccountAsync(r.Account, r.Generation, c));

    public static readonly ShardMethod<string, EngineStatus> DeleteAccount = new(
        First + 2, canRepeat: false, Json.String, Json.EngineStatus, (t, r, c) => t.Names.DeleteAccountAsync(r, c));

    public static readonly ShardMethod<BucketRecord, Outcome<BucketRecord>> CreateBucket = new(
        First + 3, canRepeat: false, Json.BucketRecord, Json.OutcomeBucketRecord, (t, r, c) => t.Names.CreateBucketAsync(r, c));

    public static readonly ShardMethod<BucketName, Outcome<BucketRecord>> GetBucket = new(
        First + 4, canRepeat: true, Json.BucketName, Json.OutcomeBucketRecord, (t, r, c) => t.Names.GetBucketAsync(r, c));

    public static readonly ShardMethod<BucketUpdate, Outcome<BucketRecord>> UpdateBucket = new(
        First + 5, canRepeat: false, Json.BucketUpdate, Json.OutcomeBucketRecord, (t, r, c) => t.Names.UpdateBucketAsync(r.Bucket, r.Generation, c));

    public static readonly ShardMethod<BucketName, EngineStatus> DeleteBucket = new(
        First + 6, canRepeat: false, Json.BucketName, Json.EngineStatus, (t, r, c) => t.Names.DeleteBucketAsync(r, c));

    public static readonly ShardMethod<ListBuckets, Outcome<BucketPage>> ListBuckets = new(
        First + 7, canRepeat: true, Json.ListBuckets, Json.OutcomeBucketPage, (t, r, c) => t.Names.ListBucketsAsync(r, c));

    public static readonly ShardMethod<PutObject, Outcome<ObjectRecord>> PutObject = new(
        First + 8, canRepeat: false, Json.PutObject, Json.OutcomeObjectRecord, (t, r, c) => t.Names.PutObjectAsync(r, c));

    public static readonly ShardMethod<ObjectQuery, Outcome<ObjectRecord>> GetObject = new(
        First + 9, canRepeat: true, Json.ObjectQuery, Json.OutcomeObjectRecord, (t, r, c) => t.Names.GetObjectAsync(r.Bucket, r.Key, r.Version, c));

    public static readonly ShardMethod<UpdateObject, Outcome<ObjectRecord>> UpdateObject = new(
        First + 10, canRepeat: false, Json.UpdateObject, Json.OutcomeObjectRecord, (t, r, c) => t.Names.UpdateObjectAsync(r, c));

    public static readonly ShardMethod<DeleteObject, Outcome<DeleteOutcome>> DeleteObject = new(
        First + 11, canRepeat: false, Json.DeleteObject, Json.OutcomeDeleteOutcome, (t, r, c) => t.Names.DeleteObjectAsync(r, c));

    public static readonly ShardMethod<ListObjects, Outcome<ObjectPage>> ListObjects = new(
        First + 12, canRepeat: true, Json.ListObjects, Json.OutcomeObjectPage, (t, r, c) => t.Names.ListObjectsAsync(r, c));

    public static readonly ShardMethod<StartUpload, Outcome<UploadRecord>> StartUpload = new(
        First + 13, canRepeat: false, Json.StartUpload, Json.OutcomeUploadRecord, (t, r, c) => t.Names.StartUploadAsync(r, c));

    public static readonly ShardMethod<UploadQuery, Outcome<UploadRecord>> GetUpload = new(
        First + 14, canRepeat: true, Json.UploadQuery, Json.OutcomeUploadRecord, (t, r, c) => t.Names.GetUploadAsync(r.Bucket, r.Key, r.Upload, c));

    public static readonly ShardMethod<PartWrite, Outcome<PartRecord>> PutPart = new(
        First + 15, canRepeat: false, Json.PartWrite, Json.OutcomePartRecord, (t, r, c) => t.Names.PutPartAsync(r.Bucket, r.Key, r.Upload, r.Part, c));

    public static readonly ShardMethod<PartQuery, Outcome<PartPage>> ListParts = new(
        First + 16, canRepeat: true, Json.PartQuery, Json.OutcomePartPage,
        (t, r, c) => t.Names.ListPartsAsync(r.Bucket, r.Key, r.Upload, r.NumberMarker, r.Limit, c));

    public static readonly ShardMethod<CompleteUpload, Outcome<ObjectRecord>> CompleteUpload = new(
        First + 17, canRepeat: false, Json.CompleteUpload, Json.OutcomeObjectRecord, (t, r, c) => t.Names.CompleteUploadAsync(r, c));

    public static readonly ShardMethod<UploadQuery, EngineStatus> AbortUpload = new(
        First + 18, canRepeat: false, Json.UploadQuery, Json.EngineStatus, (t, r, c) => t.Names.AbortUploadAsync(r.Bucket, r.Key, r.Upload, c));

    public static readonly ShardMethod<ListUploads, Outcome<UploadPage>> ListUploads = new(
        First + 19, canRepeat: true, Json.ListUploads, Json.OutcomeUploadPage, (t, r, c) => t.Names.ListUploadsAsync(r, c));

    public static readonly ShardMethod<BlobId, long> FindReference = new(
        First + 20, canRepeat: true, Json.BlobId, Json.Int64, (t, r, c) => References.FindAsync(t.Shard, r, c));

    public static readonly ShardMethod<ReferenceQuery, ImmutableArray<Extent>> ListReferences = new(
        First + 21, canRepeat: true, Json.ReferenceQuery, Json.ImmutableArrayExtent, (t, r, c) => References.ListAsync(t.Shard, r, c));

    /// <summary>Harmless when repeated.</summary>
    public static readonly ShardMethod<BlobId, bool> Condemn = new(
        First + 22, canRepeat: true, Json.BlobId, Json.Boolean, (t, r, _) => References.CondemnAsync(t.Shard, r));

    /// <summary>Not to be repeated: what was sent later would be overwritten.</summary>
    public static readonly ShardMethod<RowImport, bool> Import = new(
        First + 23, canRepeat: false, Json.RowImport, Json.Boolean, (t, r, _) => t.Names.ImportAsync(t.Shard, r.Rows));

    public static readonly ShardMethod<ListChanges, Outcome<ChangePage>> ListChanges = new(
        First + 24, canRepeat: true, Json.ListChanges, Json.OutcomeChangePage, (t, r, c) => t.Names.ListChangesAsync(r, c));

    private static readonly ShardMethod[] All =
    [
        GetAccount, UpdateAccount, DeleteAccount, CreateBucket, GetBucket, UpdateBucket, DeleteBucket, ListBuckets,
        PutObject, GetObject, UpdateObject, DeleteObject, ListObjects,
        StartUpload, GetUpload, PutPart, ListParts, CompleteUpload, AbortUpload, ListUploads,
        FindReference, ListReferences, Condemn, Import, ListChanges,
    ];

    public static ShardMethod? Find(ushort number) => number >= First && number - First < All.Length ? All[number - First] : null;
}

internal sealed record AccountUpdate(AccountRecord Account, ulong? Generation);

internal sealed record BucketUpdate(BucketRecord Bucket, ulong Generation);

internal sealed record ObjectQuery(BucketName Bucket, string Key, VersionSelector Version);

internal sealed record UploadQuery(BucketName Bucket, string Key, UploadId Upload);

internal sealed record PartWrite(BucketName Bucket, string Key, UploadId Upload, PartRecord Part);

internal sealed record PartQuery(BucketName Bucket, string Key, UploadId Upload, int NumberMarker, int Limit);

/// <summary>References of blobs from one placement hash to another; behind <paramref name="After"/> when it is set.</summary>
internal sealed record ReferenceQuery(ulong FirstHash, ulong LastHash, BlobId? After, int Limit);

/// <summary>Rows of a shard for one of those that take its place.</summary>
internal sealed record RowImport(ImmutableArray<ImportedRow> Rows);

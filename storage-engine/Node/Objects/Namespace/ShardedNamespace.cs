using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Node.Objects.Groups;
using static Nephos.Node.Objects.Namespace.NamespaceBounds;

namespace Nephos.Node.Objects.Namespace;

/// <summary>The namespace over the shards of this process: bounds what comes in, finds the shard of the account, looks after payload that was handed over.</summary>
internal sealed class ShardedNamespace(
    ShardSet shards, DeviceSet devices, PayloadStore payloads, BlobPins pins, TimeProvider time) : IObjectNamespace
{
    public ValueTask<Outcome<AccountRecord>> GetAccountAsync(string account, CancellationToken cancellationToken)
    {
        CheckName(account, nameof(account));
        return ShardOf(account).QueryAsync((database, group) => new ShardReader(database, group).Account(account), cancellationToken);
    }

    public async ValueTask<Outcome<AccountRecord>> UpdateAccountAsync(
        AccountRecord account, ulong? generation, CancellationToken cancellationToken)
    {
        CheckName(account.Name, nameof(account));
        CheckMetadata(account.Metadata);
        return await ShardOf(account.Name).ExecuteAsync(
            rows => BucketOperations.UpdateAccount(rows, account, generation), cancellationToken);
    }

    public async ValueTask<EngineStatus> DeleteAccountAsync(string account, CancellationToken cancellationToken)
    {
        CheckName(account, nameof(account));
        return await ShardOf(account).ExecuteAsync(rows => BucketOperations.DeleteAccount(rows, account), cancellationToken);
    }

    public async ValueTask<Outcome<BucketRecord>> CreateBucketAsync(BucketRecord bucket, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        return await WithRoom(ShardOf(bucket.Name.Account)).ExecuteAsync(rows => BucketOperations.Create(rows, bucket), cancellationToken);
    }

    public ValueTask<Outcome<BucketRecord>> GetBucketAsync(BucketName bucket, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        return ShardOf(bucket.Account).QueryAsync((database, group) => new ShardReader(database, group).Bucket(bucket), cancellationToken);
    }

    public async ValueTask<Outcome<BucketRecord>> UpdateBucketAsync(
        BucketRecord bucket, ulong generation, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        return await ShardOf(bucket.Name.Account).ExecuteAsync(
            rows => BucketOperations.Update(rows, bucket, generation), cancellationToken);
    }

    public async ValueTask<EngineStatus> DeleteBucketAsync(BucketName bucket, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        var now = time.GetUtcNow();
        return await ShardOf(bucket.Account).ExecuteAsync(rows => BucketOperations.Delete(rows, bucket, now), cancellationToken);
    }

    public ValueTask<Outcome<BucketPage>> ListBucketsAsync(ListBuckets request, CancellationToken cancellationToken)
    {
        CheckName(request.Account, nameof(request.Account));
        CheckBounds(request.Limit, request.Prefix, request.Delimiter, request.Marker, request.EndMarker);
        return ShardOf(request.Account).QueryAsync((database, group) => new ShardReader(database, group).Buckets(request), cancellationToken);
    }

    public ValueTask<Outcome<ChangePage>> ListChangesAsync(ListChanges request, CancellationToken cancellationToken)
    {
        CheckBucket(request.Bucket);
        CheckBounds(request.Limit);
        return ShardOf(request.Bucket.Account).QueryAsync((database, group) => new ShardReader(database, group).Changes(request), cancellationToken);
    }

    public async ValueTask<Outcome<ObjectRecord>> PutObjectAsync(PutObject request, CancellationToken cancellationToken)
    {
        CheckObject(request.Bucket, request.Object);
        var now = time.GetUtcNow();
        return await HandOverAsync(
            request.Object.Payload,
            request.Bucket.Account,
            rows => ObjectOperations.Put(rows, request, now),
            cancellationToken);
    }

    public ValueTask<Outcome<ObjectRecord>> GetObjectAsync(
        BucketName bucket, string key, VersionSelector version, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        CheckKey(key);
        return ShardOf(bucket.Account).QueryAsync((database, group) => new ShardReader(database, group).Object(bucket, key, version), cancellationToken);
    }

    public async ValueTask<Outcome<ObjectRecord>> UpdateObjectAsync(UpdateObject request, CancellationToken cancellationToken)
    {
        CheckObject(request.Bucket, request.Object with { Key = request.Key });
        return await ShardOf(request.Bucket.Account).ExecuteAsync(rows => ObjectOperations.Update(rows, request), cancellationToken);
    }

    public async ValueTask<Outcome<DeleteOutcome>> DeleteObjectAsync(DeleteObject request, CancellationToken cancellationToken)
    {
        CheckBucket(request.Bucket);
        CheckKey(request.Key);
        return await ShardOf(request.Bucket.Account).ExecuteAsync(rows => ObjectOperations.Delete(rows, request), cancellationToken);
    }

    public ValueTask<Outcome<ObjectPage>> ListObjectsAsync(ListObjects request, CancellationToken cancellationToken)
    {
        CheckBucket(request.Bucket);
        CheckBounds(request.Limit, request.Prefix, request.Delimiter, request.Marker, request.EndMarker);
        if (request is { Versions: true, Reverse: true })
        {
            throw new ArgumentException("Versions are listed forwards only.", nameof(request));
        }

        return ShardOf(request.Bucket.Account).QueryAsync((database, group) => new ShardReader(database, group).Objects(request), cancellationToken);
    }

    public async ValueTask<Outcome<UploadRecord>> StartUploadAsync(StartUpload request, CancellationToken cancellationToken)
    {
        CheckObject(request.Bucket, request.Object);
        return await WithRoom(ShardOf(request.Bucket.Account)).ExecuteAsync(rows => UploadOperations.Start(rows, request), cancellationToken);
    }

    public ValueTask<Outcome<UploadRecord>> GetUploadAsync(
        BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        CheckKey(key);
        return IsUploadId(upload)
            ? ShardOf(bucket.Account).QueryAsync((database, group) => new ShardReader(database, group).Upload(bucket, key, upload), cancellationToken)
            : ValueTask.FromResult<Outcome<UploadRecord>>(EngineStatus.NoSuchUpload);
    }

    public async ValueTask<Outcome<PartRecord>> PutPartAsync(
        BucketName bucket, string key, UploadId upload, PartRecord part, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        CheckKey(key);
        ArgumentOutOfRangeException.ThrowIfLessThan(part.Number, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(part.Number, ObjectLimits.PartNumberMax);
        if (!part.Payload.Inline.IsEmpty)
        {
            throw new ArgumentException("The payload of a part is not inline: open its writer with AllowInline false.", nameof(part));
        }

        var now = time.GetUtcNow();
        return await HandOverAsync(
            part.Payload,
            bucket.Account,
            rows => IsUploadId(upload) ? UploadOperations.PutPart(rows, bucket, key, upload, part, now) : EngineStatus.NoSuchUpload,
            cancellationToken);
    }

    public ValueTask<Outcome<PartPage>> ListPartsAsync(
        BucketName bucket, string key, UploadId upload, int numberMarker, int limit, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        CheckKey(key);
        CheckBounds(limit);
        ArgumentOutOfRangeException.ThrowIfNegative(numberMarker);
        return IsUploadId(upload)
            ? ShardOf(bucket.Account).QueryAsync(
                (database, group) => new ShardReader(database, group).Parts(bucket, key, upload, numberMarker, limit), cancellationToken)
            : ValueTask.FromResult<Outcome<PartPage>>(EngineStatus.NoSuchUpload);
    }

    public async ValueTask<Outcome<ObjectRecord>> CompleteUploadAsync(CompleteUpload request, CancellationToken cancellationToken)
    {
        CheckObject(request.Bucket, request.Object with { Key = request.Key });
        if (!IsUploadId(request.Upload))
        {
            return EngineStatus.NoSuchUpload;
        }

        var now = time.GetUtcNow();
        return await ShardOf(request.Bucket.Account).ExecuteAsync(
            rows => UploadOperations.Complete(rows, request, now), cancellationToken);
    }

    public async ValueTask<EngineStatus> AbortUploadAsync(
        BucketName bucket, string key, UploadId upload, CancellationToken cancellationToken)
    {
        CheckBucket(bucket);
        CheckKey(key);
        if (!IsUploadId(upload))
        {
            return EngineStatus.NoSuchUpload;
        }

        var now = time.GetUtcNow();
        return await ShardOf(bucket.Account).ExecuteAsync(
            rows => UploadOperations.Abort(rows, bucket, key, upload, now), cancellationToken);
    }

    public ValueTask<Outcome<UploadPage>> ListUploadsAsync(ListUploads request, CancellationToken cancellationToken)
    {
        CheckBucket(request.Bucket);
        CheckBounds(request.Limit, request.Prefix, request.Delimiter, request.KeyMarker, request.UploadMarker);
        return ShardOf(request.Bucket.Account).QueryAsync((database, group) => new ShardReader(database, group).Uploads(request), cancellationToken);
    }

    /// <summary>Takes in rows of a shard whose place this one is to take.</summary>
    public async ValueTask<bool> ImportAsync(IndexShard shard, ImmutableArray<ImportedRow> imported) =>
        await WithRoom(shard).ExecuteAsync(rows => References.Import(rows, imported), CancellationToken.None);

    /// <summary>Commits a record that refers to a payload; a payload that no record came to refer to is given up.</summary>
    private async ValueTask<Outcome<T>> HandOverAsync<T>(
        Payload payload, string account, Func<RowTransaction, Outcome<T>> evaluate, CancellationToken cancellationToken)
    {
        var shard = ShardOf(account);
        if (!devices.HaveRoom(shard.MemberDevices))
        {
            await payloads.ReleaseAsync(payload, CancellationToken.None);
            throw NoRoom();
        }

        Outcome<T> outcome;
        try
        {
            // Not cancelled half way: once it waits for the commit, the blobs are the commit's.
            cancellationToken.ThrowIfCancellationRequested();
            outcome = await shard.ExecuteAsync(evaluate, CancellationToken.None);
        }
        catch (ObjectEngineException failure) when (!failure.WasMoved)
        {
            // Decided or not: the check of references against blobs finds out.
            pins.Unpin(payload);
            throw;
        }
        catch (OperationCanceledException)
        {
            await payloads.ReleaseAsync(payload, CancellationToken.None);
            throw;
        }

        if (outcome.IsOk)
        {
            pins.Unpin(payload);
        }
        else
        {
            await payloads.ReleaseAsync(payload, CancellationToken.None);
        }

        return outcome;
    }

    /// <summary>What makes the index larger is refused while the shard's devices are full: what they keep free is for deletes and for compaction.</summary>
    private IndexShard WithRoom(IndexShard shard) => devices.HaveRoom(shard.MemberDevices) ? shard : throw NoRoom();

    private static ObjectEngineException NoRoom() => new(EngineFailure.Full, "The devices have no room for new records; delete something first.");

    private IndexShard ShardOf(string account) => shards.Get(shards.Map.ShardOfAccount(account));
}

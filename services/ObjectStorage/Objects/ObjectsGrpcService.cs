using System.Collections.Immutable;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Client.Objects;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Objects over gRPC.</summary>
internal sealed class ObjectsGrpcService(IObjectEngine engine, TimeProvider time) : Wire.Objects.ObjectsBase
{
    public const int MaxDataBytes = 1024 * 1024;

    public override Task<Wire.StoredObject> PutObject(IAsyncStreamReader<Wire.PutObjectRequest> requestStream, ServerCallContext context) =>
        Guard(async () =>
        {
            var cancellationToken = context.CancellationToken;
            var operation = context.GetOperation();
            if (!await requestStream.MoveNext(cancellationToken) || requestStream.Current.Header is not { } header)
            {
                throw Faults.Invalid("header", "must be the first message");
            }
            operation.RequireMember("write an object");
            var bucket = BucketOf(Access.AccountOf(operation, header.Account), header.Bucket);
            RequireKey(header.Key);
            if (header.CreateBucket)
            {
                await EnsureBucketAsync(bucket, cancellationToken);
            }
            await using var writer = new HashingWriter(engine.Payloads, await StoragePolicies.PayloadOfAsync(engine, bucket, header.Key, cancellationToken));
            while (await requestStream.MoveNext(cancellationToken))
            {
                var data = requestStream.Current.Data;
                if (requestStream.Current.PartCase != Wire.PutObjectRequest.PartOneofCase.Data || data.Length > MaxDataBytes)
                {
                    throw Faults.Invalid("data", $"every message after the header carries at most {MaxDataBytes} bytes of data");
                }
                await writer.WriteAsync(data.Memory, cancellationToken);
            }
            if (header.SizeBytes > 0 && writer.LengthBytes != header.SizeBytes)
            {
                throw Faults.Invalid("size_bytes", $"{header.SizeBytes} bytes were announced and {writer.LengthBytes} came");
            }
            var (payload, md5) = await writer.CompleteAsync(cancellationToken);
            var stored = (await engine.Namespace.PutObjectAsync(
                new PutObject
                {
                    Bucket = bucket,
                    Object = new ObjectRecord
                    {
                        Key = header.Key,
                        SizeBytes = payload.LengthBytes,
                        ETag = md5,
                        ContentType = header.ContentType.Length > 0 ? header.ContentType : "application/octet-stream",
                        Modified = time.GetUtcNow(),
                        Owner = operation.UserId,
                        UserMetadata = RecordMetadata.Empty.AddRange(header.Metadata),
                        Payload = payload,
                    },
                    Conditions = new WriteConditions
                    {
                        MustNotExist = header.IfAbsent,
                        ETagIn = header.IfMatch.Length > 0 ? [header.IfMatch] : [],
                    },
                },
                cancellationToken)).OrThrow(bucket, header.Key);
            return stored.ToWire(bucket);
        });

    public override Task GetObject(
        Wire.GetObjectRequest request, IServerStreamWriter<Wire.GetObjectResponse> responseStream, ServerCallContext context) =>
        Guard(async () =>
        {
            var cancellationToken = context.CancellationToken;
            var bucket = BucketOf(Access.AccountOf(context.GetOperation(), request.Account), request.Bucket);
            var record = await FindAsync(bucket, request.Key, request.VersionId, cancellationToken);
            if (request.Offset < 0 || request.Offset > record.SizeBytes || request.Length < 0)
            {
                throw Faults.Invalid("offset", $"the range must lie inside the object's {record.SizeBytes} bytes");
            }
            await responseStream.WriteAsync(new Wire.GetObjectResponse { Object = record.ToWire(bucket) }, cancellationToken);
            var length = Math.Min(request.Length == 0 ? long.MaxValue : request.Length, record.SizeBytes - request.Offset);
            await using var reader = engine.Payloads.OpenReader(record.Payload, request.Offset, length);
            for (var data = await reader.ReadAsync(cancellationToken); !data.IsEmpty; data = await reader.ReadAsync(cancellationToken))
            {
                // The message is serialized before WriteAsync completes, and only then is the reader's buffer used again.
                await responseStream.WriteAsync(new Wire.GetObjectResponse { Data = UnsafeByteOperations.UnsafeWrap(data) }, cancellationToken);
            }
            return true;
        });

    public override Task<Wire.StoredObject> HeadObject(Wire.HeadObjectRequest request, ServerCallContext context) =>
        Guard(async () =>
        {
            var bucket = BucketOf(Access.AccountOf(context.GetOperation(), request.Account), request.Bucket);
            return (await FindAsync(bucket, request.Key, request.VersionId, context.CancellationToken)).ToWire(bucket);
        });

    public override Task<Wire.ListObjectsResponse> ListObjects(Wire.ListObjectsRequest request, ServerCallContext context) =>
        Guard(async () =>
        {
            var bucket = BucketOf(Access.AccountOf(context.GetOperation(), request.Account), request.Bucket);
            var page = (await engine.Namespace.ListObjectsAsync(
                new ListObjects
                {
                    Bucket = bucket,
                    Prefix = request.Prefix,
                    Delimiter = request.Delimiter,
                    Marker = request.PageToken,
                    Limit = Paging.Size(request.PageSize),
                },
                context.CancellationToken)).OrThrow(bucket);
            var response = new Wire.ListObjectsResponse { NextPageToken = page.IsTruncated ? page.NextMarker : "" };
            foreach (var entry in page.Entries)
            {
                if (entry.Object is { } found)
                {
                    response.Objects.Add(found.ToWire(bucket));
                }
                else
                {
                    response.CommonPrefixes.Add(entry.Name);
                }
            }
            return response;
        });

    public override Task<Wire.DeleteObjectResponse> DeleteObject(Wire.DeleteObjectRequest request, ServerCallContext context) =>
        Guard(async () =>
        {
            var operation = context.GetOperation();
            operation.RequireMember("delete an object");
            var bucket = BucketOf(Access.AccountOf(operation, request.Account), request.Bucket);
            RequireKey(request.Key);
            var version = Version(request.VersionId);
            var conditions = WriteConditions.None;
            if (!version.IsCurrent &&
                await engine.Namespace.GetObjectAsync(bucket, request.Key, version, context.CancellationToken) is { IsOk: true, Value: { IsDeleteMarker: false } found })
            {
                // What S3 locked stays, whoever asks; a lock put on meanwhile changes the generation.
                conditions = S3.S3Lock.IsRemovable(found, time.GetUtcNow())
                    ? new WriteConditions { Generation = found.Generation }
                    : throw Faults.Forbidden($"delete the locked version {request.VersionId} of {request.Key}");
            }
            (await engine.Namespace.DeleteObjectAsync(
                new DeleteObject
                {
                    Bucket = bucket,
                    Key = request.Key,
                    Version = version,
                    Conditions = conditions,
                    Owner = operation.UserId,
                    Now = time.GetUtcNow(),
                },
                context.CancellationToken)).OrThrow(bucket, request.Key);
            return new Wire.DeleteObjectResponse();
        });

    public override Task<Wire.StoredObject> CopyObject(Wire.CopyObjectRequest request, ServerCallContext context) =>
        Guard(async () =>
        {
            var cancellationToken = context.CancellationToken;
            var operation = context.GetOperation();
            operation.RequireMember("write an object");
            var source = BucketOf(Access.AccountOf(operation, request.SourceAccount), request.SourceBucket);
            var target = BucketOf(Access.AccountOf(operation, request.Account), request.Bucket);
            RequireKey(request.Key);
            var record = await FindAsync(source, request.SourceKey, "", cancellationToken);
            var payload = await PayloadCopy.CopyAsync(engine, record, target, request.Key, cancellationToken);
            var stored = (await engine.Namespace.PutObjectAsync(
                new PutObject
                {
                    Bucket = target,
                    Object = record with
                    {
                        Key = request.Key,
                        Payload = payload,
                        Modified = time.GetUtcNow(),
                        Owner = operation.UserId,
                        ContentType = request.ContentType.Length > 0 ? request.ContentType : record.ContentType,
                        UserMetadata = request.ReplaceMetadata ? RecordMetadata.Empty.AddRange(request.Metadata) : record.UserMetadata,
                    },
                },
                cancellationToken)).OrThrow(target, request.Key);
            return stored.ToWire(target);
        });

    private async ValueTask<ObjectRecord> FindAsync(BucketName bucket, string key, string version, CancellationToken cancellationToken)
    {
        RequireKey(key);
        var record = (await engine.Namespace.GetObjectAsync(bucket, key, Version(version), cancellationToken)).OrThrow(bucket, key);
        return record.IsDeleteMarker ? throw Faults.NotFound("Object", $"{bucket.Name}/{key}") : record;
    }

    private async ValueTask EnsureBucketAsync(BucketName bucket, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var outcome = await engine.Namespace.CreateBucketAsync(
            new BucketRecord { Name = bucket, Created = now, Modified = now, Owner = bucket.Account }, cancellationToken);
        if (outcome.Status != EngineStatus.BucketExists)
        {
            outcome.OrThrow(bucket);
        }
    }

    private static BucketName BucketOf(string account, string name) =>
        name.Length > 0 && !name.Contains('/', StringComparison.Ordinal)
            ? new BucketName(account, name)
            : throw Faults.Invalid("bucket", "must not be empty and has no slash");

    private static void RequireKey(string key)
    {
        if (key.Length == 0)
        {
            throw Faults.Invalid("key", "must not be empty");
        }
    }

    private static VersionSelector Version(string text) => text switch
    {
        "" => VersionSelector.Current,
        "null" => VersionSelector.Null,
        _ => VersionId.TryParse(text, out var version) ? VersionSelector.Of(version) : throw Faults.Invalid("version_id", "is not a version id"),
    };

    private static async Task<T> Guard<T>(Func<Task<T>> body)
    {
        try
        {
            return await body();
        }
        catch (ObjectEngineException exception)
        {
            throw EngineFaults.Of(exception);
        }
    }
}

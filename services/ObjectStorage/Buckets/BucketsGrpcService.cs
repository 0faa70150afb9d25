using Grpc.Core;
using Nephos.Client.Objects;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Objects;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.ObjectStorage.Buckets;

/// <summary>Buckets over gRPC.</summary>
internal sealed class BucketsGrpcService(IObjectEngine engine, TimeProvider time) : Wire.Buckets.BucketsBase
{
    private const int MaxUpdateAttempts = 8;

    public override Task<Wire.Bucket> CreateBucket(Wire.CreateBucketRequest request, ServerCallContext context) => Guard(async () =>
    {
        var operation = context.GetOperation();
        operation.RequireMember("create a bucket");
        var name = NameOf(Access.AccountOf(operation, request.Account), request.Name);
        var now = time.GetUtcNow();
        var outcome = await engine.Namespace.CreateBucketAsync(
            new BucketRecord { Name = name, Created = now, Modified = now, Owner = operation.UserId, Metadata = User(request.Metadata) },
            context.CancellationToken);
        // The name is the idempotency key: a repeated create answers the bucket it made.
        return (outcome is { Status: EngineStatus.BucketExists, Value: { } existing } ? existing : outcome.OrThrow(name)).ToWire();
    });

    public override Task<Wire.Bucket> GetBucket(Wire.GetBucketRequest request, ServerCallContext context) => Guard(async () =>
    {
        var name = NameOf(Access.AccountOf(context.GetOperation(), request.Account), request.Name);
        return (await engine.Namespace.GetBucketAsync(name, context.CancellationToken)).OrThrow(name).ToWire();
    });

    public override Task<Wire.ListBucketsResponse> ListBuckets(Wire.ListBucketsRequest request, ServerCallContext context) => Guard(async () =>
    {
        var account = Access.AccountOf(context.GetOperation(), request.Account);
        var outcome = await engine.Namespace.ListBucketsAsync(
            new ListBuckets { Account = account, Prefix = request.Prefix, Marker = request.PageToken, Limit = Paging.Size(request.PageSize) },
            context.CancellationToken);
        var response = new Wire.ListBucketsResponse();
        if (outcome.Status == EngineStatus.NoSuchAccount)
        {
            return response;
        }
        var page = outcome.OrThrow(new BucketName(account, ""));
        response.Buckets.AddRange(page.Entries.Where(entry => entry.Bucket is not null).Select(entry => entry.Bucket!.ToWire()));
        response.NextPageToken = page.IsTruncated ? page.NextMarker : "";
        return response;
    });

    public override Task<Wire.Bucket> UpdateBucket(Wire.UpdateBucketRequest request, ServerCallContext context) => Guard(async () =>
    {
        var operation = context.GetOperation();
        operation.RequireMember("change a bucket");
        var wanted = request.Bucket ?? throw Faults.Invalid("bucket", "must be given");
        var name = NameOf(Access.AccountOf(operation, wanted.Account), wanted.Name);
        for (var attempt = 0; attempt < MaxUpdateAttempts; attempt++)
        {
            var current = (await engine.Namespace.GetBucketAsync(name, context.CancellationToken)).OrThrow(name);
            var changed = Apply(current, wanted, request.UpdateMask?.Paths ?? []) with { Modified = time.GetUtcNow() };
            var outcome = await engine.Namespace.UpdateBucketAsync(changed, current.Generation, context.CancellationToken);
            if (outcome.Status != EngineStatus.Conflict)
            {
                return outcome.OrThrow(name).ToWire();
            }
        }
        throw Faults.Aborted($"Bucket {name.Name} is being changed by many at once; read it again and retry.");
    });

    public override Task<Wire.DeleteBucketResponse> DeleteBucket(Wire.DeleteBucketRequest request, ServerCallContext context) => Guard(async () =>
    {
        var operation = context.GetOperation();
        operation.RequireMember("delete a bucket");
        var name = NameOf(Access.AccountOf(operation, request.Account), request.Name);
        (await engine.Namespace.DeleteBucketAsync(name, context.CancellationToken)).OrThrow(name);
        return new Wire.DeleteBucketResponse();
    });

    private static BucketRecord Apply(BucketRecord current, Wire.Bucket wanted, IEnumerable<string> paths)
    {
        foreach (var path in paths)
        {
            current = path switch
            {
                "metadata" => current with
                {
                    Metadata = current.Metadata
                        .RemoveRange(current.Metadata.Keys.Where(key => key.StartsWith(BucketMetadata.UserPrefix, StringComparison.Ordinal)))
                        .AddRange(User(wanted.Metadata)),
                },
                "versioning" => current with
                {
                    Versioning = wanted.Versioning switch
                    {
                        Wire.Versioning.Enabled => BucketVersioning.Enabled,
                        Wire.Versioning.Suspended => BucketVersioning.Suspended,
                        Wire.Versioning.Off when current.Versioning == BucketVersioning.Off => BucketVersioning.Off,
                        _ => throw Faults.Invalid("versioning", "can be enabled or suspended, and never be off again"),
                    },
                },
                "quota_bytes" => current with { Quota = current.Quota with { BytesMax = Limit(path, wanted.QuotaBytes) } },
                "quota_objects" => current with { Quota = current.Quota with { ObjectsMax = Limit(path, wanted.QuotaObjects) } },
                "changes_kept" => current with
                {
                    ChangesKept = wanted.ChangesKept is >= 0 and <= ObjectLimits.ChangesKeptMax
                        ? wanted.ChangesKept
                        : throw Faults.Invalid(path, $"must be 0 to {ObjectLimits.ChangesKeptMax}"),
                },
                _ => throw Faults.Invalid("update_mask", $"'{path}' cannot be changed; metadata, versioning, quota_bytes, quota_objects and changes_kept can"),
            };
        }
        return current;
    }

    private static long? Limit(string field, long value) => value switch
    {
        < 0 => throw Faults.Invalid(field, "must not be negative"),
        0 => null,
        _ => value,
    };

    private static System.Collections.Immutable.ImmutableSortedDictionary<string, string> User(IEnumerable<KeyValuePair<string, string>> metadata) =>
        RecordMetadata.Empty.AddRange(metadata.Select(pair => KeyValuePair.Create(BucketMetadata.UserPrefix + pair.Key.ToLowerInvariant(), pair.Value)));

    private static BucketName NameOf(string account, string name) =>
        name.Length > 0 && !name.Contains('/', StringComparison.Ordinal)
            ? new BucketName(account, name)
            : throw Faults.Invalid("name", "must not be empty and has no slash");

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

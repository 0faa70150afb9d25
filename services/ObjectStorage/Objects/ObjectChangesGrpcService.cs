using System.Globalization;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Client.Objects;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Follows the changes of a bucket over gRPC.</summary>
internal sealed class ObjectChangesGrpcService(IObjectEngine engine, TimeProvider time) : Wire.ObjectChanges.ObjectChangesBase
{
    /// <summary>How often it is looked for something new.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);

    public override async Task WatchObjects(
        Wire.WatchObjectsRequest request, IServerStreamWriter<Wire.ObjectChange> responseStream, ServerCallContext context)
    {
        var cancellationToken = context.CancellationToken;
        var bucket = new BucketName(Access.AccountOf(context.GetOperation(), request.Account), request.Bucket);
        if (bucket.Name.Length == 0)
        {
            throw Faults.Invalid("bucket", "must not be empty");
        }
        var (uid, known) = request.Cursor.Length > 0 ? ReadCursor(request.Cursor) : default;
        if (uid == 0)
        {
            var now = await ReadAsync(bucket, ulong.MaxValue - 1, cancellationToken);
            (uid, known) = (now.Bucket, now.Last);
        }
        for (var isFirst = true; ; isFirst = false)
        {
            var page = await ReadAsync(bucket, known, cancellationToken);
            if (page.Bucket != uid || known + 1 < page.First || known > page.Last)
            {
                throw Faults.Conflict($"Changes of bucket {bucket.Name} behind the cursor are no longer kept, or it is another bucket now; list its objects again.");
            }
            if (isFirst)
            {
                await responseStream.WriteAsync(new Wire.ObjectChange { Cursor = Cursor(uid, known) }, cancellationToken);
            }
            foreach (var change in page.Changes)
            {
                await responseStream.WriteAsync(ToWire(uid, change), cancellationToken);
                known = change.Number;
            }
            if (page.Changes.IsEmpty)
            {
                await Task.Delay(Period, time, cancellationToken);
            }
        }
    }

    private async ValueTask<ChangePage> ReadAsync(BucketName bucket, ulong after, CancellationToken cancellationToken)
    {
        try
        {
            var page = (await engine.Namespace.ListChangesAsync(new ListChanges { Bucket = bucket, After = after }, cancellationToken)).OrThrow(bucket);
            return page.Kept > 0 ? page : throw Faults.Conflict($"Bucket {bucket.Name} keeps no changes; set its changes_kept first.");
        }
        catch (ObjectEngineException failure)
        {
            throw EngineFaults.Of(failure);
        }
    }

    private static Wire.ObjectChange ToWire(ulong uid, ObjectChange change)
    {
        var wire = new Wire.ObjectChange { Cursor = Cursor(uid, change.Number), ChangedAt = Timestamp.FromDateTimeOffset(change.At) };
        if (change.Kind == ChangeKind.Removed)
        {
            wire.RemovedKey = change.Key;
        }
        else
        {
            wire.Written = new Wire.ChangedObject
            {
                Key = change.Key,
                SizeBytes = change.SizeBytes,
                Etag = change.ETag,
                VersionId = change.IsNullVersion ? "null" : change.Version.ToString(),
            };
        }
        return wire;
    }

    private static string Cursor(ulong uid, ulong number) => string.Create(CultureInfo.InvariantCulture, $"{uid:x}-{number:x}");

    private static (ulong Uid, ulong Number) ReadCursor(string cursor)
    {
        var parts = cursor.Split('-', 3);
        return parts.Length == 2
            && ulong.TryParse(parts[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var uid) && uid > 0
            && ulong.TryParse(parts[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) && number < ulong.MaxValue
            ? (uid, number)
            : throw Faults.Invalid("cursor", "is not one that this service gave out");
    }
}

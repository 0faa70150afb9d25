using System.Collections.Immutable;
using System.Globalization;
using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Sync;
using Nephos.Protos.Errors.V1;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Objects: writing, changing, copying and deleting. Reading is in <see cref="SwiftDownloads"/>.</summary>
internal static class SwiftObjects
{
    /// <summary>Of one upload; larger objects are made of segments.</summary>
    public const long MaxObjectBytes = 5L * 1024 * 1024 * 1024 + 2;

    public const string ManifestKey = "dlo";
    private const string DefaultType = "application/octet-stream";
    private const int MaxAttempts = 8;

    /// <summary>Headers that are kept as they are and given back with the object.</summary>
    public static readonly ImmutableArray<(string Header, string Key)> KeptHeaders =
    [
        ("Content-Encoding", "content-encoding"), ("Content-Disposition", "content-disposition"), ("Content-Language", "content-language"),
        ("Cache-Control", "cache-control"), ("X-Robots-Tag", "x-robots-tag"),
    ];

    public static async Task PutAsync(SwiftCall call)
    {
        var container = await SwiftContainers.FindAsync(call, call.Bucket);
        SwiftAccess.RequireWrite(call, container);
        if (call.Header("X-Copy-From") is { } source)
        {
            await CopyAsync(call, source, call.Header("X-Copy-From-Account"), container, call.Path.Object);
            return;
        }
        var request = call.Http.Request;
        if (request.ContentLength is null && !request.Headers.TransferEncoding.Any())
        {
            throw new SwiftFault(411, "Missing Content-Length header.", plain: true);
        }
        if (request.ContentLength > MaxObjectBytes)
        {
            throw new SwiftFault(413, "Your request is too large.", plain: true);
        }
        if (call.SyncTime is not null && call.Header("X-Static-Large-Object") is not null)
        {
            await SwiftLargeObjects.PutSyncedAsync(call, container);
            return;
        }
        if (call.Query("multipart-manifest") == "put")
        {
            await SwiftLargeObjects.PutManifestAsync(call, container);
            return;
        }
        if (container.Quota.BytesMax is { } quota && request.ContentLength is { } announced && container.Usage.Bytes + announced > quota)
        {
            // Refused before the bytes travel; the commit decides exactly.
            throw SwiftFault.OverQuota();
        }
        if (SwiftSymlinks.IsRequested(call))
        {
            await SwiftSymlinks.PutAsync(call, container);
            return;
        }
        var stored = await StoreAsync(call, container, NewRecord(call), request.Body, MaxObjectBytes, request.ContentLength, call.Header("ETag"));
        call.Reply("ETag", stored.ETag);
        call.Reply("Last-Modified", SwiftTime.HttpDate(stored.Modified));
        SwiftVersioning.WriteVersion(call, container, stored);
        await call.EmptyAsync(201);
    }

    /// <summary>Makes an object of what a stream holds.</summary>
    /// <exception cref="SwiftFault">413 beyond <paramref name="maxBytes"/>, 499 when fewer bytes came than announced, 422 when the MD5 differs.</exception>
    public static async ValueTask<ObjectRecord> StoreAsync(
        SwiftCall call, BucketRecord container, ObjectRecord record, Stream body, long maxBytes, long? announcedBytes, string? etag)
    {
        await using var writer = new HashingWriter(call.Engine.Payloads, StoragePolicies.PayloadOf(container, record.Key));
        await ReceiveAsync(call, writer, body, maxBytes);
        if (announcedBytes is { } announced && announced != writer.LengthBytes)
        {
            throw new SwiftFault(499, "Client disconnected before the whole object was sent.");
        }
        var (payload, md5) = await writer.CompleteAsync(call.Cancelled);
        if (etag is { Length: > 0 } wanted && !wanted.Trim('"').Equals(md5, StringComparison.OrdinalIgnoreCase))
        {
            await call.Engine.Payloads.ReleaseAsync(payload, call.Cancelled);
            throw SwiftFault.Unprocessable();
        }
        return await CommitAsync(call, container, record with { ETag = md5, SizeBytes = payload.LengthBytes, Payload = payload });
    }

    /// <summary>Replaces the metadata; what the request does not name goes.</summary>
    public static async Task PostAsync(SwiftCall call)
    {
        var container = await SwiftContainers.FindAsync(call, call.Bucket);
        SwiftAccess.RequireWrite(call, container);
        var changes = NewRecord(call);
        if ((await FindAsync(call, call.Bucket, call.Path.Object)).SystemMetadata.TryGetValue(SwiftSymlinks.TargetKey, out var link))
        {
            // The link has no metadata to change: the client is sent to what it points to.
            call.Reply("Location", $"{SwiftFace.Prefix}{Uri.EscapeDataString(call.Path.Account)}/{SwiftPath.Encode(link)}");
            throw new SwiftFault(307, "The requested POST was sent to a symlink; the target is in the Location header.", plain: true);
        }
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var current = await FindAsync(call, call.Bucket, call.Path.Object);
            var system = current.SystemMetadata
                .RemoveRange(KeptHeaders.Select(kept => kept.Key))
                .SetItems(changes.SystemMetadata);
            var outcome = await call.Engine.Namespace.UpdateObjectAsync(
                new UpdateObject
                {
                    Bucket = call.Bucket,
                    Key = call.Path.Object,
                    Object = current with
                    {
                        UserMetadata = changes.UserMetadata,
                        SystemMetadata = system,
                        ContentType = call.Header("Content-Type") is { Length: > 0 } type ? type : current.ContentType,
                        Expires = changes.Expires,
                        Modified = call.Now,
                    },
                    Generation = current.Generation,
                },
                call.Cancelled);
            if (outcome.Status != EngineStatus.Conflict)
            {
                outcome.OrThrow(call.Bucket, call.Path.Object);
                await call.TextAsync(202, SwiftFault.Page(202, "The request is accepted for processing."));
                return;
            }
        }
        throw SwiftFault.Conflict();
    }

    public static async Task DeleteAsync(SwiftCall call)
    {
        var container = await SwiftContainers.FindAsync(call, call.Bucket);
        SwiftAccess.RequireWrite(call, container);
        if (call.SyncTime is { } removed)
        {
            await SyncReceiver.DeleteAsync(call, removed);
            return;
        }
        if (call.Query("multipart-manifest") == "delete")
        {
            await SwiftLargeObjects.DeleteAsync(call);
            return;
        }
        if (call.Query("version-id") is not null)
        {
            await SwiftVersioning.DeleteVersionAsync(call);
            return;
        }
        if (await SwiftVersions.DeleteAsync(call, container))
        {
            await call.EmptyAsync(204);
            return;
        }
        if (!await RemoveAsync(call, call.Bucket, call.Path.Object))
        {
            throw SwiftFault.NotFound();
        }
        await call.EmptyAsync(204);
    }

    public static async Task CopyAsync(SwiftCall call)
    {
        var destination = call.Header("Destination") ?? throw new SwiftFault(412, "Destination header required", plain: true);
        var (container, name) = SwiftPath.ParseSource(destination);
        var account = call.Header("Destination-Account") is { Length: > 0 } other ? SwiftPath.Decode(other) : call.Path.Account;
        var target = call.At(new SwiftPath(account, container, name));
        if (!account.StartsWith(SwiftPath.AccountPrefix, StringComparison.Ordinal))
        {
            throw SwiftFault.NotFound();
        }
        var bucket = await SwiftContainers.FindAsync(target, target.Bucket);
        SwiftAccess.RequireWrite(target, bucket);
        await CopyAsync(target, $"{Uri.EscapeDataString(call.Path.Container)}/{Uri.EscapeDataString(call.Path.Object)}", call.Path.Account, bucket, name);
    }

    public static ValueTask<ObjectRecord> FindAsync(SwiftCall call, BucketName bucket, string key) =>
        FindAsync(call, bucket, key, VersionSelector.Current);

    public static async ValueTask<ObjectRecord> FindAsync(SwiftCall call, BucketName bucket, string key, VersionSelector version)
    {
        var outcome = await call.Engine.Namespace.GetObjectAsync(bucket, key, version, call.Cancelled);
        if (outcome.Status is EngineStatus.NoSuchKey or EngineStatus.NoSuchVersion or EngineStatus.NoSuchBucket)
        {
            throw SwiftFault.NotFound();
        }
        var record = outcome.OrThrow(bucket, key);
        return record.IsDeleteMarker || record.Expires <= call.Now ? throw SwiftFault.NotFound() : record;
    }

    /// <returns>False when there was nothing.</returns>
    public static async ValueTask<bool> RemoveAsync(SwiftCall call, BucketName bucket, string key)
    {
        var outcome = await call.Engine.Namespace.DeleteObjectAsync(
            new DeleteObject { Bucket = bucket, Key = key, Owner = call.Operation?.UserId ?? "", Now = call.Now }, call.Cancelled);
        return outcome.Status is not (EngineStatus.NoSuchKey or EngineStatus.NoSuchBucket) && outcome.OrThrow(bucket, key).Existed;
    }

    /// <summary>Keeps the version before when the container wants that, then commits.</summary>
    public static async ValueTask<ObjectRecord> CommitAsync(SwiftCall call, BucketRecord container, ObjectRecord record)
    {
        await SwiftVersions.KeepAsync(call, container, record.Key);
        var conditions = call.SyncTime is { } written ? new WriteConditions { OlderThan = written } : WriteConditions.None;
        if (call.Header("If-None-Match") is { } none)
        {
            conditions = none.Trim() == "*"
                ? conditions with { MustNotExist = true }
                : throw SwiftFault.BadRequest("If-None-Match only supports *");
        }
        var outcome = await call.Engine.Namespace.PutObjectAsync(
            new PutObject { Bucket = call.Bucket, Object = record, Conditions = conditions }, call.Cancelled);
        return outcome.Status switch
        {
            EngineStatus.QuotaExceeded => throw SwiftFault.OverQuota(),
            EngineStatus.PreconditionFailed => throw (call.SyncTime is null ? SwiftFault.PreconditionFailed() : SwiftFault.Conflict()),
            _ => outcome.OrThrow(call.Bucket, record.Key),
        };
    }

    /// <summary>The record a request describes with its headers, without size, ETag and payload.</summary>
    public static ObjectRecord NewRecord(SwiftCall call)
    {
        var system = RecordMetadata.Empty.ToBuilder();
        foreach (var (header, key) in KeptHeaders)
        {
            if (call.Header(header) is { Length: > 0 } value)
            {
                system[key] = value;
            }
        }
        if (call.Header("X-Object-Manifest") is { } manifest)
        {
            var decoded = SwiftPath.Decode(manifest);
            if (decoded.TrimStart('/').IndexOf('/', StringComparison.Ordinal) is <= 0 or -1 || decoded.Contains('?', StringComparison.Ordinal))
            {
                throw SwiftFault.BadRequest("X-Object-Manifest must be in the format container/prefix");
            }
            system[ManifestKey] = decoded.TrimStart('/');
        }
        return new ObjectRecord
        {
            Key = call.Path.Object,
            ContentType = call.Header("Content-Type") is { Length: > 0 } type ? type : DefaultType,
            Modified = call.SyncTime ?? call.Now,
            Owner = call.Operation?.UserId ?? "",
            SystemMetadata = system.ToImmutable(),
            UserMetadata = RecordMetadata.Empty.AddRange(SwiftMetadata.FromHeaders(call.Http.Request.Headers, "Object")
                .Where(item => item.Value is not null).Select(item => KeyValuePair.Create(item.Key, item.Value!))),
            Expires = ExpiryOf(call),
        };
    }

    private static DateTimeOffset? ExpiryOf(SwiftCall call)
    {
        if (call.Header("X-Delete-After") is { } after)
        {
            return long.TryParse(after, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0 and < 10_000_000_000
                ? call.Now.AddSeconds(seconds)
                : throw SwiftFault.BadRequest("Non-integer X-Delete-After");
        }
        if (call.Header("X-Delete-At") is not { } at)
        {
            return null;
        }
        if (!long.TryParse(at, NumberStyles.None, CultureInfo.InvariantCulture, out var unix) || unix > 10_000_000_000)
        {
            throw SwiftFault.BadRequest("Non-integer X-Delete-At");
        }
        var expires = DateTimeOffset.FromUnixTimeSeconds(unix);
        return expires > call.Now || call.SyncTime is not null ? expires : throw SwiftFault.BadRequest("X-Delete-At in past");
    }

    private static async Task ReceiveAsync(SwiftCall call, HashingWriter writer, Stream body, long maxBytes)
    {
        try
        {
            while (true)
            {
                var buffer = writer.GetMemory();
                var read = await body.ReadAsync(buffer, call.Cancelled);
                if (read == 0)
                {
                    break;
                }
                await writer.AdvanceAsync(read, call.Cancelled);
                if (writer.LengthBytes > maxBytes)
                {
                    throw new SwiftFault(413, "Your request is too large.", plain: true);
                }
            }
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException exception)
        {
            throw new SwiftFault(exception.StatusCode == 408 ? 408 : 499, "Client disconnected before the whole object was sent.");
        }
    }

    private static async Task CopyAsync(SwiftCall call, string source, string? sourceAccount, BucketRecord container, string name)
    {
        if (call.Http.Request.ContentLength > 0)
        {
            throw SwiftFault.BadRequest("Copy requests require a zero byte body");
        }
        var (fromContainer, fromName) = SwiftPath.ParseSource(SwiftVersioning.WithoutVersion(source));
        var account = sourceAccount is { Length: > 0 } ? SwiftPath.Decode(sourceAccount) : call.Path.Account;
        if (!account.StartsWith(SwiftPath.AccountPrefix, StringComparison.Ordinal))
        {
            throw SwiftFault.NotFound();
        }
        var from = call.At(new SwiftPath(account, fromContainer, fromName));
        SwiftAccess.RequireRead(from, await SwiftContainers.FindAsync(from, from.Bucket), listing: false);
        var record = await FindAsync(from, from.Bucket, fromName, SwiftVersioning.SelectorOf(source));
        (from, record) = await SwiftSymlinks.FollowAsync(from, record);
        var wanted = NewRecord(call);
        var keepsManifest = call.Query("multipart-manifest") == "get";
        var (payload, etag) = keepsManifest || !SwiftLargeObjects.IsComposed(record)
            ? (await PayloadCopy.CopyAsync(call.Engine, record, call.Bucket, name, call.Cancelled), record.ETag)
            : await JoinAsync(call, container, name, await SwiftLargeObjects.ResolveAsync(from, record));
        var fresh = call.Header("X-Fresh-Metadata") is "true" or "True" or "1";
        var system = keepsManifest
            ? record.SystemMetadata
            : record.SystemMetadata.RemoveRange([ManifestKey, SwiftLargeObjects.EtagKey, SwiftLargeObjects.SizeKey]);
        var stored = await CommitAsync(call, container, new ObjectRecord
        {
            Key = name,
            ETag = etag,
            SizeBytes = payload.LengthBytes,
            Payload = payload,
            Parts = record.Parts,
            Note = keepsManifest ? record.Note : "",
            ContentType = call.Header("Content-Type") is { Length: > 0 } type ? type : record.ContentType,
            Modified = call.Now,
            Owner = wanted.Owner,
            SystemMetadata = (fresh ? RecordMetadata.Empty : system).SetItems(wanted.SystemMetadata),
            UserMetadata = fresh ? wanted.UserMetadata : record.UserMetadata.SetItems(wanted.UserMetadata),
            Expires = wanted.Expires ?? (fresh ? null : record.Expires),
        });
        call.Reply("ETag", stored.ETag);
        call.Reply("Last-Modified", SwiftTime.HttpDate(stored.Modified));
        call.Reply("X-Copied-From-Account", account);
        call.Reply("X-Copied-From", SwiftPath.Encode($"{fromContainer}/{fromName}"));
        call.Reply("X-Copied-From-Last-Modified", SwiftTime.HttpDate(record.Modified));
        SwiftMetadata.Write(call, "Object", stored.UserMetadata);
        await call.EmptyAsync(201);
    }

    /// <summary>The bytes of a composed object as one payload.</summary>
    private static async ValueTask<(Payload Payload, string Md5)> JoinAsync(SwiftCall call, BucketRecord container, string name, Content content)
    {
        await using var writer = new HashingWriter(call.Engine.Payloads, StoragePolicies.PayloadOf(container, name));
        await using (var stream = new HashingStream(writer))
        {
            await content.WriteAsync(call.Engine, stream, 0, content.LengthBytes, call.Cancelled);
        }
        return await writer.CompleteAsync(call.Cancelled);
    }

    /// <summary>What a fault of the engine means to a Swift client.</summary>
    public static SwiftFault FaultOf(FaultException fault) => fault.Reason switch
    {
        ErrorReason.NotFound => SwiftFault.NotFound(),
        ErrorReason.StorageFull => new SwiftFault(507, "There was not enough space to save the resource."),
        ErrorReason.Unavailable => new SwiftFault(503, "The server is currently unavailable. Please try again at a later time."),
        ErrorReason.QuotaExceeded => SwiftFault.OverQuota(),
        ErrorReason.InvalidArgument => SwiftFault.BadRequest(fault.Message),
        ErrorReason.Aborted or ErrorReason.Conflict => SwiftFault.Conflict(),
        _ => new SwiftFault(500, "The server has either erred or is incapable of performing the requested operation."),
    };
}

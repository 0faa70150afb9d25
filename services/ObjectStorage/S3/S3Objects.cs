using System.Globalization;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Objects: put and get.</summary>
internal static class S3Objects
{
    public const long MaxPutBytes = 5L * 1024 * 1024 * 1024;
    private const int MaxUserMetadataChars = 2048;
    private const string TypeOverride = "response-content-type";

    private static readonly (string Header, string Query, string Key)[] Kept =
    [
        ("Content-Disposition", "response-content-disposition", "content-disposition"),
        ("Content-Language", "response-content-language", "content-language"),
        ("Cache-Control", "response-cache-control", "cache-control"),
        ("Expires", "response-expires", "expires"),
        ("Content-Encoding", "response-content-encoding", "content-encoding"),
    ];

    public static async Task PutAsync(S3Call call)
    {
        var wanted = NewRecord(call);
        var conditions = Conditions(call);
        using var body = call.OpenBody();
        var (payload, md5) = await ReceiveAsync(call, body, MaxPutBytes, allowInline: true);
        var stored = await CommitAsync(
            call, S3Checksums.Keep(wanted, body.Checksum, S3Checksums.FullObject) with { ETag = md5, SizeBytes = payload.LengthBytes, Payload = payload }, conditions);
        call.Reply("ETag", Quote(md5));
        S3Checksums.Write(call, stored);
        WriteVersion(call, stored);
        await call.EmptyAsync(200);
    }

    public static async Task GetAsync(S3Call call)
    {
        CheckOverrides(call);
        var record = await S3Settings.FindAsync(call);
        if (record.SystemMetadata.ContainsKey(SwiftSymlinks.TargetKey))
        {
            record = await FollowAsync(call, record);
        }
        var swift = call.AsSwift(record.Key);
        var content = await SwiftLargeObjects.ResolveAsync(swift, record);
        var etag = (await SwiftLargeObjects.EtagAsync(swift, record)).Trim('"');
        var part = call.Query("partNumber") is null ? ((long, long)?)null : PartRange(call, record, content.LengthBytes);
        CheckConditions(call, etag, record.Modified);
        WriteHeaders(call, record, etag);
        WriteVersion(call, record);
        var range = part is { } found ? [found] : ByteRanges.Parse(IfRangeHolds(call, etag, record.Modified) ? call.Header("Range") : null, content.LengthBytes);
        if (range is { Count: > 1 })
        {
            await MultipartRanges.SendAsync(call.Engine, call.Http, content, range, call.Http.Response.ContentType!);
            return;
        }
        var (offset, length) = range switch
        {
            [] => Unsatisfiable(call, content.LengthBytes),
            [var one] => one,
            _ => (0, content.LengthBytes),
        };
        var response = call.Http.Response;
        response.StatusCode = range is [_] ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK;
        if (range is [_])
        {
            call.Reply("Content-Range", $"bytes {offset}-{offset + length - 1}/{content.LengthBytes}");
        }
        else if (call.Header("x-amz-checksum-mode") is { } mode && mode.Equals("ENABLED", StringComparison.OrdinalIgnoreCase))
        {
            S3Checksums.Write(call, record);
        }
        response.ContentLength = length;
        if (!call.IsHead)
        {
            await content.WriteAsync(call.Engine, response.Body, offset, length, call.Cancelled);
        }
    }

    /// <summary>Commits a record that a put, copy or form made.</summary>
    public static async ValueTask<ObjectRecord> CommitAsync(S3Call call, ObjectRecord record, WriteConditions conditions) =>
        (await call.Engine.Namespace.PutObjectAsync(new PutObject { Bucket = call.Bucket, Object = record, Conditions = conditions }, call.Cancelled)).OrS3Fault();

    public static async ValueTask<(Payload Payload, string Md5)> ReceiveAsync(S3Call call, S3Body body, long maxBytes, bool allowInline)
    {
        if (body.AnnouncedBytes is null && call.Http.Request.Headers.TransferEncoding.Count == 0)
        {
            throw new S3Fault(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
        }
        if (body.AnnouncedBytes > maxBytes)
        {
            throw TooLarge();
        }
        await using var writer = new HashingWriter(call.Engine.Payloads, StoragePolicies.PayloadOf(call.BucketRecord, call.Key) with { AllowInline = allowInline });
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
                throw TooLarge();
            }
        }
        var (payload, md5) = await writer.CompleteAsync(call.Cancelled);
        try
        {
            body.Verify(md5);
        }
        catch (S3Fault)
        {
            await call.Engine.Payloads.ReleaseAsync(payload, call.Cancelled);
            throw;
        }
        return (payload, md5);
    }

    /// <summary>What the headers of a put, copy or multipart start say of the object to be.</summary>
    public static ObjectRecord NewRecord(S3Call call)
    {
        var user = RecordMetadata.Empty;
        var total = 0;
        foreach (var (name, values) in call.Http.Request.Headers)
        {
            if (name.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase))
            {
                var value = values.ToString();
                user = user.SetItem(name["x-amz-meta-".Length..].ToLowerInvariant(), value);
                total += name.Length + value.Length;
            }
        }
        if (total > MaxUserMetadataChars)
        {
            throw new S3Fault(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.");
        }
        if (call.Header("x-amz-storage-class") is { } storageClass && storageClass is not ("STANDARD" or ""))
        {
            throw new S3Fault(400, "InvalidStorageClass", "The storage class you specified is not valid");
        }
        foreach (var header in call.Http.Request.Headers.Keys)
        {
            if (header.StartsWith("x-amz-server-side-encryption", StringComparison.OrdinalIgnoreCase))
            {
                // Storing in the clear what was asked to be encrypted would be a broken promise.
                throw S3Fault.NotImplemented("Server-side encryption");
            }
        }
        var system = RecordMetadata.Empty;
        foreach (var (header, _, key) in Kept)
        {
            if (call.Header(header) is { Length: > 0 } value && (key != "content-encoding" || (value = WithoutChunked(value)).Length > 0))
            {
                system = system.SetItem(key, value);
            }
        }
        if (S3Tags.OfHeader(call) is { Length: > 0 } tags)
        {
            system = system.SetItem(S3Tags.Key, tags);
        }
        if (S3Rights.AclOfHeaders(call) is { } acl)
        {
            system = system.SetItem(S3Acl.Key, acl);
        }
        return new ObjectRecord
        {
            Key = call.Key,
            ContentType = call.Header("Content-Type") is { Length: > 0 } type ? type : "binary/octet-stream",
            Modified = call.Now,
            Owner = call.CallerId,
            UserMetadata = user,
            SystemMetadata = S3Lock.Apply(call, system),
        };
    }

    public static WriteConditions Conditions(S3Call call)
    {
        if (call.Header("If-None-Match") is { } none && none != "*")
        {
            throw S3Fault.NotImplemented("If-None-Match with anything but *");
        }
        var match = call.Header("If-Match");
        return call.Header("If-None-Match") is null && match is null ? WriteConditions.None : new WriteConditions
        {
            MustNotExist = call.Header("If-None-Match") is not null,
            ETagIn = match is not null && match != "*" ? [match.Trim('"')] : [],
            MustExist = match == "*",
        };
    }

    public static void WriteVersion(S3Call call, ObjectRecord record)
    {
        if (!record.IsNullVersion || call.BucketRecord.Versioning != BucketVersioning.Off)
        {
            call.Reply("x-amz-version-id", VersionOf(record));
        }
    }

    /// <summary>What the query puts in place of the object's own headers must come from someone known, and be a header value.</summary>
    private static void CheckOverrides(S3Call call)
    {
        foreach (var name in Kept.Select(kept => kept.Query).Append(TypeOverride))
        {
            if (call.Query(name) is not { } value)
            {
                continue;
            }
            if (call.Operation is null)
            {
                throw S3Fault.InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.");
            }
            if (value.Any(c => c is < ' ' or > '~'))
            {
                throw S3Fault.InvalidArgument($"{name} must be printable ASCII.");
            }
        }
        if (call.Query("partNumber") is not null && call.Header("Range") is not null)
        {
            throw S3Fault.InvalidRequest("Cannot specify both Range header and partNumber query parameter");
        }
    }

    /// <summary>What a link of Swift points to, for a caller who may read that too.</summary>
    private static async ValueTask<ObjectRecord> FollowAsync(S3Call call, ObjectRecord link)
    {
        try
        {
            return (await SwiftSymlinks.FollowAsync(call.AsSwift(call.Key), link)).Record;
        }
        catch (SwiftFault fault)
        {
            throw fault.Status is 401 or 403 ? S3Fault.AccessDenied() : S3Fault.NoSuchKey();
        }
    }

    private static string WithoutChunked(string encodings) => string.Join(", ", encodings
        .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(encoding => encoding != "aws-chunked"));

    private static S3Fault TooLarge() => new(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");

    private static void CheckConditions(S3Call call, string etag, DateTimeOffset modified)
    {
        var seconds = modified.AddTicks(-(modified.Ticks % TimeSpan.TicksPerSecond));
        if (call.Header("If-Match") is { } match ? !Matches(match, etag) : Date(call.Header("If-Unmodified-Since")) is { } unmodified && seconds > unmodified)
        {
            throw S3Fault.PreconditionFailed();
        }
        if (call.Header("If-None-Match") is { } none ? Matches(none, etag) : Date(call.Header("If-Modified-Since")) is { } since && seconds <= since)
        {
            call.Reply("ETag", Quote(etag));
            throw new S3Fault(304, "NotModified", "Not Modified");
        }
    }

    private static bool Matches(string header, string etag) =>
        header.Split(',', 128).Any(item => item.Trim() is var text && (text == "*" || text.Trim('"') == etag));

    private static (long, long) PartRange(S3Call call, ObjectRecord record, long length)
    {
        var number = call.QueryNumber("partNumber", 1, ObjectLimits.PartNumberMax);
        if (record.Parts.Length == 0)
        {
            return number == 1 ? (0, length) : throw new S3Fault(416, "InvalidPartNumber", "The requested partnumber is not satisfiable");
        }
        call.Reply("x-amz-mp-parts-count", record.Parts.Length.ToString(CultureInfo.InvariantCulture));
        long offset = 0;
        for (var index = 0; index < record.Parts.Length; index++)
        {
            if (index + 1 == number)
            {
                return (offset, record.Parts[index].SizeBytes);
            }
            offset += record.Parts[index].SizeBytes;
        }
        throw new S3Fault(416, "InvalidPartNumber", "The requested partnumber is not satisfiable");
    }

    private static (long, long) Unsatisfiable(S3Call call, long length)
    {
        call.Reply("Content-Range", $"bytes */{length}");
        throw new S3Fault(416, "InvalidRange", "The requested range is not satisfiable");
    }

    private static bool IfRangeHolds(S3Call call, string etag, DateTimeOffset modified) => call.Header("If-Range") is not { } header ||
        header.Trim('"') == etag || Date(header) is { } date && modified <= date.AddSeconds(1);

    private static void WriteHeaders(S3Call call, ObjectRecord record, string etag)
    {
        var response = call.Http.Response;
        response.ContentType = call.Query(TypeOverride) ?? record.ContentType;
        call.Reply("ETag", Quote(etag));
        call.Reply("Last-Modified", HttpDate(record.Modified));
        call.Reply("Accept-Ranges", "bytes");
        foreach (var (header, query, key) in Kept)
        {
            if ((call.Query(query) ?? record.SystemMetadata.GetValueOrDefault(key)) is { Length: > 0 } value)
            {
                call.Reply(header, value);
            }
        }
        foreach (var (name, value) in record.UserMetadata)
        {
            call.Reply("x-amz-meta-" + name, value);
        }
        if (record.SystemMetadata.TryGetValue(S3Tags.Key, out var tags))
        {
            call.Reply("x-amz-tagging-count", S3Tags.Count(tags).ToString(CultureInfo.InvariantCulture));
        }
        S3Lifecycle.WriteExpiration(call, record);
        S3Lock.WriteHeaders(call, record);
    }
}

using System.Globalization;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Objects: put, get, copy, delete.</summary>
internal static class S3Objects
{
    public const long MaxPutBytes = 5L * 1024 * 1024 * 1024;
    private const string ChecksumKey = "checksum.";
    private const int MaxUserMetadataChars = 2048;
    private const int MaxDeletes = 1000;

    private static readonly (string Header, string Key)[] Kept =
    [
        ("Content-Disposition", "content-disposition"), ("Content-Language", "content-language"), ("Cache-Control", "cache-control"), ("Expires", "expires"),
    ];

    public static async Task PutAsync(S3Call call)
    {
        call.RequireWrite();
        if (call.Header("x-amz-copy-source") is { } source)
        {
            await CopyAsync(call, source);
            return;
        }
        using var body = call.OpenBody();
        var (payload, md5) = await ReceiveAsync(call, body, allowInline: true);
        var stored = (await call.Engine.Namespace.PutObjectAsync(
            new PutObject
            {
                Bucket = call.Bucket,
                Object = WithChecksums(NewRecord(call), body.Checksums) with { ETag = md5, SizeBytes = payload.LengthBytes, Payload = payload },
                Conditions = Conditions(call),
            },
            call.Cancelled)).OrS3Fault();
        call.Reply("ETag", Quote(md5));
        WriteChecksums(call, stored);
        await WriteVersionAsync(call, stored);
        await call.EmptyAsync(200);
    }

    public static async Task GetAsync(S3Call call)
    {
        var version = call.Query("versionId");
        var record = (await call.Engine.Namespace.GetObjectAsync(call.Bucket, call.Key, Version(version), call.Cancelled)).OrS3Fault();
        if (record.IsDeleteMarker)
        {
            call.Reply("x-amz-delete-marker", "true");
            call.Reply("x-amz-version-id", VersionOf(record));
            throw version is null ? S3Fault.NoSuchKey() : S3Fault.MethodNotAllowed();
        }
        if (record.Expires <= call.Now)
        {
            throw S3Fault.NoSuchKey();
        }
        var swift = new SwiftCall(call.Http, new SwiftPath(SwiftPath.AccountPrefix + call.Account, call.Target.Bucket, call.Key), call.Operation, call.Engine, call.Now);
        var content = await SwiftLargeObjects.ResolveAsync(swift, record);
        var etag = (await SwiftLargeObjects.EtagAsync(swift, record)).Trim('"');
        var part = call.Query("partNumber") is null ? ((long, long)?)null : PartRange(call, record, content.LengthBytes);
        CheckConditions(call, etag, record.Modified);
        WriteHeaders(call, record, etag);
        await WriteVersionAsync(call, record);
        var range = part is { } found ? [found] : ByteRanges.Parse(call.Header("Range"), content.LengthBytes);
        var (offset, length) = range switch
        {
            [] => Unsatisfiable(call, content.LengthBytes),
            [var one] => one,
            // S3 answers several ranges with the whole object.
            _ => (0, content.LengthBytes),
        };
        var response = call.Http.Response;
        response.StatusCode = range is [_] ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK;
        if (range is [_])
        {
            call.Reply("Content-Range", $"bytes {offset}-{offset + length - 1}/{content.LengthBytes}");
        }
        response.ContentLength = length;
        if (!call.IsHead)
        {
            await content.WriteAsync(call.Engine, response.Body, offset, length, call.Cancelled);
        }
    }

    public static async Task DeleteAsync(S3Call call)
    {
        call.RequireWrite();
        var outcome = await RemoveAsync(call, call.Key, call.Query("versionId"), new WriteConditions
        {
            ETagIn = call.Header("If-Match") is { } match && match != "*" ? [match.Trim('"')] : [],
            MustExist = call.Header("If-Match") == "*",
        });
        if (outcome.IsDeleteMarker)
        {
            call.Reply("x-amz-delete-marker", "true");
        }
        if (outcome.Version != default)
        {
            call.Reply("x-amz-version-id", outcome.IsNullVersion ? "null" : outcome.Version.ToString());
        }
        await call.EmptyAsync(204);
    }

    public static async Task DeleteManyAsync(S3Call call)
    {
        call.RequireWrite();
        await S3Buckets.FindAsync(call);
        var request = await call.ReadXmlAsync();
        var items = request.Elements().Where(element => element.Name.LocalName == "Object").ToList();
        if (request.Name.LocalName != "Delete" || items.Count is 0 or > MaxDeletes)
        {
            throw S3Fault.MalformedXml();
        }
        var quiet = request.Child("Quiet")?.Value == "true";
        var result = Element("DeleteResult");
        foreach (var item in items)
        {
            var key = item.Child("Key")?.Value ?? throw S3Fault.MalformedXml();
            var version = item.Child("VersionId")?.Value;
            try
            {
                var outcome = await RemoveAsync(call, key, version, WriteConditions.None);
                if (!quiet)
                {
                    result.Add(Element("Deleted", Element("Key", key), version is { Length: > 0 } ? Element("VersionId", version) : null,
                        outcome.IsDeleteMarker ? (object[])[Element("DeleteMarker", true), Element("DeleteMarkerVersionId", outcome.Version.ToString())] : null));
                }
            }
            catch (S3Fault fault)
            {
                result.Add(Element("Error", Element("Key", key), Element("Code", fault.Code), Element("Message", fault.Message)));
            }
        }
        await call.XmlAsync(200, result);
    }

    public static async ValueTask<(Payload Payload, string Md5)> ReceiveAsync(S3Call call, S3Body body, bool allowInline)
    {
        if (body.AnnouncedBytes is null && call.Http.Request.Headers.TransferEncoding.Count == 0)
        {
            throw new S3Fault(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
        }
        if (body.AnnouncedBytes > MaxPutBytes)
        {
            throw new S3Fault(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");
        }
        await using var writer = new HashingWriter(call.Engine.Payloads, new PayloadOptions { Bucket = call.Bucket, Key = call.Key, AllowInline = allowInline });
        while (true)
        {
            var buffer = writer.GetMemory();
            var read = await body.ReadAsync(buffer, call.Cancelled);
            if (read == 0)
            {
                break;
            }
            await writer.AdvanceAsync(read, call.Cancelled);
            if (writer.LengthBytes > MaxPutBytes)
            {
                throw new S3Fault(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.");
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
        var user = RecordMetadata.Empty.ToBuilder();
        var total = 0;
        foreach (var (name, values) in call.Http.Request.Headers)
        {
            if (name.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase))
            {
                user[name["x-amz-meta-".Length..].ToLowerInvariant()] = values.ToString();
                total += name.Length + values.ToString().Length;
            }
        }
        if (total > MaxUserMetadataChars)
        {
            throw new S3Fault(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.");
        }
        var system = RecordMetadata.Empty.ToBuilder();
        foreach (var (header, key) in Kept)
        {
            if (call.Header(header) is { Length: > 0 } value)
            {
                system[key] = value;
            }
        }
        var encodings = (call.Header("Content-Encoding") ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(encoding => encoding != "aws-chunked").ToList();
        if (encodings.Count > 0)
        {
            system["content-encoding"] = string.Join(", ", encodings);
        }
        return new ObjectRecord
        {
            Key = call.Key,
            ContentType = call.Header("Content-Type") is { Length: > 0 } type ? type : "binary/octet-stream",
            Modified = call.Now,
            Owner = call.Operation.UserId,
            UserMetadata = user.ToImmutable(),
            SystemMetadata = system.ToImmutable(),
        };
    }

    public static ObjectRecord WithChecksums(ObjectRecord record, Dictionary<string, string> checksums) => record with
    {
        SystemMetadata = record.SystemMetadata.SetItems(checksums.Select(item => KeyValuePair.Create(ChecksumKey + item.Key, item.Value))),
    };

    public static WriteConditions Conditions(S3Call call)
    {
        if (call.Header("If-None-Match") is { } none && none != "*")
        {
            throw S3Fault.NotImplemented("If-None-Match with anything but *");
        }
        return new WriteConditions
        {
            MustNotExist = call.Header("If-None-Match") is not null,
            ETagIn = call.Header("If-Match") is { } match && match != "*" ? [match.Trim('"')] : [],
            MustExist = call.Header("If-Match") == "*",
        };
    }

    /// <summary>The object a copy-source header names.</summary>
    public static async ValueTask<ObjectRecord> FindSourceAsync(S3Call call, string source)
    {
        var question = source.IndexOf("?versionId=", StringComparison.Ordinal);
        string bucket, key;
        try
        {
            (bucket, key) = SwiftPath.ParseSource(question < 0 ? source : source[..question]);
        }
        catch (SwiftFault)
        {
            throw S3Fault.InvalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
        }
        var record = (await call.Engine.Namespace.GetObjectAsync(
            new BucketName(call.Account, bucket), key, Version(question < 0 ? null : source[(question + "?versionId=".Length)..]), call.Cancelled)).OrS3Fault();
        if (record.IsDeleteMarker)
        {
            throw S3Fault.NoSuchKey();
        }
        if ((call.Header("x-amz-copy-source-if-match") is { } match && match.Trim('"') != record.ETag) ||
            (call.Header("x-amz-copy-source-if-none-match") is { } none && none.Trim('"') == record.ETag) ||
            (Date(call.Header("x-amz-copy-source-if-unmodified-since")) is { } unmodified && record.Modified > unmodified.AddSeconds(1)) ||
            (Date(call.Header("x-amz-copy-source-if-modified-since")) is { } since && record.Modified <= since))
        {
            throw S3Fault.PreconditionFailed();
        }
        return record;
    }

    public static ValueTask<Content> ContentOfSourceAsync(S3Call call, ObjectRecord record) => SwiftLargeObjects.ResolveAsync(
        new SwiftCall(call.Http, new SwiftPath(SwiftPath.AccountPrefix + call.Account, call.Target.Bucket, record.Key), call.Operation, call.Engine, call.Now), record);

    private static async Task CopyAsync(S3Call call, string source)
    {
        var record = await FindSourceAsync(call, source);
        var replaces = call.Header("x-amz-metadata-directive") switch
        {
            null or "COPY" => false,
            "REPLACE" => true,
            _ => throw S3Fault.InvalidArgument("Unknown metadata directive."),
        };
        if (!replaces && SwiftPath.Decode(source.TrimStart('/')) == $"{call.Target.Bucket}/{call.Key}")
        {
            throw S3Fault.InvalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.");
        }
        var content = await ContentOfSourceAsync(call, record);
        await using var writer = new HashingWriter(call.Engine.Payloads, new PayloadOptions { Bucket = call.Bucket, Key = call.Key });
        await using (var stream = new HashingStream(writer))
        {
            await content.WriteAsync(call.Engine, stream, 0, content.LengthBytes, call.Cancelled);
        }
        var (payload, md5) = await writer.CompleteAsync(call.Cancelled);
        var wanted = NewRecord(call);
        var stored = (await call.Engine.Namespace.PutObjectAsync(
            new PutObject
            {
                Bucket = call.Bucket,
                Object = wanted with
                {
                    ETag = md5,
                    SizeBytes = payload.LengthBytes,
                    Payload = payload,
                    ContentType = replaces ? wanted.ContentType : record.ContentType,
                    UserMetadata = replaces ? wanted.UserMetadata : record.UserMetadata,
                    SystemMetadata = replaces
                        ? wanted.SystemMetadata
                        : record.SystemMetadata.RemoveRange([SwiftObjects.ManifestKey, SwiftLargeObjects.EtagKey, SwiftLargeObjects.SizeKey]),
                },
                Conditions = Conditions(call),
            },
            call.Cancelled)).OrS3Fault();
        await WriteVersionAsync(call, stored);
        await call.XmlAsync(200, Element("CopyObjectResult", Element("LastModified", Iso(stored.Modified)), Element("ETag", Quote(md5))));
    }

    private static async ValueTask<DeleteOutcome> RemoveAsync(S3Call call, string key, string? version, WriteConditions conditions)
    {
        var outcome = await call.Engine.Namespace.DeleteObjectAsync(
            new DeleteObject
            {
                Bucket = call.Bucket,
                Key = key,
                Version = Version(version),
                Conditions = conditions,
                Owner = call.Operation.UserId,
                Now = call.Now,
            },
            call.Cancelled);
        return outcome.Status is EngineStatus.NoSuchKey or EngineStatus.NoSuchVersion ? default : outcome.OrS3Fault();
    }

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

    private static void WriteHeaders(S3Call call, ObjectRecord record, string etag)
    {
        var response = call.Http.Response;
        response.ContentType = call.Query("response-content-type") ?? record.ContentType;
        call.Reply("ETag", Quote(etag));
        call.Reply("Last-Modified", HttpDate(record.Modified));
        call.Reply("Accept-Ranges", "bytes");
        foreach (var (header, key) in Kept.Append(("Content-Encoding", "content-encoding")))
        {
            if ((call.Query("response-" + header.ToLowerInvariant()) ?? record.SystemMetadata.GetValueOrDefault(key)) is { Length: > 0 } value)
            {
                call.Reply(header, value);
            }
        }
        foreach (var (name, value) in record.UserMetadata)
        {
            call.Reply("x-amz-meta-" + name, value);
        }
        if (call.Header("x-amz-checksum-mode") == "ENABLED")
        {
            WriteChecksums(call, record);
        }
    }

    private static void WriteChecksums(S3Call call, ObjectRecord record)
    {
        foreach (var (key, value) in record.SystemMetadata)
        {
            if (key.StartsWith(ChecksumKey, StringComparison.Ordinal))
            {
                call.Reply(S3Checksum.HeaderPrefix + key[ChecksumKey.Length..], value);
            }
        }
    }

    private static async ValueTask WriteVersionAsync(S3Call call, ObjectRecord record)
    {
        if (!record.IsNullVersion || (await S3Buckets.FindAsync(call)).Versioning != BucketVersioning.Off)
        {
            call.Reply("x-amz-version-id", VersionOf(record));
        }
    }

    private static DateTimeOffset? Date(string? header) =>
        DateTimeOffset.TryParse(header, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) ? date : null;
}

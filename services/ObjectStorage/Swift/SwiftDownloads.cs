using System.Globalization;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Reading objects: conditions, ranges, large objects.</summary>
internal static class SwiftDownloads
{
    public static async Task GetAsync(SwiftCall call)
    {
        var container = await SwiftContainers.FindAsync(call, call.Bucket);
        SwiftAccess.RequireRead(call, container, listing: false);
        var record = await SwiftObjects.FindAsync(call, call.Bucket, call.Path.Object, SwiftVersioning.SelectorOf(call));
        SwiftVersioning.WriteVersion(call, container, record);
        if (record.SystemMetadata.ContainsKey(SwiftSymlinks.TargetKey))
        {
            if (call.Query("symlink") == "get")
            {
                WriteHeaders(call, record, record.ETag);
                SwiftSymlinks.WriteHeaders(call, record);
                await SendAsync(call, Content.Of(record), record.ETag, record.Modified, record.ContentType);
                return;
            }
            var link = call;
            (call, record) = await SwiftSymlinks.FollowAsync(call, record);
            call.Reply("Content-Location", SwiftFace.Prefix + SwiftPath.Encode($"{call.Path.Account}/{call.Path.Container}/{call.Path.Object}"));
            call.IsSigned = link.IsSigned;
        }
        if (call.Query("multipart-manifest") == "get" && SwiftLargeObjects.IsStatic(record))
        {
            WriteHeaders(call, record, record.ETag);
            await SendAsync(call, Content.Of(record), record.ETag, record.Modified, "application/json; charset=utf-8");
            return;
        }
        var content = await SwiftLargeObjects.ResolveAsync(call, record);
        if (call.Query("part-number") is { } part)
        {
            await SendPartAsync(call, record, content, part);
            return;
        }
        var etag = await SwiftLargeObjects.EtagAsync(call, record);
        WriteHeaders(call, record, etag);
        await SendAsync(call, content, etag, record.Modified, record.ContentType);
    }

    /// <summary>One segment or part of a composed object, by its number from 1.</summary>
    private static async Task SendPartAsync(SwiftCall call, ObjectRecord record, Content content, string text)
    {
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < 1)
        {
            throw SwiftFault.BadRequest("Part number must be an integer greater than 0");
        }
        var sizes = record.Parts.Length > 0 ? record.Parts.Select(part => part.SizeBytes).ToList()
            : SwiftLargeObjects.IsStatic(record) ? content.Pieces.Select(piece => piece.LengthBytes).ToList()
            : [content.LengthBytes];
        if (number > sizes.Count)
        {
            call.Reply("Content-Range", $"bytes */{content.LengthBytes}");
            throw new SwiftFault(416, "The requested part number is not satisfiable");
        }
        var etag = await SwiftLargeObjects.EtagAsync(call, record);
        WriteHeaders(call, record, etag);
        call.Reply("X-Parts-Count", sizes.Count.ToString(CultureInfo.InvariantCulture));
        var (offset, length) = (sizes.Take(number - 1).Sum(), sizes[number - 1]);
        call.Reply("Content-Range", $"bytes {offset}-{offset + length - 1}/{content.LengthBytes}");
        await StartAsync(call, 206, record.ContentType, length);
        if (!call.IsHead)
        {
            await content.WriteAsync(call.Engine, call.Http.Response.Body, offset, length, call.Cancelled);
        }
    }

    private static void WriteHeaders(SwiftCall call, ObjectRecord record, string etag)
    {
        call.Reply("ETag", etag);
        call.Reply("Last-Modified", SwiftTime.HttpDate(record.Modified));
        call.Reply("X-Timestamp", SwiftTime.Timestamp(record.Modified));
        call.Reply("Accept-Ranges", "bytes");
        foreach (var (header, key) in SwiftObjects.KeptHeaders)
        {
            if (record.SystemMetadata.TryGetValue(key, out var value))
            {
                call.Reply(header, value);
            }
        }
        if (record.SystemMetadata.TryGetValue(SwiftObjects.ManifestKey, out var manifest))
        {
            call.Reply("X-Object-Manifest", SwiftPath.Encode(manifest));
        }
        if (SwiftLargeObjects.IsStatic(record))
        {
            call.Reply("X-Static-Large-Object", "True");
            call.Reply("X-Manifest-Etag", record.ETag);
        }
        if (record.Expires is { } expires)
        {
            call.Reply("X-Delete-At", expires.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        }
        SwiftMetadata.Write(call, "Object", record.UserMetadata);
        SwiftTempUrl.WriteDisposition(call);
    }

    private static async Task SendAsync(SwiftCall call, Content content, string etag, DateTimeOffset modified, string contentType)
    {
        var bare = etag.Trim('"');
        var seconds = DateTimeOffset.Parse(SwiftTime.HttpDate(modified), CultureInfo.InvariantCulture);
        if (call.Header("If-Match") is { } match && !Matches(match, bare))
        {
            throw SwiftFault.PreconditionFailed();
        }
        if (call.Header("If-Match") is null && Date(call.Header("If-Unmodified-Since")) is { } unmodified && seconds > unmodified)
        {
            throw SwiftFault.PreconditionFailed();
        }
        if (call.Header("If-None-Match") is { } none
            ? Matches(none, bare)
            : Date(call.Header("If-Modified-Since")) is { } since && seconds <= since)
        {
            await call.EmptyAsync(304, contentType);
            return;
        }
        var range = call.Header("If-Range") is { } ifRange && ifRange.Trim('"') != bare && Date(ifRange) != seconds ? null : call.Header("Range");
        var ranges = ByteRanges.Parse(range, content.LengthBytes);
        var response = call.Http.Response;
        switch (ranges)
        {
            case null:
                await StartAsync(call, 200, contentType, content.LengthBytes);
                if (!call.IsHead)
                {
                    await content.WriteAsync(call.Engine, response.Body, 0, content.LengthBytes, call.Cancelled);
                }
                break;
            case []:
                call.Reply("Content-Range", $"bytes */{content.LengthBytes}");
                throw new SwiftFault(416, "The Range requested is not available.");
            case [var (offset, length)]:
                call.Reply("Content-Range", $"bytes {offset}-{offset + length - 1}/{content.LengthBytes}");
                await StartAsync(call, 206, contentType, length);
                if (!call.IsHead)
                {
                    await content.WriteAsync(call.Engine, response.Body, offset, length, call.Cancelled);
                }
                break;
            default:
                await MultipartRanges.SendAsync(call.Engine, call.Http, content, ranges, contentType);
                break;
        }
    }

    private static Task StartAsync(SwiftCall call, int status, string contentType, long length)
    {
        call.Http.Response.StatusCode = status;
        call.Reply("Content-Type", contentType);
        call.Http.Response.ContentLength = length;
        return Task.CompletedTask;
    }

    private static bool Matches(string header, string etag) =>
        header.Split(',', 128).Any(item => item.Trim() is var text && (text == "*" || text.Trim('"') == etag));

    private static DateTimeOffset? Date(string? header) =>
        DateTimeOffset.TryParseExact(header, "R", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) ? date : null;
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Client.Objects;
using Nephos.Hosting.Rest;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Objects made of other objects: static ones by a checked manifest, dynamic ones by a prefix.</summary>
internal static class SwiftLargeObjects
{
    public const int MaxSegments = 1000;
    public const int MaxManifestBytes = 8 * 1024 * 1024;

    /// <summary>System metadata of a static large object: MD5 over its segments' ETags, and the size of the whole.</summary>
    public const string EtagKey = "slo.etag";

    public const string SizeKey = "slo.size";
    private const int MaxDepth = 10;
    private const int MaxJsonDepth = 8;

    public static bool IsStatic(ObjectRecord record) => record.SystemMetadata.ContainsKey(EtagKey);

    /// <summary>What a reader gets are not the object's own bytes.</summary>
    public static bool IsComposed(ObjectRecord record) => IsStatic(record) || record.SystemMetadata.ContainsKey(SwiftObjects.ManifestKey);

    // A listing has the note only: "slo <size> <etag>".
    public static long ListedSize(ObjectSummary summary) =>
        NoteOf(summary) is [_, var size, _] ? long.Parse(size, CultureInfo.InvariantCulture) : summary.SizeBytes;

    public static string ListedHash(ObjectSummary summary) => summary.ETag;

    public static string? ListedEtag(ObjectSummary summary) => NoteOf(summary) is [_, _, var etag] ? etag : null;

    public static async Task PutManifestAsync(SwiftCall call, BucketRecord container)
    {
        var segments = Parse(await ReadBodyAsync(call));
        var (resolved, problems) = (new JsonArray(), new List<string>());
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        long total = 0;
        foreach (var segment in segments)
        {
            var (bucket, key) = SwiftPath.ParseSource(Uri.EscapeDataString(segment.Path.TrimStart('/')).Replace("%2F", "/", StringComparison.Ordinal));
            var outcome = await call.Engine.Namespace.GetObjectAsync(
                new BucketName(call.Path.Project, bucket), key, VersionSelector.Current, call.Cancelled);
            if (outcome is not { IsOk: true, Value: { IsDeleteMarker: false } record })
            {
                problems.Add($"{segment.Path}, 404 Not Found");
                continue;
            }
            var size = record.SystemMetadata.TryGetValue(SizeKey, out var nested) ? long.Parse(nested, CultureInfo.InvariantCulture) : record.SizeBytes;
            var etag = record.SystemMetadata.GetValueOrDefault(EtagKey, record.ETag);
            if (segment.SizeBytes is { } wanted && wanted != size)
            {
                problems.Add($"{segment.Path}, Size Mismatch");
            }
            if (segment.ETag is { } wantedEtag && wantedEtag.Trim('"') != etag && wantedEtag.Trim('"') != record.ETag)
            {
                problems.Add($"{segment.Path}, Etag Mismatch");
            }
            var range = segment.Range is null ? [(0L, size)] : ByteRanges.Parse($"bytes={segment.Range}", size);
            if (range is not [var (offset, length)] || length == 0)
            {
                problems.Add($"{segment.Path}, Unsatisfiable Range");
                continue;
            }
            md5.AppendData(Encoding.ASCII.GetBytes(segment.Range is null ? etag : $"{etag}:{offset}-{offset + length - 1};"));
            total += length;
            var item = new JsonObject
            {
                ["name"] = $"/{bucket}/{key}",
                ["bytes"] = size,
                ["hash"] = etag,
                ["content_type"] = record.ContentType,
                ["last_modified"] = SwiftTime.Iso(record.Modified),
            };
            if (segment.Range is not null)
            {
                item["range"] = $"{offset}-{offset + length - 1}";
            }
            if (IsStatic(record))
            {
                item["sub_slo"] = true;
            }
            resolved.Add(item);
        }
        if (problems.Count > 0)
        {
            throw SwiftFault.BadRequest("Errors:\n" + string.Join('\n', problems) + "\n");
        }
        var sloEtag = Convert.ToHexStringLower(md5.GetHashAndReset());
        if (call.Header("ETag") is { Length: > 0 } given && given.Trim('"') != sloEtag)
        {
            throw SwiftFault.Unprocessable();
        }
        var stored = await StoreAsync(call, container, Encoding.UTF8.GetBytes(resolved.ToJsonString()), sloEtag, total);
        call.Reply("ETag", $"\"{sloEtag}\"");
        call.Reply("Last-Modified", SwiftTime.HttpDate(stored.Modified));
        await call.EmptyAsync(201);
    }

    /// <summary>Keeps a manifest that another cluster checked already, whose segments may come later.</summary>
    public static async Task PutSyncedAsync(SwiftCall call, BucketRecord container)
    {
        var manifest = await ReadBodyAsync(call);
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        long total = 0;
        foreach (var segment in Parse(manifest))
        {
            if (segment is not { SizeBytes: { } size, ETag: { } etag } ||
                (segment.Range is null ? [(0L, size)] : ByteRanges.Parse($"bytes={segment.Range}", size)) is not [var (offset, length)])
            {
                throw SwiftFault.BadRequest("A copied manifest names the size and the ETag of each segment, and ranges inside it.");
            }
            md5.AppendData(Encoding.ASCII.GetBytes(segment.Range is null ? etag : $"{etag}:{offset}-{offset + length - 1};"));
            total += length;
        }
        await StoreAsync(call, container, manifest, Convert.ToHexStringLower(md5.GetHashAndReset()), total);
        await call.EmptyAsync(201);
    }

    /// <summary>Deletes the segments and then the manifest; tells how many.</summary>
    public static async Task DeleteAsync(SwiftCall call)
    {
        var record = await SwiftObjects.FindAsync(call, call.Bucket, call.Path.Object);
        if (!IsStatic(record))
        {
            throw SwiftFault.BadRequest("Not an SLO manifest");
        }
        var (deleted, missing) = (0, 0);
        foreach (var segment in Parse(await ReadManifestAsync(call, record)))
        {
            var (bucket, key) = SwiftPath.ParseSource(Uri.EscapeDataString(segment.Path.TrimStart('/')).Replace("%2F", "/", StringComparison.Ordinal));
            if (await SwiftObjects.RemoveAsync(call, new BucketName(call.Path.Project, bucket), key))
            {
                deleted++;
            }
            else
            {
                missing++;
            }
        }
        await SwiftObjects.RemoveAsync(call, call.Bucket, call.Path.Object);
        deleted++;
        if (call.Header("Accept")?.Contains("application/json", StringComparison.OrdinalIgnoreCase) == true)
        {
            var answer = new JsonObject
            {
                ["Number Deleted"] = deleted,
                ["Number Not Found"] = missing,
                ["Response Body"] = "",
                ["Response Status"] = "200 OK",
                ["Errors"] = new JsonArray(),
            };
            await call.TextAsync(200, answer.ToJsonString(), "application/json");
            return;
        }
        await call.TextAsync(
            200, $"Number Deleted: {deleted}\nNumber Not Found: {missing}\nResponse Body: \nResponse Status: 200 OK\nErrors:\n", "text/plain");
    }

    /// <summary>The bytes a reader gets: the object's own, or its segments' in order.</summary>
    public static ValueTask<Content> ResolveAsync(SwiftCall call, ObjectRecord record) => ResolveAsync(call, record, 0);

    /// <summary>As the header shows it: bare for plain objects, quoted for composed ones.</summary>
    public static async ValueTask<string> EtagAsync(SwiftCall call, ObjectRecord record)
    {
        if (record.SystemMetadata.TryGetValue(EtagKey, out var slo))
        {
            return $"\"{slo}\"";
        }
        if (!record.SystemMetadata.TryGetValue(SwiftObjects.ManifestKey, out var manifest))
        {
            return record.ETag;
        }
        var etags = string.Concat((await ListSegmentsAsync(call, manifest)).Select(segment => segment.ETag));
        return $"\"{Convert.ToHexStringLower(MD5.HashData(Encoding.ASCII.GetBytes(etags)))}\"";
    }

    private static async ValueTask<Content> ResolveAsync(SwiftCall call, ObjectRecord record, int depth)
    {
        if (depth > MaxDepth)
        {
            throw SwiftFault.Conflict();
        }
        if (IsStatic(record))
        {
            var pieces = new List<ContentPiece>();
            foreach (var segment in Parse(await ReadManifestAsync(call, record)))
            {
                var (bucket, key) = SwiftPath.ParseSource(Uri.EscapeDataString(segment.Path.TrimStart('/')).Replace("%2F", "/", StringComparison.Ordinal));
                var outcome = await call.Engine.Namespace.GetObjectAsync(
                    new BucketName(call.Path.Project, bucket), key, VersionSelector.Current, call.Cancelled);
                // A segment that is gone or was replaced must not be served as what the manifest promised.
                if (outcome is not { IsOk: true, Value: { IsDeleteMarker: false } found } ||
                    (segment.ETag is { } etag && found.SystemMetadata.GetValueOrDefault(EtagKey, found.ETag) != etag))
                {
                    throw SwiftFault.Conflict();
                }
                var content = await ResolveAsync(call, found, depth + 1);
                pieces.AddRange(segment.Range is null
                    ? content.Pieces
                    : Cut(content, ByteRanges.Parse($"bytes={segment.Range}", content.LengthBytes) is [var range] ? range : throw SwiftFault.Conflict()));
            }
            return new Content(pieces);
        }
        if (!record.SystemMetadata.TryGetValue(SwiftObjects.ManifestKey, out var manifest))
        {
            return Content.Of(record);
        }
        var parts = new List<ContentPiece>();
        var container = manifest[..manifest.IndexOf('/', StringComparison.Ordinal)];
        foreach (var summary in await ListSegmentsAsync(call, manifest))
        {
            var found = await SwiftObjects.FindAsync(call, new BucketName(call.Path.Project, container), summary.Key);
            parts.AddRange(Content.Of(found).Pieces);
        }
        return new Content(parts);
    }

    private static async ValueTask<ObjectRecord> StoreAsync(SwiftCall call, BucketRecord container, byte[] manifest, string etag, long totalBytes)
    {
        await using var writer = new HashingWriter(call.Engine.Payloads, StoragePolicies.PayloadOf(container, call.Path.Object));
        await writer.WriteAsync(manifest, call.Cancelled);
        var (payload, manifestEtag) = await writer.CompleteAsync(call.Cancelled);
        var record = SwiftObjects.NewRecord(call);
        var size = totalBytes.ToString(CultureInfo.InvariantCulture);
        return await SwiftObjects.CommitAsync(call, container, record with
        {
            ETag = manifestEtag,
            SizeBytes = payload.LengthBytes,
            Payload = payload,
            Note = $"slo {size} {etag}",
            SystemMetadata = record.SystemMetadata.SetItem(EtagKey, etag).SetItem(SizeKey, size),
        });
    }

    private static IEnumerable<ContentPiece> Cut(Content content, (long Offset, long Length) range)
    {
        var (offset, length) = range;
        foreach (var piece in content.Pieces)
        {
            if (offset >= piece.LengthBytes)
            {
                offset -= piece.LengthBytes;
                continue;
            }
            var take = Math.Min(length, piece.LengthBytes - offset);
            if (take == 0)
            {
                yield break;
            }
            yield return new ContentPiece(piece.Payload, piece.OffsetBytes + offset, take);
            (offset, length) = (0, length - take);
        }
    }

    private static async ValueTask<List<ObjectSummary>> ListSegmentsAsync(SwiftCall call, string manifest)
    {
        var slash = manifest.IndexOf('/', StringComparison.Ordinal);
        var outcome = await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects
            {
                Bucket = new BucketName(call.Path.Project, manifest[..slash]),
                Prefix = manifest[(slash + 1)..],
                Limit = SwiftListing.MaxLimit,
            },
            call.Cancelled);
        if (outcome.Status is EngineStatus.NoSuchBucket)
        {
            throw SwiftFault.NotFound();
        }
        return [.. outcome.OrThrow(call.Bucket).Entries.Select(entry => entry.Object).OfType<ObjectSummary>()];
    }

    private static async ValueTask<byte[]> ReadManifestAsync(SwiftCall call, ObjectRecord record)
    {
        using var manifest = new MemoryStream();
        await Content.Of(record).WriteAsync(call.Engine, manifest, 0, record.SizeBytes, call.Cancelled);
        return manifest.ToArray();
    }

    private static async ValueTask<byte[]> ReadBodyAsync(SwiftCall call)
    {
        using var body = new MemoryStream();
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await call.Http.Request.Body.ReadAsync(buffer, call.Cancelled)) > 0)
        {
            if (body.Length + read > MaxManifestBytes)
            {
                throw new SwiftFault(413, $"Manifest is limited to {MaxManifestBytes} bytes", plain: true);
            }
            body.Write(buffer, 0, read);
        }
        return body.ToArray();
    }

    private static List<Segment> Parse(byte[] json)
    {
        try
        {
            var segments = StrictJson.Parse(json, MaxJsonDepth) as JsonArray ?? throw SwiftFault.BadRequest("Manifest must be a list.\n");
            if (segments.Count is 0 or > MaxSegments)
            {
                throw SwiftFault.BadRequest($"A manifest has 1 to {MaxSegments} segments.\n");
            }
            return [.. segments.Select((node, index) => node is JsonObject item
                ? new Segment(
                    Text(item, "path") ?? Text(item, "name") ?? throw SwiftFault.BadRequest($"Index {index}: missing key \"path\"\n"),
                    Text(item, "etag") ?? Text(item, "hash"),
                    Size(item),
                    Text(item, "range"))
                : throw SwiftFault.BadRequest($"Index {index}: not a JSON object\n"))];
        }
        catch (JsonException)
        {
            throw SwiftFault.BadRequest("Manifest must be valid JSON.\n");
        }
    }

    private static string? Text(JsonObject item, string name) => item[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static long? Size(JsonObject item)
    {
        if ((item["size_bytes"] ?? item["bytes"]) is not { } node)
        {
            return null;
        }
        return node is JsonValue value && (value.TryGetValue<long>(out var size) ||
            (value.TryGetValue<string>(out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size)))
                ? size
                : throw SwiftFault.BadRequest("Index: invalid size_bytes\n");
    }

    private static string[] NoteOf(ObjectSummary summary) => summary.Note.StartsWith("slo ", StringComparison.Ordinal) ? summary.Note.Split(' ') : [];

    private readonly record struct Segment(string Path, string? ETag, long? SizeBytes, string? Range);
}

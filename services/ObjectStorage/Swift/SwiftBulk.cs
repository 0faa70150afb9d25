using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Many objects in one request: deletes by a list of names, uploads by an archive. The answer is 200 with the outcome in its body.</summary>
internal static class SwiftBulk
{
    public const int MaxDeletes = 10_000;
    public const int MaxFailures = 1000;
    public const int MaxContainers = 10_000;
    private const int MaxLineBytes = 3 * (SwiftPath.MaxContainerBytes + SwiftPath.MaxObjectBytes + 2);

    public static bool IsDelete(SwiftCall call) => call.Query("bulk-delete") is not null;

    public static bool IsExtract(SwiftCall call) => call.Query("extract-archive") is not null;

    public static async Task DeleteAsync(SwiftCall call)
    {
        if (call.Http.Request.ContentLength is null && call.Http.Request.Headers.TransferEncoding.Count == 0)
        {
            throw new SwiftFault(411, "Missing Content-Length header.", plain: true);
        }
        var (deleted, missing) = (0, 0);
        var errors = new List<(string Name, string Status)>();
        var status = "200 OK";
        var count = 0;
        await foreach (var line in ReadLinesAsync(call))
        {
            if (++count > MaxDeletes || errors.Count == MaxFailures)
            {
                status = count > MaxDeletes ? "413 Request Entity Too Large" : "400 Bad Request";
                break;
            }
            try
            {
                switch (await DeleteOneAsync(call, line))
                {
                    case 204:
                        deleted++;
                        break;
                    default:
                        missing++;
                        break;
                }
            }
            catch (SwiftFault fault)
            {
                errors.Add((line, $"{fault.Status} {SwiftFault.TitleOf(fault.Status)}"));
            }
        }
        if (status == "200 OK" && errors.Count > 0)
        {
            status = errors.All(error => error.Status.StartsWith("401", StringComparison.Ordinal)) ? "401 Unauthorized" : "400 Bad Request";
        }
        else if (status == "200 OK" && deleted + missing == 0)
        {
            status = "400 Bad Request";
        }
        await AnswerAsync(call, [("Number Deleted", deleted), ("Number Not Found", missing)], status, errors);
    }

    public static async Task ExtractAsync(SwiftCall call)
    {
        var body = call.Http.Request.Body;
        await using var archive = call.Query("extract-archive") switch
        {
            "tar" => body,
            "tar.gz" => new GZipStream(body, CompressionMode.Decompress, leaveOpen: true),
            _ => throw SwiftFault.BadRequest("Unsupported archive format: tar and tar.gz are"),
        };
        var created = 0;
        var errors = new List<(string Name, string Status)>();
        var containers = new Dictionary<string, BucketRecord>(StringComparer.Ordinal);
        var status = "201 Created";
        try
        {
            await using var reader = new TarReader(archive, leaveOpen: true);
            while (await NextAsync(reader, call.Cancelled) is { } entry)
            {
                if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile))
                {
                    continue;
                }
                var name = entry.Name.StartsWith("./", StringComparison.Ordinal) ? entry.Name[2..] : entry.Name.TrimStart('/');
                if (TargetOf(call, name) is not { } target)
                {
                    continue;
                }
                try
                {
                    await StoreAsync(target, entry, containers);
                    created++;
                }
                catch (SwiftFault fault)
                {
                    errors.Add((name, $"{fault.Status} {SwiftFault.TitleOf(fault.Status)}"));
                    if (errors.Count == MaxFailures || fault.Status == 401)
                    {
                        break;
                    }
                }
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            status = "400 Bad Request";
            errors.Add(("", "Invalid Tar File"));
        }
        if (errors.Count > 0)
        {
            status = errors.All(error => error.Status.StartsWith("401", StringComparison.Ordinal)) ? "401 Unauthorized" : "400 Bad Request";
        }
        else if (created == 0)
        {
            status = "400 Bad Request";
        }
        await AnswerAsync(call, [("Number Files Created", created)], status, errors);
    }

    /// <exception cref="InvalidDataException">Also for what the reader of the platform stumbles over: numbers and times that are out of every range.</exception>
    private static async ValueTask<TarEntry?> NextAsync(TarReader reader, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.GetNextEntryAsync(copyData: false, cancellationToken);
        }
        catch (Exception exception) when (exception is ArgumentException or FormatException or OverflowException or NotSupportedException)
        {
            throw new InvalidDataException("A header of the archive is malformed.", exception);
        }
    }

    /// <returns>204 when something was deleted, 404 when nothing was there.</returns>
    private static async ValueTask<int> DeleteOneAsync(SwiftCall call, string line)
    {
        var path = SwiftPath.Parse($"{SwiftPath.Encode(call.Path.Account)}/{line.TrimStart('/')}");
        var target = call.At(path);
        if (path.Container.Length == 0)
        {
            throw SwiftFault.BadRequest("A line names a container or an object");
        }
        try
        {
            if (path.Object.Length == 0)
            {
                SwiftAccess.RequireOwner(target);
                var status = await call.Engine.Namespace.DeleteBucketAsync(target.Bucket, call.Cancelled);
                return status switch
                {
                    EngineStatus.BucketNotEmpty => throw SwiftFault.Conflict(),
                    EngineStatus.NoSuchBucket or EngineStatus.NoSuchAccount => 404,
                    _ => 204,
                };
            }
            var container = await SwiftContainers.FindAsync(target, target.Bucket);
            SwiftAccess.RequireWrite(target, container);
            return await SwiftVersions.DeleteAsync(target, container) || await SwiftObjects.RemoveAsync(target, target.Bucket, path.Object) ? 204 : 404;
        }
        catch (SwiftFault fault) when (fault.Status == 404)
        {
            return 404;
        }
        catch (FaultException fault)
        {
            throw SwiftObjects.FaultOf(fault);
        }
    }

    /// <summary>Where a file of the archive goes: below what the request names. Null for a file that would be no object.</summary>
    private static SwiftCall? TargetOf(SwiftCall call, string name)
    {
        var full = string.Join('/', new[] { call.Path.Container, call.Path.Object.TrimEnd('/'), name }.Where(part => part.Length > 0));
        var slash = full.IndexOf('/', StringComparison.Ordinal);
        return slash <= 0 || slash == full.Length - 1 ? null : call.At(new SwiftPath(call.Path.Account, full[..slash], full[(slash + 1)..]));
    }

    private static async ValueTask StoreAsync(SwiftCall target, TarEntry entry, Dictionary<string, BucketRecord> containers)
    {
        SwiftPath.Check(target.Path);
        if (!containers.TryGetValue(target.Path.Container, out var container))
        {
            if (containers.Count == MaxContainers)
            {
                throw SwiftFault.BadRequest($"More than {MaxContainers} containers to create");
            }
            container = await FindOrCreateAsync(target);
            SwiftAccess.RequireWrite(target, container);
            containers[target.Path.Container] = container;
        }
        var user = RecordMetadata.Empty;
        var type = ContentTypes.OfName(target.Path.Object);
        if (entry is PaxTarEntry pax)
        {
            foreach (var (name, value) in pax.ExtendedAttributes)
            {
                const string Xattr = "SCHILY.xattr.user.";
                if (name == Xattr + "mime_type")
                {
                    type = value;
                }
                else if (name.StartsWith(Xattr + "meta.", StringComparison.Ordinal))
                {
                    user = user.SetItem(name[(Xattr.Length + 5)..].ToLowerInvariant(), value);
                }
            }
            SwiftMetadata.Check(user);
        }
        try
        {
            await SwiftObjects.StoreAsync(
                target,
                container,
                new ObjectRecord { Key = target.Path.Object, ContentType = type, Modified = target.Now, Owner = target.Operation?.UserId ?? "", UserMetadata = user },
                entry.DataStream ?? Stream.Null,
                SwiftObjects.MaxObjectBytes,
                announcedBytes: null,
                etag: null);
        }
        catch (FaultException fault)
        {
            throw SwiftObjects.FaultOf(fault);
        }
    }

    private static async ValueTask<BucketRecord> FindOrCreateAsync(SwiftCall target)
    {
        var found = await target.Engine.Namespace.GetBucketAsync(target.Bucket, target.Cancelled);
        if (found.IsOk || !SwiftAccess.IsOwner(target))
        {
            return found.IsOk ? found.Value! : throw SwiftAccess.Denied(target);
        }
        var created = await target.Engine.Namespace.CreateBucketAsync(
            new BucketRecord { Name = target.Bucket, Created = target.Now, Modified = target.Now, Owner = target.Operation!.UserId }, target.Cancelled);
        return created is { Status: EngineStatus.BucketExists, Value: { } existing } ? existing : created.OrThrow(target.Bucket);
    }

    private static async IAsyncEnumerable<string> ReadLinesAsync(SwiftCall call)
    {
        using var reader = new StreamReader(call.Http.Request.Body, Encoding.UTF8, detectEncodingFromByteOrderMarks: false, 16 * 1024, leaveOpen: true);
        var line = new StringBuilder();
        var buffer = new char[8192];
        int read;
        while ((read = await reader.ReadAsync(buffer, call.Cancelled)) > 0)
        {
            foreach (var c in buffer.AsMemory(0, read).ToArray())
            {
                if (c == '\n')
                {
                    if (line.ToString().Trim() is { Length: > 0 } text)
                    {
                        yield return text;
                    }
                    line.Clear();
                }
                else if (line.Append(c).Length > MaxLineBytes)
                {
                    throw SwiftFault.BadRequest("Invalid File Name");
                }
            }
        }
        if (line.ToString().Trim() is { Length: > 0 } last)
        {
            yield return last;
        }
    }

    private static async Task AnswerAsync(
        SwiftCall call, (string Name, int Count)[] counts, string status, List<(string Name, string Status)> errors)
    {
        var accept = call.Header("Accept") ?? "";
        if (accept.Contains("application/json", StringComparison.OrdinalIgnoreCase))
        {
            var json = new JsonObject { ["Response Status"] = status, ["Response Body"] = "" };
            foreach (var (name, count) in counts)
            {
                json[name] = count;
            }
            json["Errors"] = new JsonArray([.. errors.Select(error => new JsonArray(error.Name, error.Status))]);
            await call.TextAsync(200, json.ToJsonString(), "application/json");
            return;
        }
        if (accept.Contains("xml", StringComparison.OrdinalIgnoreCase))
        {
            var xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<delete>\n");
            foreach (var (name, count) in counts)
            {
                var tag = name.ToLowerInvariant().Replace(' ', '_');
                xml.Append(CultureInfo.InvariantCulture, $"<{tag}>{count}</{tag}>\n");
            }
            xml.Append(CultureInfo.InvariantCulture, $"<response_body></response_body>\n<response_status>{status}</response_status>\n<errors>\n");
            foreach (var (name, problem) in errors)
            {
                xml.Append(CultureInfo.InvariantCulture, $"<object><name>{System.Security.SecurityElement.Escape(name)}</name><status>{problem}</status></object>\n");
            }
            await call.TextAsync(200, xml.Append("</errors>\n</delete>\n").ToString(), "application/xml");
            return;
        }
        var text = new StringBuilder();
        foreach (var (name, count) in counts)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}: {count}\n");
        }
        text.Append(CultureInfo.InvariantCulture, $"Response Body: \nResponse Status: {status}\nErrors:\n");
        foreach (var (name, problem) in errors)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}, {problem}\n");
        }
        await call.TextAsync(200, text.ToString(), "text/plain");
    }
}

using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Nephos.Client.Objects;
using Nephos.Kernel.Errors;
using Nephos.ObjectStorage.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Uploads from a browser's form, allowed by a signature over the path, the limits and the expiry.</summary>
internal static class SwiftFormPost
{
    private const int MaxFields = 64;
    private const int MaxFieldBytes = 4096;
    private const int MaxBoundaryChars = 200;

    public static bool IsForm(SwiftCall call) =>
        call.Path.Container.Length > 0 && MediaTypeHeaderValue.TryParse(call.Header("Content-Type"), out var type) &&
        type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase) && type.Boundary.Length > 0;

    public static async Task PostAsync(SwiftCall call)
    {
        var boundary = HeaderUtilities.RemoveQuotes(MediaTypeHeaderValue.Parse(call.Header("Content-Type")).Boundary).ToString();
        if (boundary.Length is 0 or > MaxBoundaryChars)
        {
            throw SwiftFault.BadRequest("FormPost: invalid boundary");
        }
        var reader = new MultipartReader(boundary, call.Http.Request.Body) { HeadersLengthLimit = 16 * 1024 };
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        var files = 0;
        var (status, message) = (201, "");
        BucketRecord? container = null;
        try
        {
            while (await reader.ReadNextSectionAsync(call.Cancelled) is { } section)
            {
                if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition))
                {
                    throw SwiftFault.BadRequest("FormPost: invalid part");
                }
                var fileName = disposition.FileNameStar.HasValue ? disposition.FileNameStar : HeaderUtilities.RemoveQuotes(disposition.FileName);
                if (!disposition.FileName.HasValue && !disposition.FileNameStar.HasValue)
                {
                    if (fields.Count == MaxFields)
                    {
                        throw SwiftFault.BadRequest("FormPost: too many fields");
                    }
                    fields[HeaderUtilities.RemoveQuotes(disposition.Name).ToString().ToLowerInvariant()] = await ReadFieldAsync(call, section);
                    continue;
                }
                if (fileName.Length == 0)
                {
                    continue;
                }
                if (container is null)
                {
                    container = await AuthorizeAsync(call, fields);
                }
                if (++files > Number(fields, "max_file_count"))
                {
                    throw new SwiftFault(400, "max file count exceeded", plain: true);
                }
                await StoreAsync(call, container, fields, section, fileName.ToString());
            }
            if (files == 0)
            {
                await AuthorizeAsync(call, fields);
                throw SwiftFault.BadRequest("no files to process");
            }
        }
        catch (InvalidDataException)
        {
            (status, message) = (400, "FormPost: the form is malformed");
        }
        catch (IOException)
        {
            (status, message) = (400, "FormPost: the form is cut short");
        }
        catch (FaultException fault)
        {
            (status, message) = (SwiftObjects.FaultOf(fault).Status, fault.Message);
        }
        catch (SwiftFault fault) when (fault.Status != 401)
        {
            (status, message) = (fault.Status, fault.Message);
        }
        if (fields.GetValueOrDefault("redirect") is { Length: > 0 } redirect && Uri.TryCreate(redirect, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https")
        {
            // Written anew: what the field holds besides an address must not get into the header.
            call.Reply("Location", $"{uri.AbsoluteUri}{(uri.Query.Length > 0 ? '&' : '?')}status={status}&message={Uri.EscapeDataString(message)}");
            await call.EmptyAsync(303);
            return;
        }
        await call.TextAsync(status, message, "text/plain; charset=UTF-8");
    }

    /// <summary>The container, once the signature allows what the form says.</summary>
    private static async ValueTask<BucketRecord> AuthorizeAsync(SwiftCall call, Dictionary<string, string> fields)
    {
        if (!long.TryParse(fields.GetValueOrDefault("expires"), NumberStyles.None, CultureInfo.InvariantCulture, out var expires))
        {
            throw new SwiftFault(401, "FormPost: expired not an integer", plain: true);
        }
        if (expires < call.Now.ToUnixTimeSeconds())
        {
            throw new SwiftFault(401, "FormPost: Form Expired", plain: true);
        }
        var path = call.Path.Object.Length > 0
            ? $"{call.Path.Account}/{call.Path.Container}/{call.Path.Object}"
            : $"{call.Path.Account}/{call.Path.Container}";
        var rest = $"\n{fields.GetValueOrDefault("redirect", "")}\n{fields.GetValueOrDefault("max_file_size", "")}\n{fields.GetValueOrDefault("max_file_count", "")}\n{expires}";
        var signature = fields.GetValueOrDefault("signature", "");
        foreach (var key in await SwiftTempUrl.KeysAsync(call))
        {
            if (SwiftTempUrl.Roots.Any(root => SwiftTempUrl.Verify(signature, key, root + path + rest) ||
                SwiftTempUrl.Verify(signature, key, root + path + "/" + rest)))
            {
                call.IsSigned = true;
                return await SwiftContainers.FindAsync(call, call.Bucket);
            }
        }
        throw new SwiftFault(401, "FormPost: Invalid Signature", plain: true);
    }

    private static async ValueTask StoreAsync(
        SwiftCall call, BucketRecord container, Dictionary<string, string> fields, MultipartSection section, string fileName)
    {
        var path = SwiftPath.Parse($"{SwiftPath.Encode(call.Path.Account)}/{SwiftPath.Encode(call.Path.Container)}/{SwiftPath.Encode(call.Path.Object + fileName)}");
        var target = call.At(path);
        target.IsSigned = true;
        DateTimeOffset? until = Number(fields, "x_delete_after") is { } after ? call.Now.AddSeconds(Math.Min(after, 10_000_000_000))
            : Number(fields, "x_delete_at") is { } at ? DateTimeOffset.FromUnixTimeSeconds(Math.Min(at, 10_000_000_000)) : null;
        var record = new ObjectRecord
        {
            Key = path.Object,
            ContentType = section.ContentType is { Length: > 0 and <= 256 } type ? type : ContentTypes.OfName(fileName),
            Modified = call.Now,
            Expires = until,
        };
        var max = Number(fields, "max_file_size") ?? throw SwiftFault.BadRequest("max_file_size not an integer");
        try
        {
            await SwiftObjects.StoreAsync(target, container, record, section.Body, Math.Min(max, SwiftObjects.MaxObjectBytes), announcedBytes: null, etag: null);
        }
        catch (SwiftFault fault) when (fault.Status == 413)
        {
            throw new SwiftFault(413, "max_file_size exceeded", plain: true);
        }
    }

    private static long? Number(Dictionary<string, string> fields, string name) =>
        long.TryParse(fields.GetValueOrDefault(name), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;

    private static async ValueTask<string> ReadFieldAsync(SwiftCall call, MultipartSection section)
    {
        var buffer = new byte[MaxFieldBytes + 1];
        var count = await section.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, call.Cancelled);
        return count <= MaxFieldBytes ? Encoding.UTF8.GetString(buffer, 0, count) : throw SwiftFault.BadRequest("FormPost: a field is too long");
    }
}

using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;

namespace Nephos.ObjectStorage.Swift;

/// <summary>URLs signed with a key of the account or container, for one method, one object (or prefix) and a time.</summary>
internal static class SwiftTempUrl
{
    /// <summary>The path of a request as clients see it, and as Swift's own documents write it.</summary>
    public static readonly string[] Roots = [SwiftFace.Prefix, "/v1/"];

    private static readonly string[] KeyNames = ["temp-url-key", "temp-url-key-2"];

    /// <returns>False when the request carries no signature.</returns>
    /// <exception cref="SwiftFault">401 when the signature is wrong or too old.</exception>
    public static async ValueTask<bool> AuthorizeAsync(SwiftCall call)
    {
        if (call.Query("temp_url_sig") is not { } signature || call.Query("temp_url_expires") is not { } expires || call.Path.Object.Length == 0)
        {
            return false;
        }
        var prefix = call.Query("temp_url_prefix");
        if (ExpiryOf(expires) is not { } until || until < call.Now ||
            (prefix is not null && !call.Path.Object.StartsWith(prefix, StringComparison.Ordinal)) ||
            call.Http.Request.Headers.ContainsKey("X-Object-Manifest"))
        {
            throw new SwiftFault(401, "Temp URL invalid", plain: true);
        }
        var method = call.Http.Request.Method;
        // A signature for reading or writing also lets its holder look.
        string[] methods = HttpMethods.IsHead(method) ? ["HEAD", "GET", "PUT", "POST"] : [method];
        var path = prefix is null
            ? $"{call.Path.Account}/{call.Path.Container}/{call.Path.Object}"
            : $"{call.Path.Account}/{call.Path.Container}/{prefix}";
        foreach (var key in await KeysAsync(call))
        {
            foreach (var candidate in methods)
            {
                foreach (var root in Roots)
                {
                    var text = $"{candidate}\n{until.ToUnixTimeSeconds()}\n{(prefix is null ? "" : "prefix:")}{root}{path}";
                    if (Verify(signature, key, text))
                    {
                        return true;
                    }
                }
            }
        }
        throw new SwiftFault(401, "Temp URL invalid", plain: true);
    }

    /// <summary>A signed download is saved under the object's name unless the URL says otherwise.</summary>
    public static void WriteDisposition(SwiftCall call)
    {
        if (!call.IsSigned)
        {
            return;
        }
        var kind = call.Http.Request.Query.ContainsKey("inline") ? "inline" : "attachment";
        var name = call.Query("filename") ?? Path.GetFileName(call.Path.Object.TrimEnd('/'));
        var safe = new string([.. name.Select(c => c is >= ' ' and <= '~' and not '"' and not '\\' ? c : '_')]);
        call.Reply("Content-Disposition", kind == "inline" && call.Query("filename") is null
            ? "inline"
            : $"{kind}; filename=\"{safe}\"; filename*=UTF-8''{Uri.EscapeDataString(name)}");
        if (ExpiryOf(call.Query("temp_url_expires") ?? "") is { } until)
        {
            call.Reply("Expires", until.UtcDateTime.ToString("R", CultureInfo.InvariantCulture));
        }
    }

    /// <summary>The keys of the account and of the container.</summary>
    public static async ValueTask<List<byte[]>> KeysAsync(SwiftCall call)
    {
        var account = await call.Engine.Namespace.GetAccountAsync(call.Path.Project, call.Cancelled);
        var bucket = await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled);
        return [.. new[] { account.Value?.Metadata, bucket.Value?.Metadata }
            .Where(metadata => metadata is not null)
            .SelectMany(metadata => KeyNames.Select(name => metadata!.GetValueOrDefault(BucketMetadata.UserPrefix + name)))
            .Where(key => !string.IsNullOrEmpty(key))
            .Select(key => Encoding.UTF8.GetBytes(key!))];
    }

    /// <summary>Whether a signature, in hex or as <c>digest:base64</c>, is the key's over the text.</summary>
    public static bool Verify(string signature, byte[] key, string text)
    {
        var message = Encoding.UTF8.GetBytes(text);
        var colon = signature.IndexOf(':', StringComparison.Ordinal);
        byte[] given;
        try
        {
            given = colon > 0
                ? Convert.FromBase64String(signature[(colon + 1)..].Replace('-', '+').Replace('_', '/').PadRight((signature.Length - colon + 2) / 4 * 4, '='))
                : Convert.FromHexString(signature);
        }
        catch (FormatException)
        {
            return false;
        }
        var computed = given.Length switch
        {
            SHA1.HashSizeInBytes => HMACSHA1.HashData(key, message),
            SHA256.HashSizeInBytes => HMACSHA256.HashData(key, message),
            SHA512.HashSizeInBytes => HMACSHA512.HashData(key, message),
            _ => [],
        };
        return computed.Length > 0 && CryptographicOperations.FixedTimeEquals(computed, given);
    }

    private static DateTimeOffset? ExpiryOf(string text)
    {
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var unix))
        {
            return unix < 100_000_000_000 ? DateTimeOffset.FromUnixTimeSeconds(unix) : null;
        }
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) ? date : null;
    }
}

using System.Text;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.S3;

/// <summary>What an S3 request is about, and the two texts its signature covers.</summary>
/// <param name="Bucket">Empty for the service itself.</param>
/// <param name="Key">Empty for the bucket itself.</param>
/// <param name="Query">Decoded, in the order sent.</param>
internal sealed record S3Target(string Bucket, string Key, string CanonicalPath, IReadOnlyList<(string Name, string Value)> Query)
{
    private const int MaxQueryItems = 100;

    /// <param name="rawTarget">The request target as it came, undecoded.</param>
    /// <param name="host">Without a port.</param>
    /// <param name="domains">Host names under which a bucket may be the first label.</param>
    public static S3Target Parse(string rawTarget, string host, IReadOnlyList<string> domains)
    {
        var question = rawTarget.IndexOf('?', StringComparison.Ordinal);
        var rawPath = question < 0 ? rawTarget : rawTarget[..question];
        if (!rawPath.StartsWith('/'))
        {
            // An absolute target, as proxies send it.
            rawPath = Uri.TryCreate(rawPath, UriKind.Absolute, out var uri) ? uri.AbsolutePath : throw S3Fault.InvalidRequest("The request target is not a path.");
        }
        string path;
        try
        {
            path = SwiftPath.Decode(rawPath);
        }
        catch (SwiftFault)
        {
            throw new S3Fault(400, "InvalidURI", "Couldn't parse the specified URI.");
        }
        var items = new List<(string, string)>();
        foreach (var item in question < 0 ? [] : rawTarget[(question + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            if (items.Count == MaxQueryItems)
            {
                throw S3Fault.InvalidArgument($"A request has at most {MaxQueryItems} query parameters.");
            }
            var equals = item.IndexOf('=', StringComparison.Ordinal);
            items.Add(equals < 0 ? (Unescape(item), "") : (Unescape(item[..equals]), Unescape(item[(equals + 1)..])));
        }
        var bucketOfHost = BucketOf(host, domains);
        var canonical = Escape(path, keepSlash: true);
        if (bucketOfHost is not null)
        {
            return new S3Target(bucketOfHost.ToLowerInvariant(), path[1..], canonical, items);
        }
        var slash = path.IndexOf('/', 1);
        return slash < 0
            ? new S3Target(path[1..], "", canonical, items)
            : new S3Target(path[1..slash], path[(slash + 1)..], canonical, items);
    }

    /// <summary>What stands in front of the longest domain that fits; null for a host that is a domain itself, or no part of one.</summary>
    private static string? BucketOf(string host, IReadOnlyList<string> domains)
    {
        string? bucket = null;
        foreach (var domain in domains)
        {
            if (host.Equals(domain, StringComparison.OrdinalIgnoreCase))
            {
                return null;
            }
            var length = host.Length - domain.Length - 1;
            if (length > 0 && host[length] == '.' && host.EndsWith(domain, StringComparison.OrdinalIgnoreCase) && (bucket is null || length < bucket.Length))
            {
                bucket = host[..length];
            }
        }
        return bucket;
    }

    public string? Get(string name)
    {
        foreach (var (key, value) in Query)
        {
            if (key == name)
            {
                return value;
            }
        }
        return null;
    }

    public bool Has(string name) => Get(name) is not null;

    /// <summary>Percent-encodes all but the unreserved characters of RFC 3986.</summary>
    public static string Escape(string text, bool keepSlash)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var value in Encoding.UTF8.GetBytes(text))
        {
            var c = (char)value;
            if (char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '~' || (keepSlash && c == '/'))
            {
                result.Append(c);
            }
            else
            {
                result.Append('%').Append(value.ToString("X2", System.Globalization.CultureInfo.InvariantCulture));
            }
        }
        return result.ToString();
    }

    private static string Unescape(string text)
    {
        try
        {
            return SwiftPath.Decode(text.Replace('+', ' '));
        }
        catch (SwiftFault)
        {
            throw new S3Fault(400, "InvalidURI", "Couldn't parse the specified URI.");
        }
    }
}

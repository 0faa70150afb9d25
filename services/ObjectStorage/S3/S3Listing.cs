using System.Text;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>What is in a bucket: objects (both forms) and versions. Pages are written straight into bytes: they are most of what listing costs.</summary>
internal static class S3Listing
{
    private const int MaxKeys = 1000;

    public static async Task ObjectsAsync(S3Call call)
    {
        var second = call.Query("list-type") == "2";
        var (prefix, delimiter) = (call.Query("prefix") ?? "", call.Query("delimiter") ?? "");
        var limit = call.QueryNumber("max-keys", MaxKeys, MaxKeys);
        var marker = second
            ? call.Query("continuation-token") is { Length: > 0 } token ? Marker(token) : call.Query("start-after") ?? ""
            : call.Query("marker") ?? "";
        var page = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects { Bucket = call.Bucket, Prefix = prefix, Delimiter = delimiter, Marker = marker, Limit = limit }, call.Cancelled)).OrS3Fault();
        var encodes = Encodes(call);
        var truncated = page.IsTruncated && limit > 0;
        var owner = !second || call.Query("fetch-owner") == "true" ? call.Bucket.Account : null;

        using var xml = new S3Xml(encodes);
        xml.Begin("ListBucketResult");
        xml.Text("Name", call.Target.Bucket);
        xml.Name("Prefix", prefix);
        if (delimiter.Length > 0)
        {
            xml.Name("Delimiter", delimiter);
        }
        xml.Number("MaxKeys", limit);
        if (encodes)
        {
            xml.Text("EncodingType", "url");
        }
        if (second)
        {
            xml.Number("KeyCount", page.Entries.Count);
            if (call.Query("start-after") is { Length: > 0 } after)
            {
                xml.Name("StartAfter", after);
            }
            if (call.Query("continuation-token") is { Length: > 0 } given)
            {
                xml.Text("ContinuationToken", given);
            }
            if (truncated)
            {
                xml.Text("NextContinuationToken", Convert.ToBase64String(Encoding.UTF8.GetBytes(page.NextMarker)));
            }
        }
        else
        {
            xml.Name("Marker", marker);
            if (truncated && delimiter.Length > 0)
            {
                xml.Name("NextMarker", page.NextMarker);
            }
        }
        xml.Text("IsTruncated", truncated ? "true" : "false");
        foreach (var entry in page.Entries)
        {
            if (entry.Object is { } found)
            {
                xml.Open("Contents");
                xml.Name("Key", found.Key);
                xml.Time("LastModified", found.Modified);
                xml.Etag("ETag", Swift.SwiftLargeObjects.ListedEtag(found) ?? found.ETag);
                xml.Number("Size", Swift.SwiftLargeObjects.ListedSize(found));
                Owner(xml, owner);
                xml.Text("StorageClass", "STANDARD");
                xml.Close("Contents");
            }
        }
        Prefixes(xml, page.Entries);
        xml.Close("ListBucketResult");
        await call.XmlAsync(200, xml);
    }

    public static async Task VersionsAsync(S3Call call)
    {
        var (prefix, delimiter) = (call.Query("prefix") ?? "", call.Query("delimiter") ?? "");
        var limit = call.QueryNumber("max-keys", MaxKeys, MaxKeys);
        var keyMarker = call.Query("key-marker") ?? "";
        var versionMarker = call.Query("version-id-marker");
        VersionId? after = null;
        if (versionMarker is { Length: > 0 } and not "null")
        {
            after = keyMarker.Length > 0 && VersionId.TryParse(versionMarker, out var parsed) ? parsed : throw S3Fault.InvalidArgument("Invalid version id specified");
        }
        else if (versionMarker == "null")
        {
            var found = await call.Engine.Namespace.GetObjectAsync(call.Bucket, keyMarker, VersionSelector.Null, call.Cancelled);
            after = found.IsOk ? found.Value!.Version : throw S3Fault.InvalidArgument("Invalid version id specified");
        }
        var page = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects
            {
                Bucket = call.Bucket, Prefix = prefix, Delimiter = delimiter, Marker = keyMarker, VersionMarker = after, Limit = limit, Versions = true,
            },
            call.Cancelled)).OrS3Fault();
        var encodes = Encodes(call);
        var truncated = page.IsTruncated && limit > 0;

        using var xml = new S3Xml(encodes);
        xml.Begin("ListVersionsResult");
        xml.Text("Name", call.Target.Bucket);
        xml.Name("Prefix", prefix);
        xml.Name("KeyMarker", keyMarker);
        xml.Text("VersionIdMarker", versionMarker ?? "");
        if (delimiter.Length > 0)
        {
            xml.Name("Delimiter", delimiter);
        }
        xml.Number("MaxKeys", limit);
        if (encodes)
        {
            xml.Text("EncodingType", "url");
        }
        xml.Text("IsTruncated", truncated ? "true" : "false");
        if (truncated)
        {
            xml.Name("NextKeyMarker", page.NextMarker);
            if (page.NextVersionMarker is { } next)
            {
                xml.Text("NextVersionIdMarker", next.ToString());
            }
        }
        foreach (var entry in page.Entries)
        {
            if (entry.Object is not { } found)
            {
                continue;
            }
            var element = found.IsDeleteMarker ? "DeleteMarker" : "Version";
            xml.Open(element);
            xml.Name("Key", found.Key);
            xml.Text("VersionId", VersionOf(found));
            xml.Text("IsLatest", found.IsLatest ? "true" : "false");
            xml.Time("LastModified", found.Modified);
            if (!found.IsDeleteMarker)
            {
                xml.Etag("ETag", Swift.SwiftLargeObjects.ListedEtag(found) ?? found.ETag);
                xml.Number("Size", Swift.SwiftLargeObjects.ListedSize(found));
                xml.Text("StorageClass", "STANDARD");
            }
            Owner(xml, call.Bucket.Account);
            xml.Close(element);
        }
        Prefixes(xml, page.Entries);
        xml.Close("ListVersionsResult");
        await call.XmlAsync(200, xml);
    }

    public static IEnumerable<XElement> Prefixes(IEnumerable<string> prefixes, Func<string, string> encode) =>
        prefixes.Select(prefix => Element("CommonPrefixes", Element("Prefix", encode(prefix))));

    /// <summary>XML cannot carry every character a key may have; clients ask for URL encoding.</summary>
    public static Func<string, string> Encoder(S3Call call) => Encodes(call)
        ? text => S3Target.Escape(text, keepSlash: true)
        : text => string.Concat(text.Where(System.Xml.XmlConvert.IsXmlChar));

    private static bool Encodes(S3Call call) => call.Query("encoding-type") switch
    {
        null => false,
        "url" => true,
        _ => throw S3Fault.InvalidArgument("Invalid Encoding Method specified in Request"),
    };

    private static void Owner(S3Xml xml, string? account)
    {
        if (account is not null)
        {
            xml.Open("Owner");
            xml.Text("ID", account);
            xml.Text("DisplayName", account);
            xml.Close("Owner");
        }
    }

    private static void Prefixes(S3Xml xml, IReadOnlyList<ListEntry> entries)
    {
        foreach (var entry in entries)
        {
            if (entry.IsPrefix)
            {
                xml.Open("CommonPrefixes");
                xml.Name("Prefix", entry.Name);
                xml.Close("CommonPrefixes");
            }
        }
    }

    private static string Marker(string token)
    {
        try
        {
            return Encoding.UTF8.GetString(Convert.FromBase64String(token));
        }
        catch (FormatException)
        {
            throw S3Fault.InvalidArgument("The continuation token provided is incorrect");
        }
    }
}

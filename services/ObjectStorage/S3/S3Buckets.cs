using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Buckets: making, listing what is in them, versioning.</summary>
internal static partial class S3Buckets
{
    public const int MaxKeys = 1000;

    public static async Task ListAsync(S3Call call)
    {
        var outcome = await call.Engine.Namespace.ListBucketsAsync(
            new ListBuckets { Account = call.Account, Prefix = call.Query("prefix") ?? "", Marker = call.Query("continuation-token") ?? "", Limit = call.QueryNumber("max-buckets", 10_000, 10_000) },
            call.Cancelled);
        var page = outcome.Status == EngineStatus.NoSuchAccount ? new BucketPage([], false, "") : outcome.OrS3Fault();
        await call.XmlAsync(200, Element("ListAllMyBucketsResult",
            Owner(call),
            Element("Buckets", page.Entries.Where(entry => entry.Bucket is not null).Select(entry => Element("Bucket",
                Element("Name", entry.Name), Element("CreationDate", Iso(entry.Bucket!.Created))))),
            page.IsTruncated ? Element("ContinuationToken", page.NextMarker) : null));
    }

    public static async Task CreateAsync(S3Call call)
    {
        call.RequireWrite();
        if (!BucketPattern().IsMatch(call.Target.Bucket) || call.Target.Bucket.Contains("..", StringComparison.Ordinal))
        {
            throw new S3Fault(400, "InvalidBucketName", "The specified bucket is not valid.");
        }
        if (call.Http.Request.ContentLength > 0)
        {
            var constraint = (await call.ReadXmlAsync()).Child("LocationConstraint")?.Value;
            if (constraint is { Length: > 0 } && constraint != call.Region && constraint != "us-east-1")
            {
                throw new S3Fault(400, "InvalidLocationConstraint", "The specified location-constraint is not valid.");
            }
        }
        var outcome = await call.Engine.Namespace.CreateBucketAsync(
            new BucketRecord { Name = call.Bucket, Created = call.Now, Modified = call.Now, Owner = call.Operation.UserId }, call.Cancelled);
        if (outcome.Status != EngineStatus.BucketExists)
        {
            outcome.OrS3Fault();
        }
        call.Reply("Location", "/" + call.Target.Bucket);
        await call.EmptyAsync(200);
    }

    public static async Task HeadAsync(S3Call call)
    {
        await FindAsync(call);
        call.Reply("x-amz-bucket-region", call.Region);
        await call.EmptyAsync(200);
    }

    public static async Task DeleteAsync(S3Call call)
    {
        call.RequireWrite();
        var status = await call.Engine.Namespace.DeleteBucketAsync(call.Bucket, call.Cancelled);
        await (status == EngineStatus.Ok ? call.EmptyAsync(204) : throw S3Fault.Of(status));
    }

    public static async Task LocationAsync(S3Call call)
    {
        await FindAsync(call);
        await call.XmlAsync(200, Element("LocationConstraint", call.Region == "us-east-1" ? "" : call.Region));
    }

    public static async Task GetVersioningAsync(S3Call call)
    {
        var bucket = await FindAsync(call);
        await call.XmlAsync(200, Element("VersioningConfiguration", bucket.Versioning switch
        {
            BucketVersioning.Enabled => Element("Status", "Enabled"),
            BucketVersioning.Suspended => Element("Status", "Suspended"),
            _ => null,
        }));
    }

    public static async Task PutVersioningAsync(S3Call call)
    {
        call.RequireWrite();
        var wanted = (await call.ReadXmlAsync()).Child("Status")?.Value switch
        {
            "Enabled" => BucketVersioning.Enabled,
            "Suspended" => BucketVersioning.Suspended,
            _ => throw S3Fault.MalformedXml(),
        };
        var bucket = await FindAsync(call);
        (await call.Engine.Namespace.UpdateBucketAsync(bucket with { Versioning = wanted, Modified = call.Now }, bucket.Generation, call.Cancelled)).OrS3Fault();
        await call.EmptyAsync(200);
    }

    /// <summary>The owner's full control: what every bucket and object here has, as rights come from roles in the project.</summary>
    public static async Task GetAclAsync(S3Call call)
    {
        await FindAsync(call);
        XNamespace xsi = "http://www.w3.org/2001/XMLSchema-instance";
        await call.XmlAsync(200, Element("AccessControlPolicy", Owner(call), Element("AccessControlList", Element("Grant",
            new XElement((XNamespace)S3Call.Namespace + "Grantee", new XAttribute(XNamespace.Xmlns + "xsi", xsi), new XAttribute(xsi + "type", "CanonicalUser"),
                Element("ID", call.Account), Element("DisplayName", call.Account)),
            Element("Permission", "FULL_CONTROL")))));
    }

    public static async Task ListObjectsAsync(S3Call call)
    {
        var second = call.Query("list-type") == "2";
        var (prefix, delimiter) = (call.Query("prefix") ?? "", call.Query("delimiter") ?? "");
        var limit = call.QueryNumber("max-keys", MaxKeys, MaxKeys);
        var marker = second
            ? call.Query("continuation-token") is { Length: > 0 } token ? Marker(token) : call.Query("start-after") ?? ""
            : call.Query("marker") ?? "";
        var page = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects { Bucket = call.Bucket, Prefix = prefix, Delimiter = delimiter, Marker = marker, Limit = limit }, call.Cancelled)).OrS3Fault();
        var encode = Encoder(call);
        var truncated = page.IsTruncated && limit > 0;
        await call.XmlAsync(200, Element("ListBucketResult",
            Element("Name", call.Target.Bucket),
            Element("Prefix", encode(prefix)),
            delimiter.Length > 0 ? Element("Delimiter", encode(delimiter)) : null,
            Element("MaxKeys", limit),
            call.Query("encoding-type") is not null ? Element("EncodingType", "url") : null,
            second
                ? (object[])[
                    Element("KeyCount", page.Entries.Count),
                    call.Query("start-after") is { } after ? Element("StartAfter", encode(after)) : "",
                    call.Query("continuation-token") is { Length: > 0 } given ? Element("ContinuationToken", given) : "",
                    truncated ? Element("NextContinuationToken", Token(page.NextMarker)) : "",
                ]
                : [Element("Marker", encode(marker)), truncated && delimiter.Length > 0 ? Element("NextMarker", encode(page.NextMarker)) : ""],
            Element("IsTruncated", truncated),
            page.Entries.Where(entry => !entry.IsPrefix).Select(entry => Element("Contents",
                Element("Key", encode(entry.Name)),
                Element("LastModified", Iso(entry.Object!.Modified)),
                Element("ETag", Quote(Swift.SwiftLargeObjects.ListedEtag(entry.Object) ?? entry.Object.ETag)),
                Element("Size", Swift.SwiftLargeObjects.ListedSize(entry.Object)),
                !second || call.Query("fetch-owner") == "true" ? Owner(call) : null,
                Element("StorageClass", "STANDARD"))),
            Prefixes(page.Entries.Where(entry => entry.IsPrefix).Select(entry => entry.Name), encode)));
    }

    public static async Task ListVersionsAsync(S3Call call)
    {
        var (prefix, delimiter) = (call.Query("prefix") ?? "", call.Query("delimiter") ?? "");
        var limit = call.QueryNumber("max-keys", MaxKeys, MaxKeys);
        var versionMarker = call.Query("version-id-marker");
        VersionId? after = null;
        if (versionMarker is { Length: > 0 })
        {
            after = VersionId.TryParse(versionMarker, out var parsed) ? parsed : throw S3Fault.InvalidArgument("Invalid version id specified");
        }
        var page = (await call.Engine.Namespace.ListObjectsAsync(
            new ListObjects
            {
                Bucket = call.Bucket,
                Prefix = prefix,
                Delimiter = delimiter,
                Marker = call.Query("key-marker") ?? "",
                VersionMarker = after,
                Limit = limit,
                Versions = true,
            },
            call.Cancelled)).OrS3Fault();
        var encode = Encoder(call);
        await call.XmlAsync(200, Element("ListVersionsResult",
            Element("Name", call.Target.Bucket),
            Element("Prefix", encode(prefix)),
            Element("KeyMarker", encode(call.Query("key-marker") ?? "")),
            Element("VersionIdMarker", versionMarker ?? ""),
            delimiter.Length > 0 ? Element("Delimiter", encode(delimiter)) : null,
            Element("MaxKeys", limit),
            Element("IsTruncated", page.IsTruncated),
            page.IsTruncated ? Element("NextKeyMarker", encode(page.NextMarker)) : null,
            page is { IsTruncated: true, NextVersionMarker: { } next } ? Element("NextVersionIdMarker", next.ToString()) : null,
            page.Entries.Where(entry => !entry.IsPrefix).Select(entry => entry.Object!).Select(found => Element(
                found.IsDeleteMarker ? "DeleteMarker" : "Version",
                Element("Key", encode(found.Key)),
                Element("VersionId", VersionOf(found)),
                Element("IsLatest", found.IsLatest),
                Element("LastModified", Iso(found.Modified)),
                found.IsDeleteMarker ? null : (object[])[Element("ETag", Quote(found.ETag)), Element("Size", found.SizeBytes), Element("StorageClass", "STANDARD")],
                Owner(call))),
            Prefixes(page.Entries.Where(entry => entry.IsPrefix).Select(entry => entry.Name), encode)));
    }

    public static async ValueTask<BucketRecord> FindAsync(S3Call call) =>
        (await call.Engine.Namespace.GetBucketAsync(call.Bucket, call.Cancelled)).OrS3Fault();

    public static XElement Owner(S3Call call) => Element("Owner", Element("ID", call.Account), Element("DisplayName", call.Account));

    public static IEnumerable<XElement> Prefixes(IEnumerable<string> prefixes, Func<string, string> encode) =>
        prefixes.Select(prefix => Element("CommonPrefixes", Element("Prefix", encode(prefix))));

    /// <summary>XML cannot carry every character a key may have; clients ask for URL encoding.</summary>
    public static Func<string, string> Encoder(S3Call call) => call.Query("encoding-type") switch
    {
        null => text => string.Concat(text.Where(System.Xml.XmlConvert.IsXmlChar)),
        "url" => text => S3Target.Escape(text, keepSlash: true),
        _ => throw S3Fault.InvalidArgument("Invalid Encoding Method specified in Request"),
    };

    private static string Token(string marker) => Convert.ToBase64String(Encoding.UTF8.GetBytes(marker));

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

    [GeneratedRegex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", RegexOptions.CultureInvariant)]
    private static partial Regex BucketPattern();
}

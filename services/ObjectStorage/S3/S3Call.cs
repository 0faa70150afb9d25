using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.Kernel.Operations;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.S3;

/// <summary>Who signed a request, and with what.</summary>
internal sealed record S3Signer(OperationContext Operation, SignatureClaim Claim, byte[] SigningKey);

/// <summary>One request to the S3 face.</summary>
internal sealed class S3Call(HttpContext http, S3Target target, S3Signer? signer, IObjectEngine engine, DateTimeOffset now, string region)
{
    public const string Namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
    private const int MaxXmlBytes = 2 * 1024 * 1024;
    private const int MaxXmlDepth = 32;

    private XElement? _xml;

    public HttpContext Http { get; } = http;

    public S3Target Target { get; } = target;

    /// <summary>Null for a request that nobody signed.</summary>
    public OperationContext? Operation => signer?.Operation;

    public IObjectEngine Engine { get; } = engine;

    public DateTimeOffset Now { get; } = now;

    public string Region { get; } = region;

    public CancellationToken Cancelled => Http.RequestAborted;

    /// <summary>The bucket that the request names, in the account that owns it.</summary>
    public BucketName Bucket { get; private set; }

    /// <summary>The settings of <see cref="Bucket"/>; null when there is no such bucket.</summary>
    public BucketRecord? FoundBucket { get; private set; }

    /// <exception cref="S3Fault">NoSuchBucket.</exception>
    public BucketRecord BucketRecord => FoundBucket ?? throw S3Fault.NoSuchBucket();

    /// <summary>The caller's project.</summary>
    /// <exception cref="S3Fault">AccessDenied for a caller without one.</exception>
    public string CallerAccount => Operation?.ProjectId ?? throw S3Fault.AccessDenied();

    public string CallerId => Operation?.UserId ?? "";

    public string Key => Target.Key;

    public bool IsHead => HttpMethods.IsHead(Http.Request.Method);

    /// <summary>Finds the bucket once and for all of this request.</summary>
    public async ValueTask ResolveBucketAsync()
    {
        if (Target.Bucket.Length > 0)
        {
            (Bucket, FoundBucket) = await S3Names.FindAsync(Engine, Operation?.ProjectId, Target.Bucket, Cancelled);
        }
    }

    /// <summary>The same request, about another bucket, key and version; rights are asked of exactly that.</summary>
    public async ValueTask<S3Call> AtAsync(string bucket, string key, string? version)
    {
        var query = Target.Query.Where(item => item.Name != "versionId");
        var other = new S3Call(
            Http,
            Target with { Bucket = bucket, Key = key, Query = [.. version is null ? query : query.Append(("versionId", version))] },
            signer, Engine, Now, Region);
        await other.ResolveBucketAsync();
        return other;
    }

    /// <summary>The same request, by someone whom something else than its signature proves.</summary>
    public S3Call By(S3Signer? other) => new(Http, Target, other, Engine, Now, Region) { Bucket = Bucket, FoundBucket = FoundBucket };

    /// <summary>The same request as the Swift face would see it, for what both share.</summary>
    public SwiftCall AsSwift(string key) =>
        new(Http, new SwiftPath(SwiftPath.AccountPrefix + Bucket.Account, Bucket.Name, key), Operation, Engine, Now);

    public string? Query(string name) => Target.Get(name);

    public string? Header(string name) => Http.Request.Headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    public void Reply(string name, string value) => Http.Response.Headers[name] = value;

    public S3Body OpenBody() => new(Http.Request, signer?.Claim, signer?.SigningKey ?? []);

    public int QueryNumber(string name, int fallback, int max)
    {
        if (Query(name) is not { Length: > 0 } text)
        {
            return fallback;
        }
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? Math.Min(value, max)
            : throw S3Fault.InvalidArgument($"Provided {name} not an integer or within integer range");
    }

    /// <summary>The request body as XML, bounded and without document types; read once.</summary>
    public async ValueTask<XElement> ReadXmlAsync()
    {
        if (_xml is not null)
        {
            return _xml;
        }
        using var body = OpenBody();
        return _xml = ParseXml(await body.ReadAllAsync(MaxXmlBytes, Cancelled));
    }

    /// <exception cref="S3Fault">MalformedXML, also for a document type and for elements nested deeper than any document of S3.</exception>
    public static XElement ParseXml(byte[] bytes)
    {
        try
        {
            // A tree is walked by recursion, so its depth is looked at before there is one.
            using (var reader = OpenXml(bytes))
            {
                while (reader.Read())
                {
                    if (reader.Depth > MaxXmlDepth)
                    {
                        throw S3Fault.MalformedXml();
                    }
                }
            }
            using var again = OpenXml(bytes);
            return XElement.Load(again);
        }
        catch (XmlException)
        {
            throw S3Fault.MalformedXml();
        }
    }

    private static XmlReader OpenXml(byte[] bytes) => XmlReader.Create(new MemoryStream(bytes), new XmlReaderSettings
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = MaxXmlBytes,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
    });

    public Task EmptyAsync(int status)
    {
        Http.Response.StatusCode = status;
        if (status != StatusCodes.Status204NoContent)
        {
            Http.Response.ContentLength = 0;
        }
        return Task.CompletedTask;
    }

    public Task XmlAsync(int status, XElement element) => WriteXmlAsync(Http, status, element);

    public async Task XmlAsync(int status, S3Xml document)
    {
        Http.Response.StatusCode = status;
        Http.Response.ContentType = "application/xml";
        Http.Response.ContentLength = document.Written.Length;
        await Http.Response.Body.WriteAsync(document.Written, Cancelled);
    }

    /// <summary>Names may hold characters that XML has only as references, or not at all; S3 writes references to both.</summary>
    private static byte[] ToBytes(XElement element)
    {
        using var bytes = new MemoryStream();
        using (var writer = XmlWriter.Create(bytes, new XmlWriterSettings { Encoding = new UTF8Encoding(false), CheckCharacters = false, OmitXmlDeclaration = true }))
        {
            bytes.Write("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"u8);
            element.WriteTo(writer);
        }
        return bytes.ToArray();
    }

    public static async Task WriteXmlAsync(HttpContext http, int status, XElement element)
    {
        var bytes = ToBytes(element);
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/xml";
        http.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.Body.WriteAsync(bytes, http.RequestAborted);
        }
    }
}

/// <summary>How S3 writes times, names and elements.</summary>
internal static class S3Text
{
    private static readonly XNamespace Ns = S3Call.Namespace;

    public static string Iso(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static string HttpDate(DateTimeOffset time) => time.UtcDateTime.ToString("R", CultureInfo.InvariantCulture);

    public static DateTimeOffset? Date(string? header) =>
        DateTimeOffset.TryParse(header, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) ? date : null;

    public static string Quote(string etag) => $"\"{etag}\"";

    public static XElement Element(string name, params object?[] content) => new(Ns + name, content);

    /// <summary>The bucket's project, which owns all that is in it.</summary>
    public static XElement Owner(S3Call call) => Element("Owner", Element("ID", call.Bucket.Account), Element("DisplayName", call.Bucket.Account));

    public static string VersionOf(ObjectSummary record) => record.IsNullVersion ? "null" : record.Version.ToString();

    public static VersionSelector Version(string? text) => text switch
    {
        null or "" => VersionSelector.Current,
        "null" => VersionSelector.Null,
        _ => VersionId.TryParse(text, out var version)
            ? VersionSelector.Of(version)
            : throw new S3Fault(400, "InvalidArgument", "Invalid version id specified"),
    };

    /// <summary>A child of a request document by its local name, so that clients that leave out the namespace are understood.</summary>
    public static XElement? Child(this XElement element, string name) => element.Elements().FirstOrDefault(child => child.Name.LocalName == name);
}

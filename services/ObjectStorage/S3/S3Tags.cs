using System.Text;
using System.Xml.Linq;
using Nephos.ObjectStorage.Swift;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Tags of buckets and objects. Kept as <c>name=value&amp;…</c>, percent-encoded.</summary>
internal static class S3Tags
{
    public const string Key = "s3.tags";
    private const int MaxObjectTags = 10;
    private const int MaxBucketTags = 50;
    private const int MaxNameChars = 128;
    private const int MaxValueChars = 256;

    public static Task GetBucketAsync(S3Call call) => call.BucketRecord.Metadata.TryGetValue(Key, out var tags)
        ? call.XmlAsync(200, ToXml(tags))
        : throw new S3Fault(404, "NoSuchTagSet", "The TagSet does not exist");

    public static async Task PutBucketAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, Key, FromXml(await call.ReadXmlAsync(), MaxBucketTags));
        await call.EmptyAsync(204);
    }

    public static async Task DeleteBucketAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, Key, null);
        await call.EmptyAsync(204);
    }

    public static async Task GetObjectAsync(S3Call call)
    {
        var record = await S3Settings.FindAsync(call);
        WriteVersion(call, record);
        await call.XmlAsync(200, ToXml(record.SystemMetadata.GetValueOrDefault(Key, "")));
    }

    public static async Task PutObjectAsync(S3Call call)
    {
        var tags = OfObject(await call.ReadXmlAsync());
        WriteVersion(call, await S3Settings.ChangeObjectAsync(call, metadata => tags.Length == 0 ? metadata.Remove(Key) : metadata.SetItem(Key, tags)));
        await call.EmptyAsync(200);
    }

    public static async Task DeleteObjectAsync(S3Call call)
    {
        WriteVersion(call, await S3Settings.ChangeObjectAsync(call, metadata => metadata.Remove(Key)));
        await call.EmptyAsync(204);
    }

    /// <summary>The tags a put names in its header, as they are kept; null when it names none.</summary>
    public static string? OfHeader(S3Call call)
    {
        if (call.Header("x-amz-tagging") is not { Length: > 0 } header)
        {
            return null;
        }
        return Join(
            header.Split('&', StringSplitOptions.RemoveEmptyEntries).Select(item =>
            {
                var equals = item.IndexOf('=', StringComparison.Ordinal);
                return (Unescape(equals < 0 ? item : item[..equals]), equals < 0 ? "" : Unescape(item[(equals + 1)..]));
            }),
            MaxObjectTags);
    }

    /// <summary>The tags that a document gives an object, as they are kept.</summary>
    public static string OfObject(XElement tagging) => FromXml(tagging, MaxObjectTags);

    public static int Count(string tags) => tags.Length == 0 ? 0 : tags.Count(c => c == '&') + 1;

    /// <summary>The tags as they are kept, one by one.</summary>
    public static IEnumerable<(string Name, string Value)> Read(string tags) => tags.Split('&', StringSplitOptions.RemoveEmptyEntries)
        .Select(item => item.Split('='))
        .Select(item => (Unescape(item[0]), Unescape(item[1])));

    private static XElement ToXml(string tags) =>
        Element("Tagging", Element("TagSet", Read(tags).Select(tag => Element("Tag", Element("Key", tag.Name), Element("Value", tag.Value)))));

    private static string FromXml(XElement tagging, int max)
    {
        if (tagging.Name.LocalName != "Tagging" || tagging.Child("TagSet") is not { } set)
        {
            throw S3Fault.MalformedXml();
        }
        return Join(set.Elements().Select(tag => (tag.Child("Key")?.Value ?? throw S3Fault.MalformedXml(), tag.Child("Value")?.Value ?? throw S3Fault.MalformedXml())), max);
    }

    private static string Join(IEnumerable<(string Name, string Value)> tags, int max)
    {
        var result = new StringBuilder();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, value) in tags)
        {
            if (name.Length is 0 or > MaxNameChars || value.Length > MaxValueChars)
            {
                throw new S3Fault(400, "InvalidTag", $"A tag's key has 1 to {MaxNameChars} characters and its value at most {MaxValueChars}");
            }
            if (!names.Add(name))
            {
                throw new S3Fault(400, "InvalidTag", "Cannot provide multiple Tags with the same key");
            }
            if (names.Count > max)
            {
                throw new S3Fault(400, "BadRequest", $"Object tags cannot be greater than {max}");
            }
            result.Append(result.Length > 0 ? "&" : "").Append(S3Target.Escape(name, keepSlash: false)).Append('=').Append(S3Target.Escape(value, keepSlash: false));
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
            throw S3Fault.InvalidArgument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.");
        }
    }

    private static void WriteVersion(S3Call call, Client.Objects.ObjectRecord record)
    {
        if (call.BucketRecord.Versioning != Client.Objects.BucketVersioning.Off)
        {
            call.Reply("x-amz-version-id", VersionOf(record));
        }
    }
}

using Nephos.Client.Objects;
using Nephos.ObjectStorage.Swift;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>GetObjectAttributes: what is known of an object, its parts included, without its bytes.</summary>
internal static class S3Attributes
{
    public static async Task GetAsync(S3Call call)
    {
        var wanted = (call.Header("x-amz-object-attributes") ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (wanted.Length == 0 || wanted.Any(name => name is not ("ETag" or "Checksum" or "ObjectParts" or "StorageClass" or "ObjectSize")))
        {
            throw S3Fault.InvalidArgument("Invalid attribute name specified.");
        }
        var record = await S3Settings.FindAsync(call);
        var swift = call.AsSwift(record.Key);
        var size = (await SwiftLargeObjects.ResolveAsync(swift, record)).LengthBytes;
        var etag = (await SwiftLargeObjects.EtagAsync(swift, record)).Trim('"');
        S3Objects.WriteVersion(call, record);
        call.Reply("Last-Modified", HttpDate(record.Modified));
        var checksums = S3Checksums.Elements(record.SystemMetadata);
        await call.XmlAsync(200, Element("GetObjectAttributesResponse",
            wanted.Contains("ETag") ? Element("ETag", etag) : null,
            wanted.Contains("Checksum") && checksums.Count > 0 ? Element("Checksum", checksums) : null,
            wanted.Contains("ObjectParts") && record.Parts.Length > 0 ? Parts(call, record) : null,
            wanted.Contains("StorageClass") ? Element("StorageClass", "STANDARD") : null,
            wanted.Contains("ObjectSize") ? Element("ObjectSize", size) : null));
    }

    private static System.Xml.Linq.XElement Parts(S3Call call, ObjectRecord record)
    {
        var limit = int.TryParse(call.Header("x-amz-max-parts"), out var max) && max is > 0 and <= 1000 ? max : 1000;
        var marker = int.TryParse(call.Header("x-amz-part-number-marker"), out var after) && after > 0 ? after : 0;
        // Parts are counted as they are in the object, from 1, whatever their numbers were in the upload.
        var page = record.Parts.Select((part, index) => (Number: index + 1, Part: part)).Skip(marker).Take(limit).ToList();
        var next = page.Count > 0 ? page[^1].Number : marker;
        return Element("ObjectParts",
            Element("PartsCount", record.Parts.Length),
            Element("PartNumberMarker", marker),
            Element("NextPartNumberMarker", next),
            Element("MaxParts", limit),
            Element("IsTruncated", next < record.Parts.Length),
            page.Select(item => Element("Part",
                Element("PartNumber", item.Number),
                Element("Size", item.Part.SizeBytes),
                S3Checksums.Parse(item.Part.Checksums) is { } sum ? Element(S3Checksums.ElementOf(sum.Name), sum.Value) : null)));
    }
}

using System.Globalization;
using System.Security.Cryptography;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Multipart uploads.</summary>
internal static class S3Multipart
{
    public const long MinPartBytes = 5 * 1024 * 1024;

    public static async Task StartAsync(S3Call call)
    {
        var upload = (await call.Engine.Namespace.StartUploadAsync(
            new StartUpload { Bucket = call.Bucket, Object = S3Checksums.Begin(call, S3Objects.NewRecord(call)), Now = call.Now, Initiator = call.CallerId }, call.Cancelled)).OrS3Fault();
        S3Lifecycle.WriteAbortion(call, upload.Object);
        await call.XmlAsync(200, Element("InitiateMultipartUploadResult",
            Element("Bucket", call.Target.Bucket), Element("Key", call.Key), Element("UploadId", upload.Id.Value)));
    }

    public static async Task PutPartAsync(S3Call call)
    {
        var number = NumberOf(call);
        var upload = (await call.Engine.Namespace.GetUploadAsync(call.Bucket, call.Key, UploadOf(call), call.Cancelled)).OrS3Fault();
        if (upload.Completed is not null)
        {
            throw S3Fault.Of(EngineStatus.NoSuchUpload);
        }
        if (call.Header("x-amz-copy-source") is not null)
        {
            await S3Copy.CopyPartAsync(call, upload, number);
            return;
        }
        using var body = call.OpenBody();
        var (payload, md5) = await S3Objects.ReceiveAsync(call, body, S3Objects.MaxPutBytes, allowInline: false);
        await CommitPartAsync(call, upload, number, payload, md5, body.Checksum);
        call.Reply("ETag", Quote(md5));
        if (body.Checksum is var (name, value))
        {
            call.Reply(S3Checksum.HeaderPrefix + name, value);
        }
        await call.EmptyAsync(200);
    }

    public static async Task CompleteAsync(S3Call call)
    {
        var upload = UploadOf(call);
        var request = await call.ReadXmlAsync();
        var parts = ReadParts(request);
        var record = (await call.Engine.Namespace.GetUploadAsync(call.Bucket, call.Key, upload, call.Cancelled)).OrS3Fault();
        var whole = record.Object;
        if (record.Completed is null)
        {
            var stored = await PartsAsync(call, upload, request, parts);
            whole = S3Checksums.Complete(whole, stored);
            if (call.Header("x-amz-mp-object-size") is { } announced &&
                announced != stored.Sum(part => part.SizeBytes).ToString(CultureInfo.InvariantCulture))
            {
                throw S3Fault.InvalidRequest("The provided 'x-amz-mp-object-size' header does not match what was computed.");
            }
            foreach (var name in S3Checksum.Names)
            {
                if (call.Header(S3Checksum.HeaderPrefix + name) is { } expected &&
                    whole.SystemMetadata.GetValueOrDefault(S3Checksums.KeyPrefix + name) is { } computed && expected != computed)
                {
                    throw S3Fault.BadDigest();
                }
            }
        }
        var completed = (await call.Engine.Namespace.CompleteUploadAsync(
            new CompleteUpload
            {
                Bucket = call.Bucket,
                Key = call.Key,
                Upload = upload,
                Parts = [.. parts],
                Object = whole with { ETag = CompositeEtag(parts.Select(part => part.ETag)), Modified = call.Now },
                Conditions = S3Objects.Conditions(call),
            },
            call.Cancelled)).OrS3Fault();
        S3Objects.WriteVersion(call, completed);
        await call.XmlAsync(200, Element("CompleteMultipartUploadResult",
            Element("Location", $"{call.Http.Request.Scheme}://{call.Http.Request.Host}/{call.Target.Bucket}/{S3Target.Escape(call.Key, keepSlash: true)}"),
            Element("Bucket", call.Target.Bucket), Element("Key", call.Key), Element("ETag", Quote(completed.ETag)), S3Checksums.Elements(completed.SystemMetadata)));
    }

    public static async Task AbortAsync(S3Call call)
    {
        var status = await call.Engine.Namespace.AbortUploadAsync(call.Bucket, call.Key, UploadOf(call), call.Cancelled);
        await (status == EngineStatus.Ok ? call.EmptyAsync(204) : throw S3Fault.Of(status));
    }

    public static async Task ListPartsAsync(S3Call call)
    {
        var upload = UploadOf(call);
        var limit = call.QueryNumber("max-parts", 1000, 1000);
        var marker = call.QueryNumber("part-number-marker", 0, ObjectLimits.PartNumberMax);
        var page = (await call.Engine.Namespace.ListPartsAsync(call.Bucket, call.Key, upload, marker, limit, call.Cancelled)).OrS3Fault();
        await call.XmlAsync(200, Element("ListPartsResult",
            Element("Bucket", call.Target.Bucket), Element("Key", call.Key), Element("UploadId", upload.Value),
            Owner(call), Element("StorageClass", "STANDARD"),
            Element("PartNumberMarker", marker),
            page.Parts.Count > 0 ? Element("NextPartNumberMarker", page.Parts[^1].Number) : null,
            Element("MaxParts", limit), Element("IsTruncated", page.IsTruncated),
            page.Parts.Select(part => Element("Part",
                Element("PartNumber", part.Number), Element("LastModified", Iso(part.Modified)), Element("ETag", Quote(part.ETag)), Element("Size", part.SizeBytes),
                S3Checksums.Parse(part.Checksums) is { } sum ? Element(S3Checksums.ElementOf(sum.Name), sum.Value) : null))));
    }

    public static async Task ListUploadsAsync(S3Call call)
    {
        var limit = call.QueryNumber("max-uploads", 1000, 1000);
        var encode = S3Listing.Encoder(call);
        var page = (await call.Engine.Namespace.ListUploadsAsync(
            new ListUploads
            {
                Bucket = call.Bucket,
                Prefix = call.Query("prefix") ?? "",
                Delimiter = call.Query("delimiter") ?? "",
                KeyMarker = call.Query("key-marker") ?? "",
                UploadMarker = call.Query("upload-id-marker") ?? "",
                Limit = limit,
            },
            call.Cancelled)).OrS3Fault();
        await call.XmlAsync(200, Element("ListMultipartUploadsResult",
            Element("Bucket", call.Target.Bucket),
            Element("KeyMarker", encode(call.Query("key-marker") ?? "")), Element("UploadIdMarker", call.Query("upload-id-marker") ?? ""),
            page.IsTruncated ? (object[])[Element("NextKeyMarker", encode(page.NextKeyMarker)), Element("NextUploadIdMarker", page.NextUploadMarker)] : null,
            Element("MaxUploads", limit), Element("IsTruncated", page.IsTruncated),
            page.Entries.Where(entry => !entry.IsPrefix).Select(entry => Element("Upload",
                Element("Key", encode(entry.Name)), Element("UploadId", entry.Upload!.Id.Value), Owner(call),
                Element("StorageClass", "STANDARD"), Element("Initiated", Iso(entry.Upload.Initiated)))),
            S3Listing.Prefixes(page.Entries.Where(entry => entry.IsPrefix).Select(entry => entry.Name), encode)));
    }

    /// <summary>The parts that a completion names.</summary>
    /// <exception cref="S3Fault">MalformedXML, also for none and for too many.</exception>
    public static List<(int Number, string ETag)> ReadParts(XElement request)
    {
        var parts = request.Elements().Where(element => element.Name.LocalName == "Part").Select(element => (
            Number: int.TryParse(element.Child("PartNumber")?.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw S3Fault.MalformedXml(),
            ETag: (element.Child("ETag")?.Value ?? throw S3Fault.MalformedXml()).Trim('"'))).ToList();
        return parts.Count is > 0 and <= ObjectLimits.PartNumberMax ? parts : throw S3Fault.MalformedXml();
    }

    /// <summary>The MD5 of the parts' MD5s, and their number.</summary>
    public static string CompositeEtag(IEnumerable<string> etags)
    {
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        var count = 0;
        foreach (var etag in etags)
        {
            var bytes = new byte[16];
            if (etag.Length != 32 || Convert.FromHexString(etag, bytes, out _, out _) != System.Buffers.OperationStatus.Done)
            {
                throw S3Fault.Of(EngineStatus.InvalidPart);
            }
            md5.AppendData(bytes);
            count++;
        }
        return $"{Convert.ToHexStringLower(md5.GetHashAndReset())}-{count}";
    }

    public static async ValueTask CommitPartAsync(
        S3Call call, UploadRecord upload, int number, Payload payload, string md5, (string Name, string Value)? checksum) =>
        (await call.Engine.Namespace.PutPartAsync(
            call.Bucket,
            call.Key,
            upload.Id,
            new PartRecord
            {
                Number = number,
                ETag = md5,
                SizeBytes = payload.LengthBytes,
                Modified = call.Now,
                Checksums = S3Checksums.Format(checksum),
                Payload = payload,
            },
            call.Cancelled)).OrS3Fault();

    /// <summary>The stored parts that a completion names, in its order, each held against what it says of them.</summary>
    private static async ValueTask<List<PartRecord>> PartsAsync(S3Call call, UploadId upload, XElement request, List<(int Number, string ETag)> parts)
    {
        var stored = new Dictionary<int, PartRecord>();
        for (var marker = 0; ;)
        {
            var page = (await call.Engine.Namespace.ListPartsAsync(call.Bucket, call.Key, upload, marker, 1000, call.Cancelled)).OrS3Fault();
            foreach (var part in page.Parts)
            {
                stored[part.Number] = part;
            }
            if (!page.IsTruncated)
            {
                break;
            }
            marker = page.Parts[^1].Number;
        }
        for (var index = 1; index < parts.Count; index++)
        {
            if (parts[index].Number <= parts[index - 1].Number)
            {
                throw S3Fault.Of(EngineStatus.InvalidPartOrder);
            }
        }
        var named = parts.Select(part => stored.TryGetValue(part.Number, out var found) && found.ETag == part.ETag ? found : throw S3Fault.Of(EngineStatus.InvalidPart)).ToList();
        if (named.SkipLast(1).Any(part => part.SizeBytes < MinPartBytes))
        {
            throw new S3Fault(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size");
        }
        var elements = request.Elements().Where(element => element.Name.LocalName == "Part").ToList();
        for (var index = 0; index < named.Count; index++)
        {
            if (S3Checksums.Parse(named[index].Checksums) is { } sum && elements[index].Child(S3Checksums.ElementOf(sum.Name))?.Value is { } given && given != sum.Value)
            {
                throw S3Fault.Of(EngineStatus.InvalidPart);
            }
        }
        return named;
    }

    private static UploadId UploadOf(S3Call call) => new(call.Query("uploadId") ?? "");

    private static int NumberOf(S3Call call) =>
        int.TryParse(call.Query("partNumber"), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= ObjectLimits.PartNumberMax
            ? number
            : throw S3Fault.InvalidArgument($"Part number must be an integer between 1 and {ObjectLimits.PartNumberMax}, inclusive");
}

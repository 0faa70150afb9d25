using System.Globalization;
using System.Security.Cryptography;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Multipart uploads.</summary>
internal static class S3Multipart
{
    private const long MinPartBytes = 5 * 1024 * 1024;

    public static async Task StartAsync(S3Call call)
    {
        call.RequireWrite();
        var upload = (await call.Engine.Namespace.StartUploadAsync(
            new StartUpload { Bucket = call.Bucket, Object = S3Objects.NewRecord(call), Now = call.Now, Initiator = call.Operation.UserId }, call.Cancelled)).OrS3Fault();
        await call.XmlAsync(200, Element("InitiateMultipartUploadResult",
            Element("Bucket", call.Target.Bucket), Element("Key", call.Key), Element("UploadId", upload.Id.Value)));
    }

    public static async Task PutPartAsync(S3Call call)
    {
        call.RequireWrite();
        var (upload, number) = (UploadOf(call), NumberOf(call));
        (await call.Engine.Namespace.GetUploadAsync(call.Bucket, call.Key, upload, call.Cancelled)).OrS3Fault();
        if (call.Header("x-amz-copy-source") is { } source)
        {
            await CopyPartAsync(call, upload, number, source);
            return;
        }
        using var body = call.OpenBody();
        var (payload, md5) = await S3Objects.ReceiveAsync(call, body, allowInline: false);
        await CommitAsync(call, upload, number, payload, md5);
        call.Reply("ETag", Quote(md5));
        foreach (var (name, value) in body.Checksums)
        {
            call.Reply(S3Checksum.HeaderPrefix + name, value);
        }
        await call.EmptyAsync(200);
    }

    public static async Task CompleteAsync(S3Call call)
    {
        call.RequireWrite();
        var upload = UploadOf(call);
        var request = await call.ReadXmlAsync();
        var parts = request.Elements().Where(element => element.Name.LocalName == "Part").Select(element => (
            Number: int.TryParse(element.Child("PartNumber")?.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw S3Fault.MalformedXml(),
            ETag: (element.Child("ETag")?.Value ?? throw S3Fault.MalformedXml()).Trim('"'))).ToList();
        if (parts.Count is 0 or > ObjectLimits.PartNumberMax)
        {
            throw S3Fault.MalformedXml();
        }
        var record = (await call.Engine.Namespace.GetUploadAsync(call.Bucket, call.Key, upload, call.Cancelled)).OrS3Fault();
        if (record.Completed is null)
        {
            await CheckSizesAsync(call, upload, parts);
        }
        var completed = (await call.Engine.Namespace.CompleteUploadAsync(
            new CompleteUpload
            {
                Bucket = call.Bucket,
                Key = call.Key,
                Upload = upload,
                Parts = [.. parts],
                Object = record.Object with { ETag = CompositeEtag(parts.Select(part => part.ETag)), Modified = call.Now },
                Conditions = S3Objects.Conditions(call),
            },
            call.Cancelled)).OrS3Fault();
        await call.XmlAsync(200, Element("CompleteMultipartUploadResult",
            Element("Location", $"{call.Http.Request.Scheme}://{call.Http.Request.Host}/{call.Target.Bucket}/{S3Target.Escape(call.Key, keepSlash: true)}"),
            Element("Bucket", call.Target.Bucket), Element("Key", call.Key), Element("ETag", Quote(completed.ETag))));
    }

    public static async Task AbortAsync(S3Call call)
    {
        call.RequireWrite();
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
            S3Buckets.Owner(call), Element("StorageClass", "STANDARD"),
            Element("PartNumberMarker", marker),
            page.Parts.Count > 0 ? Element("NextPartNumberMarker", page.Parts[^1].Number) : null,
            Element("MaxParts", limit), Element("IsTruncated", page.IsTruncated),
            page.Parts.Select(part => Element("Part",
                Element("PartNumber", part.Number), Element("LastModified", Iso(part.Modified)), Element("ETag", Quote(part.ETag)), Element("Size", part.SizeBytes)))));
    }

    public static async Task ListUploadsAsync(S3Call call)
    {
        var limit = call.QueryNumber("max-uploads", 1000, 1000);
        var encode = S3Buckets.Encoder(call);
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
                Element("Key", encode(entry.Name)), Element("UploadId", entry.Upload!.Id.Value), S3Buckets.Owner(call),
                Element("StorageClass", "STANDARD"), Element("Initiated", Iso(entry.Upload.Initiated)))),
            S3Buckets.Prefixes(page.Entries.Where(entry => entry.IsPrefix).Select(entry => entry.Name), encode)));
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

    private static async ValueTask CheckSizesAsync(S3Call call, UploadId upload, List<(int Number, string ETag)> parts)
    {
        var sizes = new Dictionary<int, long>();
        for (var marker = 0; ;)
        {
            var page = (await call.Engine.Namespace.ListPartsAsync(call.Bucket, call.Key, upload, marker, 1000, call.Cancelled)).OrS3Fault();
            foreach (var part in page.Parts)
            {
                sizes[part.Number] = part.SizeBytes;
            }
            if (!page.IsTruncated)
            {
                break;
            }
            marker = page.Parts[^1].Number;
        }
        if (parts.SkipLast(1).Any(part => sizes.TryGetValue(part.Number, out var size) && size < MinPartBytes))
        {
            throw new S3Fault(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size");
        }
    }

    private static async Task CopyPartAsync(S3Call call, UploadId upload, int number, string source)
    {
        var record = await S3Objects.FindSourceAsync(call, source);
        var content = await S3Objects.ContentOfSourceAsync(call, record);
        var (offset, length) = call.Header("x-amz-copy-source-range") is { } text
            ? ByteRanges.Parse(text, content.LengthBytes) is [var range]
                ? range
                : throw S3Fault.InvalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are inside the object")
            : (0, content.LengthBytes);
        await using var writer = new HashingWriter(call.Engine.Payloads, new PayloadOptions { Bucket = call.Bucket, Key = call.Key, AllowInline = false });
        await using (var stream = new Swift.HashingStream(writer))
        {
            await content.WriteAsync(call.Engine, stream, offset, length, call.Cancelled);
        }
        var (payload, md5) = await writer.CompleteAsync(call.Cancelled);
        await CommitAsync(call, upload, number, payload, md5);
        await call.XmlAsync(200, Element("CopyPartResult", Element("LastModified", Iso(call.Now)), Element("ETag", Quote(md5))));
    }

    private static async ValueTask CommitAsync(S3Call call, UploadId upload, int number, Payload payload, string md5) =>
        (await call.Engine.Namespace.PutPartAsync(
            call.Bucket,
            call.Key,
            upload,
            new PartRecord { Number = number, ETag = md5, SizeBytes = payload.LengthBytes, Modified = call.Now, Payload = payload },
            call.Cancelled)).OrS3Fault();

    private static UploadId UploadOf(S3Call call) => new(call.Query("uploadId") ?? "");

    private static int NumberOf(S3Call call) =>
        int.TryParse(call.Query("partNumber"), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= ObjectLimits.PartNumberMax
            ? number
            : throw S3Fault.InvalidArgument($"Part number must be an integer between 1 and {ObjectLimits.PartNumberMax}, inclusive");
}

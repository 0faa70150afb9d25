using System.Collections.Immutable;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Objects made of other objects: whole, or a range as a part of an upload.</summary>
internal static class S3Copy
{
    private const string VersionParameter = "?versionId=";

    /// <summary>System metadata that belongs to one object and not to its copies.</summary>
    private static readonly string[] NotCopied =
    [
        SwiftObjects.ManifestKey, SwiftLargeObjects.EtagKey, SwiftLargeObjects.SizeKey, SwiftSymlinks.TargetKey, S3Acl.Key, S3Lock.ModeKey, S3Lock.UntilKey, S3Lock.HoldKey,
    ];

    public static async Task CopyAsync(S3Call call)
    {
        var (from, record) = await FindSourceAsync(call);
        var replaces = Directive(call, "x-amz-metadata-directive");
        var replacesTags = Directive(call, "x-amz-tagging-directive");
        var wanted = NewRecord(call, record, replaces, replacesTags);
        if (!replaces && from.Bucket == call.Bucket && record.Key == call.Key && record.IsLatest)
        {
            throw S3Fault.InvalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.");
        }
        var content = await SwiftLargeObjects.ResolveAsync(from.AsSwift(record.Key), record);
        if (content.LengthBytes > S3Objects.MaxPutBytes)
        {
            throw S3Fault.InvalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120");
        }
        var (payload, md5, checksum) = await ReceiveAsync(call, content, 0, content.LengthBytes, AlgorithmOf(call, record), allowInline: true);
        var stored = await S3Objects.CommitAsync(
            call,
            S3Checksums.Keep(wanted, checksum, S3Checksums.FullObject) with { ETag = md5, SizeBytes = payload.LengthBytes, Payload = payload },
            S3Objects.Conditions(call));
        S3Objects.WriteVersion(call, stored);
        WriteSourceVersion(call, from, record);
        await call.XmlAsync(200, Element("CopyObjectResult",
            Element("LastModified", Iso(stored.Modified)), Element("ETag", Quote(md5)), S3Checksums.Elements(stored.SystemMetadata)));
    }

    public static async Task CopyPartAsync(S3Call call, UploadRecord upload, int number)
    {
        var (from, record) = await FindSourceAsync(call);
        var content = await SwiftLargeObjects.ResolveAsync(from.AsSwift(record.Key), record);
        var (offset, length) = call.Header("x-amz-copy-source-range") is { } text
            ? ByteRanges.Parse(text, content.LengthBytes) is [var range]
                ? range
                : throw S3Fault.InvalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
            : (0, content.LengthBytes);
        if (length > S3Objects.MaxPutBytes)
        {
            throw S3Fault.InvalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120");
        }
        var (payload, md5, checksum) = await ReceiveAsync(call, content, offset, length, S3Checksums.AlgorithmOf(upload.Object), allowInline: false);
        await S3Multipart.CommitPartAsync(call, upload, number, payload, md5, checksum);
        WriteSourceVersion(call, from, record);
        await call.XmlAsync(200, Element("CopyPartResult",
            Element("LastModified", Iso(call.Now)), Element("ETag", Quote(md5)), checksum is { } sum ? Element(S3Checksums.ElementOf(sum.Name), sum.Value) : null));
    }

    /// <summary>The object a copy-source header names, for a caller who may read it, if its conditions hold.</summary>
    private static async ValueTask<(S3Call From, ObjectRecord Record)> FindSourceAsync(S3Call call)
    {
        var source = call.Header("x-amz-copy-source")!;
        var question = source.IndexOf(VersionParameter, StringComparison.Ordinal);
        string bucket, key;
        try
        {
            (bucket, key) = SwiftPath.ParseSource(question < 0 ? source : source[..question]);
        }
        catch (SwiftFault)
        {
            throw S3Fault.InvalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
        }
        var version = question < 0 ? null : source[(question + VersionParameter.Length)..];
        var from = await call.AtAsync(bucket, key, version);
        S3Access.RequireOwner(from, "x-amz-source-expected-bucket-owner");
        await S3Access.RequireAsync(from, version is null ? "s3:GetObject" : "s3:GetObjectVersion");
        var record = (await call.Engine.Namespace.GetObjectAsync(from.Bucket, key, Version(version), call.Cancelled)).OrS3Fault();
        if (record.IsDeleteMarker || record.Expires <= call.Now)
        {
            throw version is null ? S3Fault.NoSuchKey() : S3Fault.InvalidRequest("The source of a copy request may not specifically refer to a delete marker by version id.");
        }
        var etag = (await SwiftLargeObjects.EtagAsync(from.AsSwift(key), record)).Trim('"');
        if ((call.Header("x-amz-copy-source-if-match") is { } match && match.Trim('"') != etag) ||
            (call.Header("x-amz-copy-source-if-none-match") is { } none && none.Trim('"') == etag) ||
            (call.Header("x-amz-copy-source-if-match") is null && Date(call.Header("x-amz-copy-source-if-unmodified-since")) is { } unmodified && record.Modified > unmodified.AddSeconds(1)) ||
            (call.Header("x-amz-copy-source-if-none-match") is null && Date(call.Header("x-amz-copy-source-if-modified-since")) is { } since && record.Modified <= since.AddSeconds(1)))
        {
            throw S3Fault.PreconditionFailed();
        }
        return (from, record);
    }

    private static ObjectRecord NewRecord(S3Call call, ObjectRecord source, bool replaces, bool replacesTags)
    {
        var wanted = S3Objects.NewRecord(call);
        var system = replaces
            ? wanted.SystemMetadata
            : source.SystemMetadata.RemoveRange(NotCopied).RemoveRange(source.SystemMetadata.Keys.Where(S3Checksums.IsKey))
                .SetItems(wanted.SystemMetadata.Where(item => item.Key is S3Acl.Key or S3Lock.ModeKey or S3Lock.UntilKey or S3Lock.HoldKey));
        var tags = (replacesTags ? wanted : source).SystemMetadata.GetValueOrDefault(S3Tags.Key);
        return wanted with
        {
            ContentType = replaces ? wanted.ContentType : source.ContentType,
            UserMetadata = replaces ? wanted.UserMetadata : source.UserMetadata,
            SystemMetadata = tags is null ? system.Remove(S3Tags.Key) : system.SetItem(S3Tags.Key, tags),
        };
    }

    /// <summary>The bytes again as a payload of its own; payloads have one owner.</summary>
    private static async ValueTask<(Payload Payload, string Md5, (string Name, string Value)? Checksum)> ReceiveAsync(
        S3Call call, Content content, long offset, long length, string? algorithm, bool allowInline)
    {
        using var checksum = algorithm is null ? null : S3Checksum.Create(algorithm);
        await using var writer = new HashingWriter(call.Engine.Payloads, StoragePolicies.PayloadOf(call.BucketRecord, call.Key) with { AllowInline = allowInline });
        await using (var stream = new HashingStream(writer, checksum is null ? null : checksum.Append))
        {
            await content.WriteAsync(call.Engine, stream, offset, length, call.Cancelled);
        }
        var (payload, md5) = await writer.CompleteAsync(call.Cancelled);
        return (payload, md5, checksum is null ? null : (algorithm!, Convert.ToBase64String(checksum.Finish())));
    }

    private static string? AlgorithmOf(S3Call call, ObjectRecord source) =>
        S3Checksums.Requested(call) ?? source.SystemMetadata.Keys.FirstOrDefault(S3Checksums.IsValueKey)?[S3Checksums.KeyPrefix.Length..];

    private static bool Directive(S3Call call, string header) => call.Header(header) switch
    {
        null or "COPY" => false,
        "REPLACE" => true,
        _ => throw S3Fault.InvalidArgument($"Unknown {header}."),
    };

    private static void WriteSourceVersion(S3Call call, S3Call from, ObjectRecord record)
    {
        if (from.BucketRecord.Versioning != BucketVersioning.Off)
        {
            call.Reply("x-amz-copy-source-version-id", VersionOf(record));
        }
    }
}

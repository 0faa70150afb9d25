using System.Globalization;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Deletes: one object or version, or many in one request.</summary>
internal static class S3Deletes
{
    public const int MaxDeletes = 1000;

    public static async Task OneAsync(S3Call call)
    {
        var match = call.Header("If-Match");
        var outcome = await RemoveAsync(call, call.Key, call.Query("versionId"), new WriteConditions
        {
            ETagIn = match is not null && match != "*" ? [match.Trim('"')] : [],
            MustExist = match == "*",
            SizeBytes = call.Header("x-amz-if-match-size") is { } size ? Number(size) : null,
            UnmodifiedSince = Date(call.Header("x-amz-if-match-last-modified-time")) is { } time ? time.AddSeconds(1) : null,
        });
        if (outcome.IsDeleteMarker)
        {
            call.Reply("x-amz-delete-marker", "true");
        }
        if (call.BucketRecord.Versioning != BucketVersioning.Off && outcome.Version != default)
        {
            call.Reply("x-amz-version-id", outcome.IsNullVersion ? "null" : outcome.Version.ToString());
        }
        await call.EmptyAsync(204);
    }

    public static async Task ManyAsync(S3Call call)
    {
        _ = call.BucketRecord;
        var (items, quiet) = Read(await call.ReadXmlAsync());
        var result = Element("DeleteResult");
        foreach (var (key, version, conditions) in items)
        {
            try
            {
                var one = await call.AtAsync(call.Target.Bucket, key, version);
                await S3Access.RequireAsync(one, version is { Length: > 0 } ? "s3:DeleteObjectVersion" : "s3:DeleteObject");
                var outcome = await RemoveAsync(one, key, version, conditions);
                if (!quiet)
                {
                    result.Add(Element("Deleted", Element("Key", key), version is { Length: > 0 } ? Element("VersionId", version) : null,
                        outcome.IsDeleteMarker ? (object[])[Element("DeleteMarker", true), Element("DeleteMarkerVersionId", outcome.IsNullVersion ? "null" : outcome.Version.ToString())] : null));
                }
            }
            catch (S3Fault fault)
            {
                result.Add(Element("Error", Element("Key", key), version is { Length: > 0 } ? Element("VersionId", version) : null,
                    Element("Code", fault.Code), Element("Message", fault.Message)));
            }
            catch (ObjectEngineException failure)
            {
                var fault = S3Fault.Of(failure);
                result.Add(Element("Error", Element("Key", key), Element("Code", fault.Code), Element("Message", fault.Message)));
            }
        }
        await call.XmlAsync(200, result);
    }

    /// <summary>What a batch names, all of it sound before anything is deleted.</summary>
    /// <exception cref="S3Fault">MalformedXML, also for more than <see cref="MaxDeletes"/>.</exception>
    public static (List<(string Key, string? Version, WriteConditions Conditions)> Items, bool Quiet) Read(XElement request)
    {
        var items = request.Elements().Where(element => element.Name.LocalName == "Object").Select(item => (
            item.Child("Key")?.Value is { Length: > 0 } key ? key : throw S3Fault.MalformedXml(),
            item.Child("VersionId")?.Value,
            new WriteConditions
            {
                ETagIn = item.Child("ETag")?.Value is { Length: > 0 } etag ? [etag.Trim('"')] : [],
                SizeBytes = item.Child("Size")?.Value is { } size ? Number(size) : null,
            })).ToList();
        return request.Name.LocalName == "Delete" && items.Count is > 0 and <= MaxDeletes
            ? (items, request.Child("Quiet")?.Value.Trim() == "true")
            : throw S3Fault.MalformedXml();
    }

    private static async ValueTask<DeleteOutcome> RemoveAsync(S3Call call, string key, string? version, WriteConditions conditions)
    {
        var selector = Version(version);
        if (!selector.IsCurrent && S3Lock.IsEnabled(call.BucketRecord))
        {
            var found = await call.Engine.Namespace.GetObjectAsync(call.Bucket, key, selector, call.Cancelled);
            if (found is { IsOk: true, Value: { IsDeleteMarker: false } record })
            {
                S3Lock.RequireRemovable(call, record);
                // A lock that is put on the version meanwhile changes its generation, and the delete fails.
                conditions = conditions with { Generation = record.Generation };
            }
        }
        var outcome = await call.Engine.Namespace.DeleteObjectAsync(
            new DeleteObject { Bucket = call.Bucket, Key = key, Version = selector, Conditions = conditions, Owner = call.CallerId, Now = call.Now },
            call.Cancelled);
        return outcome.Status is EngineStatus.NoSuchKey or EngineStatus.NoSuchVersion ? default : outcome.OrS3Fault();
    }

    private static long Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : throw S3Fault.InvalidArgument("A size is a whole number.");
}

using System.Text.RegularExpressions;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Buckets: making, listing what is in them, versioning.</summary>
internal static partial class S3Buckets
{
    public static async Task ListAsync(S3Call call)
    {
        var outcome = await call.Engine.Namespace.ListBucketsAsync(
            new ListBuckets { Account = call.CallerAccount, Prefix = call.Query("prefix") ?? "", Marker = call.Query("continuation-token") ?? "", Limit = call.QueryNumber("max-buckets", 10_000, 10_000) },
            call.Cancelled);
        var page = outcome.Status == EngineStatus.NoSuchAccount ? new BucketPage([], false, "") : outcome.OrS3Fault();
        await call.XmlAsync(200, Element("ListAllMyBucketsResult",
            Element("Owner", Element("ID", call.CallerAccount), Element("DisplayName", call.CallerAccount)),
            Element("Buckets", page.Entries.Where(entry => entry.Bucket is not null).Select(entry => Element("Bucket",
                Element("Name", entry.Name), Element("CreationDate", Iso(entry.Bucket!.Created))))),
            page.IsTruncated ? Element("ContinuationToken", page.NextMarker) : null));
    }

    public static async Task CreateAsync(S3Call call)
    {
        S3Access.RequireWriter(call);
        var name = new BucketName(call.CallerAccount, call.Target.Bucket);
        if (!BucketPattern().IsMatch(name.Name) || name.Name.Contains("..", StringComparison.Ordinal))
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
        var locks = "true".Equals(call.Header("x-amz-bucket-object-lock-enabled"), StringComparison.OrdinalIgnoreCase);
        var metadata = RecordMetadata.Empty;
        if (S3Acl.FromHeaders(call) is { Grants.Count: > 0 } acl)
        {
            metadata = metadata.SetItem(S3Acl.Key, acl.ToString());
        }
        var outcome = await call.Engine.Namespace.CreateBucketAsync(
            new BucketRecord
            {
                Name = name,
                Created = call.Now,
                Modified = call.Now,
                Owner = call.CallerId,
                Versioning = locks ? BucketVersioning.Enabled : BucketVersioning.Off,
                Metadata = locks ? metadata.SetItem(S3Lock.BucketKey, "on") : metadata,
            },
            call.Cancelled);
        if (outcome.Status != EngineStatus.BucketExists)
        {
            await S3Names.RegisterAsync(call.Engine, outcome.OrS3Fault(), call.Cancelled);
        }
        call.Reply("Location", "/" + call.Target.Bucket);
        await call.EmptyAsync(200);
    }

    public static async Task HeadAsync(S3Call call)
    {
        call.Reply("x-amz-bucket-region", call.Region);
        await call.EmptyAsync(200);
    }

    public static async Task DeleteAsync(S3Call call)
    {
        var status = await call.Engine.Namespace.DeleteBucketAsync(call.Bucket, call.Cancelled);
        await (status == EngineStatus.Ok ? call.EmptyAsync(204) : throw S3Fault.Of(status));
    }

    public static Task LocationAsync(S3Call call) =>
        call.XmlAsync(200, Element("LocationConstraint", call.Region == "us-east-1" ? "" : call.Region));

    public static Task GetVersioningAsync(S3Call call) =>
        call.XmlAsync(200, Element("VersioningConfiguration", call.BucketRecord.Versioning switch
        {
            BucketVersioning.Enabled => Element("Status", "Enabled"),
            BucketVersioning.Suspended => Element("Status", "Suspended"),
            _ => null,
        }));

    public static async Task PutVersioningAsync(S3Call call)
    {
        var wanted = (await call.ReadXmlAsync()).Child("Status")?.Value switch
        {
            "Enabled" => BucketVersioning.Enabled,
            "Suspended" => BucketVersioning.Suspended,
            _ => throw S3Fault.MalformedXml(),
        };
        await S3Settings.ChangeBucketAsync(call, bucket => wanted == BucketVersioning.Suspended && S3Lock.IsEnabled(bucket)
            ? throw new S3Fault(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
            : bucket with { Versioning = wanted });
        await call.EmptyAsync(200);
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", RegexOptions.CultureInvariant)]
    private static partial Regex BucketPattern();
}

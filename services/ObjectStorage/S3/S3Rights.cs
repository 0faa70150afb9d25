using System.Text;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Reading and changing who may do what: ACLs, the policy, the block of public access, ownership.</summary>
internal static class S3Rights
{
    private const string OwnershipKey = "s3.ownership";
    private const string Enforced = "BucketOwnerEnforced";

    public static Task GetBucketAclAsync(S3Call call) =>
        call.XmlAsync(200, S3Acl.Parse(call.BucketRecord.Metadata.GetValueOrDefault(S3Acl.Key)).ToXml(call.Bucket.Account));

    public static async Task PutBucketAclAsync(S3Call call)
    {
        var acl = await ReadAclAsync(call);
        await S3Settings.SetAsync(call, S3Acl.Key, acl.Grants.Count == 0 ? null : acl.ToString());
        await call.EmptyAsync(200);
    }

    public static async Task GetObjectAclAsync(S3Call call)
    {
        var record = await S3Settings.FindAsync(call);
        await call.XmlAsync(200, S3Acl.Parse(record.SystemMetadata.GetValueOrDefault(S3Acl.Key)).ToXml(call.Bucket.Account));
    }

    public static async Task PutObjectAclAsync(S3Call call)
    {
        var acl = await ReadAclAsync(call);
        await S3Settings.ChangeObjectAsync(call, metadata => acl.Grants.Count == 0 ? metadata.Remove(S3Acl.Key) : metadata.SetItem(S3Acl.Key, acl.ToString()));
        await call.EmptyAsync(200);
    }

    /// <summary>The ACL a new object gets by the headers of its put, as it is kept; null for none.</summary>
    /// <exception cref="S3Fault">The bucket takes no ACLs, or no public ones.</exception>
    public static string? AclOfHeaders(S3Call call)
    {
        if (S3Acl.FromHeaders(call) is not { } acl)
        {
            return null;
        }
        if (call.FoundBucket is not null)
        {
            Check(call, acl);
        }
        return acl.Grants.Count == 0 ? null : acl.ToString();
    }

    public static async Task GetPolicyAsync(S3Call call)
    {
        var policy = call.BucketRecord.Metadata.GetValueOrDefault(S3Policy.Key) ?? throw NoPolicy();
        var bytes = Encoding.UTF8.GetBytes(policy);
        call.Http.Response.ContentType = "application/json";
        call.Http.Response.ContentLength = bytes.Length;
        await call.Http.Response.Body.WriteAsync(bytes, call.Cancelled);
    }

    public static async Task PutPolicyAsync(S3Call call)
    {
        using var body = call.OpenBody();
        var bytes = await body.ReadAllAsync(S3Policy.MaxBytes, call.Cancelled);
        var policy = S3Policy.Parse(Encoding.UTF8.GetString(bytes), call.Bucket.Name);
        if (policy.IsPublic && S3PublicAccess.Of(call.BucketRecord).BlockPublicPolicy)
        {
            throw S3Fault.AccessDenied("Public policies are blocked by the BlockPublicPolicy setting.");
        }
        await S3Settings.SetAsync(call, S3Policy.Key, Encoding.UTF8.GetString(bytes));
        await call.EmptyAsync(204);
    }

    public static async Task DeletePolicyAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, S3Policy.Key, null);
        await call.EmptyAsync(204);
    }

    public static Task GetPolicyStatusAsync(S3Call call) => call.XmlAsync(200, Element("PolicyStatus",
        Element("IsPublic", (S3Access.PolicyOf(call.BucketRecord) ?? throw NoPolicy()).IsPublic)));

    public static async Task GetPublicAccessAsync(S3Call call)
    {
        if (!call.BucketRecord.Metadata.ContainsKey(S3PublicAccess.Key))
        {
            throw new S3Fault(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found");
        }
        var block = S3PublicAccess.Of(call.BucketRecord);
        await call.XmlAsync(200, Element("PublicAccessBlockConfiguration",
            Element("BlockPublicAcls", block.BlockPublicAcls), Element("IgnorePublicAcls", block.IgnorePublicAcls),
            Element("BlockPublicPolicy", block.BlockPublicPolicy), Element("RestrictPublicBuckets", block.RestrictPublicBuckets)));
    }

    public static async Task PutPublicAccessAsync(S3Call call)
    {
        var xml = await call.ReadXmlAsync();
        bool Flag(string name) => xml.Child(name)?.Value.Trim() is "true" or "TRUE";
        var block = new S3PublicAccess(Flag("BlockPublicAcls"), Flag("IgnorePublicAcls"), Flag("BlockPublicPolicy"), Flag("RestrictPublicBuckets"));
        await S3Settings.SetAsync(call, S3PublicAccess.Key, block.ToString());
        await call.EmptyAsync(200);
    }

    public static async Task DeletePublicAccessAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, S3PublicAccess.Key, null);
        await call.EmptyAsync(204);
    }

    public static Task GetOwnershipAsync(S3Call call) => call.XmlAsync(200, Element("OwnershipControls", Element("Rule", Element("ObjectOwnership",
        call.BucketRecord.Metadata.GetValueOrDefault(OwnershipKey) ??
        throw new S3Fault(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")))));

    public static async Task PutOwnershipAsync(S3Call call)
    {
        var xml = await call.ReadXmlAsync();
        var wanted = xml.Child("Rule")?.Child("ObjectOwnership")?.Value.Trim();
        if (wanted is not (Enforced or "BucketOwnerPreferred" or "ObjectWriter"))
        {
            throw S3Fault.MalformedXml();
        }
        await S3Settings.SetAsync(call, OwnershipKey, wanted);
        await call.EmptyAsync(200);
    }

    public static async Task DeleteOwnershipAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, OwnershipKey, null);
        await call.EmptyAsync(204);
    }

    private static async ValueTask<S3Acl> ReadAclAsync(S3Call call)
    {
        var acl = S3Acl.FromHeaders(call) ?? S3Acl.FromXml(await call.ReadXmlAsync(), call.Bucket.Account);
        Check(call, acl);
        return acl;
    }

    /// <exception cref="S3Fault">The bucket takes no ACLs, or no public ones.</exception>
    public static void Check(S3Call call, S3Acl acl)
    {
        var bucket = call.BucketRecord;
        if (acl.Grants.Count > 0 && bucket.Metadata.GetValueOrDefault(OwnershipKey) == Enforced)
        {
            throw new S3Fault(400, "AccessControlListNotSupported", "The bucket does not allow ACLs");
        }
        if (acl.IsPublic && S3PublicAccess.Of(bucket).BlockPublicAcls)
        {
            throw S3Fault.AccessDenied("Public ACLs are blocked by the BlockPublicAcls setting.");
        }
    }

    private static S3Fault NoPolicy() => new(404, "NoSuchBucketPolicy", "The bucket policy does not exist");
}

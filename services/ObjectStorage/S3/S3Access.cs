using System.Collections.Concurrent;
using System.Globalization;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Objects;
using Nephos.ObjectStorage.Swift;

namespace Nephos.ObjectStorage.S3;

/// <summary>
/// Who may do what through S3. The project that owns the bucket may by role; others by the bucket's policy, the ACLs of bucket and object, and
/// the ACLs that Swift set. A policy that denies wins over everything but the owner's right to change the policy.
/// </summary>
internal static class S3Access
{
    private const int MaxPolicies = 1000;
    private static readonly ConcurrentDictionary<(ulong Bucket, ulong Generation), S3Policy?> Policies = new();

    /// <exception cref="S3Fault">NoSuchBucket, or AccessDenied.</exception>
    public static async ValueTask RequireAsync(S3Call call, string action)
    {
        var bucket = call.BucketRecord;
        var policy = PolicyOf(bucket);
        var verdict = policy?.Evaluate(await RequestOfAsync(call, action, policy)) ?? PolicyVerdict.Silent;
        var owns = Owns(call, action);
        if (verdict == PolicyVerdict.Deny && !(owns && action is "s3:GetBucketPolicy" or "s3:PutBucketPolicy" or "s3:DeleteBucketPolicy"))
        {
            throw S3Fault.AccessDenied();
        }
        if (owns)
        {
            return;
        }
        var block = S3PublicAccess.Of(bucket);
        if (verdict == PolicyVerdict.Allow && !(block.RestrictPublicBuckets && policy!.IsPublic))
        {
            return;
        }
        if (!AclAllows(call, bucket, action, block.IgnorePublicAcls) && !await ObjectAclAllowsAsync(call, action, block.IgnorePublicAcls))
        {
            throw S3Fault.AccessDenied();
        }
    }

    /// <summary>Holds a caller to the owner it expects, so that it does not write into a bucket that somebody else made under the name.</summary>
    public static void RequireOwner(S3Call call, string header)
    {
        if (call.Header(header) is { Length: > 0 } expected && call.FoundBucket is { } bucket && bucket.Name.Account != expected)
        {
            throw S3Fault.AccessDenied();
        }
    }

    /// <summary>Whether the caller works in the bucket's project with a role that suffices.</summary>
    public static bool Owns(S3Call call, string action) => call.Operation is { } operation &&
        (operation.IsAdmin || (operation.ProjectId == call.Bucket.Account && (operation.HasRole("member") || (operation.HasRole("reader") && IsRead(action)))));

    /// <summary>For what is not about a bucket that exists.</summary>
    public static void RequireWriter(S3Call call)
    {
        if (call.Operation is not { } operation || (!operation.HasRole("member") && !operation.IsAdmin))
        {
            throw S3Fault.AccessDenied();
        }
    }

    public static S3Policy? PolicyOf(BucketRecord bucket)
    {
        if (!bucket.Metadata.TryGetValue(S3Policy.Key, out var json))
        {
            return null;
        }
        if (Policies.Count >= MaxPolicies)
        {
            Policies.Clear();
        }
        return Policies.GetOrAdd((bucket.Uid, bucket.Generation), static (_, item) => S3Policy.Parse(item.json, item.Name), (json, bucket.Name.Name));
    }

    private static bool IsRead(string action) =>
        action.StartsWith("s3:Get", StringComparison.Ordinal) || action.StartsWith("s3:List", StringComparison.Ordinal);

    private static bool AclAllows(S3Call call, BucketRecord bucket, string action, bool ignorePublic)
    {
        var project = call.Operation?.ProjectId;
        var permission = action switch
        {
            "s3:ListBucket" or "s3:ListBucketVersions" or "s3:ListBucketMultipartUploads" => "READ",
            "s3:PutObject" or "s3:DeleteObject" or "s3:AbortMultipartUpload" or "s3:ListMultipartUploadParts" => "WRITE",
            "s3:GetBucketAcl" => "READ_ACP",
            "s3:PutBucketAcl" => "WRITE_ACP",
            _ => null,
        };
        if (permission is not null && S3Acl.Parse(bucket.Metadata.GetValueOrDefault(S3Acl.Key)).Allows(project, permission, ignorePublic))
        {
            return true;
        }
        var read = bucket.Metadata.GetValueOrDefault(SwiftAcl.ReadKey, "");
        var referred = !ignorePublic && SwiftAcl.GrantsReferrer(read, call.Header("Referer"));
        return permission switch
        {
            "READ" => SwiftAcl.Grants(read, call.Operation) || (referred && SwiftAcl.GrantsListings(read)),
            "WRITE" => SwiftAcl.Grants(bucket.Metadata.GetValueOrDefault(SwiftAcl.WriteKey, ""), call.Operation),
            _ => action is ("s3:GetObject" or "s3:GetObjectVersion") && (SwiftAcl.Grants(read, call.Operation) || referred),
        };
    }

    private static async ValueTask<bool> ObjectAclAllowsAsync(S3Call call, string action, bool ignorePublic)
    {
        var permission = action switch
        {
            "s3:GetObject" or "s3:GetObjectVersion" => "READ",
            "s3:GetObjectAcl" => "READ_ACP",
            "s3:PutObjectAcl" => "WRITE_ACP",
            _ => null,
        };
        if (permission is null || call.Key.Length == 0)
        {
            return false;
        }
        var found = await call.Engine.Namespace.GetObjectAsync(call.Bucket, call.Key, S3Text.Version(call.Query("versionId")), call.Cancelled);
        return found is { IsOk: true, Value: { } record } &&
            S3Acl.Parse(record.SystemMetadata.GetValueOrDefault(S3Acl.Key)).Allows(call.Operation?.ProjectId, permission, ignorePublic);
    }

    private static async ValueTask<PolicyRequest> RequestOfAsync(S3Call call, string action, S3Policy policy)
    {
        var existing = call.Key.Length > 0 && policy.AsksForTags(S3Policy.ExistingTag)
            ? (await call.Engine.Namespace.GetObjectAsync(call.Bucket, call.Key, S3Text.Version(call.Query("versionId")), call.Cancelled)).Value
            : null;
        var requested = !policy.AsksForTags(S3Policy.RequestTag) && !policy.AsksForTags(S3Policy.RequestTagKeys) ? ""
            : action == "s3:PutObjectTagging" ? S3Tags.OfObject(await call.ReadXmlAsync())
            : S3Tags.OfHeader(call) ?? "";
        var resource = call.Key.Length > 0 ? $"arn:aws:s3:::{call.Bucket.Name}/{call.Key}" : $"arn:aws:s3:::{call.Bucket.Name}";
        return new PolicyRequest(call.Operation?.ProjectId, call.Operation?.UserId, action, resource, ValueOf);

        IReadOnlyList<string> ValueOf(string key) => key switch
        {
            S3Policy.RequestTagKeys => [.. S3Tags.Read(requested).Select(tag => tag.Name)],
            _ when key.StartsWith(S3Policy.RequestTag, StringComparison.Ordinal) => TagOf(requested, key[S3Policy.RequestTag.Length..]),
            _ when key.StartsWith(S3Policy.ExistingTag, StringComparison.Ordinal) =>
                TagOf(existing?.SystemMetadata.GetValueOrDefault(S3Tags.Key) ?? "", key[S3Policy.ExistingTag.Length..]),
            _ => SingleOf(key) is { } value ? [value] : [],
        };

        static List<string> TagOf(string tags, string name) => [.. S3Tags.Read(tags).Where(tag => tag.Name == name).Select(tag => tag.Value)];

        string? SingleOf(string key) => key switch
        {
            "aws:sourceip" => call.Http.Connection.RemoteIpAddress is { } address ? (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString() : null,
            "aws:securetransport" => call.Http.Request.IsHttps ? "true" : "false",
            "aws:referer" => call.Header("Referer"),
            "aws:useragent" => call.Header("User-Agent"),
            "aws:currenttime" or "aws:epochtime" => call.Now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            "aws:userid" or "aws:username" => call.Operation?.UserId,
            "aws:principalaccount" => call.Operation?.ProjectId,
            "s3:prefix" => call.Query("prefix"),
            "s3:delimiter" => call.Query("delimiter"),
            "s3:max-keys" => call.Query("max-keys"),
            "s3:versionid" => call.Query("versionId"),
            _ when key.StartsWith("s3:x-amz-", StringComparison.Ordinal) => call.Header(key[3..]),
            _ => null,
        };
    }
}

/// <summary>The four switches that keep a bucket from becoming public by accident.</summary>
internal readonly record struct S3PublicAccess(bool BlockPublicAcls, bool IgnorePublicAcls, bool BlockPublicPolicy, bool RestrictPublicBuckets)
{
    public const string Key = "s3.public-access-block";

    public static S3PublicAccess Of(BucketRecord bucket) => Parse(bucket.Metadata.GetValueOrDefault(Key, ""));

    public static S3PublicAccess Parse(string stored) => new(
        stored.Contains('a', StringComparison.Ordinal), stored.Contains('i', StringComparison.Ordinal),
        stored.Contains('p', StringComparison.Ordinal), stored.Contains('r', StringComparison.Ordinal));

    public override string ToString() =>
        $"{(BlockPublicAcls ? "a" : "")}{(IgnorePublicAcls ? "i" : "")}{(BlockPublicPolicy ? "p" : "")}{(RestrictPublicBuckets ? "r" : "")}-";
}

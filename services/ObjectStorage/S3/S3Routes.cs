namespace Nephos.ObjectStorage.S3;

/// <summary>What a request is for.</summary>
/// <param name="Action">The right it needs on the bucket or object; null when the handler sees to that itself.</param>
internal readonly record struct S3Route(string? Action, Func<S3Call, Task> HandleAsync);

/// <summary>Method, level and subresource to handler.</summary>
internal static class S3Routes
{
    /// <summary>Subresources that exist in S3 and not here; answering them like a plain call would be a lie.</summary>
    private static readonly string[] Unsupported =
    [
        "accelerate", "analytics", "encryption", "intelligent-tiering", "inventory", "logging", "metrics",
        "notification", "replication", "requestPayment", "restore", "select", "torrent", "website",
    ];

    public static S3Route Of(S3Call call)
    {
        var target = call.Target;
        var method = call.Http.Request.Method.ToUpperInvariant();
        if (target.Bucket.Length == 0)
        {
            return method == "GET" ? new(null, S3Buckets.ListAsync) : throw S3Fault.MethodNotAllowed();
        }
        foreach (var name in Unsupported)
        {
            if (target.Has(name))
            {
                return method is "GET" && target.Key.Length == 0 && S3Absent.Has(name)
                    ? new("s3:GetBucketLocation", inner => S3Absent.AnswerAsync(inner, name))
                    : throw S3Fault.NotImplemented($"The subresource {name}");
            }
        }
        return target.Key.Length == 0 ? OfBucket(target, method) : OfObject(call, target, method);
    }

    private static S3Route OfBucket(S3Target target, string method) => method switch
    {
        "GET" => target switch
        {
            _ when target.Has("location") => new("s3:GetBucketLocation", S3Buckets.LocationAsync),
            _ when target.Has("versioning") => new("s3:GetBucketVersioning", S3Buckets.GetVersioningAsync),
            _ when target.Has("acl") => new("s3:GetBucketAcl", S3Rights.GetBucketAclAsync),
            _ when target.Has("policy") => new("s3:GetBucketPolicy", S3Rights.GetPolicyAsync),
            _ when target.Has("policyStatus") => new("s3:GetBucketPolicyStatus", S3Rights.GetPolicyStatusAsync),
            _ when target.Has("publicAccessBlock") => new("s3:GetBucketPublicAccessBlock", S3Rights.GetPublicAccessAsync),
            _ when target.Has("ownershipControls") => new("s3:GetBucketOwnershipControls", S3Rights.GetOwnershipAsync),
            _ when target.Has("cors") => new("s3:GetBucketCORS", S3Cors.GetAsync),
            _ when target.Has("lifecycle") => new("s3:GetLifecycleConfiguration", S3Lifecycle.GetAsync),
            _ when target.Has("tagging") => new("s3:GetBucketTagging", S3Tags.GetBucketAsync),
            _ when target.Has("object-lock") => new("s3:GetBucketObjectLockConfiguration", S3Lock.GetConfigurationAsync),
            _ when target.Has("uploads") => new("s3:ListBucketMultipartUploads", S3Multipart.ListUploadsAsync),
            _ when target.Has("versions") => new("s3:ListBucketVersions", S3Listing.VersionsAsync),
            _ => new("s3:ListBucket", S3Listing.ObjectsAsync),
        },
        "HEAD" => new("s3:ListBucket", S3Buckets.HeadAsync),
        "PUT" => target switch
        {
            _ when target.Has("versioning") => new("s3:PutBucketVersioning", S3Buckets.PutVersioningAsync),
            _ when target.Has("acl") => new("s3:PutBucketAcl", S3Rights.PutBucketAclAsync),
            _ when target.Has("policy") => new("s3:PutBucketPolicy", S3Rights.PutPolicyAsync),
            _ when target.Has("publicAccessBlock") => new("s3:PutBucketPublicAccessBlock", S3Rights.PutPublicAccessAsync),
            _ when target.Has("ownershipControls") => new("s3:PutBucketOwnershipControls", S3Rights.PutOwnershipAsync),
            _ when target.Has("cors") => new("s3:PutBucketCORS", S3Cors.PutAsync),
            _ when target.Has("lifecycle") => new("s3:PutLifecycleConfiguration", S3Lifecycle.PutAsync),
            _ when target.Has("tagging") => new("s3:PutBucketTagging", S3Tags.PutBucketAsync),
            _ when target.Has("object-lock") => new("s3:PutBucketObjectLockConfiguration", S3Lock.PutConfigurationAsync),
            _ => new(null, S3Buckets.CreateAsync),
        },
        "DELETE" => target switch
        {
            _ when target.Has("policy") => new("s3:DeleteBucketPolicy", S3Rights.DeletePolicyAsync),
            _ when target.Has("publicAccessBlock") => new("s3:PutBucketPublicAccessBlock", S3Rights.DeletePublicAccessAsync),
            _ when target.Has("ownershipControls") => new("s3:PutBucketOwnershipControls", S3Rights.DeleteOwnershipAsync),
            _ when target.Has("cors") => new("s3:PutBucketCORS", S3Cors.DeleteAsync),
            _ when target.Has("lifecycle") => new("s3:PutLifecycleConfiguration", S3Lifecycle.DeleteAsync),
            _ when target.Has("tagging") => new("s3:PutBucketTagging", S3Tags.DeleteBucketAsync),
            _ => new("s3:DeleteBucket", S3Buckets.DeleteAsync),
        },
        "POST" when target.Has("delete") => new(null, S3Deletes.ManyAsync),
        _ => throw S3Fault.MethodNotAllowed(),
    };

    private static S3Route OfObject(S3Call call, S3Target target, string method) => method switch
    {
        "GET" => target switch
        {
            _ when target.Has("uploadId") => new("s3:ListMultipartUploadParts", S3Multipart.ListPartsAsync),
            _ when target.Has("acl") => new("s3:GetObjectAcl", S3Rights.GetObjectAclAsync),
            _ when target.Has("tagging") => new("s3:GetObjectTagging", S3Tags.GetObjectAsync),
            _ when target.Has("retention") => new("s3:GetObjectRetention", S3Lock.GetRetentionAsync),
            _ when target.Has("legal-hold") => new("s3:GetObjectLegalHold", S3Lock.GetLegalHoldAsync),
            _ when target.Has("attributes") => new("s3:GetObjectAttributes", S3Attributes.GetAsync),
            _ => new(target.Has("versionId") ? "s3:GetObjectVersion" : "s3:GetObject", S3Objects.GetAsync),
        },
        "HEAD" => new(target.Has("versionId") ? "s3:GetObjectVersion" : "s3:GetObject", S3Objects.GetAsync),
        "PUT" => target switch
        {
            _ when target.Has("uploadId") => new("s3:PutObject", S3Multipart.PutPartAsync),
            _ when target.Has("acl") => new("s3:PutObjectAcl", S3Rights.PutObjectAclAsync),
            _ when target.Has("tagging") => new("s3:PutObjectTagging", S3Tags.PutObjectAsync),
            _ when target.Has("retention") => new("s3:PutObjectRetention", S3Lock.PutRetentionAsync),
            _ when target.Has("legal-hold") => new("s3:PutObjectLegalHold", S3Lock.PutLegalHoldAsync),
            _ when call.Header("x-amz-copy-source") is not null => new("s3:PutObject", S3Copy.CopyAsync),
            _ => new("s3:PutObject", S3Objects.PutAsync),
        },
        "POST" => target switch
        {
            _ when target.Has("uploads") => new("s3:PutObject", S3Multipart.StartAsync),
            _ when target.Has("uploadId") => new("s3:PutObject", S3Multipart.CompleteAsync),
            _ => throw S3Fault.MethodNotAllowed(),
        },
        "DELETE" => target switch
        {
            _ when target.Has("uploadId") => new("s3:AbortMultipartUpload", S3Multipart.AbortAsync),
            _ when target.Has("tagging") => new("s3:DeleteObjectTagging", S3Tags.DeleteObjectAsync),
            _ => new(target.Has("versionId") ? "s3:DeleteObjectVersion" : "s3:DeleteObject", S3Deletes.OneAsync),
        },
        _ => throw S3Fault.MethodNotAllowed(),
    };
}

/// <summary>Settings that no bucket here has: asking for them gets S3's answer for a bucket without them.</summary>
internal static class S3Absent
{
    public static bool Has(string name) => name is "website" or "replication" or "encryption" or "logging" or "notification" or "accelerate" or "requestPayment";

    public static Task AnswerAsync(S3Call call, string name) => name switch
    {
        "website" => throw new S3Fault(404, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
        "replication" => throw new S3Fault(404, "ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
        "encryption" => throw new S3Fault(404, "ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found"),
        "logging" => call.XmlAsync(200, S3Text.Element("BucketLoggingStatus")),
        "notification" => call.XmlAsync(200, S3Text.Element("NotificationConfiguration")),
        "accelerate" => call.XmlAsync(200, S3Text.Element("AccelerateConfiguration")),
        _ => call.XmlAsync(200, S3Text.Element("RequestPaymentConfiguration", S3Text.Element("Payer", "BucketOwner"))),
    };
}

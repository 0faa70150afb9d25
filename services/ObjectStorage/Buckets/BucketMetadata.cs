namespace Nephos.ObjectStorage.Buckets;

/// <summary>How the faces name what they keep in the metadata of buckets and accounts.</summary>
internal static class BucketMetadata
{
    /// <summary>The user's own metadata: Swift's X-Container-Meta-* and X-Account-Meta-*, names in lower case.</summary>
    public const string UserPrefix = "user.";
}

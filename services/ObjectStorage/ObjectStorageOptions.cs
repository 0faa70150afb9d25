using System.ComponentModel.DataAnnotations;

namespace Nephos.ObjectStorage;

/// <summary>Options of the object service. Configuration section <c>ObjectStorage</c>.</summary>
public sealed class ObjectStorageOptions
{
    public const string Section = "ObjectStorage";

    /// <summary>Host names below which the first label of a request's host is a bucket.</summary>
    [MinLength(1)]
    public string[] S3Domains { get; set; } = ["localhost", "s3.localhost"];
}

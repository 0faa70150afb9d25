using System.Text.Json.Serialization;
using Nephos.Kernel.State;

namespace Nephos.Images.Catalog;

internal enum ImageStatus
{
    /// <summary>Without data.</summary>
    Queued,

    /// <summary>An upload brings data in.</summary>
    Saving,

    Active,

    /// <summary>The data is kept, and refused to users.</summary>
    Deactivated,
}

internal enum Visibility
{
    Private,

    /// <summary>Seen by the projects that are members.</summary>
    Shared,

    /// <summary>Seen by everybody who knows the id or asks for community images.</summary>
    Community,

    Public,
}

internal enum MemberStatus
{
    Pending,
    Accepted,
    Rejected,
}

/// <summary>A project that a shared image is shared with; only an accepted image is in its lists.</summary>
internal sealed record ImageMember(string ProjectId, MemberStatus Status, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>What is known of the data of an image once all of it was stored.</summary>
/// <param name="Key">The key of its object, never used for other data.</param>
/// <param name="SizeBytes">Of the data as it was uploaded.</param>
/// <param name="VirtualSizeBytes">Of the disk a guest sees; null when the content does not say.</param>
/// <param name="Md5">32 hex digits.</param>
/// <param name="Sha512">128 hex digits.</param>
internal sealed record ImageData(string Key, long SizeBytes, long? VirtualSizeBytes, string Md5, string Sha512);

/// <summary>What servers boot from: a record and, once uploaded, data that never changes.</summary>
internal sealed record Image
{
    /// <summary>A UUID with dashes, lower case.</summary>
    public required string Id { get; init; }

    public string? Name { get; init; }

    public required ImageStatus Status { get; init; }

    public required Visibility Visibility { get; init; }

    /// <summary>The project that owns it.</summary>
    public required string Owner { get; init; }

    public bool Protected { get; init; }

    /// <summary>Left out of lists that do not ask for hidden ones.</summary>
    public bool Hidden { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    public string? DiskFormat { get; init; }

    public string? ContainerFormat { get; init; }

    public long MinDiskGib { get; init; }

    public long MinRamMib { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>Free properties such as hw_disk_bus.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<ImageMember> Members { get; init; } = [];

    /// <summary>Set while saving: the upload that may make the image active.</summary>
    public string? UploadId { get; init; }

    /// <summary>Set while active or deactivated.</summary>
    public ImageData? Data { get; init; }

    public string? IdempotencyKey { get; init; }

    [JsonIgnore]
    public long? SizeBytes => Data?.SizeBytes;

    [JsonIgnore]
    public long? VirtualSizeBytes => Data?.VirtualSizeBytes;

    public ImageMember? MemberOf(string? projectId) => projectId is null ? null : Members.FirstOrDefault(member => member.ProjectId == projectId);
}

/// <summary>What a project has, so that quotas hold without reading every image.</summary>
internal sealed record ProjectUsage(string ProjectId, long Images, long Bytes);

/// <summary>Says that an upload is alive: the record hangs on a lease that the upload renews.</summary>
internal sealed record UploadMark(string UploadId, string ImageId);

/// <summary>Data that is to be removed from the object store.</summary>
/// <param name="Key">Of its object.</param>
/// <param name="LastAt">
/// An upload that was given up may still have a write under way: its key is removed at once and, for the last time, then.
/// </param>
/// <param name="RemovedOnce">The first removal was done.</param>
internal sealed record DoomedData(string Key, DateTimeOffset LastAt, bool RemovedOnce);

internal static class ImageTables
{
    public static readonly TableSchema<Image> Images =
        new TableSchema<Image>("image/images", image => image.Id, ImagesJson.Default.Image)
            .Index("status", image => image.Status.ToString())
            .Unique("idempotency", image => image.IdempotencyKey);

    public static readonly TableSchema<ProjectUsage> Usage = new("image/usage", usage => usage.ProjectId, ImagesJson.Default.ProjectUsage);

    public static readonly TableSchema<UploadMark> Uploads = new("image/uploads", mark => mark.UploadId, ImagesJson.Default.UploadMark);

    public static readonly TableSchema<DoomedData> Doomed = new("image/doomed", doomed => doomed.Key, ImagesJson.Default.DoomedData);
}

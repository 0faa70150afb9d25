using Google.Protobuf.WellKnownTypes;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Images.Catalog;

/// <summary>Records to wire messages and back.</summary>
internal static class ImageMapping
{
    public static Wire.Image ToWire(this Image image) => new()
    {
        Id = image.Id,
        Name = image.Name ?? "",
        Status = image.Status switch
        {
            ImageStatus.Queued => Wire.ImageStatus.Queued,
            ImageStatus.Saving => Wire.ImageStatus.Saving,
            ImageStatus.Active => Wire.ImageStatus.Active,
            ImageStatus.Deactivated => Wire.ImageStatus.Deactivated,
            _ => throw new InvalidOperationException($"{image.Status}"),
        },
        Visibility = image.Visibility switch
        {
            Visibility.Private => Wire.Visibility.Private,
            Visibility.Shared => Wire.Visibility.Shared,
            Visibility.Community => Wire.Visibility.Community,
            Visibility.Public => Wire.Visibility.Public,
            _ => throw new InvalidOperationException($"{image.Visibility}"),
        },
        Owner = image.Owner,
        Protected = image.Protected,
        Hidden = image.Hidden,
        Tags = { image.Tags },
        DiskFormat = image.DiskFormat ?? "",
        ContainerFormat = image.ContainerFormat ?? "",
        MinDiskGib = image.MinDiskGib,
        MinRamMib = image.MinRamMib,
        SizeBytes = image.SizeBytes ?? 0,
        VirtualSizeBytes = image.VirtualSizeBytes ?? 0,
        Md5 = image.Data?.Md5 ?? "",
        Sha512 = image.Data?.Sha512 ?? "",
        CreatedAt = image.CreatedAt.ToTimestamp(),
        UpdatedAt = image.UpdatedAt.ToTimestamp(),
        Properties = { image.Properties.ToDictionary() },
    };

    public static Wire.Member ToWire(this ImageMember member, string imageId) => new()
    {
        ImageId = imageId,
        ProjectId = member.ProjectId,
        Status = member.Status.ToString().ToLowerInvariant(),
        CreatedAt = member.CreatedAt.ToTimestamp(),
        UpdatedAt = member.UpdatedAt.ToTimestamp(),
    };

    /// <summary>Null when not said.</summary>
    public static Visibility? FromWire(Wire.Visibility visibility) => visibility switch
    {
        Wire.Visibility.Unspecified => null,
        Wire.Visibility.Private => Visibility.Private,
        Wire.Visibility.Shared => Visibility.Shared,
        Wire.Visibility.Community => Visibility.Community,
        Wire.Visibility.Public => Visibility.Public,
        _ => throw Faults.Invalid("visibility", "is not known"),
    };

    /// <summary>Null when not said.</summary>
    public static ImageStatus? FromWire(Wire.ImageStatus status) => status switch
    {
        Wire.ImageStatus.Unspecified => null,
        Wire.ImageStatus.Queued => ImageStatus.Queued,
        Wire.ImageStatus.Saving => ImageStatus.Saving,
        Wire.ImageStatus.Active => ImageStatus.Active,
        Wire.ImageStatus.Deactivated => ImageStatus.Deactivated,
        _ => throw Faults.Invalid("status", "is not known"),
    };

    /// <exception cref="FaultException">InvalidArgument.</exception>
    public static MemberStatus ParseMemberStatus(string text) => text switch
    {
        "pending" => MemberStatus.Pending,
        "accepted" => MemberStatus.Accepted,
        "rejected" => MemberStatus.Rejected,
        _ => throw Faults.Invalid("status", "must be pending, accepted or rejected"),
    };

    public static Image FromWire(Wire.CreateImageRequest request) => new()
    {
        Id = request.Id,
        Name = Optional(request.Name),
        Status = ImageStatus.Queued,
        Visibility = FromWire(request.Visibility) ?? Visibility.Shared,
        Owner = request.Owner,
        Protected = request.Protected,
        Hidden = request.Hidden,
        Tags = [.. request.Tags],
        DiskFormat = Optional(request.DiskFormat),
        ContainerFormat = Optional(request.ContainerFormat),
        MinDiskGib = request.MinDiskGib,
        MinRamMib = request.MinRamMib,
        Properties = request.Properties.ToDictionary(),
        CreatedAt = default,
        UpdatedAt = default,
        IdempotencyKey = Optional(request.IdempotencyKey),
    };

    /// <summary>One field of an update mask.</summary>
    /// <exception cref="FaultException">InvalidArgument: not a field that can be changed.</exception>
    public static Image With(this Image image, string path, Wire.Image wanted) => path switch
    {
        "name" => image with { Name = Optional(wanted.Name) },
        "visibility" => image with { Visibility = FromWire(wanted.Visibility) ?? throw Faults.Invalid("visibility", "must be given") },
        "protected" => image with { Protected = wanted.Protected },
        "hidden" => image with { Hidden = wanted.Hidden },
        "tags" => image with { Tags = [.. wanted.Tags] },
        "disk_format" => image with { DiskFormat = Optional(wanted.DiskFormat) },
        "container_format" => image with { ContainerFormat = Optional(wanted.ContainerFormat) },
        "min_disk_gib" => image with { MinDiskGib = wanted.MinDiskGib },
        "min_ram_mib" => image with { MinRamMib = wanted.MinRamMib },
        "properties" => image with { Properties = wanted.Properties.ToDictionary() },
        _ => throw Faults.Invalid("update_mask", $"'{(path.Length <= 64 ? path : path[..64])}' cannot be changed"),
    };

    private static string? Optional(string text) => text.Length == 0 ? null : text;
}

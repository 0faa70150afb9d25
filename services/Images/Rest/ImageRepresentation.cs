using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Images.Catalog;

namespace Nephos.Images.Rest;

/// <summary>Images and members as the Image API shows them.</summary>
internal static class ImageRepresentation
{
    public static JsonObject Of(Image image)
    {
        var json = new JsonObject();
        foreach (var (key, value) in image.Properties)
        {
            json[key] = value;
        }
        json["name"] = image.Name;
        json["disk_format"] = image.DiskFormat;
        json["container_format"] = image.ContainerFormat;
        json["visibility"] = NameOf(image.Visibility);
        json["size"] = image.SizeBytes;
        json["virtual_size"] = image.VirtualSizeBytes;
        json["status"] = NameOf(image.Status);
        json["checksum"] = image.Data?.Md5;
        json["protected"] = image.Protected;
        json["min_ram"] = image.MinRamMib;
        json["min_disk"] = image.MinDiskGib;
        json["owner"] = image.Owner;
        json["os_hidden"] = image.Hidden;
        json["os_hash_algo"] = image.Data is null ? null : "sha512";
        json["os_hash_value"] = image.Data?.Sha512;
        json["id"] = image.Id;
        json["created_at"] = TimeOf(image.CreatedAt);
        json["updated_at"] = TimeOf(image.UpdatedAt);
        json["tags"] = new JsonArray([.. image.Tags.Select(tag => JsonValue.Create(tag))]);
        json["self"] = $"/v2/images/{image.Id}";
        json["file"] = $"/v2/images/{image.Id}/file";
        json["schema"] = "/v2/schemas/image";
        return json;
    }

    public static JsonObject Of(ImageMember member, string imageId) => new()
    {
        ["created_at"] = TimeOf(member.CreatedAt),
        ["image_id"] = imageId,
        ["member_id"] = member.ProjectId,
        ["schema"] = "/v2/schemas/member",
        ["status"] = member.Status.ToString().ToLowerInvariant(),
        ["updated_at"] = TimeOf(member.UpdatedAt),
    };

    public static string NameOf(ImageStatus status) => status.ToString().ToLowerInvariant();

    public static string NameOf(Visibility visibility) => visibility.ToString().ToLowerInvariant();

    private static string TimeOf(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}

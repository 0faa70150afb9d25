using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Images.Catalog;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Rest;

/// <summary>The flat JSON object of an image as clients write it: attributes that every image has, and free properties beside them.</summary>
internal static class ImageBody
{
    private static readonly string[] ReadOnly =
    [
        "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema", "stores",
        "os_hash_algo", "os_hash_value",
    ];

    private static readonly string[] Reserved = ["location", "deleted", "deleted_at"];

    private static readonly string[] Base =
    [
        "id", "name", "visibility", "protected", "os_hidden", "owner", "tags", "disk_format", "container_format", "min_disk", "min_ram",
    ];

    public static bool IsBase(string name) => Base.Contains(name) || ReadOnly.Contains(name) || name == "locations";

    /// <exception cref="FaultException">InvalidArgument names the attribute; Forbidden for attributes that clients may not write.</exception>
    public static Image ReadNew(JsonObject body)
    {
        var image = new Image
        {
            Id = "", Owner = "", Status = ImageStatus.Queued, Visibility = Visibility.Shared, CreatedAt = default, UpdatedAt = default,
        };
        foreach (var (name, value) in body)
        {
            image = name == "id" ? image with { Id = Text(value, name) ?? "" } : With(image, name, value);
        }
        return image;
    }

    /// <summary>Sets one attribute or property; null takes a property away.</summary>
    /// <exception cref="FaultException">As <see cref="ReadNew"/>.</exception>
    public static Image With(Image image, string name, JsonNode? value)
    {
        RequireWritable(name);
        return name switch
        {
            "name" => image with { Name = Text(value, name) },
            "visibility" => image with { Visibility = ParseVisibility(Text(value, name)) },
            "protected" => image with { Protected = Flag(value, name) },
            "os_hidden" => image with { Hidden = Flag(value, name) },
            "owner" => image with { Owner = Text(value, name) ?? "" },
            "tags" => image with { Tags = Tags(value) },
            "disk_format" => image with { DiskFormat = Text(value, name) },
            "container_format" => image with { ContainerFormat = Text(value, name) },
            "min_disk" => image with { MinDiskGib = Number(value, name) },
            "min_ram" => image with { MinRamMib = Number(value, name) },
            _ => WithProperty(image, name, Text(value, name)),
        };
    }

    public static Image WithProperty(Image image, string name, string? value)
    {
        var properties = image.Properties.ToDictionary();
        if (value is null)
        {
            properties.Remove(name);
        }
        else
        {
            properties[name] = value;
        }
        return image with { Properties = properties };
    }

    public static void RequireWritable(string name)
    {
        if (name == "id" || ReadOnly.Contains(name))
        {
            throw ImageFaults.Forbidden($"Attribute '{name}' is read-only.");
        }
        if (Reserved.Contains(name))
        {
            throw ImageFaults.Forbidden($"Attribute '{name}' is reserved.");
        }
        if (name == "locations")
        {
            throw ImageFaults.Forbidden("It's not allowed to change locations if locations are invisible.");
        }
    }

    public static Visibility ParseVisibility(string? text) => text switch
    {
        "private" => Visibility.Private,
        "shared" => Visibility.Shared,
        "community" => Visibility.Community,
        "public" => Visibility.Public,
        _ => throw Faults.Invalid("visibility", "must be private, shared, community or public"),
    };

    private static string? Text(JsonNode? value, string name) => value?.GetValueKind() switch
    {
        null => null,
        JsonValueKind.String => value.GetValue<string>(),
        _ => throw Faults.Invalid(Shown(name), "must be a string"),
    };

    private static bool Flag(JsonNode? value, string name) => value?.GetValueKind() switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Faults.Invalid(name, "must be true or false"),
    };

    private static long Number(JsonNode? value, string name) =>
        value is JsonValue number && number.GetValueKind() == JsonValueKind.Number && number.TryGetValue<long>(out var result)
            ? result
            : throw Faults.Invalid(name, "must be a whole number");

    private static string[] Tags(JsonNode? value) =>
        value is JsonArray tags && tags.All(tag => tag?.GetValueKind() == JsonValueKind.String)
            ? [.. tags.Select(tag => tag!.GetValue<string>())]
            : throw Faults.Invalid("tags", "must be a list of strings");

    private static string Shown(string name) => name.Length <= 64 ? name : name[..64];
}

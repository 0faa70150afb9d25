using System.Text.Json.Nodes;
using Nephos.Images.Catalog;

namespace Nephos.Images.Rest;

/// <summary>The JSON schemas that clients read to tell attributes from free properties.</summary>
internal static class ImageSchemas
{
    private const string UuidPattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

    public static JsonObject Image() => new()
    {
        ["name"] = "image",
        ["properties"] = ImageProperties(),
        ["additionalProperties"] = new JsonObject { ["type"] = "string" },
        ["links"] = Links(("self", "{self}"), ("enclosure", "{file}"), ("describedby", "{schema}")),
    };

    public static JsonObject Images() => ListOf("images", Image());

    public static JsonObject Member() => new()
    {
        ["name"] = "member",
        ["properties"] = new JsonObject
        {
            ["created_at"] = Text("When the member was added"),
            ["image_id"] = Text("The image that is shared").With("pattern", UuidPattern),
            ["member_id"] = Text("The project it is shared with"),
            ["schema"] = Text("Where this schema is").With("readOnly", true),
            ["status"] = Text("What the member thinks of it").With("enum", Values(["pending", "accepted", "rejected"])),
            ["updated_at"] = Text("When the member last changed"),
        },
    };

    public static JsonObject Members() => ListOf("members", Member());

    private static JsonObject ListOf(string name, JsonObject item) => new()
    {
        ["name"] = name,
        ["properties"] = new JsonObject
        {
            [name] = new JsonObject { ["type"] = "array", ["items"] = item },
            ["first"] = new JsonObject { ["type"] = "string" },
            ["next"] = new JsonObject { ["type"] = "string" },
            ["schema"] = new JsonObject { ["type"] = "string" },
        },
        ["links"] = Links(("first", "{first}"), ("next", "{next}"), ("describedby", "{schema}")),
    };

    private static JsonObject ImageProperties() => new()
    {
        ["id"] = Text("Identifies the image").With("pattern", UuidPattern),
        ["name"] = Optional("string", "What people call the image").With("maxLength", ImageRules.TextCharsMax),
        ["status"] = Text("How far the image is").With("readOnly", true).With("enum", Values(
            ["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"])),
        ["visibility"] = Text("Who sees the image").With("enum", Values(["community", "public", "private", "shared"])),
        ["protected"] = Typed("boolean", "Whether the image is kept from being deleted"),
        ["os_hidden"] = Typed("boolean", "Whether the image is left out of lists that do not ask for hidden ones"),
        ["checksum"] = Optional("string", "MD5 of the data").With("readOnly", true).With("maxLength", 32),
        ["os_hash_algo"] = Optional("string", "How os_hash_value is computed").With("readOnly", true).With("maxLength", 64),
        ["os_hash_value"] = Optional("string", "Hash of the data in hex").With("readOnly", true).With("maxLength", 128),
        ["owner"] = Optional("string", "The project that owns the image").With("maxLength", ImageRules.TextCharsMax),
        ["size"] = Optional("integer", "Bytes of the data").With("readOnly", true),
        ["virtual_size"] = Optional("integer", "Bytes of the disk that a guest sees").With("readOnly", true),
        ["container_format"] = Optional("string", "Format of the container").With("enum", Values([null, .. ImageRules.ContainerFormats])),
        ["disk_format"] = Optional("string", "Format of the disk").With("enum", Values([null, .. ImageRules.DiskFormats])),
        ["created_at"] = Text("When the image was registered").With("readOnly", true),
        ["updated_at"] = Text("When the image last changed").With("readOnly", true),
        ["tags"] = Typed("array", "Words attached to the image").With(
            "items", new JsonObject { ["type"] = "string", ["maxLength"] = ImageRules.TextCharsMax }),
        ["direct_url"] = Text("Where the data is kept; not shown by this cloud").With("readOnly", true),
        ["min_ram"] = Typed("integer", "MiB of memory that the image needs to boot"),
        ["min_disk"] = Typed("integer", "GiB of disk that the image needs to boot"),
        ["self"] = Text("Where the image is").With("readOnly", true),
        ["file"] = Text("Where its data is").With("readOnly", true),
        ["stores"] = Text("The stores that have the data; shown by clouds with several").With("readOnly", true),
        ["schema"] = Text("Where this schema is").With("readOnly", true),
        ["locations"] = Typed("array", "Where the data is kept; not shown by this cloud").With("items", new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["url"] = new JsonObject { ["type"] = "string", ["maxLength"] = ImageRules.TextCharsMax },
                ["metadata"] = new JsonObject { ["type"] = "object" },
            },
            ["required"] = Values(["url", "metadata"]),
        }),
        ["kernel_id"] = Optional("string", "The image of the kernel of an AMI").With("pattern", UuidPattern).With("is_base", false),
        ["ramdisk_id"] = Optional("string", "The image of the ramdisk of an AMI").With("pattern", UuidPattern).With("is_base", false),
        ["instance_uuid"] = Text("The server that the image was made from").With("is_base", false),
        ["architecture"] = Text("The processor architecture of the system on the image").With("is_base", false),
        ["os_distro"] = Text("The distribution of the system on the image").With("is_base", false),
        ["os_version"] = Text("The version of the distribution").With("is_base", false),
    };

    private static JsonObject Text(string description) => Typed("string", description);

    private static JsonObject Typed(string type, string description) => new() { ["type"] = type, ["description"] = description };

    private static JsonObject Optional(string type, string description) =>
        new() { ["type"] = Values(["null", type]), ["description"] = description };

    private static JsonObject With(this JsonObject schema, string key, JsonNode value)
    {
        schema[key] = value;
        return schema;
    }

    private static JsonArray Values(IEnumerable<string?> values) => new([.. values.Select(value => value is null ? null : JsonValue.Create(value))]);

    private static JsonArray Links(params ReadOnlySpan<(string Rel, string Href)> links)
    {
        var array = new JsonArray();
        foreach (var (rel, href) in links)
        {
            array.Add((JsonNode)new JsonObject { ["rel"] = rel, ["href"] = href });
        }
        return array;
    }
}

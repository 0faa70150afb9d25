using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Metadefs;

/// <summary>Definitions as the REST API writes and reads them.</summary>
internal static class MetadefJson
{
    private static readonly string[] PropertyTypes = ["array", "boolean", "integer", "number", "object", "string"];
    private static readonly string[] OwnFields = ["name", "self", "schema", "created_at", "updated_at"];

    public static JsonObject Of(MetadefNamespace space, bool withContent)
    {
        var path = $"/v2/metadefs/namespaces/{space.Name}";
        var json = new JsonObject
        {
            ["namespace"] = space.Name,
            ["display_name"] = space.DisplayName,
            ["description"] = space.Description,
            ["visibility"] = space.IsPublic ? "public" : "private",
            ["protected"] = space.Protected,
            ["owner"] = space.Owner,
            ["created_at"] = Time(space.CreatedAt),
            ["updated_at"] = Time(space.UpdatedAt),
            ["self"] = path,
            ["schema"] = "/v2/schemas/metadefs/namespace",
            ["resource_type_associations"] = new JsonArray([.. space.ResourceTypes.Select(type => Of(type))]),
        };
        if (withContent)
        {
            json["properties"] = Properties(space);
            json["objects"] = new JsonArray([.. space.Objects.Select(item => Object(item, space.Name))]);
            json["tags"] = new JsonArray([.. space.Tags.Select(item => new JsonObject { ["name"] = item.Name })]);
        }
        return json;
    }

    public static JsonObject Of(MetadefResourceType type, bool withTimes = false)
    {
        var json = new JsonObject { ["name"] = type.Name };
        if (type.Prefix is { } prefix)
        {
            json["prefix"] = prefix;
        }
        if (type.PropertiesTarget is { } target)
        {
            json["properties_target"] = target;
        }
        if (withTimes)
        {
            json["created_at"] = Time(type.CreatedAt);
            json["updated_at"] = Time(type.UpdatedAt);
        }
        return json;
    }

    public static JsonObject Properties(MetadefNamespace space) => new(space.Properties.Select(item => KeyValuePair.Create(item.Name, (JsonNode?)Property(item))));

    public static JsonObject Property(MetadefItem item)
    {
        var json = new JsonObject { ["name"] = item.Name };
        Add(json, item.Body);
        return json;
    }

    public static JsonObject Object(MetadefItem item, string space)
    {
        var json = new JsonObject { ["name"] = item.Name };
        Add(json, item.Body);
        json["created_at"] = Time(item.CreatedAt);
        json["updated_at"] = Time(item.UpdatedAt);
        json["self"] = $"/v2/metadefs/namespaces/{space}/objects/{item.Name}";
        json["schema"] = "/v2/schemas/metadefs/object";
        return json;
    }

    public static JsonObject Tag(MetadefItem item) => new()
    {
        ["name"] = item.Name, ["created_at"] = Time(item.CreatedAt), ["updated_at"] = Time(item.UpdatedAt),
    };

    /// <summary>The namespace that a body describes, on top of one there is.</summary>
    public static MetadefNamespace Read(JsonObject body, MetadefNamespace before) => before with
    {
        Name = Text(body, "namespace") ?? throw Faults.Invalid("namespace", "is required"),
        DisplayName = body.ContainsKey("display_name") ? Text(body, "display_name") : before.DisplayName,
        Description = body.ContainsKey("description") ? Text(body, "description") : before.Description,
        IsPublic = Text(body, "visibility") switch
        {
            null => before.IsPublic,
            "public" => true,
            "private" => false,
            _ => throw Faults.Invalid("visibility", "must be public or private"),
        },
        Protected = Flag(body, "protected") ?? before.Protected,
        Owner = Text(body, "owner") ?? before.Owner,
    };

    /// <summary>The content of a new namespace.</summary>
    public static MetadefNamespace ReadContent(JsonObject body, MetadefNamespace space) => space with
    {
        ResourceTypes = [.. Objects(body, "resource_type_associations").Select(ReadResourceType)],
        Objects = [.. Objects(body, "objects").Select(item => ReadItem(item, MetadefKind.Object))],
        Tags = [.. Objects(body, "tags").Select(item => ReadItem(item, MetadefKind.Tag))],
        Properties = body["properties"] switch
        {
            null => [],
            JsonObject properties => [.. properties.Select(pair => ReadProperty(pair.Key, pair.Value))],
            _ => throw Faults.Invalid("properties", "must be an object"),
        },
    };

    public static MetadefResourceType ReadResourceType(JsonObject body) => new(
        Text(body, "name") ?? throw Faults.Invalid("name", "is required"), Text(body, "prefix"), Text(body, "properties_target"), default, default);

    public static MetadefItem ReadItem(JsonObject body, MetadefKind kind)
    {
        var name = Text(body, "name") ?? throw Faults.Invalid("name", "is required");
        var rest = new JsonObject();
        foreach (var (key, value) in body)
        {
            if (kind != MetadefKind.Tag && !OwnFields.Contains(key))
            {
                rest[key] = value?.DeepClone();
            }
        }
        if (kind == MetadefKind.Property)
        {
            if (Text(body, "title") is null || Text(body, "type") is not { } type || !PropertyTypes.Contains(type))
            {
                throw Faults.Invalid(name, $"a property has a title and one of the types {string.Join(", ", PropertyTypes)}");
            }
        }
        else if (kind == MetadefKind.Object && body["properties"] is not (null or JsonObject))
        {
            throw Faults.Invalid("properties", "must be an object");
        }
        return new MetadefItem(name, rest, default, default);
    }

    public static IEnumerable<JsonObject> Objects(JsonObject body, string name) => body[name] switch
    {
        null => [],
        JsonArray items => items.Select(item => item as JsonObject ?? throw Faults.Invalid(name, "must be a list of objects")),
        _ => throw Faults.Invalid(name, "must be a list of objects"),
    };

    private static MetadefItem ReadProperty(string name, JsonNode? value)
    {
        var body = (value as JsonObject ?? throw Faults.Invalid(name, "must be an object")).DeepClone().AsObject();
        body["name"] = name;
        return ReadItem(body, MetadefKind.Property);
    }

    private static void Add(JsonObject json, JsonObject more)
    {
        foreach (var (name, value) in more)
        {
            json[name] = value?.DeepClone();
        }
    }

    private static string? Text(JsonObject body, string name) => body[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? text) => text,
        _ => throw Faults.Invalid(name, "must be a string"),
    };

    private static bool? Flag(JsonObject body, string name) => body[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        _ => throw Faults.Invalid(name, "must be true or false"),
    };

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}

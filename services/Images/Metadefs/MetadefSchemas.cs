using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;

namespace Nephos.Images.Metadefs;

/// <summary>The JSON schemas of the catalogue of definitions.</summary>
internal static class MetadefSchemas
{
    private static readonly (string Path, string Name, string[] Texts, string[] Required, bool IsList)[] All =
    [
        ("namespace", "namespace", ["namespace", "display_name", "description", "visibility", "owner", "created_at", "updated_at", "self", "schema"], ["namespace"], false),
        ("namespaces", "namespaces", ["first", "next", "schema"], [], true),
        ("resource_type", "resource_type_association", ["name", "prefix", "properties_target", "created_at", "updated_at"], ["name"], false),
        ("resource_types", "resource_type_associations", ["first", "next", "schema"], [], true),
        ("property", "property", ["name", "title", "description", "type"], ["title", "type"], false),
        ("properties", "properties", ["first", "next", "schema"], [], true),
        ("object", "object", ["name", "description", "created_at", "updated_at", "self", "schema"], ["name"], false),
        ("objects", "objects", ["first", "next", "schema"], [], true),
        ("tag", "tag", ["name", "created_at", "updated_at"], ["name"], false),
        ("tags", "tags", ["first", "next", "schema"], [], true),
    ];

    public static void Map(RestRoutes rest)
    {
        foreach (var schema in All)
        {
            rest.Get("/v2/schemas/metadefs/" + schema.Path, _ => Task.FromResult(RestResult.Json(200, Of(schema.Name, schema.Texts, schema.Required, schema.IsList))));
        }
    }

    private static JsonObject Of(string name, string[] texts, string[] required, bool isList)
    {
        var properties = new JsonObject(texts.Select(text => KeyValuePair.Create(text, (JsonNode?)new JsonObject { ["type"] = "string" })));
        if (isList)
        {
            properties[name] = new JsonObject { ["type"] = name == "properties" ? "object" : "array" };
        }
        return new JsonObject
        {
            ["name"] = name,
            ["properties"] = properties,
            ["required"] = new JsonArray([.. required.Select(text => JsonValue.Create(text))]),
            ["additionalProperties"] = !isList,
        };
    }
}

using System.Text.Json.Nodes;
using Nephos.Images.Catalog;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Rest;

internal enum PatchDialect
{
    /// <summary><c>[{"replace": "/name", "value": "x"}]</c>, by an early draft of RFC 6902.</summary>
    Draft4,

    /// <summary><c>[{"op": "replace", "path": "/name", "value": "x"}]</c></summary>
    Draft10,
}

/// <summary>One change of an image: add, remove or replace of one attribute.</summary>
internal sealed record ImagePatch(string Operation, string Name, JsonNode? Value, PatchDialect Dialect)
{
    public const string AcceptPatch =
        "application/openstack-images-v2.1-json-patch, application/openstack-images-v2.0-json-patch";

    private const int ChangesMax = 1024;
    private static readonly string[] Operations = ["add", "remove", "replace"];

    /// <summary>Null for a type that is not a patch.</summary>
    public static PatchDialect? DialectOf(string? contentType) => contentType?.Split(';')[0].Trim() switch
    {
        "application/openstack-images-v2.0-json-patch" => PatchDialect.Draft4,
        "application/openstack-images-v2.1-json-patch" => PatchDialect.Draft10,
        _ => null,
    };

    /// <exception cref="FaultException">InvalidArgument: not a patch, or of something deeper than an attribute.</exception>
    public static IReadOnlyList<ImagePatch> Read(JsonNode? body, PatchDialect dialect)
    {
        if (body is not JsonArray { Count: <= ChangesMax } items)
        {
            throw Faults.Invalid("body", $"must be a list of at most {ChangesMax} changes");
        }
        return [.. items.Select(item => ReadOne(item as JsonObject ?? throw Faults.Invalid("body", "every change must be an object"), dialect))];
    }

    public Image Apply(Image image)
    {
        ImageBody.RequireWritable(Name);
        var exists = ImageBody.IsBase(Name) || image.Properties.ContainsKey(Name);
        switch (Operation)
        {
            case "add" when exists && Dialect == PatchDialect.Draft4:
                throw Faults.Conflict($"Property {Name} already present.");
            case "replace" or "remove" when !exists:
                throw Faults.Conflict($"Property {Name} does not exist.");
            case "remove" when ImageBody.IsBase(Name):
                throw ImageFaults.Forbidden($"Property {Name} may not be removed.");
            case "remove":
                return ImageBody.WithProperty(image, Name, null);
            default:
                return ImageBody.With(image, Name, Value?.DeepClone());
        }
    }

    private static ImagePatch ReadOne(JsonObject item, PatchDialect dialect)
    {
        var operation = dialect switch
        {
            PatchDialect.Draft10 => Text(item, "op"),
            PatchDialect.Draft4 => Operations.FirstOrDefault(item.ContainsKey) ?? throw Faults.Invalid("body", "a change is one of add, remove and replace"),
            _ => throw new InvalidOperationException($"{dialect}"),
        };
        if (!Operations.Contains(operation))
        {
            throw Faults.Invalid("op", "must be add, remove or replace");
        }
        var path = Text(item, dialect == PatchDialect.Draft10 ? "path" : operation);
        if (operation != "remove" && !item.ContainsKey("value"))
        {
            throw Faults.Invalid("value", $"is missing in the change of '{Shown(path)}'");
        }
        return new ImagePatch(operation, NameOf(path), item["value"], dialect);
    }

    private static string Text(JsonObject item, string key) =>
        item[key] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Faults.Invalid(key, "must be a string");

    /// <summary>The one segment of a JSON pointer.</summary>
    private static string NameOf(string pointer)
    {
        if (!pointer.StartsWith('/') || pointer.IndexOf('/', 1) >= 0 || pointer.Length == 1)
        {
            throw Faults.Invalid("path", $"Invalid JSON pointer for this resource: '{Shown(pointer)}'");
        }
        return pointer[1..].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
    }

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64];
}

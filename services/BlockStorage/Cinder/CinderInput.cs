using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Reads the bodies of requests; whatever is of the wrong kind is a bad request that names the field.</summary>
internal static class CinderInput
{
    /// <summary>The object that a body wraps, as in <c>{"volume": {…}}</c>.</summary>
    public static async Task<JsonObject> ReadAsync(RestCall call, string name)
    {
        var body = await call.ReadJsonAsync();
        return body[name] as JsonObject ?? throw Faults.Invalid(name, $"Missing required element '{name}' in request body.");
    }

    /// <summary>The one action that a body names, with its input.</summary>
    public static async Task<(string Action, JsonObject Input)> ReadActionAsync(RestCall call)
    {
        var body = await call.ReadJsonAsync();
        if (body.Count != 1) throw Faults.Invalid("body", "names exactly one action");
        var (action, node) = body.First();
        return (action, node as JsonObject ?? []);
    }

    public static FaultException NoSuchAction(string action) => Faults.Invalid("body", $"There is no such action: {(action.Length > 64 ? action[..64] : action)}");

    public static string? Text(JsonObject from, string field) => from[field] switch
    {
        null => null,
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        var other => throw Invalid(field, other, "is not of type 'string'"),
    };

    public static bool? Flag(JsonObject from, string field)
    {
        if (from[field] is not { } node) return null;
        return node.GetValueKind() switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.String => node.GetValue<string>().Trim().ToLowerInvariant() switch
            {
                "true" or "1" or "t" or "yes" or "y" or "on" => true,
                "false" or "0" or "f" or "no" or "n" or "off" => false,
                _ => throw Invalid(field, node, "is not a boolean"),
            },
            JsonValueKind.Number when node.ToJsonString() is "0" or "1" => node.ToJsonString() == "1",
            _ => throw Invalid(field, node, "is not a boolean"),
        };
    }

    /// <summary>A flag of the query; null when it is not given.</summary>
    public static bool? QueryFlag(RestCall call, string name) => call.Query(name) is { } text ? Flag(new JsonObject { [name] = text }, name) : null;

    /// <summary>A size in GiB as bytes; null when there is none.</summary>
    public static long? Size(JsonObject from, string field)
    {
        if (from[field] is not { } node) return null;
        var text = node.GetValueKind() is JsonValueKind.String ? node.GetValue<string>() : node.ToJsonString();
        if (text.Length == 0 || !text.All(char.IsAsciiDigit)) throw Invalid(field, node, $"'{text}' does not match '^[0-9]+$'");
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var gib) || gib > InputRules.SizeBytesMax >> 30)
            throw Invalid(field, node, $"{text} is greater than the maximum of {InputRules.SizeBytesMax >> 30}");
        return gib > 0 ? gib << 30 : throw Invalid(field, node, "0 is less than the minimum of 1");
    }

    public static long? Number(JsonObject from, string field)
    {
        if (from[field] is not { } node) return null;
        var text = node.GetValueKind() is JsonValueKind.String ? node.GetValue<string>() : node.ToJsonString();
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Invalid(field, node, "is not an integer");
    }

    /// <summary>Strings by name; numbers and booleans are taken as their text.</summary>
    public static Dictionary<string, string> Metadata(JsonNode? node, string field)
    {
        if (node is null) return [];
        if (node is not JsonObject items) throw Invalid(field, node, "is not of type 'object'");
        var metadata = new Dictionary<string, string>();
        foreach (var (key, value) in items)
        {
            metadata[key] = value switch
            {
                JsonValue text when text.GetValueKind() == JsonValueKind.String => text.GetValue<string>(),
                JsonValue other when other.GetValueKind() is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => other.ToJsonString(),
                _ => throw Invalid(field, node, $"the value of '{key}' is not of type 'string'"),
            };
        }
        return metadata;
    }

    /// <summary>A list of strings.</summary>
    public static IReadOnlyList<string> Texts(JsonNode? node, string field)
    {
        if (node is not JsonArray items) throw Faults.Invalid(field, "must be a list");
        return [.. items.Select(item => item is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Faults.Invalid(field, "must be a list of strings"))];
    }

    private static FaultException Invalid(string field, JsonNode value, string rule)
    {
        var shown = value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : value.ToJsonString();
        if (shown.Length > 64) shown = shown[..64];
        return new FaultException(
            Protos.Errors.V1.ErrorReason.InvalidArgument, $"Invalid input for field/attribute {field}. Value: {shown}. {rule}",
            new Dictionary<string, string> { ["field"] = field });
    }
}

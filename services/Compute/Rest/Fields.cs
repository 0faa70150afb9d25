using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Kernel.Errors;

namespace Nephos.Compute.Rest;

/// <summary>One object of a request body, read field by field. What is unknown, missing or of the wrong kind is refused by name.</summary>
internal readonly struct Fields(JsonObject json)
{
    private const int ShownCharsMax = 128;

    public IEnumerable<string> Names => json.Select(item => item.Key);

    /// <summary>The object under the only key of a body: <c>{"server": {...}}</c>.</summary>
    public static Fields Root(JsonObject body, string name)
    {
        if (!body.TryGetPropertyValue(name, out var value))
        {
            throw ComputeFaults.Refers(name, $"Invalid input for field/attribute body. '{name}' is a required property");
        }
        return value as JsonObject is { } inner ? new Fields(inner) : throw Wrong(name, value, "is not of type 'object'");
    }

    public Fields Only(params string[] names)
    {
        foreach (var (key, _) in json)
        {
            if (!names.Contains(key))
            {
                throw ComputeFaults.Refers(key, $"Additional properties are not allowed ('{Cut(key)}' was unexpected)");
            }
        }
        return this;
    }

    public bool Has(string name) => json.ContainsKey(name);

    public bool IsNull(string name) => json.TryGetPropertyValue(name, out var value) && value is null;

    public string Required(string name) =>
        Has(name) ? TextOrNull(name) ?? throw Wrong(name, null, "is not of type 'string'") : throw ComputeFaults.Refers(name, $"Invalid input for field/attribute body. '{name}' is a required property");

    /// <summary>Null when absent.</summary>
    /// <exception cref="FaultException">It is there and is no string.</exception>
    public string? Text(string name) => !Has(name) ? null : TextOrNull(name) ?? throw Wrong(name, null, "is not of type 'string'");

    /// <summary>Null when absent or null.</summary>
    public string? TextOrNull(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        return value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : throw Wrong(name, value, "is not of type 'string'");
    }

    /// <summary>A string, or a number taken as one: ids of flavors.</summary>
    public string TextOrNumber(string name)
    {
        if (json.TryGetPropertyValue(name, out var value) && value?.GetValueKind() == JsonValueKind.Number && value is JsonValue number && number.TryGetValue<long>(out var whole))
        {
            return whole.ToString(CultureInfo.InvariantCulture);
        }
        var text = Required(name);
        return text.Length > 0 ? text : throw Wrong(name, value, "is too short");
    }

    /// <summary>JSON true and false, and the words that this API takes for them.</summary>
    public bool? Bool(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        return value.GetValueKind() switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.String => value.GetValue<string>() switch
            {
                "True" or "TRUE" or "true" or "1" or "ON" or "On" or "on" or "YES" or "Yes" or "yes" => true,
                "False" or "FALSE" or "false" or "0" or "OFF" or "Off" or "off" or "NO" or "No" or "no" => false,
                _ => throw Wrong(name, value, "is not of type 'boolean'"),
            },
            _ => throw Wrong(name, value, "is not of type 'boolean'"),
        };
    }

    /// <summary>A whole number, or one in a string.</summary>
    public long? Integer(string name, long min, long max)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        long number;
        if (value.GetValueKind() == JsonValueKind.Number && value is JsonValue plain && plain.TryGetValue<long>(out var whole))
        {
            number = whole;
        }
        else if (value.GetValueKind() != JsonValueKind.String
            || !long.TryParse(value.GetValue<string>(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number))
        {
            throw Wrong(name, value, "is not of type 'integer'");
        }
        return number < min ? throw Wrong(name, value, $"is less than the minimum of {min}")
            : number > max ? throw Wrong(name, value, $"is greater than the maximum of {max}") : number;
    }

    public double? Number(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        if (value.GetValueKind() == JsonValueKind.Number && value is JsonValue plain && plain.TryGetValue<double>(out var number))
        {
            return number;
        }
        return value.GetValueKind() == JsonValueKind.String && double.TryParse(value.GetValue<string>(), NumberStyles.Float, CultureInfo.InvariantCulture, out number)
            ? number
            : throw Wrong(name, value, "is not of type 'number'");
    }

    public Fields? Object(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        return value is JsonObject inner ? new Fields(inner) : throw Wrong(name, value, "is not of type 'object'");
    }

    /// <summary>The objects of an array; null when absent.</summary>
    public IReadOnlyList<Fields>? Objects(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        return value is JsonArray array
            ? [.. array.Select(item => item is JsonObject inner ? new Fields(inner) : throw Wrong(name, item, "is not of type 'object'"))]
            : throw Wrong(name, value, "is not of type 'array'");
    }

    public IReadOnlyList<string>? Texts(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value) || value is null)
        {
            return null;
        }
        return value is JsonArray array
            ? [.. array.Select(item => item?.GetValueKind() == JsonValueKind.String ? item.GetValue<string>() : throw Wrong(name, item, "is not of type 'string'"))]
            : throw Wrong(name, value, "is not of type 'array'");
    }

    /// <summary>An object of strings; null when absent.</summary>
    public IReadOnlyDictionary<string, string>? Map(string name)
    {
        if (!json.TryGetPropertyValue(name, out var value))
        {
            return null;
        }
        return value is JsonObject inner
            ? inner.ToDictionary(item => item.Key, item => item.Value?.GetValueKind() == JsonValueKind.String
                ? item.Value.GetValue<string>()
                : throw Wrong(item.Key, item.Value, "is not of type 'string'"))
            : throw Wrong(name, value, "is not of type 'object'");
    }

    public bool IsText(string name) => json.TryGetPropertyValue(name, out var value) && value?.GetValueKind() == JsonValueKind.String;

    private static FaultException Wrong(string name, JsonNode? value, string problem)
    {
        var shown = Cut(value?.ToJsonString() ?? "None").Trim('"');
        return ComputeFaults.Refers(name, $"Invalid input for field/attribute {Cut(name)}. Value: {shown}. '{shown}' {problem}");
    }

    private static string Cut(string text) => text.Length <= ShownCharsMax ? text : text[..ShownCharsMax];
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Rest;

/// <summary>An object of a request body; every access checks the type and names the field.</summary>
internal sealed class JsonBody(JsonObject json, string path)
{
    public JsonObject Json => json;

    /// <summary>The object that the body wraps in its one member.</summary>
    /// <exception cref="FaultException">InvalidArgument.</exception>
    public static async Task<JsonBody> ReadAsync(RestCall call, string name) =>
        new JsonBody(await call.ReadJsonAsync(), "").Object(name) ?? throw Faults.Invalid(name, "is a required object");

    public bool Has(string name) => json.ContainsKey(name);

    /// <summary>Null when absent or null.</summary>
    public string? Text(string name) => json[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? text) => text,
        _ => throw Faults.Invalid(path + name, "must be a string"),
    };

    public string RequiredText(string name) => Text(name) ?? throw Faults.Invalid(path + name, "is required");

    public Change<string> TextChange(string name) => Has(name) ? Change.To(Text(name)) : default;

    public bool? Flag(string name) => json[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        _ => throw Faults.Invalid(path + name, "must be true or false"),
    };

    public Change<bool> FlagChange(string name) =>
        Has(name) ? Change.To(Flag(name) ?? throw Faults.Invalid(path + name, "must be true or false")) : default;

    public JsonBody? Object(string name) => json[name] switch
    {
        null => null,
        JsonObject value => new JsonBody(value, $"{path}{name}."),
        _ => throw Faults.Invalid(path + name, "must be an object"),
    };

    public JsonBody RequiredObject(string name) => Object(name) ?? throw Faults.Invalid(path + name, "is a required object");

    public Change<JsonObject> ObjectChange(string name) => Has(name) ? Change.To(Object(name)?.Json) : default;

    public IReadOnlyList<JsonBody>? Objects(string name) => Array(name)?.Select((item, index) => item is JsonObject value
        ? new JsonBody(value, $"{path}{name}[{index}].")
        : throw Faults.Invalid($"{path}{name}[{index}]", "must be an object")).ToList();

    public IReadOnlyList<string>? Texts(string name) => Array(name)?.Select((item, index) =>
        item is JsonValue value && value.TryGetValue(out string? text)
            ? text
            : throw Faults.Invalid($"{path}{name}[{index}]", "must be a string")).ToList();

    /// <summary>A time in ISO 8601; without a zone it is UTC.</summary>
    public DateTimeOffset? Time(string name)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }
        return DateTimeOffset.TryParse(
            text, System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToUniversalTime()
            : throw Faults.Invalid(path + name, "must be a time such as 2030-01-31T12:00:00.000000Z");
    }

    /// <summary>The attributes of the client's own.</summary>
    public JsonObject Extra(params ReadOnlySpan<string> known)
    {
        var extra = new JsonObject();
        foreach (var (name, value) in json)
        {
            if (!known.Contains(name) && name is not ("id" or "links"))
            {
                extra[name] = value?.DeepClone();
            }
        }
        return extra;
    }

    private JsonArray? Array(string name) => json[name] switch
    {
        null => null,
        JsonArray value => value,
        _ => throw Faults.Invalid(path + name, "must be a list"),
    };
}

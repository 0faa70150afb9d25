using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Networking.Rest;

/// <summary>The attributes of one object of a request. What is not read in the end is not known, and refused.</summary>
internal sealed class RestBody
{
    private readonly JsonObject _attributes;
    private readonly HashSet<string> _unread;

    private RestBody(JsonObject attributes)
    {
        _attributes = attributes;
        _unread = attributes.Select(pair => pair.Key).ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The object under a key: {"network": {...}}.</summary>
    public static async Task<RestBody> OneAsync(RestCall call, string key)
    {
        return Of(await call.ReadJsonAsync(), key);
    }

    /// <summary>The object under a key of a body that was read.</summary>
    public static RestBody Of(JsonObject body, string key) =>
        new(body[key] as JsonObject ?? throw Faults.Invalid("body", $"'{key}' must be in the body, as an object"));

    /// <summary>The whole body as one object.</summary>
    public static async Task<RestBody> WholeAsync(RestCall call) => new(await call.ReadJsonAsync());

    /// <summary>One object, or a list of them under the plural.</summary>
    public static async Task<(IReadOnlyList<RestBody> Items, bool IsBulk)> OneOrManyAsync(RestCall call, string one, string many)
    {
        var body = await call.ReadJsonAsync();
        if (body[one] is JsonObject single)
        {
            return ([new RestBody(single)], false);
        }

        if (body[many] is JsonArray { Count: > 0 } list)
        {
            return ([.. list.Select(item => new RestBody(item as JsonObject ?? throw Faults.Invalid(many, "must be a list of objects")))], true);
        }

        throw Faults.Invalid("body", $"'{one}' must be in the body, as an object");
    }

    public bool Has(string name) => _attributes.ContainsKey(name);

    /// <exception cref="FaultException">An attribute was not read: it is not known, or not allowed here.</exception>
    public void Done()
    {
        if (_unread.Count > 0)
        {
            throw Faults.Invalid("body", $"Unrecognized attribute(s) '{string.Join(", ", _unread.Select(Checks.Shown).Order())}'");
        }
    }

    /// <summary>The attribute as it is.</summary>
    public JsonNode? Value(string name) => Given(name);

    public string String(string name) => Given(name) is { } node ? Text(name, node) : "";

    public string? StringOrNull(string name) => Given(name) is { } node ? Text(name, node) : null;

    /// <summary>A string that must be given and not be empty.</summary>
    public string Required(string name) =>
        StringOrNull(name) is { Length: > 0 } text ? text : throw Faults.Invalid(name, "Failed to parse request. Required attribute not specified");

    public bool Bool(string name, bool otherwise) => BoolOrNull(name) ?? otherwise;

    public bool? BoolOrNull(string name) => Given(name) is { } node
        ? AsBool(node) ?? throw Faults.Invalid(name, $"'{Checks.Shown(node.ToString())}' cannot be converted to boolean.")
        : null;

    public int? IntOrNull(string name) => Given(name) is { } node ? (int)Number(name, node, int.MinValue, int.MaxValue) : null;

    public long? LongOrNull(string name) => Given(name) is { } node ? Number(name, node, long.MinValue, long.MaxValue) : null;

    /// <summary>The attribute when it is there, read by a function that is not called for null.</summary>
    public Optional<T> Optional<T>(string name, Func<string, T> read) => Has(name) ? read(name) : default(Optional<T>);

    public IReadOnlyList<string> Strings(string name) => StringsOrNull(name) ?? [];

    public IReadOnlyList<string>? StringsOrNull(string name) =>
        List(name)?.Select(node => Text(name, node ?? throw Faults.Invalid(name, "must be a list of strings"))).ToArray();

    public IReadOnlyList<T> Objects<T>(string name, Func<RestBody, T> read) => ObjectsOrNull(name, read) ?? [];

    public IReadOnlyList<T>? ObjectsOrNull<T>(string name, Func<RestBody, T> read) => List(name)?.Select(node =>
    {
        var item = new RestBody(node as JsonObject ?? throw Faults.Invalid(name, "must be a list of objects"));
        var value = read(item);
        item.Done();
        return value;
    }).ToArray();

    public RestBody? Object(string name) => Given(name) is { } node
        ? new RestBody(node as JsonObject ?? throw Faults.Invalid(name, "must be an object"))
        : null;

    /// <summary>The project a request is for: both names mean the same.</summary>
    public string ProjectId()
    {
        var project = String("project_id");
        var tenant = String("tenant_id");
        return project.Length > 0 ? project : tenant;
    }

    /// <summary>Every attribute that is a whole number, each read.</summary>
    public IReadOnlyDictionary<string, long> Numbers() =>
        _attributes.Select(pair => pair.Key).ToList().ToDictionary(name => name, name => LongOrNull(name) ?? throw Faults.Invalid(name, "must be a number"));

    public static bool? AsBool(JsonNode node) => node.GetValueKind() switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String or JsonValueKind.Number => AsBool(node.ToString()),
        _ => null,
    };

    public static bool? AsBool(string text) => text.ToUpperInvariant() switch
    {
        "TRUE" or "1" => true,
        "FALSE" or "0" => false,
        _ => null,
    };

    private JsonNode? Given(string name)
    {
        _unread.Remove(name);
        return _attributes[name];
    }

    private JsonArray? List(string name) => Given(name) switch
    {
        null => null,
        JsonArray list => list,
        _ => throw Faults.Invalid(name, "must be a list"),
    };

    private static string Text(string name, JsonNode node)
    {
        if (node.GetValueKind() == JsonValueKind.String)
        {
            try
            {
                return node.GetValue<string>();
            }
            catch (InvalidOperationException)
            {
                // Half a character, spelled as an escape.
                throw Faults.Invalid(name, "is not valid Unicode");
            }
        }

        throw Faults.Invalid(name, $"'{Checks.Shown(node.ToJsonString())}' is not a valid string.");
    }

    private static long Number(string name, JsonNode node, long min, long max)
    {
        var isNumber = node.GetValueKind() is JsonValueKind.Number or JsonValueKind.String &&
            long.TryParse(node.ToString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) && parsed >= min && parsed <= max;
        return isNumber
            ? long.Parse(node.ToString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)
            : throw Faults.Invalid(name, $"'{Checks.Shown(node.ToJsonString())}' is not an integer.");
    }
}

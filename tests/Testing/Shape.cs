using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nephos.Testing;

/// <summary>Which keys an object of an API has, and of which types. Clients break on a missing key before they break on anything else.</summary>
public static class Shape
{
    /// <summary>What is wrong with an object.</summary>
    /// <param name="json">The object.</param>
    /// <param name="shape">Keys with types: <c>s</c> text, <c>n</c> number, <c>b</c> true or false, <c>l</c> list, <c>o</c> object; with <c>?</c> also null.</param>
    /// <returns>Nothing when every key is there with its type; further keys are allowed.</returns>
    public static IReadOnlyList<string> Misses(JsonNode json, string shape)
    {
        var misses = new List<string>();
        foreach (var pair in shape.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            // Some keys have a colon of their own: the last one parts key and type.
            var at = pair.LastIndexOf(':');
            var (key, type) = (pair[..at], pair[(at + 1)..]);
            var body = json.AsObject();
            if (!body.ContainsKey(key))
            {
                misses.Add($"{key} is missing");
            }
            else if (!type.Contains(Letter(body[key]), StringComparison.Ordinal))
            {
                misses.Add($"{key} is {body[key]?.ToJsonString() ?? "null"}, not {type}");
            }
        }
        return misses;
    }

    private static char Letter(JsonNode? value) => value?.GetValueKind() switch
    {
        null or JsonValueKind.Null => '?',
        JsonValueKind.String => 's',
        JsonValueKind.Number => 'n',
        JsonValueKind.True or JsonValueKind.False => 'b',
        JsonValueKind.Array => 'l',
        _ => 'o',
    };
}

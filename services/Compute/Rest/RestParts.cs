using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Rest;

/// <summary>What the answers of this API have in common: links, times, versions, pages.</summary>
internal static class RestParts
{
    /// <summary>Most items of one page, and what a page has that does not say.</summary>
    public const int PageItemsMax = 1000;

    public static Microversion V(int minor) => new(2, minor);

    /// <summary>The call is at this microversion or a later one.</summary>
    public static bool From(this RestCall call, int minor) => call.Version >= V(minor);

    /// <summary>The resource went away with a microversion.</summary>
    public static void RequireBefore(this RestCall call, int minor)
    {
        if (call.From(minor))
        {
            throw new FaultException(ErrorReason.NotFound, "The resource could not be found.");
        }
    }

    public static void RequireFrom(this RestCall call, int minor)
    {
        if (!call.From(minor))
        {
            throw new FaultException(ErrorReason.NotFound, "The resource could not be found.");
        }
    }

    /// <summary>Where the API of this call is mounted, as the client sees it.</summary>
    public static string Root(this RestCall call) =>
        call.BaseUrl + (call.Http.Request.Path.StartsWithSegments("/compute/v2.1", StringComparison.Ordinal) ? "/v2.1" : "/v2");

    public static JsonArray Links(this RestCall call, string path) => [Link("self", $"{call.Root()}/{path}"), Link("bookmark", $"{call.BaseUrl}/{path}")];

    public static JsonArray Bookmark(this RestCall call, string path) => [Link("bookmark", $"{call.BaseUrl}/{path}")];

    public static JsonObject Link(string rel, string href) => new() { ["rel"] = rel, ["href"] = href };

    public static string Seconds(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public static string Micros(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff", CultureInfo.InvariantCulture);

    public static JsonNode? MicrosOrNull(DateTimeOffset? time) => time is { } at ? Micros(at) : null;

    /// <summary>The limit of the query, bounded; the flag says whether it was given.</summary>
    public static (int Items, bool Given) Limit(this RestCall call)
    {
        if (call.Query("limit") is not { } text)
        {
            return (PageItemsMax, false);
        }
        if (text.Length == 0 || text.Length > 9 || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit))
        {
            throw ComputeFaults.Refers("limit", $"Invalid input for query parameters limit. Value: {(text.Length > 64 ? text[..64] : text)}. It does not match '^[0-9]*$'");
        }
        return (limit == 0 ? PageItemsMax : Math.Min(limit, PageItemsMax), true);
    }

    /// <summary>One page after the marker of the query.</summary>
    public static (IReadOnlyList<T> Items, bool More) Page<T>(this RestCall call, IReadOnlyList<T> all, Func<T, string> id, string? markerProblem = null)
    {
        var (limit, _) = call.Limit();
        var start = 0;
        if (call.Query("marker") is { Length: > 0 } marker)
        {
            var index = all.Select(id).ToList().IndexOf(marker);
            start = index >= 0 ? index + 1 : throw ComputeFaults.Refers("marker", markerProblem ?? $"marker [{(marker.Length > 64 ? marker[..64] : marker)}] not found");
        }
        T[] page = [.. all.Skip(start).Take(limit)];
        return (page, start + page.Length < all.Count);
    }

    /// <summary>Adds the link to the next page under a name such as <c>servers_links</c>.</summary>
    public static void AddNext(this RestCall call, JsonObject answer, string name, string path, string marker)
    {
        var query = call.Http.Request.Query.Where(item => item.Key != "marker")
            .SelectMany(item => item.Value.OfType<string>().Select(value => $"{Uri.EscapeDataString(item.Key)}={Uri.EscapeDataString(value)}"))
            .Append($"marker={Uri.EscapeDataString(marker)}");
        answer[name] = new JsonArray(Link("next", $"{call.Root()}/{path}?{string.Join('&', query)}"));
    }

    public static bool? QueryBool(this RestCall call, string name) => call.Query(name) switch
    {
        null => null,
        "True" or "TRUE" or "true" or "1" or "ON" or "On" or "on" or "YES" or "Yes" or "yes" or "t" or "y" or "" => true,
        "False" or "FALSE" or "false" or "0" or "OFF" or "Off" or "off" or "NO" or "No" or "no" or "f" or "n" => false,
        var other => throw ComputeFaults.Refers(name, $"Invalid input for query parameters {name}. Value: {(other.Length > 64 ? other[..64] : other)}. It is no boolean"),
    };

    /// <summary>A date and time in one of the forms of ISO 8601.</summary>
    public static DateTimeOffset? QueryTime(this RestCall call, string name)
    {
        if (call.Query(name) is not { } text)
        {
            return null;
        }
        string[] forms =
        [
            "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd HH:mm:ssK", "yyyy-MM-dd HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd",
            "yyyyMMdd'T'HHmmssK",
        ];
        // A plus sign that was not escaped arrives as a space.
        var repaired = text.Length > 6 && text[^6] == ' ' ? $"{text[..^6]}+{text[^5..]}" : text;
        return DateTimeOffset.TryParseExact(repaired, forms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time
            : throw ComputeFaults.Refers(name, $"Invalid input for query parameters {name}. Value: {(text.Length > 64 ? text[..64] : text)}. It is not a 'date-time'");
    }

    public static JsonArray Array(IEnumerable<JsonNode?> items) => new([.. items]);

    public static JsonArray Texts(IEnumerable<string> items) => new([.. items.Select(item => (JsonNode?)item)]);

    public static JsonObject Map(IEnumerable<KeyValuePair<string, string>> items) =>
        new(items.Select(item => KeyValuePair.Create(item.Key, (JsonNode?)item.Value)));
}

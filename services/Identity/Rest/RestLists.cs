using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Rest;

/// <summary>Filters, pages and the envelope of lists.</summary>
internal static class RestLists
{
    private const int MaxLimit = 10_000;

    private static readonly (string Suffix, Func<string, string, bool> Holds)[] Comparators =
    [
        ("__contains", (value, wanted) => value.Contains(wanted, StringComparison.Ordinal)),
        ("__icontains", (value, wanted) => value.Contains(wanted, StringComparison.OrdinalIgnoreCase)),
        ("__startswith", (value, wanted) => value.StartsWith(wanted, StringComparison.Ordinal)),
        ("__istartswith", (value, wanted) => value.StartsWith(wanted, StringComparison.OrdinalIgnoreCase)),
        ("__endswith", (value, wanted) => value.EndsWith(wanted, StringComparison.Ordinal)),
        ("__iendswith", (value, wanted) => value.EndsWith(wanted, StringComparison.OrdinalIgnoreCase)),
        ("__equals", (value, wanted) => value == wanted),
        ("__iequals", (value, wanted) => value.Equals(wanted, StringComparison.OrdinalIgnoreCase)),
    ];

    /// <summary>Keeps the items whose text has the value asked for, exactly or as a comparator says. Keys nobody asked with do nothing.</summary>
    public static IEnumerable<T> Where<T>(this RestCall call, IEnumerable<T> items, string name, Func<T, string?> value)
    {
        if (call.Query(name) is { } exact)
        {
            items = items.Where(item => (value(item) ?? "") == exact);
        }
        foreach (var (suffix, holds) in Comparators)
        {
            if (call.Query(name + suffix) is { } wanted)
            {
                items = items.Where(item => value(item) is { } text && holds(text, wanted));
            }
        }
        return items;
    }

    /// <summary>A flag in a query; a key without a value means yes.</summary>
    public static bool? Flag(this RestCall call, string name) => call.Query(name)?.ToLowerInvariant() switch
    {
        null => null,
        "0" or "false" or "no" or "off" => false,
        _ => true,
    };

    /// <summary>The collection with its links, cut to the page asked for.</summary>
    /// <param name="call">The call.</param>
    /// <param name="name">The name of the collection: users.</param>
    /// <param name="items">In the order of their ids.</param>
    /// <param name="id">The id that a page starts after.</param>
    /// <param name="json">One item.</param>
    public static RestResult Collection<T>(
        this RestCall call, string name, IEnumerable<T> items, Func<T, string> id, Func<T, JsonObject> json)
    {
        var limit = Limit(call);
        if (call.Query("marker") is { Length: > 0 } marker)
        {
            items = items.SkipWhile(item => id(item) != marker).Skip(1);
        }
        var page = new List<T>();
        string? next = null;
        foreach (var item in items)
        {
            if (page.Count == limit)
            {
                next = NextLink(call, id(page[^1]), limit);
                break;
            }
            page.Add(item);
        }
        return RestResult.Json(200, new JsonObject
        {
            [name] = new JsonArray([.. page.Select(json)]),
            ["links"] = new JsonObject { ["next"] = next, ["self"] = SelfLink(call), ["previous"] = null },
        });
    }

    /// <summary>The URL of this call as the client sees it.</summary>
    public static string SelfLink(this RestCall call) => call.BaseUrl + PathOf(call) + call.Http.Request.QueryString;

    private static string PathOf(RestCall call) => call.Http.Request.Path.Value![call.Dialect.Prefix.Length..];

    private static int Limit(RestCall call)
    {
        if (call.Query("limit") is not { Length: > 0 } text)
        {
            return MaxLimit;
        }
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit > 0
            ? Math.Min(limit, MaxLimit)
            : throw Faults.Invalid("limit", "must be a positive number");
    }

    private static string NextLink(RestCall call, string marker, int limit)
    {
        var query = call.Http.Request.Query.Where(pair => pair.Key is not ("marker" or "limit"))
            .SelectMany(pair => pair.Value.Select(value => $"{Uri.EscapeDataString(pair.Key)}={Uri.EscapeDataString(value ?? "")}"))
            .Append($"limit={limit}").Append($"marker={Uri.EscapeDataString(marker)}");
        return $"{call.BaseUrl}{PathOf(call)}?{string.Join('&', query)}";
    }
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Networking.Rest;

/// <summary>The query of a list: filters, fields, order and page. It works on the objects as they are shown.</summary>
internal static class ListQuery
{
    private const int MaxSortKeys = 8;

    private static readonly string[] NoFilters =
        ["fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir", "tags", "tags-any", "not-tags", "not-tags-any", "ip_address_substr", "fixed_ips"];

    /// <summary>Answers {"COLLECTION": [...]}, with links to the neighbouring pages when there is a limit.</summary>
    public static RestResult Answer(RestCall call, string collection, string path, IEnumerable<JsonObject> all)
    {
        var filters = call.Http.Request.Query.Keys.Where(key => !NoFilters.Contains(key))
            .Select(key => (Key: key == "tenant_id" ? "project_id" : key, Values: call.QueryAll(key))).ToList();
        var matching = all.Where(item => filters.All(filter => Matches(item, filter.Key, filter.Values)) && MatchesTags(call, item));
        var limit = LimitOf(call);
        var isFirstPage = call.Query("marker") is null && call.Query("sort_key") is null && call.Query("page_reverse") is null;

        // The first page in the order of the store needs no object beyond it, but the one that says that there are more.
        var items = (isFirstPage && limit < int.MaxValue ? matching.Take(limit + 1) : matching).ToList();
        Sort(call, items);
        var (page, more) = Cut(call, items, limit);
        var answer = new JsonObject { [collection] = new JsonArray([.. page.Select(item => Fields(call, item))]) };
        if (Links(call, path, page, more) is { Count: > 0 } links)
        {
            answer[collection + "_links"] = links;
        }

        return RestResult.Json(200, answer);
    }

    /// <summary>The object with only the attributes that were asked for.</summary>
    public static JsonObject Fields(RestCall call, JsonObject item)
    {
        var fields = call.QueryAll("fields");
        if (fields.Count == 0)
        {
            return item;
        }

        foreach (var name in item.Select(pair => pair.Key).Where(name => !fields.Contains(name)).ToList())
        {
            item.Remove(name);
        }

        return item;
    }

    // An attribute that objects of the kind do not have filters nothing.
    private static bool Matches(JsonObject item, string name, IReadOnlyList<string> wanted) =>
        !item.TryGetPropertyValue(name, out var value) || wanted.Any(text => Equal(value, text));

    private static bool Equal(JsonNode? value, string text) => value switch
    {
        null => text is "" or "None" or "null",
        JsonArray list => list.Any(one => Equal(one, text)),
        JsonObject => false,
        _ => value.GetValueKind() switch
        {
            JsonValueKind.True => RestBody.AsBool(text) == true,
            JsonValueKind.False => RestBody.AsBool(text) == false,
            _ => value.ToString() == text,
        },
    };

    private static bool MatchesTags(RestCall call, JsonObject item)
    {
        bool Has(string tag) => item["tags"] is JsonArray tags && tags.Any(one => one?.ToString() == tag);
        IEnumerable<string> Named(string parameter) => call.QueryAll(parameter).SelectMany(value => value.Split(','));
        return Named("tags").All(Has) &&
            (call.Query("tags-any") is null || Named("tags-any").Any(Has)) &&
            (call.Query("not-tags") is null || !Named("not-tags").All(Has)) &&
            !Named("not-tags-any").Any(Has);
    }

    private static void Sort(RestCall call, List<JsonObject> items)
    {
        var keys = call.QueryAll("sort_key");
        var directions = call.QueryAll("sort_dir");
        if (keys.Count == 0)
        {
            return;
        }

        if (keys.Count > MaxSortKeys || directions.Count > keys.Count || directions.Any(direction => direction is not ("asc" or "desc")))
        {
            throw Faults.Invalid("sort_dir", $"needs one of asc and desc for each of at most {MaxSortKeys} sort keys");
        }

        foreach (var key in keys)
        {
            if (items.Count > 0 && !items[0].ContainsKey(key))
            {
                throw Faults.Invalid("sort_key", $"'{Checks.Shown(key)}' is no attribute to sort by");
            }
        }

        var sorted = items.Select((item, index) => (item, index)).ToList();
        sorted.Sort((left, right) =>
        {
            for (var i = 0; i < keys.Count; i++)
            {
                var order = Compare(left.item[keys[i]], right.item[keys[i]]);
                if (order != 0)
                {
                    return i < directions.Count && directions[i] == "desc" ? -order : order;
                }
            }

            return left.index.CompareTo(right.index);
        });
        for (var i = 0; i < items.Count; i++)
        {
            items[i] = sorted[i].item;
        }
    }

    private static int Compare(JsonNode? left, JsonNode? right)
    {
        if (left is null || right is null)
        {
            return (left is null ? 0 : 1) - (right is null ? 0 : 1);
        }

        return left.GetValueKind() == JsonValueKind.Number && right.GetValueKind() == JsonValueKind.Number
            ? left.GetValue<long>().CompareTo(right.GetValue<long>())
            : string.CompareOrdinal(left.ToString(), right.ToString());
    }

    /// <summary>0 asks for all, as leaving it out does.</summary>
    private static int LimitOf(RestCall call)
    {
        if (call.Query("limit") is not { } text)
        {
            return int.MaxValue;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit)
            ? limit == 0 ? int.MaxValue : limit
            : throw Faults.Invalid("limit", $"'{Checks.Shown(text)}' is not an integer of 0 or more");
    }

    private static (IReadOnlyList<JsonObject> Page, bool More) Cut(RestCall call, List<JsonObject> items, int limit)
    {
        var reverse = RestBody.AsBool(call.Query("page_reverse") ?? "") == true;
        if (call.Query("marker") is { Length: > 0 } marker)
        {
            var at = items.FindIndex(item => item["id"]?.ToString() == marker);
            if (at < 0)
            {
                throw Faults.Invalid("marker", $"there is no object {Checks.Shown(marker)} in this list");
            }

            items = reverse ? items[..at] : items[(at + 1)..];
        }

        if (items.Count <= limit)
        {
            return (items, false);
        }

        return (reverse ? items[^limit..] : items[..limit], true);
    }

    private static JsonArray Links(RestCall call, string path, IReadOnlyList<JsonObject> page, bool more)
    {
        var links = new JsonArray();
        if (call.Query("limit") is null || page.Count == 0)
        {
            return links;
        }

        var reverse = RestBody.AsBool(call.Query("page_reverse") ?? "") == true;
        var hasMarker = call.Query("marker") is { Length: > 0 };
        if (reverse ? hasMarker : more)
        {
            links.Add(new JsonObject { ["rel"] = "next", ["href"] = Href(call, path, page[^1], reverse: false) });
        }

        if (reverse ? more : hasMarker)
        {
            links.Add(new JsonObject { ["rel"] = "previous", ["href"] = Href(call, path, page[0], reverse: true) });
        }

        return links;
    }

    private static string Href(RestCall call, string path, JsonObject marker, bool reverse)
    {
        var query = new StringBuilder(call.BaseUrl).Append(path).Append('?');
        foreach (var (key, values) in call.Http.Request.Query.Where(pair => pair.Key is not ("marker" or "page_reverse")))
        {
            foreach (var value in values)
            {
                query.Append(Uri.EscapeDataString(key)).Append('=').Append(Uri.EscapeDataString(value ?? "")).Append('&');
            }
        }

        query.Append("marker=").Append(Uri.EscapeDataString(marker["id"]!.ToString()));
        return reverse ? query.Append("&page_reverse=True").ToString() : query.ToString();
    }
}

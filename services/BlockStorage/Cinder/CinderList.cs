using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Sorting and paging as the query of a list asks for it.</summary>
internal static class CinderList
{
    private const int ItemsMax = 1000;

    /// <param name="call">The call.</param>
    /// <param name="items">In the default order.</param>
    /// <param name="idOf">The marker of an item.</param>
    /// <param name="keys">What can be sorted by.</param>
    /// <param name="more">Whether the page is full, so that there may be items behind it.</param>
    /// <exception cref="FaultException">InvalidArgument; NotFound for a marker that is no item.</exception>
    public static List<T> Page<T>(
        RestCall call, IEnumerable<T> items, Func<T, string> idOf, IReadOnlyDictionary<string, Func<T, IComparable?>> keys, Func<string, FaultException> notFound,
        out bool more)
    {
        var sorted = Sort(call, items, keys);
        var start = 0;
        if (call.Query("marker") is { Length: > 0 } marker)
        {
            var at = sorted.FindIndex(item => idOf(item) == marker);
            start = at >= 0 ? at + 1 : throw notFound(marker);
        }
        start += Count(call, "offset") ?? 0;
        var limit = Math.Min(Count(call, "limit") ?? ItemsMax, ItemsMax);
        var page = sorted.Skip(start).Take(limit).ToList();
        // A full page has a link to the next one, though that may be empty: clients rely on it.
        more = page.Count == limit && limit > 0;
        return page;
    }

    /// <summary>The links of a page that has a next one.</summary>
    public static void AddNext(RestCall call, JsonObject body, string name, string path, string lastId, bool more)
    {
        if (!more) return;
        var query = new StringBuilder();
        foreach (var (key, values) in call.Http.Request.Query)
        {
            if (key is "marker" or "offset") continue;
            foreach (var value in values) Append(key, value ?? "");
        }
        if (call.Query("limit") is null) Append("limit", ItemsMax.ToString(CultureInfo.InvariantCulture));
        Append("marker", lastId);
        body[$"{name}_links"] = new JsonArray(new JsonObject { ["rel"] = "next", ["href"] = $"{call.BaseUrl}{path}?{query}" });

        void Append(string key, string value) =>
            query.Append(query.Length > 0 ? "&" : "").Append(Uri.EscapeDataString(key)).Append('=').Append(Uri.EscapeDataString(value));
    }

    private static List<T> Sort<T>(RestCall call, IEnumerable<T> items, IReadOnlyDictionary<string, Func<T, IComparable?>> keys)
    {
        var wanted = new List<(string Key, string Direction)>();
        if (call.Query("sort") is { Length: > 0 } sort)
        {
            wanted.AddRange(sort.Split(',').Select(part => part.Split(':', 2)).Select(part => (part[0].Trim(), part.Length > 1 ? part[1].Trim() : "desc")));
        }
        else
        {
            var directions = call.QueryAll("sort_dir");
            wanted.AddRange(call.QueryAll("sort_key").Select((key, i) => (key, i < directions.Count ? directions[i] : "desc")));
        }
        var list = items.ToList();
        // The last key first: the sort keeps the order of what is equal.
        foreach (var (key, direction) in Enumerable.Reverse(wanted))
        {
            if (!keys.TryGetValue(key, out var valueOf)) throw Faults.Invalid("sort_key", $"'{key}' is not a key that can be sorted by");
            list = direction switch
            {
                "asc" => [.. list.OrderBy(valueOf)],
                "desc" => [.. list.OrderByDescending(valueOf)],
                _ => throw Faults.Invalid("sort_dir", $"'{direction}' is neither asc nor desc"),
            };
        }
        return list;
    }

    private static int? Count(RestCall call, string name)
    {
        if (call.Query(name) is not { } text) return null;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Faults.Invalid(name, $"'{text}' is not an integer that is not negative");
    }

    /// <summary>Reads a filter by metadata, as <c>{'key': 'value'}</c> with either kind of quotes.</summary>
    public static Dictionary<string, string> ParseMetadata(string text)
    {
        var items = new Dictionary<string, string>();
        var at = 0;
        Expect('{');
        while (true)
        {
            Skip();
            if (at < text.Length && text[at] == '}') break;
            var key = Quoted();
            Expect(':');
            items[key] = Quoted();
            Skip();
            if (at < text.Length && text[at] == ',') at++;
        }
        at++;
        Skip();
        return at == text.Length ? items : throw Bad();

        void Skip()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at])) at++;
        }

        void Expect(char wanted)
        {
            Skip();
            if (at >= text.Length || text[at++] != wanted) throw Bad();
        }

        string Quoted()
        {
            Skip();
            // Python marks text as unicode in its older versions.
            if (at + 1 < text.Length && text[at] == 'u' && text[at + 1] is '\'' or '"') at++;
            if (at >= text.Length || text[at] is not ('\'' or '"')) throw Bad();
            var quote = text[at++];
            var value = new StringBuilder();
            while (at < text.Length && text[at] != quote)
            {
                if (text[at] == '\\' && at + 1 < text.Length) at++;
                value.Append(text[at++]);
            }
            if (at++ >= text.Length) throw Bad();
            return value.ToString();
        }

        FaultException Bad() => Faults.Invalid("metadata", "is not of the form {'key': 'value'}");
    }
}

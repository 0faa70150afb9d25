using System.Globalization;
using Microsoft.AspNetCore.Http;
using Nephos.Images.Catalog;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Images.Rest;

/// <summary>What a list asks for: which images, in which order, which page.</summary>
internal sealed class ImageQuery
{
    private const int DefaultLimit = 25;
    private const int MaxLimit = 1000;

    private static readonly string[] Paging = ["limit", "marker", "sort", "sort_key", "sort_dir"];

    private readonly List<KeyValuePair<string, string>> _pairs;
    private readonly List<Func<Image, bool>> _filters = [];
    private readonly ImageOrder _order;
    private readonly int _limit = DefaultLimit;
    private readonly string? _marker;
    private readonly string? _visibility;
    private readonly MemberStatus? _memberStatus = MemberStatus.Accepted;

    private ImageQuery(List<KeyValuePair<string, string>> pairs)
    {
        _pairs = pairs;
        _order = ImageOrder.Parse(All("sort"), All("sort_key"), All("sort_dir"));
        var hidden = false;
        foreach (var (key, value) in pairs)
        {
            switch (key)
            {
                case "limit":
                    _limit = (int)Math.Min(ImageFilters.Number(value, key), MaxLimit);
                    break;
                case "marker":
                    _marker = value;
                    break;
                case "visibility":
                    _visibility = value == "all" ? value : ImageRepresentation.NameOf(ImageBody.ParseVisibility(value));
                    break;
                case "member_status":
                    _memberStatus = value == "all" ? null : ImageMapping.ParseMemberStatus(value);
                    break;
                case "os_hidden":
                    hidden = ImageFilters.Flag(value, key);
                    break;
                default:
                    if (!Paging.Contains(key))
                    {
                        _filters.Add(ImageFilters.Parse(key, value));
                    }
                    break;
            }
        }
        _filters.Add(image => image.Hidden == hidden);
    }

    /// <exception cref="FaultException">InvalidArgument names the parameter.</exception>
    public static ImageQuery Parse(IQueryCollection query) =>
        new([.. query.SelectMany(pair => pair.Value.Select(value => KeyValuePair.Create(pair.Key, value ?? "")))]);

    /// <returns>The page, and the marker of the next one if there is one.</returns>
    /// <exception cref="FaultException">InvalidArgument: the marker is not an image that the caller sees.</exception>
    public (IReadOnlyList<Image> Page, string? Next) Page(OperationContext operation, IReadOnlyList<Image> visible)
    {
        var found = visible.Where(image => IsAskedFor(operation, image) && _filters.TrueForAll(filter => filter(image)));
        if (_marker is not null)
        {
            var marker = visible.FirstOrDefault(image => image.Id == _marker)
                ?? throw Faults.Invalid("marker", "is not an image that can be seen");
            found = found.Where(image => _order.Compare(image, marker) > 0);
        }
        var page = found.Order(_order).Take(_limit + 1).ToList();
        if (page.Count <= _limit)
        {
            return (page, null);
        }
        page.RemoveAt(_limit);
        return (page, page.Count > 0 ? page[^1].Id : null);
    }

    /// <summary>The address of a page of this list, relative to the service.</summary>
    public string Link(string? marker)
    {
        var pairs = _pairs.Where(pair => pair.Key != "marker");
        var text = string.Join('&', (marker is null ? pairs : pairs.Append(KeyValuePair.Create("marker", marker)))
            .Select(pair => $"{Uri.EscapeDataString(pair.Key)}={Uri.EscapeDataString(pair.Value)}"));
        return text.Length == 0 ? "/v2/images" : "/v2/images?" + text;
    }

    private bool IsAskedFor(OperationContext operation, Image image)
    {
        if (_visibility is not null and not "all" && ImageRepresentation.NameOf(image.Visibility) != _visibility)
        {
            return false;
        }
        if (image.Owner == operation.ProjectId)
        {
            return true;
        }
        return image.Visibility switch
        {
            Visibility.Public => true,
            Visibility.Community => _visibility is not null,
            Visibility.Shared when image.MemberOf(operation.ProjectId) is { } member => _memberStatus is null || member.Status == _memberStatus,
            _ => operation.SeesAll,
        };
    }

    private List<string> All(string key) => [.. _pairs.Where(pair => pair.Key == key).Select(pair => pair.Value)];
}

/// <summary>A total order of images: what was asked for, then newest first, then the id.</summary>
internal sealed class ImageOrder : IComparer<Image>
{
    private const int MaxKeys = 8;

    private readonly List<(Comparison<Image> Compare, int Sign)> _keys = [];

    /// <param name="sort"><c>name:asc,size</c></param>
    /// <param name="keys"><c>sort_key</c> parameters.</param>
    /// <param name="directions"><c>sort_dir</c> parameters: one for all keys, or one for each.</param>
    public static ImageOrder Parse(IReadOnlyList<string> sort, IReadOnlyList<string> keys, IReadOnlyList<string> directions)
    {
        if (sort.Count > 0 && (keys.Count > 0 || directions.Count > 0))
        {
            throw Faults.Invalid("sort", "goes without sort_key and sort_dir");
        }
        if (directions.Count > 1 && directions.Count != keys.Count)
        {
            throw Faults.Invalid("sort_dir", "must be given once, or once for each sort_key");
        }
        var order = new ImageOrder();
        foreach (var item in sort.SelectMany(text => text.Split(',', StringSplitOptions.TrimEntries)))
        {
            var parts = item.Split(':');
            order.Add(parts[0], parts.Length > 1 ? parts[1] : "desc");
        }
        for (var i = 0; i < keys.Count; i++)
        {
            order.Add(keys[i], directions.Count switch { 0 => "desc", 1 => directions[0], _ => directions[i] });
        }
        var last = directions.Count > 0 ? directions[^1] : "desc";
        order.Add("created_at", last);
        order.Add("id", last);
        return order;
    }

    public int Compare(Image? left, Image? right)
    {
        foreach (var (compare, sign) in _keys)
        {
            var result = compare(left!, right!);
            if (result != 0)
            {
                return sign * result;
            }
        }
        return 0;
    }

    private void Add(string key, string direction)
    {
        if (_keys.Count >= MaxKeys)
        {
            throw Faults.Invalid("sort_key", $"at most {MaxKeys - 2} keys");
        }
        _keys.Add((key switch
        {
            "name" => (a, b) => string.CompareOrdinal(a.Name, b.Name),
            "status" => (a, b) => a.Status.CompareTo(b.Status),
            "container_format" => (a, b) => string.CompareOrdinal(a.ContainerFormat, b.ContainerFormat),
            "disk_format" => (a, b) => string.CompareOrdinal(a.DiskFormat, b.DiskFormat),
            "size" => (a, b) => Nullable.Compare(a.SizeBytes, b.SizeBytes),
            "id" => (a, b) => string.CompareOrdinal(a.Id, b.Id),
            "created_at" => (a, b) => a.CreatedAt.CompareTo(b.CreatedAt),
            "updated_at" => (a, b) => a.UpdatedAt.CompareTo(b.UpdatedAt),
            _ => throw Faults.Invalid("sort_key", "must be name, status, container_format, disk_format, size, id, created_at or updated_at"),
        }, direction switch
        {
            "asc" => 1,
            "desc" => -1,
            _ => throw Faults.Invalid("sort_dir", "must be asc or desc"),
        }));
    }
}

/// <summary>One condition of a list, by the name of an attribute or of a property.</summary>
internal static class ImageFilters
{
    public static Func<Image, bool> Parse(string key, string value)
    {
        switch (key)
        {
            case "size_min":
                var min = Number(value, key);
                return image => image.SizeBytes >= min;
            case "size_max":
                var max = Number(value, key);
                return image => image.SizeBytes <= max;
            case "size":
                var size = Number(value, key);
                return image => image.SizeBytes == size;
            case "min_ram":
                var ram = Number(value, key);
                return image => image.MinRamMib == ram;
            case "min_disk":
                var disk = Number(value, key);
                return image => image.MinDiskGib == disk;
            case "protected":
                var flag = Flag(value, key);
                return image => image.Protected == flag;
            case "tag":
                return image => image.Tags.Contains(value, StringComparer.Ordinal);
            case "owner":
                return image => image.Owner == value;
            case "checksum":
                return image => image.Data?.Md5 == value;
            case "os_hash_value":
                return image => image.Data?.Sha512 == value;
            case "os_hash_algo":
                return image => image.Data is not null && value == "sha512";
            case "id":
                return In(value, image => image.Id);
            case "name":
                return In(value, image => image.Name);
            case "status":
                return In(value, image => ImageRepresentation.NameOf(image.Status));
            case "disk_format":
                return In(value, image => image.DiskFormat);
            case "container_format":
                return In(value, image => image.ContainerFormat);
            case "created_at":
                return At(value, key, image => image.CreatedAt);
            case "updated_at":
                return At(value, key, image => image.UpdatedAt);
            default:
                return image => image.Properties.TryGetValue(key, out var property) && property == value;
        }
    }

    public static long Number(string value, string field) =>
        long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw Faults.Invalid(field, "must be a whole number that is not negative");

    public static bool Flag(string value, string field) => value.ToLowerInvariant() switch
    {
        "true" or "1" or "yes" or "on" => true,
        "false" or "0" or "no" or "off" => false,
        _ => throw Faults.Invalid(field, "must be true or false"),
    };

    /// <summary>A value, or <c>in:a,"b,c"</c>.</summary>
    private static Func<Image, bool> In(string value, Func<Image, string?> attribute)
    {
        if (!value.StartsWith("in:", StringComparison.Ordinal))
        {
            return image => attribute(image) == value;
        }
        var values = Split(value[3..]);
        return image => attribute(image) is { } text && values.Contains(text);
    }

    private static HashSet<string> Split(string list)
    {
        var values = new HashSet<string>(StringComparer.Ordinal);
        var item = new System.Text.StringBuilder();
        var quoted = false;
        foreach (var c in list)
        {
            if (c == '"')
            {
                quoted = !quoted;
            }
            else if (c == ',' && !quoted)
            {
                values.Add(item.ToString());
                item.Clear();
            }
            else
            {
                item.Append(c);
            }
        }
        values.Add(item.ToString());
        return quoted ? throw Faults.Invalid("in:", "has a quote that does not end") : values;
    }

    /// <summary>A time, or <c>gt:</c>, <c>gte:</c>, <c>lt:</c>, <c>lte:</c>, <c>eq:</c>, <c>neq:</c> before it. Times count whole seconds.</summary>
    private static Func<Image, bool> At(string value, string field, Func<Image, DateTimeOffset> attribute)
    {
        var parts = value.Split(':', 2);
        var (comparison, text) = parts.Length == 2 && parts[0] is "gt" or "gte" or "lt" or "lte" or "eq" or "neq" ? (parts[0], parts[1]) : ("eq", value);
        if (!DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
        {
            throw Faults.Invalid(field, "must be a time such as gt:2026-01-02T03:04:05Z");
        }
        var seconds = time.ToUnixTimeSeconds();
        return image =>
        {
            var order = attribute(image).ToUnixTimeSeconds().CompareTo(seconds);
            return comparison switch
            {
                "gt" => order > 0,
                "gte" => order >= 0,
                "lt" => order < 0,
                "lte" => order <= 0,
                "neq" => order != 0,
                _ => order == 0,
            };
        };
    }
}

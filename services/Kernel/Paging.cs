using Nephos.Kernel.Errors;

namespace Nephos.Kernel;

/// <summary>One page of a list that is ordered by a unique string key.</summary>
/// <param name="NextToken">Passed back as the page token to go on; null at the end.</param>
public readonly record struct Page<T>(IReadOnlyList<T> Items, string? NextToken);

public static class Paging
{
    public const int DefaultPageItems = 100;
    public const int MaxPageItems = 1000;

    /// <summary>Bounds a page size asked for by a gRPC client; 0 means the default.</summary>
    public static int Size(int requested) => requested switch
    {
        < 0 => throw Faults.Invalid("page_size", "must not be negative"),
        0 => DefaultPageItems,
        _ => Math.Min(requested, MaxPageItems),
    };

    /// <summary>Cuts one page out of items already ordered by <paramref name="key"/>; the token is the last key seen.</summary>
    public static Page<T> Cut<T>(IEnumerable<T> ordered, Func<T, string> key, string pageToken, int pageSize)
    {
        var size = Size(pageSize);
        var items = new List<T>(Math.Min(size, 64) + 1);
        foreach (var item in ordered)
        {
            if (pageToken.Length > 0 && string.CompareOrdinal(key(item), pageToken) <= 0)
            {
                continue;
            }
            items.Add(item);
            if (items.Count > size)
            {
                items.RemoveAt(size);
                return new Page<T>(items, key(items[^1]));
            }
        }
        return new Page<T>(items, null);
    }
}

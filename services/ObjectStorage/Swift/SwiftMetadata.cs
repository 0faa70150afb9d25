using System.Collections.Immutable;
using System.Text;
using Microsoft.AspNetCore.Http;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;

namespace Nephos.ObjectStorage.Swift;

/// <summary>Metadata headers: <c>X-{Account|Container|Object}-Meta-*</c>, within Swift's limits.</summary>
internal static class SwiftMetadata
{
    public const int MaxItems = 90;
    public const int MaxNameBytes = 128;
    public const int MaxValueBytes = 256;
    public const int MaxTotalBytes = 4096;

    /// <summary>The items a request sets (value) or removes (null), names in lower case.</summary>
    /// <exception cref="SwiftFault">400 when a limit is broken.</exception>
    public static Dictionary<string, string?> FromHeaders(IHeaderDictionary headers, string kind)
    {
        var prefix = $"X-{kind}-Meta-";
        var remove = $"X-Remove-{kind}-Meta-";
        var items = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var (name, values) in headers)
        {
            if (name.StartsWith(remove, StringComparison.OrdinalIgnoreCase) && name.Length > remove.Length)
            {
                items[KeyOf(name[remove.Length..])] = null;
            }
        }
        foreach (var (name, values) in headers)
        {
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                if (name.Length == prefix.Length)
                {
                    throw SwiftFault.BadRequest("Metadata name cannot be empty");
                }
                var value = values.ToString();
                var key = KeyOf(name[prefix.Length..]);
                if (value.Length > 0 || !items.ContainsKey(key))
                {
                    // An empty value removes an item of an account or container; an object's metadata is replaced whole, and may hold it.
                    items[key] = value.Length == 0 && kind != "Object" ? null : value;
                }
            }
        }
        Check(items.Where(item => item.Value is not null).Select(item => KeyValuePair.Create(item.Key, item.Value!)));
        return items;
    }

    /// <exception cref="SwiftFault">400 when a limit is broken.</exception>
    public static void Check(IEnumerable<KeyValuePair<string, string>> items)
    {
        var (count, total) = (0, 0);
        foreach (var (name, value) in items)
        {
            var (nameBytes, valueBytes) = (Encoding.UTF8.GetByteCount(name), Encoding.UTF8.GetByteCount(value));
            if (nameBytes > MaxNameBytes)
            {
                throw SwiftFault.BadRequest($"Metadata name too long: X-Meta-{name}");
            }
            if (valueBytes > MaxValueBytes)
            {
                throw SwiftFault.BadRequest($"Metadata value longer than {MaxValueBytes}: X-Meta-{name}");
            }
            (count, total) = (count + 1, total + nameBytes + valueBytes);
        }
        if (count > MaxItems)
        {
            throw SwiftFault.BadRequest($"Too many metadata items; max {MaxItems}");
        }
        if (total > MaxTotalBytes)
        {
            throw SwiftFault.BadRequest($"Total metadata too large; max {MaxTotalBytes}");
        }
    }

    /// <summary>Lays what a request sets and removes over what a bucket or account has.</summary>
    public static ImmutableSortedDictionary<string, string> Merge(
        ImmutableSortedDictionary<string, string> current, Dictionary<string, string?> changes)
    {
        var builder = current.ToBuilder();
        foreach (var (name, value) in changes)
        {
            if (value is null)
            {
                builder.Remove(BucketMetadata.UserPrefix + name);
            }
            else
            {
                builder[BucketMetadata.UserPrefix + name] = value;
            }
        }
        var merged = builder.ToImmutable();
        Check(User(merged));
        return merged;
    }

    public static IEnumerable<KeyValuePair<string, string>> User(IEnumerable<KeyValuePair<string, string>> metadata) =>
        metadata.Where(item => item.Key.StartsWith(BucketMetadata.UserPrefix, StringComparison.Ordinal))
            .Select(item => KeyValuePair.Create(item.Key[BucketMetadata.UserPrefix.Length..], item.Value));

    public static void Write(SwiftCall call, string kind, IEnumerable<KeyValuePair<string, string>> items)
    {
        foreach (var (name, value) in items)
        {
            call.Reply($"X-{kind}-Meta-{TitleCase(name)}", value);
        }
    }

    // Swift takes an underscore for a hyphen, as header names in CGI do.
    private static string KeyOf(string name) => name.ToLowerInvariant().Replace('_', '-');

    private static string TitleCase(string name) =>
        string.Create(name.Length, name, static (target, source) =>
        {
            for (var index = 0; index < source.Length; index++)
            {
                target[index] = index == 0 || source[index - 1] == '-' ? char.ToUpperInvariant(source[index]) : source[index];
            }
        });
}

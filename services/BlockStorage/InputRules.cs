using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage;

/// <summary>The bounds of what callers may say.</summary>
internal static class InputRules
{
    public const int NameCharsMax = 255;
    public const int DescriptionCharsMax = 255;
    public const int MetadataItemsMax = 128;
    public const int KeyCharsMax = 128;
    public const long SizeBytesMax = 64L << 40;

    public static string Name(string field, string? value) => Text(field, value ?? "", NameCharsMax);

    public static string? Description(string? value) => value is null ? null : Text("description", value, DescriptionCharsMax);

    public static IReadOnlyDictionary<string, string> Metadata(IEnumerable<KeyValuePair<string, string>> items)
    {
        var metadata = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in items)
        {
            if (key.Length is 0 or > NameCharsMax) throw Faults.Invalid("metadata", $"a key has 1 to {NameCharsMax} characters");
            Text("metadata", value, NameCharsMax);
            metadata[key] = value;
        }
        return metadata.Count <= MetadataItemsMax ? metadata : throw Faults.Invalid("metadata", $"has more than {MetadataItemsMax} items");
    }

    public static string? IdempotencyKey(string key) => key.Length switch
    {
        0 => null,
        <= KeyCharsMax => key,
        _ => throw Faults.Invalid("idempotency_key", $"is longer than {KeyCharsMax} characters"),
    };

    public static long Size(long sizeBytes, bool hidden)
    {
        if (sizeBytes <= 0) throw Faults.Invalid("size", "must be a positive integer");
        if (sizeBytes > SizeBytesMax) throw Faults.Invalid("size", $"must be at most {SizeBytesMax >> 30} GiB");
        var unit = hidden ? 4096 : Volumes.Volume.GibBytes;
        return sizeBytes % unit == 0 ? sizeBytes : throw Faults.Invalid("size", $"must be a multiple of {unit} bytes");
    }

    private static string Text(string field, string value, int charsMax) =>
        value.Length > charsMax ? throw Faults.Invalid(field, $"is longer than {charsMax} characters")
        : value.Contains('\0', StringComparison.Ordinal) ? throw Faults.Invalid(field, "must not contain a null character")
        : value;
}
